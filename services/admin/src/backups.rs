//! Backups as the contract has them.

use contracts::hub::admin::v1::Backup;
use mesh::{
    Failure, Hub, Reason,
    backup::{self, BackupError},
};

use crate::dead_letters::timestamp;

/// Folder of the backups in the data folder.
const FOLDER: &str = "backups";

/// Makes one, named after the moment.
///
/// # Errors
/// The services keep their data elsewhere, or the disk fails.
pub async fn create(hub: &Hub) -> Result<Backup, Failure> {
    let name = hub
        .clock()
        .now()
        .format("%Y-%m-%dT%H-%M-%S%.3fZ")
        .to_string();
    let manifest = backup::create(hub, &hub.data_dir().join(FOLDER).join(&name))
        .await
        .map_err(failure)?;
    Ok(Backup {
        taken_at: Some(timestamp(manifest.taken_at)),
        files: i32::try_from(manifest.files.len()).unwrap_or(i32::MAX),
        bytes: i64::try_from(manifest.bytes()).unwrap_or(i64::MAX),
        name,
    })
}

fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::NotEmbedded(_) => Failure::conflict(Reason::Conflict, error.to_string()),
        BackupError::Store(error) => error.into(),
        BackupError::Unfit { .. } | BackupError::Io { .. } => Failure::internal(error),
    }
}
