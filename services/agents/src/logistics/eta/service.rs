//! The RPC of the delivery estimate.

use chrono::{DateTime, Utc};
use contracts::hub::{
    agents::v1::{ComputeEtaRequest, ComputeEtaResponse, eta_service_server::EtaService},
    orders::v1::{
        GetOrderRequest, Order, OrderStatus, ShippingMethod,
        order_service_client::OrderServiceClient,
    },
    shipping::v1::{
        ListOrderShipmentsRequest, Shipment, shipment_service_client::ShipmentServiceClient,
    },
    r#type::v1::Address,
};
use mesh::{CallContext, Channel, Clock, Failure, store::Store};
use tonic::{Request, Response, Status};

use super::{
    answer::Answer,
    estimate::{Estimate, estimate},
    journey::{Journey, Progress, Whereabouts, whereabouts},
    plan::Plan,
    stage::Stage,
    store,
};
use crate::{
    logistics::{
        carrier_selection::{Method, Parcel, choose},
        map::{self, Place},
        network::{CALLER, Network, Service},
    },
    runtime::time::instant,
};

/// Weight of a parcel that is only thought of, in grams: one unit of what the shop sells, and packaging.
const USUAL_GRAMS: i64 = 800;
/// Shipments of an order that are looked at.
const MOST_SHIPMENTS: usize = 50;

/// The handler.
#[derive(Clone)]
pub struct EtaHandler {
    shipping: ShipmentServiceClient<Channel>,
    orders: OrderServiceClient<Channel>,
    store: Store,
    clock: Clock,
}

impl EtaHandler {
    /// Over the agents' store, reaching shipping and orders through `channel`.
    pub fn new(channel: Channel, store: Store, clock: Clock) -> Self {
        Self {
            shipping: ShipmentServiceClient::new(channel.clone()),
            orders: OrderServiceClient::new(channel),
            store,
            clock,
        }
    }
}

#[tonic::async_trait]
impl EtaService for EtaHandler {
    async fn compute_eta(
        &self,
        request: Request<ComputeEtaRequest>,
    ) -> Result<Response<ComputeEtaResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let now = self.clock.now();
        let answer = if request.order_id.is_empty() {
            let destination = request.destination.as_ref().ok_or_else(|| {
                Failure::invalid("destination", "is required when there is no order_id")
            })?;
            let network = Network::ask(&self.shipping, &ctx).await?;
            let answer = self
                .thought_of(&network, destination, &request.shipping_method, now)
                .await?;
            answer.source("shipping", "carriers", now)
        } else {
            self.of_order(&ctx, request.order_id, request.email, now)
                .await?
        };
        let (result, notes) = answer.finish(&ctx, now);
        Ok(Response::new(ComputeEtaResponse {
            result: Some(result),
            notes: Some(notes),
        }))
    }
}

impl EtaHandler {
    /// The order's shipment; for an order that has none yet, a parcel that would leave now.
    async fn of_order(
        &self,
        ctx: &CallContext,
        order_id: String,
        email: String,
        now: DateTime<Utc>,
    ) -> Result<Answer, Failure> {
        // Orders decides whether the caller may know of the order; only then is shipping asked.
        let request = GetOrderRequest {
            order_id: order_id.clone(),
            email,
        };
        let order = self
            .orders
            .clone()
            .get_order(ctx.call(request))
            .await?
            .into_inner();
        let request = ctx.as_service(CALLER).call(ListOrderShipmentsRequest {
            order_id: order_id.clone(),
        });
        let shipments = self
            .shipping
            .clone()
            .list_order_shipments(request)
            .await?
            .into_inner()
            .items;
        let network = Network::ask(&self.shipping, ctx).await?;
        let answer = match self.of_shipments(&network, &shipments, now).await? {
            Some(answer) => answer,
            None if will_ship(&order) && shipments.is_empty() => {
                let address = order.shipping_address.clone().unwrap_or_default();
                self.thought_of(&network, &address, method(&order), now)
                    .await?
            }
            None => Answer::unknown("no_shipment", "The order has no shipment that travels."),
        };
        let changed = order
            .updated_at
            .as_ref()
            .map_or(now, |at| instant(Some(at)));
        Ok(answer
            .source("orders", &order_id, changed)
            .source("shipping", "carriers", now))
    }

    /// The one of an order's shipments that arrives last. `None` when none travels.
    async fn of_shipments(
        &self,
        network: &Network,
        shipments: &[Shipment],
        now: DateTime<Utc>,
    ) -> Result<Option<Answer>, Failure> {
        let mut last: Option<Answer> = None;
        for shipment in shipments.iter().take(MOST_SHIPMENTS) {
            let answer = match whereabouts(shipment) {
                Whereabouts::Cancelled => continue,
                Whereabouts::Delivered(at) => Answer::delivered(at),
                Whereabouts::Travelling(journey) => {
                    self.travelling(network, shipment, &journey, now).await?
                }
            };
            let changed = shipment
                .updated_at
                .as_ref()
                .map_or(now, |at| instant(Some(at)));
            let answer = answer.source("shipping", &shipment.shipment_id, changed);
            if last
                .as_ref()
                .is_none_or(|last| last.arrives_before(&answer))
            {
                last = Some(answer);
            }
        }
        Ok(last)
    }

    async fn travelling(
        &self,
        network: &Network,
        shipment: &Shipment,
        journey: &Journey,
        now: DateTime<Utc>,
    ) -> Result<Answer, Failure> {
        let Some(service) = network.find(&shipment.carrier, &shipment.service_level) else {
            return Ok(Answer::unknown(
                "carrier",
                "The carrier's calendar and record are not known.",
            ));
        };
        let Some(planned) = shipment
            .estimated_delivery
            .as_ref()
            .map(|at| instant(Some(at)))
        else {
            return Ok(Answer::unknown(
                "plan",
                "The carrier planned no day of delivery.",
            ));
        };
        let plan = Plan::until(service, journey.ready, service.calendar.day_of(planned));
        let estimate = match plan {
            Some(plan) => {
                self.estimated(network, service, &plan, journey, now)
                    .await?
            }
            None => None,
        };
        Ok(estimate.map_or_else(Answer::no_calendar, |estimate| {
            Answer::estimated(&estimate, service, Some(planned), now)
        }))
    }

    /// A parcel that would leave now, with the carrier that would be chosen for it.
    async fn thought_of(
        &self,
        network: &Network,
        destination: &Address,
        shipping_method: &str,
        now: DateTime<Utc>,
    ) -> Result<Answer, Failure> {
        let place = Place::of(
            &destination.country,
            &destination.state,
            &destination.postal_code,
        );
        let parcel = Parcel {
            origin: map::nearest(place),
            country: destination.country.clone(),
            place,
            weight_grams: USUAL_GRAMS,
            volume_cm3: 0,
            ready: now,
        };
        let choice = choose(network, &parcel, Method::named(shipping_method), None);
        let Some(best) = choice.options.first() else {
            return Ok(Answer::unknown(
                "carrier",
                "No carrier goes to this address.",
            ));
        };
        let (service, quote) = (best.quote.service, &best.quote);
        let journey = Journey {
            stage: Stage::LabelCreated,
            since: now,
            ready: now,
            progress: Progress::Moving,
        };
        let estimate = match Plan::of(service, now, quote.transit_days) {
            Some(plan) => {
                self.estimated(network, service, &plan, &journey, now)
                    .await?
            }
            None => None,
        };
        Ok(estimate.map_or_else(Answer::no_calendar, |estimate| {
            Answer::estimated(&estimate, service, Some(quote.estimated_delivery), now)
        }))
    }

    async fn estimated(
        &self,
        network: &Network,
        service: &Service,
        plan: &Plan,
        journey: &Journey,
        now: DateTime<Utc>,
    ) -> Result<Option<Estimate>, Failure> {
        let observed = store::observed(
            &self.store,
            &service.carrier_id,
            &service.level,
            journey.stage,
        )
        .await?;
        Ok(estimate(network, service, plan, journey, &observed, now))
    }
}

/// Whether a shipment is still to be expected.
fn will_ship(order: &Order) -> bool {
    matches!(
        order.status(),
        OrderStatus::Pending | OrderStatus::Reserved | OrderStatus::Paid | OrderStatus::Processing
    )
}

fn method(order: &Order) -> &'static str {
    let method = order
        .shipping
        .as_ref()
        .map_or(ShippingMethod::Unspecified, |shipping| shipping.method());
    match method {
        ShippingMethod::Overnight => "overnight",
        ShippingMethod::Express => "express",
        ShippingMethod::Standard | ShippingMethod::Unspecified => "standard",
    }
}
