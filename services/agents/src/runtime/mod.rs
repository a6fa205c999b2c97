//! What all agents share: how they are described, how their answers are annotated, and how they are
//! invoked in one form.

pub mod agent;
pub mod invoke;
pub mod notes;
mod structs;
pub mod time;
