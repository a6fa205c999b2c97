//! Black-box tests: the harness that runs hubs and speaks to them from outside.
//!
//! A test gets a [`Hub`]: a real `hub` process on a free port and a data folder of its own; or, when
//! `tests/with-services` has started servers, one on a database, a broker and a cache of its own; or a mesh of
//! six processes ([`Mode`]). The tests are the same. They speak to it with clients that know nothing of the
//! hub's code: reqwest, tonic's generated stubs, and scripts in Python and Node. Nothing here sleeps for a fixed time; everything waits for a condition.

#![allow(
    clippy::disallowed_methods,
    reason = "black-box tests watch real processes on the real clock"
)]

mod api;
mod balancer;
mod disk;
mod engines;
mod hub;
mod mesh;
mod network;
mod process;
mod redis;
mod wait;

pub use api::{Answer, Api, address, order_body};
pub use disk::{Filler, small_disks_refused};
pub use engines::{Engines, Mode, Shop};
pub use hub::{Hub, HubOptions};
pub use network::{Host, Loss, hosts};
pub use process::{Finished, run};
pub use redis::Redis;
pub use wait::{eventually, eventually_within};
