//! Who uses the data folder.
//!
//! A hub that runs everything has the folder to itself, and so has a command that writes into it. Processes
//! that `hub serve` some services share it: each store has a lock of its own, so no service runs twice.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use anyhow::{Context, bail};
use mesh::private;

/// How a process uses the folder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Nobody else may.
    Alone,
    /// Others that share it may.
    Shared,
}

/// Holds the data folder until dropped; the operating system lets go of it even after a crash.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Creates the folder if needed and takes it.
    ///
    /// # Errors
    /// The folder cannot be created or written, or another process holds it.
    pub fn take(folder: &Path, how: Use) -> anyhow::Result<Self> {
        match Self::try_take(folder, how)? {
            Some(lock) => Ok(lock),
            None => bail!(
                "data folder {} is in use by another hub; stop it or choose --data-dir",
                folder.display()
            ),
        }
    }

    /// As [`DataDirLock::take`]; `None` when another process holds the folder.
    pub fn try_take(folder: &Path, how: Use) -> anyhow::Result<Option<Self>> {
        private::create_dir(folder)
            .with_context(|| format!("cannot create data folder {}", folder.display()))?;
        let path = folder.join("hub.lock");
        let file = private::options()
            .open(&path)
            .with_context(|| format!("cannot write data folder {}", folder.display()))?;
        let taken = match how {
            Use::Alone => file.try_lock(),
            Use::Shared => file.try_lock_shared(),
        };
        match taken {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn processes_share_the_folder_only_if_all_of_them_do() {
        let folder = tempfile::tempdir().unwrap();
        let take = |how| DataDirLock::try_take(folder.path(), how).unwrap();
        let (one, two) = (take(Use::Shared), take(Use::Shared));
        assert!(one.is_some() && two.is_some());
        assert!(take(Use::Alone).is_none());
        drop((one, two));
        let alone = take(Use::Alone);
        assert!(alone.is_some());
        assert!(take(Use::Shared).is_none());
        let refused = DataDirLock::take(folder.path(), Use::Alone).unwrap_err();
        assert!(refused.to_string().contains("in use"));
    }
}
