//! Files and folders that cannot be used.

use super::{COUNTERS, open_in, temporary};
use crate::{
    error::{Failure, Reason},
    store::StoreError,
};

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let clock = super::clock();
    let ids = super::ids(&clock);
    let config = crate::store::StoreConfig::in_directory(file.join("data"));
    let refused = crate::store::Store::open("test", &config, COUNTERS, clock, ids).await;
    let message = refused.unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("cannot open {}", file.join("data").display())),
        "{message}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("test.db"),
        "this is a text of some length, no database",
    )
    .unwrap();
    let message = open_in(&folder, COUNTERS).await.unwrap_err().to_string();
    assert!(
        message.contains("test.db") && message.contains("not a database"),
        "{message}"
    );
}

#[tokio::test]
async fn a_folder_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_in(&folder, COUNTERS).await.unwrap();
    let refused = open_in(&folder, COUNTERS).await;
    assert!(
        matches!(refused, Err(StoreError::Open { .. })),
        "{refused:?}"
    );
    drop(store);
    open_in(&folder, COUNTERS).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_a_store() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let clock = super::clock();
    let ids = super::ids(&clock);
    let config = crate::store::StoreConfig::in_directory(&folder);
    let store = crate::store::Store::open("test", &config, COUNTERS, clock, ids)
        .await
        .unwrap();
    store.ping().await.unwrap();
    let mode = |path: &std::path::Path| {
        let permissions = std::fs::metadata(path).unwrap().permissions();
        permissions.mode() & 0o777
    };
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_temporary_store_leaves_nothing() {
    let store = temporary().await;
    let folder = store.path().unwrap().parent().unwrap().to_path_buf();
    assert!(folder.exists());
    store.close().await.unwrap();
    assert!(!folder.exists());
}

#[test]
fn store_errors_become_failures() {
    let reason = |error: StoreError| Failure::from(error).reason();
    let unique = StoreError::Unique {
        constraint: "t.a".to_owned(),
    };
    assert_eq!(reason(unique), Reason::AlreadyExists);
    assert_eq!(reason(StoreError::Closed), Reason::Unavailable);
    assert_eq!(reason(StoreError::ForeignKey), Reason::Internal);
}
