//! What the tests stand on: servers, databases, the `osc` binary, and the comparison with a native ALTER.

pub mod database;
pub mod osc;
pub mod server;
pub mod twin;

pub use database::Database;
pub use osc::{Osc, Report};
pub use server::{Kind, Server};
