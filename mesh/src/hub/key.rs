//! The key that processes sign callers with.
//!
//! Processes that share a data folder share the key in it; others get it from the configuration.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use crate::{
    config::{Config, HubSettings, MeshSettings},
    private,
    service::StartError,
};

const FILE: &str = "mesh.key";
const LENGTH: usize = 32;

/// The key for a process of the installation; made on first use.
pub(super) fn internal_key(
    settings: &MeshSettings,
    data_dir: &Path,
) -> Result<Vec<u8>, StartError> {
    match configured_key(settings)? {
        Some(key) => Ok(key),
        None => {
            let path = data_dir.join(FILE);
            read_or_create(&path).map_err(|source| StartError::DataDir { path, source })
        }
    }
}

/// The key of an installation that has run before.
pub(crate) fn installed_key(config: &Config) -> Result<Vec<u8>, StartError> {
    let settings: MeshSettings = config.section("mesh")?;
    if let Some(key) = configured_key(&settings)? {
        return Ok(key);
    }
    let hub: HubSettings = config.section("hub")?;
    let path = hub.data_dir.join(FILE);
    read(&path).map_err(|source| StartError::DataDir { path, source })
}

fn configured_key(settings: &MeshSettings) -> Result<Option<Vec<u8>>, StartError> {
    let configured = settings.internal_key.expose();
    if configured.is_empty() {
        return Ok(None);
    }
    if configured.len() < LENGTH {
        return Err(StartError::config(
            "mesh",
            format!("internal_key must have at least {LENGTH} characters"),
        ));
    }
    Ok(Some(configured.clone().into_bytes()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let key = fs::read(path)?;
    if key.len() < LENGTH {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the key is cut off",
        ));
    }
    Ok(key)
}

fn read_or_create(path: &Path) -> io::Result<Vec<u8>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        known => return known,
    }
    let mut key = vec![0; LENGTH];
    aws_lc_rs::rand::fill(&mut key)
        .map_err(|_| io::Error::other("the system has no random numbers"))?;
    // Written aside and linked into place: a process that starts at the same time sees all or
    // nothing, and whoever comes second takes the first one's key.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = private::options().truncate(true).open(&aside)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let settings = MeshSettings::default();
        let first = internal_key(&settings, dir.path()).unwrap();
        assert_eq!(first.len(), LENGTH);
        assert_eq!(internal_key(&settings, dir.path()).unwrap(), first);
        let sources =
            crate::Sources::default().with_override("hub.data_dir", dir.path().to_string_lossy());
        let config = Config::load(&sources).unwrap();
        assert_eq!(installed_key(&config).unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_short_key_is_refused() {
        let settings = MeshSettings {
            internal_key: "short".to_owned().into(),
            ..MeshSettings::default()
        };
        let dir = tempfile::tempdir().unwrap();
        assert!(internal_key(&settings, dir.path()).is_err());
    }
}
