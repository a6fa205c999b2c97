//! The whole pipeline over stub services: what a client sees, from request to response.

mod connections;
mod fixture;
mod gates;
mod pages;
mod rpc;
mod sessions;
mod sharing;
mod streams;
