//! Notes that are carried out after the commit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::temporary;
use crate::store::{StoreError, Tx, args};

#[tokio::test]
async fn a_note_is_carried_out_when_its_transaction_is_kept() {
    let store = temporary().await;
    let woken = Arc::new(AtomicUsize::new(0));
    let during = Arc::clone(&woken);
    let note = Arc::clone(&woken);
    store
        .write(move |tx: Tx| async move {
            tx.after_commit(move || {
                note.fetch_add(1, Ordering::SeqCst);
            });
            assert_eq!(during.load(Ordering::SeqCst), 0);
            tx.execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await
        })
        .await
        .unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_note_of_an_undone_transaction_is_forgotten() {
    let store = temporary().await;
    let woken = Arc::new(AtomicUsize::new(0));
    let note = Arc::clone(&woken);
    let refused = store
        .write(move |tx: Tx| async move {
            tx.after_commit(move || {
                note.fetch_add(1, Ordering::SeqCst);
            });
            tx.execute("INSERT INTO counter (id, n) VALUES ('a', -1)", args![])
                .await
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Check { .. })));
    assert_eq!(woken.load(Ordering::SeqCst), 0);
}
