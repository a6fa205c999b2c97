//! Real connections.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::Shutdown;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::fixture::Fixture;
use crate::GatewayError;

struct Listening {
    fixture: Fixture,
    address: std::net::SocketAddr,
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), GatewayError>>,
}

async fn listen() -> Listening {
    let fixture = Fixture::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(fixture.gateway.clone().serve(listener, shutdown.clone()));
    Listening {
        fixture,
        address,
        shutdown,
        serving,
    }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// Reads one response with a `content-length` from `stream`.
async fn response(stream: &mut TcpStream) -> String {
    tokio::time::timeout(Duration::from_secs(20), read(stream))
        .await
        .expect("a response")
}

async fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "cut off: {text}");
            continue;
        };
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length || read == 0 {
            return text;
        }
    }
}

#[tokio::test]
async fn connections_are_kept_and_let_go_at_the_end() {
    let listening = listen().await;
    let mut stream = listening.connect().await;
    for number in 1..=2 {
        stream
            .write_all(b"GET /api/products/p-1 HTTP/1.1\r\nhost: hub\r\n\r\n")
            .await
            .unwrap();
        let text = response(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{number}: {text}");
    }
    assert_eq!(listening.fixture.calls("GetProduct"), 1);
    let address = listening.address;
    listening.stop().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn http2_needs_no_upgrade() {
    let listening = listen().await;
    let io = TokioIo::new(listening.connect().await);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let request = Request::get("http://hub/api/products/p-1")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{"));
    let head = Request::head("http://hub/api/products/p-1")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = sender.send_request(head).await.unwrap();
    assert_eq!(answer.headers()["content-length"], body.len().to_string());
    drop(sender);
    driving.await.unwrap().unwrap();
    listening.stop().await;
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let listening = listen().await;
    let mut stream = listening.connect().await;
    let line = format!("x-filler: {}\r\n", "a".repeat(1000));
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: hub\r\n")
        .await
        .unwrap();
    for _ in 0..100 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut text = Vec::new();
    // The server may close while we are still writing.
    let _ = stream.read_to_end(&mut text).await;
    assert!(text.is_empty() || text.starts_with(b"HTTP/1.1 431"));
    listening.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_let_go() {
    let listening = listen().await;
    let mut stream = listening.connect().await;
    // The first letter of both `POST` and the preface of HTTP/2.
    stream.write_all(b"P").await.unwrap();
    let mut rest = [0; 1];
    let closed = async {
        loop {
            listening.fixture.advance(Duration::from_secs(5));
            let read =
                tokio::time::timeout(Duration::from_millis(20), stream.read(&mut rest)).await;
            if let Ok(read) = read {
                break read;
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(20), closed)
        .await
        .unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    listening.stop().await;
}

#[tokio::test]
async fn a_hub_that_drains_says_that_it_is_not_ready() {
    let listening = listen().await;
    // A request in flight: its body is still to come.
    let mut slow = listening.connect().await;
    slow.write_all(b"POST /api/auth/login HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: 39\r\n\r\n{")
        .await
        .unwrap();
    // The server has begun to read it once another request is answered on a connection made later.
    let mut other = listening.connect().await;
    other
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: hub\r\n\r\n")
        .await
        .unwrap();
    response(&mut other).await;
    listening.fixture.hub.shutdown_token().cancel();
    listening.shutdown.cancel();

    let mut late = listening.connect().await;
    late.write_all(b"GET /api/products/p-1 HTTP/1.1\r\nhost: hub\r\n\r\n")
        .await
        .unwrap();
    assert!(response(&mut late).await.starts_with("HTTP/1.1 503"));
    late.write_all(b"GET /health/live HTTP/1.1\r\nhost: hub\r\n\r\n")
        .await
        .unwrap();
    assert!(response(&mut late).await.starts_with("HTTP/1.1 200"));

    slow.write_all(b"\"email\":\"a@hub.test\",\"password\":\"abc\"}")
        .await
        .unwrap();
    let text = response(&mut slow).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    listening.stop().await;
}
