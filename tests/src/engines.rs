//! What a hub under test stands on: its own files, or a database, a broker and a cache of its own on the
//! servers that `tests/with-services` has started.
//!
//! Each hub gets a fresh database and a fresh virtual host, so tests cannot disturb each other. The database
//! is a copy of one that was seeded once, because a demo shop takes longer to fill than to copy.

use std::{env, time::SystemTime};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use crate::process::{binary, run};

/// How the hubs of this run are composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One process on its own files.
    Embedded,
    /// One process on PostgreSQL, RabbitMQ and Redis.
    Engines,
    /// Six processes that talk over mTLS, on the same engines.
    Mesh,
}

impl Mode {
    /// The mode of this run: `HUB_TEST_MODE`, else engines when there are some.
    ///
    /// # Panics
    /// The variable holds something else, or there are no engines for what it says.
    pub fn of_run() -> Self {
        let engines = env::var_os("HUB_TEST_DATABASE_URL").is_some();
        let mode = match env::var("HUB_TEST_MODE").as_deref() {
            Err(_) | Ok("") if engines => Self::Engines,
            Err(_) | Ok("" | "embedded") => Self::Embedded,
            Ok("engines") => Self::Engines,
            Ok("mesh") => Self::Mesh,
            Ok(other) => panic!("HUB_TEST_MODE is embedded, engines or mesh, not {other:?}"),
        };
        assert!(
            mode == Self::Embedded || engines,
            "{mode:?} needs servers; run through tests/with-services"
        );
        mode
    }
}

/// A database, a virtual host and a name space that one hub has for itself. They go away with the value.
#[derive(Debug)]
pub struct Engines {
    name: String,
    servers: Servers,
    /// Where the pictures of the shop are.
    blobs: Option<String>,
}

#[derive(Clone, Debug)]
struct Servers {
    database: String,
    broker: String,
    broker_admin: String,
    cache: String,
}

/// What the fresh database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shop {
    /// The demo shop.
    Demo,
    /// Nothing.
    Empty,
}

impl Servers {
    fn of_run() -> anyhow::Result<Self> {
        let variable = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            database: variable("HUB_TEST_DATABASE_URL")?,
            broker: variable("HUB_TEST_AMQP_URL")?,
            broker_admin: variable("HUB_TEST_AMQP_ADMIN_URL")?,
            cache: variable("HUB_TEST_REDIS_URL")?,
        })
    }

    /// The URL of the database `name` on the same server.
    fn database(&self, name: &str) -> anyhow::Result<String> {
        let (server, _) = self
            .database
            .rsplit_once('/')
            .context("HUB_TEST_DATABASE_URL names no database")?;
        Ok(format!("{server}/{name}"))
    }

    /// The URL of the virtual host `name` on the same broker.
    fn vhost(&self, name: &str) -> anyhow::Result<String> {
        let (server, _) = self
            .broker
            .rsplit_once('/')
            .context("HUB_TEST_AMQP_URL names no virtual host")?;
        Ok(format!("{server}/{name}"))
    }

    async fn sql(&self, statement: &str) -> anyhow::Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.database, NoTls).await?;
        let speaking = tokio::spawn(connection);
        let outcome = client.batch_execute(statement).await;
        drop(client);
        // The connection ends with its client.
        let _ = speaking.await;
        outcome.with_context(|| statement.to_owned())
    }

    async fn broker(&self, method: reqwest::Method, path: &str) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("{}/api/{path}", self.broker_admin);
        let mut request = http.request(method.clone(), &url);
        if method == reqwest::Method::PUT {
            let everything = r#"{"configure":".*","write":".*","read":".*"}"#;
            request = request.header("content-type", "application/json").body(
                if path.starts_with("permissions") {
                    everything
                } else {
                    "{}"
                },
            );
        }
        let answer = request.send().await?;
        ensure!(
            answer.status().is_success(),
            "{method} {path}: {}",
            answer.status()
        );
        Ok(())
    }
}

impl Engines {
    /// Makes them.
    ///
    /// # Errors
    /// A server refuses.
    pub async fn create(shop: Shop) -> anyhow::Result<Self> {
        let servers = Servers::of_run()?;
        let name = format!("t_{}", uuid::Uuid::from_u128(rand::random()).simple());
        let (source, blobs) = match shop {
            Shop::Demo => {
                let demo = demo_shop(&servers).await?;
                (demo.database.clone(), Some(demo.blobs()))
            }
            Shop::Empty => ("template0".to_owned(), None),
        };
        servers
            .sql(&format!("CREATE DATABASE {name} TEMPLATE {source}"))
            .await?;
        let engines = Self {
            name,
            servers,
            blobs,
        };
        engines
            .servers
            .broker(reqwest::Method::PUT, &format!("vhosts/{}", engines.name))
            .await?;
        engines
            .servers
            .broker(
                reqwest::Method::PUT,
                &format!("permissions/{}/guest", engines.name),
            )
            .await?;
        Ok(engines)
    }

    /// The variables that lead a hub to them.
    ///
    /// # Errors
    /// A URL of a server has no path.
    pub fn environment(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut variables = vec![
            ("DATABASE_URL", self.servers.database(&self.name)?),
            ("AMQP_URL", self.servers.vhost(&self.name)?),
            ("REDIS_URL", self.servers.cache.clone()),
            ("HUB_NAMESPACE", self.name.clone()),
        ];
        if let Some(blobs) = &self.blobs {
            variables.push(("BLOB_URL", blobs.clone()));
        }
        Ok(variables
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect())
    }

    /// The database, for a test that looks into it.
    ///
    /// # Errors
    /// The URL of the server has no path.
    pub fn database_url(&self) -> anyhow::Result<String> {
        self.servers.database(&self.name)
    }
}

impl Drop for Engines {
    /// Nobody waits for it: what is left behind ends with the servers.
    fn drop(&mut self) {
        let (servers, name) = (self.servers.clone(), self.name.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let vhost = format!("vhosts/{name}");
                let _ = servers.broker(reqwest::Method::DELETE, &vhost).await;
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                let _ = servers.sql(&drop).await;
            });
        });
    }
}

/// A database and blobs that hold the demo shop of the binary under test.
struct DemoShop {
    database: String,
    folder: TempDir,
}

impl DemoShop {
    fn blobs(&self) -> String {
        format!("file://{}/blobs", self.folder.path().display())
    }
}

/// The demo shop, made by the first who asks.
async fn demo_shop(servers: &Servers) -> anyhow::Result<&'static DemoShop> {
    static MADE: OnceCell<DemoShop> = OnceCell::const_new();
    MADE.get_or_try_init(|| async {
        let built = binary()?.metadata()?.modified()?;
        let age = built.duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
        let shop = DemoShop {
            database: format!("demo_{age}_{}", std::process::id()),
            folder: tempfile::tempdir()?,
        };
        servers
            .sql(&format!(
                "CREATE DATABASE {} TEMPLATE template0",
                shop.database
            ))
            .await?;
        seed(&shop, &servers.database(&shop.database)?).await?;
        Ok(shop)
    })
    .await
}

async fn seed(shop: &DemoShop, database: &str) -> anyhow::Result<()> {
    let data = shop.folder.path().join("data");
    let environment = [
        ("DATABASE_URL", database.to_owned()),
        ("HUB_DATA_DIR", data.display().to_string()),
        ("BLOB_URL", shop.blobs()),
    ];
    let finished = run(shop.folder.path(), &["seed"], &environment).await?;
    ensure!(finished.code == Some(0), "hub seed: {}", finished.stderr);
    Ok(())
}
