#![allow(clippy::unwrap_used)]
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use mesh::Hub;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

struct Issuer {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Issuer {
    fn new() -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        // An uncompressed point: a tag, then both coordinates.
        let point = pair.public_key().as_ref();
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        Self {
            encoding: EncodingKey::from_ec_der(document.as_ref()),
            decoding: DecodingKey::from_ec_components(&text(&point[1..33]), &text(&point[33..]))
                .unwrap(),
        }
    }

    fn sign(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": "hub", "aud": "hub", "sub": "session-1", "role": "guest", "sid": "session-1", "exp": NOW + 900,
        });
        change(&mut claims);
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("key-1".to_owned());
        encode(&header, &claims, &self.encoding).unwrap()
    }
}

#[tokio::test]
async fn only_a_guests_own_token_proves_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(chrono::DateTime::from_timestamp(NOW, 0).unwrap());
    let hub = Hub::builder()
        .data_dir(folder.path())
        .clock(clock.clone())
        .build()
        .await
        .unwrap();
    let issuer = Issuer::new();
    let client = AuthServiceClient::new(hub.channel());
    let keys = PublishedKeys::new(client, clock.clone(), &CartConfig::default());
    keys.keys
        .lock()
        .by_id
        .insert("key-1".to_owned(), issuer.decoding.clone());
    keys.keys.lock().asked = Some(clock.monotonic());
    let ctx = CallContext::new(clock.clone(), "request");
    let ask = async |token: String| keys.session(&ctx, &token).await;

    assert_eq!(ask(issuer.sign(|_| {})).await.unwrap(), "session-1");
    for (wrong, change) in [
        ("expired", json!({"exp": NOW})),
        ("of a customer", json!({"role": "customer"})),
        ("of another issuer", json!({"iss": "evil"})),
        ("for another audience", json!({"aud": "other"})),
        ("of nobody", json!({"sub": ""})),
    ] {
        let token = issuer.sign(|claims| {
            let change = change.as_object().unwrap().clone();
            claims.as_object_mut().unwrap().extend(change);
        });
        let refused = ask(token).await.unwrap_err();
        assert_eq!(refused.fields()[0].field, "guest_token", "{wrong}");
    }
    let forged = Issuer::new().sign(|_| {});
    assert!(ask(forged).await.is_err());
    assert!(ask("not a token".to_owned()).await.is_err());

    // When the keys are stale and identity does not answer, the token proves nothing.
    clock.advance(FRESH);
    assert!(ask(issuer.sign(|_| {})).await.is_err());
}
