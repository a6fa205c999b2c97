//! Migrations.

use super::{COUNTERS, open_in};
use crate::{
    args,
    store::{Migration, Store, StoreError},
};

const GROWN: &[Migration] = &[
    COUNTERS[0],
    Migration::alike(3, "notes", "CREATE TABLE note (text TEXT);"),
];

async fn versions(store: &Store) -> Vec<u32> {
    store
        .all(
            "SELECT version FROM schema_migrations WHERE series = 'service' ORDER BY version",
            args![],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get("version").unwrap())
        .collect()
}

async fn refusal(folder: &tempfile::TempDir, migrations: &'static [Migration]) -> String {
    match open_in(folder, migrations).await {
        Err(error @ StoreError::Migration { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn missing_migrations_are_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    for (migrations, expected) in [
        (COUNTERS, vec![1]),
        (COUNTERS, vec![1]),
        (GROWN, vec![1, 3]),
    ] {
        let store = open_in(&folder, migrations).await.unwrap();
        assert_eq!(versions(&store).await, expected);
        store.close().await.unwrap();
    }
    // An older program runs on the newer schema.
    let store = open_in(&folder, COUNTERS).await.unwrap();
    store.one("SELECT text FROM note", args![]).await.unwrap();
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    const EDITED: &[Migration] = &[Migration::alike(
        1,
        "init",
        "CREATE TABLE counter (id INTEGER);",
    )];
    let folder = tempfile::tempdir().unwrap();
    open_in(&folder, COUNTERS)
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    assert_eq!(
        refusal(&folder, EDITED).await,
        "migration 1 (init) of store test: was changed after it had been applied; \
         restore it and add a new one"
    );
}

#[tokio::test]
async fn line_endings_do_not_change_a_migration() {
    const UNIX: &[Migration] = &[Migration::alike(
        1,
        "init",
        "CREATE TABLE a (\n x TEXT\n);\n",
    )];
    const DOS: &[Migration] = &[Migration::alike(
        1,
        "init",
        "CREATE TABLE a (\r\n x TEXT\r\n);\r\n",
    )];
    let folder = tempfile::tempdir().unwrap();
    open_in(&folder, UNIX).await.unwrap().close().await.unwrap();
    open_in(&folder, DOS).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    const BROKEN: &[Migration] = &[
        COUNTERS[0],
        Migration::alike(
            2,
            "broken",
            "CREATE TABLE half (id TEXT); INSERT INTO nowhere VALUES (1);",
        ),
    ];
    const MENDED: &[Migration] = &[
        COUNTERS[0],
        Migration::alike(2, "mended", "CREATE TABLE half (id TEXT);"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let message = refusal(&folder, BROKEN).await;
    assert!(
        message.contains("migration 2 (broken)") && message.contains("nowhere"),
        "{message}"
    );
    let store = open_in(&folder, MENDED).await.unwrap();
    assert_eq!(versions(&store).await, [1, 2]);
}

#[tokio::test]
async fn migrations_out_of_order_are_refused() {
    const DOWN: &[Migration] = &[
        Migration::alike(2, "b", "SELECT 1"),
        Migration::alike(1, "a", "SELECT 1"),
    ];
    const LATE: &[Migration] = &[
        COUNTERS[0],
        Migration::alike(2, "late", "SELECT 1"),
        Migration::alike(3, "notes", "CREATE TABLE note (text TEXT);"),
    ];
    let folder = tempfile::tempdir().unwrap();
    assert!(
        refusal(&folder, DOWN)
            .await
            .contains("does not follow version 2")
    );
    let folder = tempfile::tempdir().unwrap();
    open_in(&folder, GROWN)
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    assert!(
        refusal(&folder, LATE)
            .await
            .contains("missing although version 3")
    );
}

#[tokio::test]
async fn deferred_foreign_keys_are_refused() {
    const DEFERRED: &[Migration] = &[Migration::alike(
        1,
        "deferred",
        "CREATE TABLE a (id TEXT REFERENCES a (id) deferrable initially\n deferred);",
    )];
    let folder = tempfile::tempdir().unwrap();
    assert!(
        refusal(&folder, DEFERRED)
            .await
            .contains("defers foreign keys")
    );
}
