//! A way to the broker that can be cut, closed, and made to say that the broker is blocked.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{broadcast, watch},
    task::JoinSet,
};

/// `connection.blocked` with an empty reason and `connection.unblocked`, as frames on channel 0.
const BLOCKED: &[u8] = &[1, 0, 0, 0, 0, 0, 5, 0, 10, 0, 60, 0, 0xce];
const UNBLOCKED: &[u8] = &[1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 61, 0xce];

pub(super) struct Proxy {
    address: SocketAddr,
    cut: broadcast::Sender<()>,
    open: watch::Sender<bool>,
    blocked: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// A proxy in front of the broker at `url`.
    pub(super) async fn before(url: &str) -> Self {
        let uri: lapin::uri::AMQPUri = url.parse().unwrap();
        let target = (uri.authority.host, uri.authority.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = broadcast::Sender::new(1);
        let (open, blocked) = (watch::Sender::new(true), watch::Sender::new(false));
        let mut accepting = JoinSet::new();
        let (cutting, opened, blocking) = (cut.clone(), open.subscribe(), blocked.clone());
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                if !*opened.borrow() {
                    continue;
                }
                let Ok(server) = TcpStream::connect((target.0.as_str(), target.1)).await else {
                    continue;
                };
                let (mut cut, blocked) = (cutting.subscribe(), blocking.subscribe());
                connections.spawn(async move {
                    tokio::select! {
                        _ = cut.recv() => {}
                        () = carry(client, server, blocked) => {}
                    }
                });
            }
        });
        Self {
            address,
            cut,
            open,
            blocked,
            _accepting: accepting,
        }
    }

    /// The broker's URL through this proxy.
    pub(super) fn url(&self, url: &str) -> String {
        let mut uri: lapin::uri::AMQPUri = url.parse().unwrap();
        uri.authority.host = self.address.ip().to_string();
        uri.authority.port = self.address.port();
        uri.to_string()
    }

    /// Cuts all connections; new ones are let through.
    pub(super) fn cut(&self) {
        // Nobody connected is nobody to cut.
        let _ = self.cut.send(());
    }

    /// Cuts all connections and lets no new one through.
    pub(super) fn close(&self) {
        self.open.send_replace(false);
        self.cut();
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Lets the broker say that it takes no messages, or that it does again.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.send_replace(blocked);
    }
}

async fn carry(client: TcpStream, server: TcpStream, blocked: watch::Receiver<bool>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let downstream = async {
        tokio::select! {
            _ = frames(from_server, Arc::clone(&to_client)) => {}
            _ = speak(blocked, Arc::clone(&to_client)) => {}
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        () = downstream => {}
    }
}

type Outlet = Arc<tokio::sync::Mutex<tokio::net::tcp::OwnedWriteHalf>>;

/// Passes on whole frames, so that another can be put between two.
async fn frames(mut from: tokio::net::tcp::OwnedReadHalf, to: Outlet) -> std::io::Result<()> {
    loop {
        let mut frame = vec![0; 7];
        from.read_exact(&mut frame).await?;
        let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
        frame.resize(7 + size + 1, 0);
        from.read_exact(&mut frame[7..]).await?;
        to.lock().await.write_all(&frame).await?;
    }
}

async fn speak(mut blocked: watch::Receiver<bool>, to: Outlet) -> std::io::Result<()> {
    while blocked.changed().await.is_ok() {
        let frame = if *blocked.borrow_and_update() {
            BLOCKED
        } else {
            UNBLOCKED
        };
        to.lock().await.write_all(frame).await?;
    }
    std::future::pending().await
}
