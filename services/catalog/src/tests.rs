//! The catalog on a store of its own.

#![allow(clippy::unwrap_used)]

mod browsing;
mod importing;
mod listing;
mod managing;

use contracts::hub::{
    agents::v1::catalog_search_service_client::CatalogSearchServiceClient,
    catalog::v1::{ImportProductsResponse, ImportRow, ImportVariant},
};
use mesh::{CallContext, Clock, Hub, Ids, Principal, Role, User};
use tonic::Request;

use crate::{
    catalog::Catalog, config::CatalogConfig, events::Origin, import, management::Management,
    service::Browsing, store,
};

pub(crate) struct Shop {
    pub catalog: Catalog,
    pub browsing: Browsing,
    pub management: Management,
    _folder: tempfile::TempDir,
}

impl Shop {
    /// A shop in a hub in which no search agent answers.
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let hub = Hub::builder()
            .data_dir(folder.path())
            .clock(clock.clone())
            .ids(Ids::seeded(clock.clone(), 7))
            .build()
            .await
            .unwrap();
        let store = hub.store("catalog", store::MIGRATIONS).await.unwrap();
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
