#![allow(clippy::unwrap_used)]

use chrono::DateTime;

use super::*;

fn cache() -> (Clock, Cache) {
    let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    (clock.clone(), Cache::in_process(clock))
}

#[tokio::test]
async fn entries_live_as_long_as_they_were_put_for() {
    let (clock, cache) = cache();
    cache.put("a", "1", Duration::from_secs(10)).await;
    clock.advance(Duration::from_secs(9));
    assert_eq!(cache.get("a").await.as_deref(), Some(&b"1"[..]));
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.get("a").await, None);
    cache.put("a", "2", Duration::from_secs(10)).await;
    assert_eq!(cache.get("a").await.as_deref(), Some(&b"2"[..]));
    cache.remove("a").await;
    assert_eq!(cache.get("a").await, None);
}

#[tokio::test]
async fn a_tag_takes_its_entries_along() {
    let (_, cache) = cache();
    tags(&cache, &cache).await;
}

/// What one writes and the other invalidates.
async fn tags(one: &Cache, other: &Cache) {
    let life = Duration::from_secs(60);
    one.put_tagged("p1", "1", life, &["products", "prices"])
        .await;
    one.put_tagged("c1", "1", life, &["categories"]).await;
    assert!(other.get("p1").await.is_some());
    other.invalidate_tag("products").await;
    assert_eq!(one.get("p1").await, None);
    assert!(one.get("c1").await.is_some());
    one.put_tagged("p1", "2", life, &["products"]).await;
    assert_eq!(other.get("p1").await.as_deref(), Some(&b"2"[..]));
}

#[test]
fn an_entry_survives_its_encoding_and_nonsense_does_not() {
    let generation = Bytes::from_static(&[7; GENERATION]);
    let value = Bytes::from_static(b"value");
    let written = Stored::write(&value, &["t"], std::slice::from_ref(&generation));
    let read = Stored::read(written.clone()).unwrap();
    assert_eq!(read.value, value);
    assert_eq!(read.tags, [("t".to_owned(), generation)]);
    for length in 0..18 {
        assert!(Stored::read(written.slice(..length)).is_none(), "{length}");
    }
}

mod with_redis {
    use super::*;
    use crate::cache::fixture::{RedisServer, eventually, unique};

    async fn connect(url: &str, namespace: &str) -> Cache {
        let redis = Redis::connect(url, namespace, &RedisSettings::default())
            .await
            .unwrap();
        let clock = Clock::system();
        Cache::over_redis(redis, clock.clone(), Ids::random(clock))
    }

    #[tokio::test]
    async fn processes_share_what_is_kept() {
        let Some(server) = RedisServer::start().await else {
            return;
        };
        let url = server.url();
        let namespace = unique();
        let (one, other) = (
            connect(&url, &namespace).await,
            connect(&url, &namespace).await,
        );
        let stranger = connect(&url, &unique()).await;
        let life = Duration::from_secs(60);
        one.put("a", "1", life).await;
        assert_eq!(other.get("a").await.as_deref(), Some(&b"1"[..]));
        assert_eq!(stranger.get("a").await, None);
        other.remove("a").await;
        assert_eq!(one.get("a").await, None);
        tags(&one, &other).await;
        one.put("short", "1", Duration::from_millis(20)).await;
        eventually(|| async { other.get("short").await.is_none() }).await;
        one.put("large", vec![0; LARGEST_SHARED + 1], life).await;
        assert_eq!(one.get("large").await, None);
        one.put("b", "1", life).await;
        other.clear().await;
        assert_eq!(one.get("b").await, None);
        assert_eq!(one.get("c1").await, None);
    }

    #[tokio::test]
    async fn what_is_not_an_entry_is_a_miss() {
        let Some(server) = RedisServer::start().await else {
            return;
        };
        let url = server.url();
        let cache = connect(&url, &unique()).await;
        let key = cache.redis().unwrap().key("cache:odd");
        cache
            .redis()
            .unwrap()
            .ask(|mut redis| async move {
                ::redis::cmd("SET")
                    .arg(key)
                    .arg(&[9u8, 1][..])
                    .arg("PX")
                    .arg(10_000)
                    .query_async::<()>(&mut redis)
                    .await
            })
            .await
            .unwrap();
        assert_eq!(cache.get("odd").await, None);
    }

    #[tokio::test]
    async fn without_redis_the_process_goes_on_alone_and_comes_back() {
        let Some(mut server) = RedisServer::start().await else {
            return;
        };
        let life = Duration::from_secs(60);
        let namespace = unique();
        let (one, other) = (
            connect(&server.url(), &namespace).await,
            connect(&server.url(), &namespace).await,
        );
        one.put("before", "1", life).await;
        assert!(other.get("before").await.is_some());
        let connection = one.redis().unwrap().connections();

        server.stop();
        assert_eq!(one.get("before").await, None);
        one.put("alone", "1", life).await;
        assert_eq!(one.get("alone").await.as_deref(), Some(&b"1"[..]));
        assert_eq!(other.get("alone").await, None);
        assert!(one.redis().unwrap().ping().await.is_err());

        server.restart().await;
        for cache in [&one, &other] {
            eventually(|| async { cache.redis().unwrap().is_available() }).await;
        }
        assert!(one.redis().unwrap().connections() > connection);
        // What was kept alone is not what the others have.
        assert_eq!(one.get("alone").await, None);
        one.put("after", "1", life).await;
        assert!(other.get("after").await.is_some());
        server.stop();
        assert_eq!(one.get("alone").await, None);
    }

    #[tokio::test]
    async fn a_redis_that_hangs_is_asked_no_more() {
        let Some(server) = RedisServer::start().await else {
            return;
        };
        let cache = connect(&server.url(), &unique()).await;
        server.freeze();
        for _ in 0..4 {
            assert_eq!(cache.get("a").await, None);
        }
        assert!(!cache.redis().unwrap().is_available());
        server.thaw();
        eventually(|| async { cache.redis().unwrap().is_available() }).await;
    }

    #[tokio::test]
    async fn a_full_redis_and_a_flushed_one_lose_entries_and_nothing_else() {
        let Some(server) = RedisServer::start().await else {
            return;
        };
        let cache = connect(&server.url(), &unique()).await;
        let life = Duration::from_secs(60);
        cache.put_tagged("a", "1", life, &["t"]).await;
        server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
        cache.put("b", "1", life).await;
        assert_eq!(cache.get("b").await, None);
        assert!(cache.get("a").await.is_some());
        assert!(cache.redis().unwrap().is_available());
        server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
        // The tag alone is evicted: what belonged to it must not come back.
        let tag = cache.redis().unwrap().key("tag:t");
        server.command(&["DEL", &tag]).await;
        assert_eq!(cache.get("a").await, None);
        cache.put_tagged("a", "2", life, &["t"]).await;
        assert!(cache.get("a").await.is_some());
        server.command(&["FLUSHALL"]).await;
        assert_eq!(cache.get("a").await, None);
        cache.put_tagged("a", "3", life, &["t"]).await;
        assert_eq!(cache.get("a").await.as_deref(), Some(&b"3"[..]));
    }

    #[tokio::test]
    async fn a_hub_starts_without_redis_and_finds_it_later() {
        let Some(mut server) = RedisServer::start().await else {
            return;
        };
        server.stop();
        let cache = connect(&server.url(), &unique()).await;
        assert!(!cache.redis().unwrap().is_available());
        cache.put("a", "1", Duration::from_secs(60)).await;
        assert!(cache.get("a").await.is_some());
        server.restart().await;
        eventually(|| async { cache.redis().unwrap().is_available() }).await;
    }

    /// Arguments of a server with a certificate of its own authority.
    fn encrypted(port: u16, folder: &std::path::Path) -> Vec<String> {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(authority, authority_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let cert = file("cert.pem", certificate.pem());
        let key = file("key.pem", key.serialize_pem());
        let ca = file("ca.pem", authority.pem());
        let port = port.to_string();
        [
            ["--port", "0"],
            ["--tls-port", &port],
            ["--tls-cert-file", &cert],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", "no"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
    }

    #[tokio::test]
    async fn the_connection_can_be_encrypted() {
        let Some(server) = RedisServer::start_with(encrypted).await else {
            return;
        };
        let url = format!("rediss://localhost:{}", server.port);
        let settings = RedisSettings {
            ca: server.folder.path().join("ca.pem"),
            // The first handshake of a process is slow.
            timeout_ms: 1_000,
        };
        let redis = Redis::connect(&url, &unique(), &settings).await.unwrap();
        assert!(redis.is_available());
        redis.ping().await.unwrap();
        // The public authorities have not signed it.
        let stranger = Redis::connect(&url, &unique(), &RedisSettings::default())
            .await
            .unwrap();
        assert!(!stranger.is_available());
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_without_repeating_it() {
        let refused = Redis::connect("http://:secret@x", "hub", &RedisSettings::default()).await;
        let message = refused.unwrap_err().to_string();
        assert!(!message.contains("secret"), "{message}");
    }
}
