//! The runtime that every service of the hub stands on.
//!
//! A service is a set of RPCs, a store, consumers of events and tasks ([`Service`]); a process runs
//! some of them on one [`Hub`]. What is the same for all of them lives here: time and ids, money and
//! pages, who is calling, how calls travel and fail, how state is stored and events are delivered.
//! `docs/ARCHITECTURE.md` follows one order through it.

pub mod backup;
pub mod blob;
pub mod cache;
pub mod clock;
pub mod config;
pub mod error;
pub mod events;
pub mod fault;
pub mod health;
pub mod hub;
pub mod ids;
pub mod money;
pub mod page;
pub mod policy;
pub mod principal;
pub mod private;
pub mod rpc;
pub mod service;
pub mod simulation;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod validation;

pub use blob::{BlobName, Blobs};
pub use cache::Cache;
pub use clock::Clock;
pub use config::{Config, ConfigError, Profile, Secret, Sources};
pub use error::{Failure, FieldViolation, Reason, Rendered};
pub use fault::Faults;
pub use health::{Component, HealthReport, Phase};
pub use hub::{Hub, HubBuilder};
pub use ids::Ids;
pub use money::{Currency, Money, MoneyError, Rate};
pub use page::Paging;
pub use policy::{MethodPolicy, PolicyTable};
pub use principal::{Principal, Role, User};
pub use rpc::{CallContext, Channel, Client, TargetChannel};
pub use service::{BoxError, Service, ServiceBuilder, Shutdown, StartError};
pub use telemetry::TraceContext;
