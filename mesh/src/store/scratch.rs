//! Databases that live as long as a test.

use tokio_postgres::NoTls;

use super::{Database, Migration, Store, StoreConfig, StoreError};
use crate::{clock::Clock, ids::Ids};

/// Names a PostgreSQL server on which tests may create databases.
const VARIABLE: &str = "HUB_TEST_DATABASE_URL";

/// A new, empty PostgreSQL database, dropped with this value. For tests.
#[derive(Debug)]
pub struct ScratchDatabase {
    server: String,
    name: String,
    url: String,
}

impl ScratchDatabase {
    /// Creates a database on the server that `HUB_TEST_DATABASE_URL` names (without TLS); nothing when it is
    /// not set. Texts are ordered there as in a dictionary, so that a test finds a statement that relies on
    /// a database which orders them by bytes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server refuses.
    pub async fn create() -> Result<Option<Self>, StoreError> {
        let Ok(server) = std::env::var(VARIABLE) else {
            return Ok(None);
        };
        // Never the clock and the ids of a test: two tests have the same.
        let name = format!("hub_test_{}", Ids::random(Clock::system()).uuid().simple());
        run(
            &server,
            &format!(
                "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' \
                 ENCODING 'UTF8'"
            ),
        )
        .await?;
        let url = with_database(&server, &name);
        Ok(Some(Self { server, name, url }))
    }

    /// The URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The setting that makes a hub keep its stores there.
    pub fn setting(&self) -> (String, String) {
        ("hub.database_url".to_owned(), self.url.clone())
    }
}

impl Store {
    /// A temporary store on the engine that the tests are to run on: in a schema of the database that
    /// `HUB_TEST_DATABASE_URL` names, or else on SQLite. For tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn scratch(
        name: &str,
        migrations: &'static [Migration],
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, StoreError> {
        let Ok(url) = std::env::var(VARIABLE) else {
            return Self::temporary(name, migrations, clock, ids).await;
        };
        let config = StoreConfig {
            database: Some(Database {
                url: url.into(),
                read_url: None,
            }),
            ..StoreConfig::default()
        };
        Self::temporary_with(name, &config, migrations, clock, ids).await
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // Drop cannot await, and whoever drops this may be on a runtime already.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(run(&server, &sql)),
                Err(error) => Err(unavailable(&error)),
            }
        });
        match dropping.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(database = self.name, %error, "a database is left over")
            }
            Err(_) => tracing::warn!(database = self.name, "a database is left over"),
        }
    }
}

async fn run(server: &str, sql: &str) -> Result<(), StoreError> {
    let (client, connection) = tokio_postgres::connect(server, NoTls)
        .await
        .map_err(|error| unavailable(&error))?;
    let talking = tokio::spawn(connection);
    let outcome = client.batch_execute(sql).await;
    talking.abort();
    outcome.map_err(|error| unavailable(&error))
}

fn unavailable(error: &dyn std::error::Error) -> StoreError {
    let mut message = error.to_string();
    if let Some(cause) = error.source() {
        message = format!("{message}: {cause}");
    }
    StoreError::Unavailable { message }
}

/// The URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..]
        .find('/')
        .map_or(address.len(), |at| authority + at);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{name}{mark}{query}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_changes() {
        for (url, expected) in [
            ("postgres://u@h:5432/test", "postgres://u@h:5432/x"),
            ("postgres://u@h", "postgres://u@h/x"),
            ("postgres://u:p@h/test?a=b", "postgres://u:p@h/x?a=b"),
        ] {
            assert_eq!(with_database(url, "x"), expected);
        }
    }
}
