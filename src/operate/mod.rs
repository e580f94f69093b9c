//! A run as its operator meets it: what holds it, what stops it, what it says.
//!
//! Nothing here touches a row. The pipeline asks ([`throttle`], [`control`]) and tells ([`stats`]);
//! the rest turns what it told into words: [`progress`] while it runs, [`summary`] at its end, and
//! [`log`] for whoever looks closer. All of it lives on the core's one thread.

pub mod control;
pub mod flag_file;
pub mod latency;
pub mod log;
pub mod output;
pub mod progress;
pub mod rate;
pub mod redact;
pub mod stats;
pub mod summary;
pub mod throttle;
pub mod words;
mod writer;
