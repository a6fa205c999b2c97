//! An agent as the registry knows it.

use serde_json::{Map, Value};

/// One thing that an agent can be asked.
#[derive(Debug)]
pub struct Operation {
    /// Short name, for example `search`.
    pub name: &'static str,
    /// The typed RPC that answers, for example `/hub.agents.v1.CatalogSearchService/Search`.
    pub method: &'static str,
    /// Which fields of `input` it reads, for people.
    pub reads: &'static str,
}

/// Describes an agent. Its work is done by its typed RPCs; `Invoke` only translates, so both forms give
/// the same answer under the same policy.
pub trait Agent: Send + Sync + 'static {
    /// Names, the long one first.
    fn names(&self) -> &'static [&'static str];

    /// What it is for, in a sentence.
    fn purpose(&self) -> &'static str;

    /// Its main algorithm as `name@version`.
    fn algorithm(&self) -> &'static str;

    /// What it can be asked; the first is meant when the caller names none.
    fn operations(&self) -> &'static [Operation];

    /// The input that a question in words stands for. Fields that the caller gave in `input` win.
    fn ask(&self, operation: &Operation, question: &str) -> Map<String, Value>;

    /// One sentence about a result.
    fn summarise(&self, operation: &Operation, result: &Value) -> String;
}
