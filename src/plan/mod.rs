//! What a run is going to do, as the operator reads it before it happens.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub strategy: &'static str,
    /// Why this strategy.
    pub why: String,
    pub table: String,
    pub facts: Vec<(String, String)>,
    /// Every statement that changes something, in order.
    pub statements: Vec<String>,
    pub warnings: Vec<String>,
}
