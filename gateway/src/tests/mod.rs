//! The whole pipeline over stub services: what a client sees, from request to response.

mod connections;
mod fixture;
mod gates;
mod images;
mod pages;
// One fixture for all crates whose tests stop a Redis in the middle.
#[path = "../../../mesh/src/cache/fixture.rs"]
mod redis_server;
mod rpc;
mod sessions;
mod several;
mod sharing;
mod streams;
