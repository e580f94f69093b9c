//! Every test that claims something about a server, against real servers of several versions.
//!
//! One binary: a test names its server kind and gets a database of its own, in which osc runs as the
//! documented least-privileged account. Nothing here is skipped when a server is missing: it fails.

mod blocked;
mod cutover;
#[allow(dead_code)]
mod harness;
mod plan;
mod smoke;
mod visibility;
