//! Live traffic with a ledger of what the server acknowledged, for osc's tests, demo and benchmarks.
//!
//! It plays the application: many connections, open loop, with inserts, updates (of plain, indexed
//! and key columns), deletes, transactions, rollbacks, reads and, when asked, XA transactions. Each
//! connection owns some keys, so that the last acknowledged state of each key is known exactly; at
//! the end the whole table is read and held against it. A schema change that loses one write, brings
//! one back, leaves half a row or touches one that nobody wrote shows as a named row.
//!
//! ```no_run
//! # async fn demo(url: &str) -> Result<(), osc_traffic::Error> {
//! use osc_traffic::{Config, FillOptions, Traffic, fill};
//!
//! fill(url, &FillOptions::new(100_000)).await?;
//! let traffic = Traffic::start(Config::new(url)).await?;
//! traffic.stamp("start");
//! // … run the schema change; stamp "cutover" before and "swapped" after its swap …
//! let ledger = traffic.stop().await;
//! let old = ledger.verify_old(url, "orders_osc_old", "swapped").await?;
//! let verdict = ledger.verify(url, "orders").await?.with_old(old);
//! assert!(verdict.is_clean(), "{verdict}");
//! # Ok(())
//! # }
//! ```
//!
//! That the ledger would notice is itself tested, on a real server: [`self_check`].

mod check;
mod config;
mod error;
mod fill;
mod kind;
mod model;
mod play;
mod record;
mod self_check;
mod server;

pub use check::old::OldVerdict;
pub use check::verdict::Verdict;
pub use config::{Config, Mix};
pub use error::Error;
pub use fill::{FillOptions, fill};
pub use kind::Kind;
pub use play::pulse::Progress;
pub use play::traffic::{Handle, Traffic};
pub use record::ledger::Ledger;
pub use record::stamp::Stamper;
pub use record::tally::{Example, Failure, Findings, Slow};
pub use record::timeline::{Latency, Window};
pub use self_check::{SelfCheck, self_check};
