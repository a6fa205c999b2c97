//! Schemas for tests, which leave nothing behind.

use super::{pool::quoted, server::Server};

/// A schema that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct TemporarySchema {
    server: Server,
    name: String,
}

impl TemporarySchema {
    /// A new name; nothing is created yet.
    pub(super) fn new(server: Server, store: &str) -> Self {
        let random: u64 = rand::random();
        Self {
            server,
            name: format!("tmp_{store}_{random:016x}"),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TemporarySchema {
    /// On a thread of its own, because the runtime of the test may be about to end.
    fn drop(&mut self) {
        let server = self.server.clone();
        let sql = format!(
            "SET lock_timeout TO '10s'; DROP SCHEMA IF EXISTS {} CASCADE",
            quoted(&self.name)
        );
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let (heard, _hearing) = tokio::sync::mpsc::channel(1);
                let client = server.listen(heard).await.map_err(std::io::Error::other)?;
                client
                    .batch_execute(&sql)
                    .await
                    .map_err(std::io::Error::other)
            })
        });
        match removing.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(schema = self.name, %error, "a temporary schema was left behind");
            }
            Err(_) => tracing::warn!(schema = self.name, "a temporary schema was left behind"),
        }
    }
}
