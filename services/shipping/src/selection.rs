//! Choosing who carries an order.
//!
//! The carrier-selection agent is asked first. Its choice is a piece of advice about which service to
//! take; what that costs and when it arrives is computed here from our own rate card, and a choice that
//! the rate card does not know is not followed. Without an answer the plain rule decides, so that an
//! order never waits for an agent.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use contracts::hub::agents::v1::{
    SelectCarrierRequest, SelectCarrierResponse,
    carrier_selection_service_client::CarrierSelectionServiceClient,
};
use mesh::{CallContext, Channel};
use tonic::Status;

use crate::{
    NAME,
    domain::{
        carriers::Carriers,
        choice::{Method, Parcel, Quote, cheapest, quote},
        geography::{self, Destination},
        rates::estimated_weight,
    },
    orders::Order,
    store::Moment,
};

const AGENT_DEADLINE: Duration = Duration::from_secs(3);

/// Who is asked for advice.
#[async_trait]
pub trait Adviser: Send + Sync + 'static {
    /// Which carrier and service to take.
    async fn advise(
        &self,
        context: &CallContext,
        request: SelectCarrierRequest,
    ) -> Result<SelectCarrierResponse, Status>;
}

/// The carrier-selection agent.
#[derive(Clone, Debug)]
pub struct Agent(CarrierSelectionServiceClient<Channel>);

impl Agent {
    /// Reached through `channel`, which repeats a call that failed in transit.
    pub fn new(channel: Channel) -> Self {
        Self(CarrierSelectionServiceClient::new(channel))
    }
}

#[async_trait]
impl Adviser for Agent {
    async fn advise(
        &self,
        context: &CallContext,
        request: SelectCarrierRequest,
    ) -> Result<SelectCarrierResponse, Status> {
        let context = context.as_service(NAME).within(AGENT_DEADLINE);
        let answer = self.0.clone().select_carrier(context.call(request)).await?;
        Ok(answer.into_inner())
    }
}

/// Chooses carriers.
#[derive(Clone)]
pub struct Selection {
    /// The rate cards.
    pub carriers: Arc<Carriers>,
    /// Who is asked first.
    pub adviser: Arc<dyn Adviser>,
}

/// A choice.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// Who carries it, for how much, until when.
    pub quote: Quote<'a>,
    /// Where it leaves from.
    pub origin: &'static geography::Origin,
    /// Weight with packaging.
    pub weight_grams: i64,
    /// Why, for people.
    pub reason: String,
}

impl Selection {
    /// Who carries an order; `None` when nobody can.
    pub async fn choose(
        &self,
        context: &CallContext,
        order: &Order,
        moment: &Moment,
    ) -> Option<Choice<'_>> {
        let address = &order.shipping_address;
        let destination = Destination::of(&address.country, &address.state, &address.postal_code);
        let mut parcel = Parcel {
            origin: geography::nearest(destination),
            country: &address.country,
            destination,
            weight_grams: estimated_weight(order.units),
            volume_cm3: 0,
            ready: moment.now,
        };
        // Nobody at all: no advice would help.
        let plain = cheapest(&self.carriers, &parcel, order.method)?;
        let request = SelectCarrierRequest {
            destination: Some(address.clone()),
            origin_location: parcel.origin.location_id.to_owned(),
            weight_grams: parcel.weight_grams,
            volume_cm3: parcel.volume_cm3,
            shipping_method: order.method.as_str().to_owned(),
            value: order.value.clone(),
        };
        let reason = match self.adviser.advise(context, request).await {
            Ok(answer) => match self.follow(&answer, &mut parcel) {
                Some(choice) => {
                    return Some(Choice {
                        quote: choice,
                        origin: parcel.origin,
                        weight_grams: parcel.weight_grams,
                        reason: sentence(&answer, order.method),
                    });
                }
                None => "the carrier-selection agent named no service of our rate cards",
            },
            Err(status) => {
                tracing::warn!(order_id = order.order_id, code = ?status.code(), message = status.message(),
                    "the carrier-selection agent did not answer");
                "the carrier-selection agent did not answer"
            }
        };
        metrics::counter!("hub_shipping_plain_choices_total").increment(1);
        Some(Choice {
            reason: format!(
                "The cheapest service for {} shipping: {reason}.",
                order.method
            ),
            quote: plain,
            origin: parcel.origin,
            weight_grams: parcel.weight_grams,
        })
    }

    /// The advised service's quote, if our rate card has it and it takes the parcel.
    fn follow(&self, answer: &SelectCarrierResponse, parcel: &mut Parcel<'_>) -> Option<Quote<'_>> {
        let selected = answer.result.as_ref()?.selected.as_ref()?;
        let (carrier, service) = self
            .carriers
            .find(&selected.carrier_id, &selected.service_level)?;
        if let Some(origin) = geography::origin(&selected.origin_location) {
            parcel.origin = origin;
        }
        quote(carrier, service, parcel)
    }
}

/// Why the agent chose as it did: its strongest reason.
fn sentence(answer: &SelectCarrierResponse, method: Method) -> String {
    answer
        .notes
        .as_ref()
        .and_then(|notes| {
            notes
                .explanation
                .iter()
                .find(|factor| !factor.sentence.is_empty())
        })
        .map_or_else(
            || format!("The best option for {method} shipping by the carrier-selection agent."),
            |factor| factor.sentence.clone(),
        )
}
