//! `osc` as its user meets it: the whole binary, on real servers, one promise of the command line or
//! of docs/guarantees.md per test.

mod disturbed;
mod kills;
mod looking;
mod refusals;
mod replica;
mod secrets;
mod shapes;
mod throttle;
mod tls;

/// A change that every test may ask for.
pub const ALTER: &str = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3";
