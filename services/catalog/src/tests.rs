//! The catalog on a store of its own.

#![allow(clippy::unwrap_used)]

macro_rules! on_one_engine {
    (async $name:ident $engine:expr) => {
        #[tokio::test]
        async fn $name() {
            if $engine.is_there() {
                super::$name($engine).await;
            }
        }
    };
    (fn $name:ident $engine:expr) => {
        #[test]
        fn $name() {
            if $engine.is_there() {
                super::$name($engine);
            }
        }
    };
}

/// Makes two tests of each function that takes an [`Engine`]. Those on PostgreSQL skip when there is none.
macro_rules! on_each_engine {
    ($($kind:tt $name:ident;)*) => {
        mod on_sqlite {
            use super::super::Engine;
            $(on_one_engine!($kind $name Engine::Sqlite);)*
        }
        mod on_postgres {
            use super::super::Engine;
            $(on_one_engine!($kind $name Engine::Postgres);)*
        }
    };
}

mod browsing;
mod engines;
mod importing;
mod listing;
mod managing;

use contracts::hub::{
    agents::v1::catalog_search_service_client::CatalogSearchServiceClient,
    catalog::v1::{ImportProductsResponse, ImportRow, ImportVariant},
};
use mesh::{
    CallContext, Clock, Hub, Ids, Principal, Role, User,
    store::{Database, Store, StoreConfig},
};
use tonic::Request;

use crate::{
    catalog::Catalog, config::CatalogConfig, events::Origin, import, management::Management,
    service::Browsing, store,
};

/// Where a shop keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Whether tests can use it.
    pub fn is_there(self) -> bool {
        let is_there = self == Self::Sqlite || database().is_some();
        if !is_there {
            eprintln!("skipped: HUB_TEST_DATABASE_URL is not set");
        }
        is_there
    }
}

fn database() -> Option<Database> {
    let url = std::env::var("HUB_TEST_DATABASE_URL").ok()?;
    Some(Database {
        url: url.into(),
        read_url: None,
    })
}

pub(crate) struct Shop {
    pub catalog: Catalog,
    pub browsing: Browsing,
    pub management: Management,
    _folder: tempfile::TempDir,
}

impl Shop {
    /// A shop in a hub in which no search agent answers.
    pub async fn open(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let hub = Hub::builder()
            .data_dir(folder.path())
            .clock(clock.clone())
            .ids(Ids::seeded(clock.clone(), 7))
            .build()
            .await
            .unwrap();
        let config = StoreConfig {
            database: match engine {
                Engine::Sqlite => None,
                Engine::Postgres => database(),
            },
            ..StoreConfig::default()
        };
        let ids = hub.ids().clone();
        let migrations = store::MIGRATIONS;
        let store = Store::temporary_with("catalog", &config, migrations, clock.clone(), ids)
            .await
            .unwrap();
        let config = CatalogConfig::default();
        let catalog = Catalog::new(store, clock.clone(), hub.ids().clone(), config).unwrap();
        Self {
            browsing: Browsing {
                catalog: catalog.clone(),
                search: CatalogSearchServiceClient::new(hub.channel()),
                agent_down: std::sync::Arc::default(),
            },
            management: Management {
                catalog: catalog.clone(),
            },
            catalog,
            _folder: folder,
        }
    }

    pub async fn import(&self, rows: Vec<ImportRow>) -> ImportProductsResponse {
        import::import(&self.catalog, rows, Origin::default())
            .await
            .unwrap()
    }

    /// Types and payloads of the events in the outbox, in order.
    pub async fn events(&self) -> Vec<contracts::hub::events::v1::Envelope> {
        let rows = self
            .catalog
            .store()
            .all("SELECT envelope FROM outbox ORDER BY seq", mesh::args![])
            .await
            .unwrap();
        rows.iter()
            .map(|row| prost::Message::decode(row.get::<&[u8]>(0_usize).unwrap()).unwrap())
            .collect()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let row = self
            .catalog
            .store()
            .one(sql, mesh::args![])
            .await
            .unwrap()
            .unwrap();
        row.get(0_usize).unwrap()
    }
}

pub(crate) fn as_staff<T>(message: T) -> Request<T> {
    let user = User {
        subject: "staff".into(),
        email: "staff@hub.test".into(),
        name: "Staff".into(),
        session: "session".into(),
    };
    CallContext::new(Clock::system(), "request")
        .with_principal(Principal::user(Role::Staff, user).unwrap())
        .call(message)
}

/// A row with a deterministic mixture of everything that lists look at.
pub(crate) fn row(number: usize) -> ImportRow {
    let brands = ["Norrfell", "Drifthorn", "Ünder"];
    let colors = ["red", "blue", "green", "white"];
    ImportRow {
        line: number as i64 + 1,
        sku: format!("SKU-{number}"),
        name: format!("Thing {}", (number * 7_919) % 1_000),
        brand: brands[number % 3].to_owned(),
        category: ["sleds", "boots"][number % 2].to_owned(),
        price: format!("{}.{:02}", (number * 31) % 90, number % 100),
        tax_rate: "0.0825".to_owned(),
        rating: ((number * 13) % 51) as f64 / 10.0,
        review_count: ((number * 17) % 40) as i32,
        attributes: [(
            "material".to_owned(),
            ["wood", "steel"][number / 2 % 2].to_owned(),
        )]
        .into(),
        variants: vec![
            ImportVariant {
                sku: format!("SKU-{number}-1"),
                attributes: [("color".to_owned(), colors[number % 4].to_owned())].into(),
                price: String::new(),
                stock: (number % 5) as i64,
            },
            ImportVariant {
                sku: format!("SKU-{number}-2"),
                attributes: [("color".to_owned(), colors[(number / 3) % 4].to_owned())].into(),
                price: format!("{}", number % 50 + 1),
                stock: 0,
            },
        ],
        ..ImportRow::default()
    }
}
