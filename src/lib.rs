//! `osc`: online schema changes that keep the application running.
//!
//! The way of a row is one line: source → feed → pending → mirror → target. `ARCHITECTURE.md`
//! draws the house; each module's doc says what it owns and why it is right.

pub mod cli;
pub mod engine;
pub mod error;
pub mod failpoint;
pub mod model;
pub mod operate;
pub mod pipeline;
pub mod plan;
