//! What the tests stand on: servers, databases, the `osc` binary, and the comparison with a native ALTER.

pub mod database;
pub mod osc;
pub mod prober;
pub mod server;
pub mod twin;

#[allow(unused_imports)]
pub use database::Database;
#[allow(unused_imports)]
pub use osc::{Osc, Paused, Report, Running};
#[allow(unused_imports)]
pub use prober::{Prober, Probes};
#[allow(unused_imports)]
pub use server::{Kind, OwnServer, Server};
