//! The delivery estimate: when a parcel arrives, with quantiles.
//!
//! A parcel's way has stages ([`stage`]). How long each takes is learnt from shipping's events ([`events`],
//! [`store`]) and mixed with the carrier's plan while observations are few ([`evidence`], [`plan`]). The
//! stages that lie ahead are convolved on a grid of hours ([`hours`]), and the carrier's calendar turns
//! hours into instants ([`estimate`]).

mod agent;
mod answer;
mod estimate;
mod events;
mod evidence;
mod explain;
mod hours;
mod journey;
mod plan;
mod service;
mod stage;
mod store;

pub use agent::EtaAgent;
pub use events::StageTimes;
pub use service::EtaHandler;
