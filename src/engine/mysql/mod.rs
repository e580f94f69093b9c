//! MySQL and MariaDB.
//!
//! One engine for both: differences are values of [`flavor::Flavor`], and the one that is more than
//! a value (how the tables are swapped) has a file each under `fence/`.

pub mod alter;
pub mod binlog;
pub mod catalog;
pub mod cleanup;
pub mod compare;
pub mod conflict;
pub mod connect;
pub mod culprit;
pub mod decode;
pub mod failover;
pub mod feed;
pub mod fence;
pub mod finished;
pub mod flavor;
pub mod key;
pub mod lanes;
pub mod mirror;
pub mod names;
pub mod open;
pub mod pair;
pub mod preflight;
pub mod run_lock;
pub mod session;
pub mod shadow;
pub mod source;
pub mod sql;
pub mod state;
