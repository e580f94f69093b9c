//! A simulated server behind the same seams, deterministic from one seed.
//!
//! The core runs on it unchanged, under tokio's paused clock, so a run of some simulated seconds takes
//! about a millisecond. What it models, part by part:
//!
//! | file | owns |
//! |---|---|
//! | `plan`, `focus`, `dice`, `faults` | what kind of world a seed makes; chance; what goes wrong and when |
//! | `server`, `table`, `locks`, `transaction`, `commit`, `prepared`, `binlog` | the server |
//! | `session` | connections: lost answers, statements that run on without a client |
//! | `state` | osc's rows on the server: epoch, checkpoint, notes |
//! | `feed`, `settle`, `source`, `mirror`, `sync`, `conflict`, `fence`, `swap`, `open` | the engine |
//! | `writer`, `disturb`, `ledger` | the application, and what it was told |
//! | `world`, `check`, `report`, `trace`, `shrink` | a run from its beginning to the comparison at its end |
//! | `bugs` | rules that can be left out, to see that it is noticed |
//!
//! The engine's part follows `engine::mysql` step by step, so a rule that is wrong there is wrong here.
//! Not modelled: values and their conversion, SQL, the real stream's format, a second server, failovers,
//! foreign keys, triggers. Those are for tests on real servers.

pub mod binlog;
pub mod bugs;
mod check;
mod commit;
mod conflict;
pub mod dice;
mod disturb;
mod faults;
mod feed;
mod fence;
pub mod focus;
mod keys;
mod ledger;
mod locks;
mod mirror;
mod open;
pub mod plan;
mod prepared;
pub mod report;
mod server;
mod session;
mod settle;
pub mod shrink;
mod source;
mod state;
mod swap;
mod sync;
mod table;
mod trace;
mod transaction;
mod world;
mod writer;

pub use bugs::{Bug, Bugs};
pub use focus::Focus;
pub use plan::Plan;
pub use report::{Counts, below_minimum};
pub use world::{Verdict, simulate};
