//! Where it is written down that the demo shop is complete.
//!
//! Beside the data: in the data folder when the services keep their files there, in the database when they
//! share one, because then another process with an empty folder must find it too.

use std::{fs, path::PathBuf};

use mesh::{
    Hub, args,
    store::{Migration, Store, StoreError, Tx},
};

const NAME: &str = "demo-shop";
const MIGRATIONS: &[Migration] = &[Migration::alike(
    1,
    "init",
    "CREATE TABLE marks (name TEXT NOT NULL PRIMARY KEY)",
)];

pub enum Mark {
    File(PathBuf),
    Row(Store),
}

impl Mark {
    pub async fn of(hub: &Hub) -> anyhow::Result<Self> {
        if hub.settings().database_url.expose().is_empty() {
            return Ok(Self::File(hub.data_dir().join(NAME)));
        }
        Ok(Self::Row(hub.store("hub", MIGRATIONS).await?))
    }

    pub async fn is_set(&self) -> anyhow::Result<bool> {
        match self {
            Self::File(path) => Ok(path.exists()),
            Self::Row(store) => {
                let found = store
                    .one("SELECT 1 FROM marks WHERE name = $1", args![NAME])
                    .await?;
                Ok(found.is_some())
            }
        }
    }

    pub async fn set(&self) -> anyhow::Result<()> {
        match self {
            Self::File(path) => fs::write(path, "")?,
            Self::Row(store) => {
                store
                    .write(|tx: Tx| async move {
                        tx.execute(
                            "INSERT INTO marks (name) VALUES ($1) ON CONFLICT DO NOTHING",
                            args![NAME],
                        )
                        .await
                        .map(drop)
                    })
                    .await
                    .map_err(|error: StoreError| error)?;
            }
        }
        Ok(())
    }
}
