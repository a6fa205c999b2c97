#![allow(clippy::unwrap_used)]
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Shop {
    name: String,
    size: u32,
    open: bool,
    tags: Vec<String>,
    key: Secret<String>,
    limit: Option<u32>,
}

fn sources(environment: &[(&str, &str)]) -> Sources {
    Sources {
        environment: environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    }
}

#[test]
fn layers_win_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    std::fs::write(&file, "[shop]\nname = \"file\"\nsize = 1\nlimit = 3\n").unwrap();
    let mut sources = sources(&[
        ("HUB__SHOP__SIZE", "2"),
        ("HUB__SHOP__NAME", "7"),
        ("HUB__SHOP__OPEN", "true"),
        ("HUB__SHOP__TAGS", r#"["a", "b"]"#),
        ("HUB__SHOP__KEY", "s3cret"),
        ("PATH", "/bin"),
    ])
    .with_override("shop.size", "3");
    sources.file = Some(file);
    let config = Config::load(&sources).unwrap();
    let shop: Shop = config.section("shop").unwrap();
    assert_eq!(
        shop,
        Shop {
            name: "7".into(),
            size: 3,
            open: true,
            tags: vec!["a".into(), "b".into()],
            key: Secret::new("s3cret".into()),
            limit: Some(3),
        }
    );
    assert!(config.sets("shop", "name"));
    assert!(!config.sets("shop", "other"));
    config.check().unwrap();
    let printed = config.effective();
    assert!(printed.contains("size = 3"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
    assert!(!format!("{config:?} {shop:?}").contains("s3cret"));
}

#[test]
fn unknown_keys_are_named_with_their_origin() {
    let config = Config::load(&sources(&[("HUB__SHOP__SISE", "2")])).unwrap();
    let error = config.section::<Shop>("shop").unwrap_err().to_string();
    assert!(
        error.contains("sise") && error.contains("HUB__SHOP__SISE"),
        "{error}"
    );

    let config = Config::load(&sources(&[("HUB__SHPO__SIZE", "2")])).unwrap();
    config.section::<Shop>("shop").unwrap();
    let error = config.check().unwrap_err().to_string();
    assert!(
        error.contains("shpo") && error.contains("HUB__SHPO__SIZE"),
        "{error}"
    );

    for bad in ["HUB__SIZE", "HUB__", "HUB____SIZE", "HUB__SHOP__"] {
        let error = Config::load(&sources(&[(bad, "1")]))
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains(bad), "{error}");
    }
}

#[test]
fn values_of_the_wrong_type_name_their_key() {
    let config = Config::load(&sources(&[("HUB__SHOP__SIZE", "many")])).unwrap();
    let error = config.section::<Shop>("shop").unwrap_err().to_string();
    assert!(error.contains("shop") && error.contains("size"), "{error}");
}

#[test]
fn plain_names_set_the_hub_s_settings() {
    let config = Config::load(&sources(&[
        ("HUB_DATA_DIR", "/tmp/x"),
        ("HUB_LISTEN", "0.0.0.0:1"),
        ("DATABASE_URL", "postgres://u:p@h/d"),
        ("HUB__RATE_LIMITS__ANONYMOUS", "0"),
        ("HUB__PEERS__ORDERS", "http://127.0.0.1:1"),
    ]))
    .unwrap();
    let hub: HubSettings = config.section("hub").unwrap();
    assert_eq!(hub.data_dir, Path::new("/tmp/x"));
    assert_eq!(hub.listen.port(), 1);
    assert_eq!(hub.database_url.expose(), "postgres://u:p@h/d");
    let limits: RateLimits = config.section("rate_limits").unwrap();
    assert_eq!((limits.anonymous, limits.customer), (0, 500));
    let peers: Peers = config.section("peers").unwrap();
    assert_eq!(peers.0["orders"], "http://127.0.0.1:1");
    config.check().unwrap();
    assert!(!config.effective().contains("u:p@h"));
}

#[test]
fn a_named_file_must_be_readable() {
    let missing = Sources {
        file: Some(PathBuf::from("/nowhere/hub.toml")),
        ..Sources::default()
    };
    let error = Config::load(&missing).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/hub.toml"), "{error}");
}
