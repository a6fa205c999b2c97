//! The RPC of the carrier selection.

use chrono::{DateTime, Utc};
use contracts::hub::{
    agents::v1::{
        CarrierChoice, CarrierOption, DataSource, SelectCarrierRequest, SelectCarrierResponse,
        carrier_selection_service_server::CarrierSelectionService,
    },
    shipping::v1::shipment_service_client::ShipmentServiceClient,
};
use mesh::{CallContext, Channel, Clock, Failure};
use tonic::{Request, Response, Status};

use super::{
    choice::{Choice, Ranked, Speed, choose},
    criteria::Method,
    explain::factors,
    quote::Parcel,
};
use crate::{
    logistics::{
        map::{self, Place},
        network::Network,
    },
    runtime::{notes::Notes, time::timestamp},
};

/// Algorithm of the choice.
pub const ALGORITHM: &str = "carrier-topsis@1";

/// The handler.
#[derive(Clone)]
pub struct CarrierSelectionHandler {
    shipping: ShipmentServiceClient<Channel>,
    clock: Clock,
}

impl CarrierSelectionHandler {
    /// Reaches shipping through `channel`.
    pub fn new(channel: Channel, clock: Clock) -> Self {
        Self {
            shipping: ShipmentServiceClient::new(channel),
            clock,
        }
    }
}

#[tonic::async_trait]
impl CarrierSelectionService for CarrierSelectionHandler {
    async fn select_carrier(
        &self,
        request: Request<SelectCarrierRequest>,
    ) -> Result<Response<SelectCarrierResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let now = self.clock.now();
        let parcel = parcel(&request, now)?;
        let method = Method::named(&request.shipping_method);
        let network = Network::ask(&self.shipping, &ctx).await?;
        let choice = choose(&network, &parcel, method, request.value.as_ref());
        let notes = notes(&choice, method, now).finish(&ctx);
        let result = message(&choice, &parcel);
        Ok(Response::new(SelectCarrierResponse {
            result: Some(result),
            notes: Some(notes),
        }))
    }
}

fn parcel(request: &SelectCarrierRequest, now: DateTime<Utc>) -> Result<Parcel, Failure> {
    let destination = request
        .destination
        .as_ref()
        .ok_or_else(|| Failure::invalid("destination", "is required"))?;
    let place = Place::of(
        &destination.country,
        &destination.state,
        &destination.postal_code,
    );
    let origin = if request.origin_location.is_empty() {
        map::nearest(place)
    } else {
        map::origin(&request.origin_location).ok_or_else(|| {
            let known: Vec<&str> = map::ORIGINS
                .iter()
                .map(|origin| origin.location_id)
                .collect();
            Failure::invalid(
                "origin_location",
                format!("must be one of {}", known.join(", ")),
            )
        })?
    };
    Ok(Parcel {
        origin,
        country: destination.country.clone(),
        place,
        weight_grams: request.weight_grams,
        volume_cm3: request.volume_cm3,
        ready: now,
    })
}

fn message(choice: &Choice<'_>, parcel: &Parcel) -> CarrierChoice {
    let options: Vec<CarrierOption> = choice
        .options
        .iter()
        .map(|option| self::option(option, parcel))
        .collect();
    CarrierChoice {
        feasible: !options.is_empty(),
        selected: options.first().cloned(),
        options,
        rejected: choice.rejected.clone(),
    }
}

fn option(option: &Ranked<'_>, parcel: &Parcel) -> CarrierOption {
    let quote = &option.quote;
    CarrierOption {
        carrier_id: quote.service.carrier_id.clone(),
        service_level: quote.service.level.clone(),
        cost: Some(quote.cost.to_wire()),
        estimated_delivery: Some(timestamp(quote.estimated_delivery)),
        transit_days: i32::try_from(quote.transit_days).unwrap_or(i32::MAX),
        on_time_probability: quote.on_time,
        co2e_grams: quote.co2e_grams,
        claims_per_10k: quote.service.claims_per_10k,
        score: option.standing.score,
        pareto_optimal: option.standing.pareto_optimal,
        origin_location: parcel.origin.location_id.to_owned(),
    }
}

fn notes(choice: &Choice<'_>, method: Method, now: DateTime<Utc>) -> Notes {
    let confidence = choice
        .options
        .first()
        .map_or(1.0, |best| best.quote.on_time);
    let mut notes = Notes::new(ALGORITHM)
        .confidence(
            confidence,
            "5 % quantile of the choice's on-time probability: Beta posterior of its deliveries, Jeffreys prior",
        )
        .source(DataSource {
            system: "shipping".to_owned(),
            id: "carriers".to_owned(),
            version: String::new(),
            as_of: Some(timestamp(now)),
        });
    if choice.speed == Speed::Fastest {
        notes = notes.degraded("shipping_method");
    }
    for factor in factors(choice, method) {
        notes = notes.factor(factor);
    }
    notes
}
