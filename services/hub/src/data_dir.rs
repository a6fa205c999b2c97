//! The data folder belongs to one process at a time.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use anyhow::{Context, bail};

/// Holds the data folder until dropped; the operating system lets go of it even after a crash.
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Creates the folder if needed and takes it.
    ///
    /// # Errors
    /// The folder cannot be created or written, or another process holds it.
    pub fn take(folder: &Path) -> anyhow::Result<Self> {
        match Self::try_take(folder)? {
            Some(lock) => Ok(lock),
            None => bail!(
                "data folder {} is in use by another hub; stop it or choose --data-dir",
                folder.display()
            ),
        }
    }

    /// As [`DataDirLock::take`]; `None` when another process holds the folder.
    pub fn try_take(folder: &Path) -> anyhow::Result<Option<Self>> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create data folder {}", folder.display()))?;
        let path = folder.join("hub.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write data folder {}", folder.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}
