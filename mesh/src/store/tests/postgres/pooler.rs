//! Behind PgBouncer in transaction mode.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use futures::future::join_all;
use tempfile::TempDir;

use super::{TestDatabase, at, eventually, open, put, value};
use crate::{
    args,
    store::{Pooling, StoreConfig, StoreError, Tx},
};

/// A PgBouncer in front of a database, ended when it is dropped.
struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// None where it is not installed.
    async fn start(database: &TestDatabase) -> Option<Self> {
        let found = Command::new("pgbouncer").arg("--version").output();
        if found.is_err() {
            eprintln!("skipped: pgbouncer is not installed");
            return None;
        }
        let config: tokio_postgres::Config = database.url().parse().unwrap();
        let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
            eprintln!("skipped: PostgreSQL is on a socket");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let password = config.get_password().map_or_else(String::new, |password| {
            format!(" password={}", String::from_utf8_lossy(password))
        });
        std::fs::write(
            &file,
            format!(
                "[databases]\n{name} = host={host} port={server_port} user={user}{password}\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n\
                 max_client_conn = 100\n",
                name = database.name,
                server_port = config.get_ports().first().unwrap_or(&5432),
                user = config.get_user().unwrap_or("root"),
            ),
        )
        .unwrap();
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        // It refuses to run as root.
        let mut command = if root {
            allow_all(folder.path());
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "pgbouncer"]);
            command
        } else {
            Command::new("pgbouncer")
        };
        let process = command
            .arg(&file)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self {
            process,
            port,
            _folder: folder,
        };
        eventually("the pooler", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        Some(pooler)
    }
}

fn allow_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Politely, because a `runuser` in between does not pass a kill on.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_works_behind_a_pooler_in_transaction_mode() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let Some(pooler) = Pooler::start(&database).await else {
        return;
    };
    let url = database.url();
    let (user, rest) = url.split_once('@').unwrap();
    let (_, path) = rest.split_once('/').unwrap();
    let config = StoreConfig {
        pooling: Pooling::Transaction,
        // More than the pooler has, so that they take each other's.
        connections: 8,
        ..at(format!("{user}@127.0.0.1:{}/{path}", pooler.port))
    };
    let store = open(&config).await;
    put(&store, "stock", 50).await.unwrap();
    let takes = (0..100).map(|index| {
        let store = store.clone();
        tokio::spawn(async move {
            if index % 3 == 0 {
                let sum = "SELECT sum(n) AS total FROM counter WHERE n >= $1";
                let rows = if index % 2 == 0 {
                    store.scan(sum, args![0]).await
                } else {
                    store.all(sum, args![0]).await
                };
                assert!(rows.unwrap()[0].get::<i64>("total").unwrap() <= 50);
            }
            store
                .write(move |tx: Tx| async move {
                    let taken = tx
                        .execute(
                            "UPDATE counter SET n = n - 1 WHERE id = $1 AND n > 0",
                            args!["stock"],
                        )
                        .await?;
                    Ok::<_, StoreError>(taken)
                })
                .await
        })
    });
    let taken: u64 = join_all(takes)
        .await
        .into_iter()
        .map(|taken| taken.unwrap().unwrap())
        .sum();
    assert_eq!((taken, value(&store, "stock").await), (50, Some(0)));
    let again = put(&store, "stock", 1).await.unwrap_err();
    assert!(again.is_unique_on("counter.id"), "{again:?}");
    let lease = store.lease("work");
    lease.held().await;
    store.close().await.unwrap();
}
