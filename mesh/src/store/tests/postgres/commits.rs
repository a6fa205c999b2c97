//! Connections that are lost, above all while a commit is on its way.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{COUNTERS, TestDatabase, at, on_postgres, open, put, value};
use crate::{
    args,
    store::{StoreError, Tx},
};

#[tokio::test]
async fn a_connection_that_is_lost_in_a_transaction_undoes_it() {
    let Some(store) = on_postgres(COUNTERS).await else {
        return;
    };
    let answer = store
        .write(|tx: Tx| async move {
            tx.execute("INSERT INTO counter (id, n) VALUES ('a', 1)", args![])
                .await?;
            tx.one("SELECT pg_terminate_backend(pg_backend_pid())", args![])
                .await
                .map(drop)
        })
        .await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable { .. })),
        "{answer:?}"
    );
    assert_eq!(value(&store, "a").await, None);
    put(&store, "b", 1).await.unwrap();
}

#[tokio::test]
async fn connections_that_died_while_idle_are_not_noticed_by_callers() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let (store, other) = (database.open().await, database.open().await);
    for round in 0..10 {
        let id: &'static str = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][round];
        put(&store, id, 1).await.unwrap();
        other
            .write(|tx: Tx| async move {
                tx.all(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                    args![],
                )
                .await
            })
            .await
            .unwrap();
        assert_eq!(value(&store, id).await, Some(1));
    }
}

/// What the proxy does with the next COMMIT.
const PASS: u8 = 0;
/// The server gets it, its answer is lost.
const LOSE_ANSWER: u8 = 1;
/// It is lost itself.
const LOSE_COMMIT: u8 = 2;

/// A network that loses connections on command.
struct Proxy {
    port: u16,
    next: Arc<AtomicU8>,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let next = Arc::new(AtomicU8::new(PASS));
        let order = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&order)));
            }
        });
        Self { port, next }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, order: Arc<AtomicU8>) {
    let (mut sent, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &sent[..length];
                let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
                let what = if commits { order.swap(PASS, Ordering::SeqCst) } else { PASS };
                match what {
                    LOSE_COMMIT => return,
                    LOSE_ANSWER => {
                        server.write_all(bytes).await.unwrap();
                        // The answer shows that it was carried out; the client never sees it.
                        let _ = server.read(&mut answered).await;
                        return;
                    }
                    _ => server.write_all(bytes).await.unwrap(),
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let url = database.url();
    let (user, rest) = url.split_once('@').unwrap();
    let (target, path) = rest.split_once('/').unwrap();
    let target = if target.contains(':') {
        target.to_owned()
    } else {
        format!("{target}:5432")
    };
    let proxy = Proxy::start(target).await;
    let store = open(&at(format!("{user}@127.0.0.1:{}/{path}", proxy.port))).await;

    proxy.next.store(LOSE_ANSWER, Ordering::SeqCst);
    assert_eq!(put(&store, "kept", 1).await, Ok(()));
    assert_eq!(value(&store, "kept").await, Some(1));
    assert_eq!(proxy.next.load(Ordering::SeqCst), PASS);

    proxy.next.store(LOSE_COMMIT, Ordering::SeqCst);
    let lost = put(&store, "undone", 1).await;
    assert!(
        matches!(lost, Err(StoreError::Unavailable { .. })),
        "{lost:?}"
    );
    assert_eq!(value(&store, "undone").await, None);
    assert_eq!(proxy.next.load(Ordering::SeqCst), PASS);
    put(&store, "undone", 1).await.unwrap();
}
