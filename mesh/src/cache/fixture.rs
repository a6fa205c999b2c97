//! A Redis server of a test's own, on a free port: one that can be stopped in the middle.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Whether tests may use engines: `HUB_TEST_REDIS_URL` is set. The one that it names belongs to others;
/// a test that stops its Redis needs one of its own.
fn engines_are_wanted() -> bool {
    let wanted = std::env::var_os("HUB_TEST_REDIS_URL").is_some();
    if !wanted {
        eprintln!("skipped: HUB_TEST_REDIS_URL is not set");
    }
    wanted
}

/// A namespace that no other test uses.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), number);
    format!("test-{random:016x}-{number}")
}

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), waiting)
        .await
        .expect("the condition never held");
}

/// The server; it ends with its owner.
pub struct RedisServer {
    pub port: u16,
    pub folder: tempfile::TempDir,
    pub arguments: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one; `None` on a machine without Redis or when tests shall not use engines.
    pub async fn start() -> Option<Self> {
        Self::start_with(|port, _| vec!["--port".into(), port.to_string()]).await
    }

    /// Starts one with the arguments for its port and its folder.
    pub async fn start_with(
        arguments: impl FnOnce(u16, &std::path::Path) -> Vec<String>,
    ) -> Option<Self> {
        if !engines_are_wanted() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Self {
            port,
            arguments: arguments(port, folder.path()),
            folder,
            process: None,
        };
        server.launch().await.then_some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it: connections break and nobody answers.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again on the same port, empty.
    pub async fn restart(&mut self) {
        assert!(self.launch().await);
    }

    /// Keeps it from answering; connections stay.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it answer again.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Runs a command by another connection.
    pub async fn command(&self, words: &[&str]) {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command
            .query_async::<redis::Value>(&mut connection)
            .await
            .unwrap();
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn launch(&mut self) -> bool {
        let launched = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match launched {
            Ok(process) => self.process = Some(process),
            Err(error) => {
                eprintln!("skipped: redis-server cannot be started: {error}");
                return false;
            }
        }
        let port = self.port;
        eventually(|| async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        true
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
