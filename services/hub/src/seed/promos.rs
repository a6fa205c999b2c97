//! Promo codes.

use anyhow::bail;
use chrono::{DateTime, Utc};
use contracts::hub::orders::v1::{
    ImportPromoCodesRequest, PromoCode, PromoType, order_service_client::OrderServiceClient,
};
use serde::Deserialize;

use super::Seeder;

const PROMO_CODES: &str = include_str!("../../demo/promo_codes.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoPromo {
    code: String,
    r#type: String,
    value: String,
    min_subtotal: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    #[serde(default)]
    max_uses: i64,
    #[serde(default)]
    max_uses_per_user: i64,
    description: String,
}

impl Seeder<'_> {
    pub(super) async fn promo_codes(&self) -> anyhow::Result<()> {
        let codes = serde_json::from_str::<Vec<DemoPromo>>(PROMO_CODES)?
            .into_iter()
            .map(promo_code)
            .collect::<anyhow::Result<_>>()?;
        OrderServiceClient::new(self.hub.channel())
            .import_promo_codes(self.call(ImportPromoCodesRequest { codes }))
            .await?;
        Ok(())
    }
}

fn promo_code(promo: DemoPromo) -> anyhow::Result<PromoCode> {
    let kind = match promo.r#type.as_str() {
        "percent" => PromoType::Percent,
        "fixed" => PromoType::Fixed,
        "free_shipping" => PromoType::FreeShipping,
        other => bail!("promo type {other}"),
    };
    Ok(PromoCode {
        code: promo.code,
        r#type: kind.into(),
        value: if kind == PromoType::FreeShipping {
            String::new()
        } else {
            promo.value
        },
        min_subtotal: promo.min_subtotal,
        currency: "USD".to_owned(),
        starts_at: Some(timestamp(promo.starts_at)),
        ends_at: Some(timestamp(promo.ends_at)),
        max_uses: promo.max_uses,
        max_uses_per_user: promo.max_uses_per_user,
        description: promo.description,
    })
}

/// A moment as the contracts carry it.
pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}
