//! Calls through the whole stack: within a process, between processes, and when things go wrong.

#![allow(clippy::unwrap_used)]

mod fixture;
mod in_process;
mod probe;
mod protected;
mod remote;
mod rigged;
mod several;
mod streams;
