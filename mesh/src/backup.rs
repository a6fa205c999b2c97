//! Backups of embedded storage: all services' files as of one moment, with the blobs and the key.
//!
//! A backup is a folder. Its manifest names every file with size and checksum, so that a restore can tell a whole
//! backup from a damaged one before it touches anything. What can be made again (search index, caches) is left out.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    hub::Hub,
    private,
    store::{Snapshot, StoreError, check_file},
};

const MANIFEST: &str = "manifest.json";
/// Version of the layout.
const FORMAT: u32 = 1;
/// What belongs to an installation besides the stores.
const OTHERS: [&str; 3] = ["mesh.key", "demo-shop", "blobs"];
/// Folders below each other that a copy follows: more than names of blobs can have.
const DEPTH: usize = 64;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Version of the hub that made it.
    pub version: String,
    /// The moment that it shows.
    pub taken_at: DateTime<Utc>,
    /// Every file, by name.
    pub files: Vec<File>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Path in the backup, with slashes.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// Why there is no backup, or no restored installation.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The services keep their data elsewhere.
    #[error(
        "store {0} is not a file of this machine; back its server up with the server's own tools (see the runbook)"
    )]
    NotEmbedded(String),
    /// The backup or the folder to restore into is not what it should be.
    #[error("{}: {message}", path.display())]
    Unfit {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A store cannot be copied, or a copy is not sound.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Manifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Copies everything that `hub` keeps into `folder`, which is created and must not exist. The hub goes on
/// serving; writes wait for an instant.
///
/// # Errors
/// [`BackupError`]; what was written stays behind without a manifest, which no restore accepts.
pub async fn create(hub: &Hub, folder: &Path) -> Result<Manifest, BackupError> {
    if folder.exists() {
        return Err(unfit(folder, "exists already"));
    }
    let snapshots = freeze(hub).await?;
    let taken_at = hub.clock().now();
    let (folder, data) = (folder.to_owned(), hub.data_dir().to_owned());
    tokio::task::spawn_blocking(move || write(&snapshots, &data, &folder, taken_at))
        .await
        .map_err(|error| unfit(Path::new(MANIFEST), error.to_string()))?
}

/// All stores as of the same moment.
async fn freeze(hub: &Hub) -> Result<Vec<Snapshot>, BackupError> {
    let mut holds = Vec::new();
    for store in hub.stores().await {
        match store.hold().await? {
            Some(hold) => holds.push(hold),
            None => return Err(BackupError::NotEmbedded(store.name().to_owned())),
        }
    }
    Ok(holds.into_iter().map(|hold| hold.release()).collect())
}

fn write(
    snapshots: &[Snapshot],
    data: &Path,
    folder: &Path,
    taken_at: DateTime<Utc>,
) -> Result<Manifest, BackupError> {
    private::create_dir(folder).map_err(|source| io_error(folder, source))?;
    for snapshot in snapshots {
        snapshot.copy_to(&folder.join(format!("{}.db", snapshot.name())))?;
    }
    for name in OTHERS {
        copy(&data.join(name), &folder.join(name), DEPTH)?;
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        files: describe(folder)?,
    };
    let path = folder.join(MANIFEST);
    let text =
        serde_json::to_vec_pretty(&manifest).map_err(|error| unfit(&path, error.to_string()))?;
    fs::write(&path, text).map_err(|source| io_error(&path, source))?;
    Ok(manifest)
}

/// Checks that a backup is whole: every file that the manifest names, with its checksum, no other, and every
/// database sound.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(folder: &Path) -> Result<Manifest, BackupError> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(|source| io_error(&path, source))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| unfit(&path, error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(unfit(
            &path,
            format!("format {} is unknown", manifest.format),
        ));
    }
    let found = describe(folder)?;
    for file in &manifest.files {
        let is = found.iter().find(|found| found.name == file.name);
        match is {
            None => return Err(unfit(&folder.join(&file.name), "is missing")),
            Some(is) if is != file => {
                return Err(unfit(&folder.join(&file.name), "is not what was backed up"));
            }
            Some(_) => {}
        }
    }
    if let Some(stranger) = found.iter().find(|found| !manifest.files.contains(found)) {
        return Err(unfit(
            &folder.join(&stranger.name),
            "is not in the manifest",
        ));
    }
    for file in manifest
        .files
        .iter()
        .filter(|file| file.name.ends_with(".db"))
    {
        check_file(&folder.join(&file.name))?;
    }
    Ok(manifest)
}

/// Makes an installation from a backup in `data`, which must not exist or be empty.
///
/// # Errors
/// [`BackupError`]; `data` is only there once everything in it is.
pub fn restore(folder: &Path, data: &Path) -> Result<Manifest, BackupError> {
    let manifest = verify(folder)?;
    let occupied = fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(unfit(data, "is not empty"));
    }
    let mut aside = data.as_os_str().to_owned();
    aside.push(".restoring");
    let aside = PathBuf::from(aside);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|source| io_error(&aside, source))?;
    }
    private::create_dir(&aside).map_err(|source| io_error(&aside, source))?;
    for file in &manifest.files {
        let (from, to) = (folder.join(&file.name), aside.join(&file.name));
        copy(&from, &to, 1)?;
    }
    if data.exists() {
        fs::remove_dir(data).map_err(|source| io_error(data, source))?;
    }
    fs::rename(&aside, data).map_err(|source| io_error(data, source))?;
    Ok(manifest)
}

/// Moves a backup, also to another disk.
///
/// # Errors
/// `to` cannot be written; `from` is then still whole.
pub fn relocate(from: &Path, to: &Path) -> Result<(), BackupError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|source| io_error(parent, source))?;
    }
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to, DEPTH)?;
    fs::remove_dir_all(from).map_err(|source| io_error(from, source))
}

/// Copies a file, or a folder with what is in it. What is not there is not copied.
fn copy(from: &Path, to: &Path, depth: usize) -> Result<(), BackupError> {
    if from.is_dir() && depth > 0 {
        private::create_dir(to).map_err(|source| io_error(to, source))?;
        let entries = fs::read_dir(from).map_err(|source| io_error(from, source))?;
        for entry in entries {
            let name = entry.map_err(|source| io_error(from, source))?.file_name();
            copy(&from.join(&name), &to.join(&name), depth - 1)?;
        }
        return Ok(());
    }
    if !from.is_file() {
        return Ok(());
    }
    let parent = to.parent().unwrap_or(Path::new("."));
    private::create_dir(parent).map_err(|source| io_error(parent, source))?;
    let write = || {
        let mut copy = private::options().truncate(true).open(to)?;
        io::copy(&mut fs::File::open(from)?, &mut copy)?;
        copy.sync_all()
    };
    write().map_err(|source| io_error(to, source))
}

/// Every file below `folder` but the manifest, by name.
fn describe(folder: &Path) -> Result<Vec<File>, BackupError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).map_err(|source| io_error(&inner, source))? {
            let path = entry.map_err(|source| io_error(&inner, source))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path != folder.join(MANIFEST) {
                files.push(described(folder, &path)?);
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn described(folder: &Path, path: &Path) -> Result<File, BackupError> {
    let inner = path.strip_prefix(folder).unwrap_or(path);
    let name: Vec<_> = inner
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let mut sum = Sum {
        context: digest::Context::new(&digest::SHA256),
        bytes: 0,
    };
    fs::File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut sum))
        .map_err(|source| io_error(path, source))?;
    let digest = sum.context.finish();
    Ok(File {
        name: name.join("/"),
        bytes: sum.bytes,
        sha256: digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

/// Takes bytes and keeps their checksum.
struct Sum {
    context: digest::Context,
    bytes: u64,
}

impl io::Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unfit(path: &Path, message: impl Into<String>) -> BackupError {
    BackupError::Unfit {
        path: path.to_owned(),
        message: message.into(),
    }
}

fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        args,
        store::{Migration, Store, Tx},
    };

    const ACCOUNTS: &[Migration] = &[Migration::alike(
        1,
        "init",
        "CREATE TABLE accounts (id INTEGER NOT NULL PRIMARY KEY, units INTEGER NOT NULL);
         INSERT INTO accounts (id, units) VALUES (1, 0);",
    )];

    async fn hub(data: &Path) -> (Hub, Store, Store) {
        let hub = Hub::builder().data_dir(data).build().await.unwrap();
        let from = hub.store("from", ACCOUNTS).await.unwrap();
        let to = hub.store("to", ACCOUNTS).await.unwrap();
        (hub, from, to)
    }

    async fn add(store: &Store, units: i64) {
        store
            .write(move |tx: Tx| async move {
                tx.execute("UPDATE accounts SET units = units + $1", args![units])
                    .await
                    .map(drop)
            })
            .await
            .map_err(|error: StoreError| error)
            .unwrap();
    }

    async fn units(store: &Store) -> i64 {
        let row = store.one("SELECT units FROM accounts", args![]).await;
        row.unwrap().unwrap().get("units").unwrap()
    }

    /// Units leave one store before they arrive in another, so no moment has more there than left here.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_backup_shows_all_stores_at_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let (hub, from, to) = hub(&folder.path().join("data")).await;
        let stop = tokio_util::sync::CancellationToken::new();
        let moving = tokio::spawn({
            let (from, to, stop) = (from.clone(), to.clone(), stop.clone());
            async move {
                while !stop.is_cancelled() {
                    add(&from, -1).await;
                    add(&to, 1).await;
                }
            }
        });
        for round in 0..10 {
            let backup = folder.path().join(format!("backup-{round}"));
            create(&hub, &backup).await.unwrap();
            let data = folder.path().join(format!("restored-{round}"));
            restore(&backup, &data).unwrap();
            let (_, from, to) = self::hub(&data).await;
            let missing = units(&from).await + units(&to).await;
            assert!((-1..=0).contains(&missing), "{missing} units on their way");
        }
        stop.cancel();
        moving.await.unwrap();
    }

    /// `/dev/shm` is another file system where there is one.
    #[tokio::test]
    async fn a_backup_can_be_moved_to_another_disk() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let (hub, _, _) = hub(&folder.path().join("data")).await;
        let (here, there) = (
            folder.path().join("backup"),
            other.unwrap().keep().join("deep/backup"),
        );
        let manifest = create(&hub, &here).await.unwrap();
        relocate(&here, &there).unwrap();
        assert!(!here.exists());
        assert_eq!(verify(&there).unwrap(), manifest);
        fs::remove_dir_all(there.parent().unwrap().parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_backup_is_refused_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (hub, from, _) = hub(&data).await;
        add(&from, 7).await;
        let backup = folder.path().join("backup");
        let manifest = create(&hub, &backup).await.unwrap();
        assert!(manifest.files.iter().any(|file| file.name == "mesh.key"));
        let message = |outcome: Result<Manifest, BackupError>| outcome.unwrap_err().to_string();
        assert!(message(create(&hub, &backup).await).contains("exists"));
        assert!(message(restore(&backup, &data)).contains("not empty"));

        let file = backup.join("from.db");
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        let target = folder.path().join("target");
        fs::write(&file, bad).unwrap();
        assert!(message(restore(&backup, &target)).contains("from.db"));
        fs::remove_file(&file).unwrap();
        assert!(message(restore(&backup, &target)).contains("missing"));
        fs::write(&file, good).unwrap();
        fs::write(backup.join("stranger"), "x").unwrap();
        assert!(message(restore(&backup, &target)).contains("stranger"));
        assert!(!target.exists());
    }
}
