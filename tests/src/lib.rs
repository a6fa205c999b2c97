//! Black-box tests: the harness that runs hubs and speaks to them from outside.
//!
//! A test gets a [`Hub`]: a real `hub` process on a free port and a data folder of its own. Tests speak to
//! it with clients that know nothing of the hub's code: reqwest, tonic's generated stubs, and scripts in
//! Python and Node. Nothing here sleeps for a fixed time; everything waits for a condition.

#![allow(
    clippy::disallowed_methods,
    reason = "black-box tests watch real processes on the real clock"
)]

mod api;
mod process;
mod wait;

pub use api::{Answer, Api, address, order_body};
pub use process::{Finished, Hub, HubOptions, run};
pub use wait::{eventually, eventually_within};
