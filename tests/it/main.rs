//! Every test that claims something about a server, against real servers of several versions.
//!
//! One binary: a test names its server kind and gets a database of its own, in which osc runs as the
//! documented least-privileged account. Nothing here is skipped when a server is missing: it fails.

mod blocked;
mod cleanup;
mod cutover;
mod differential;
mod end_to_end;
#[allow(dead_code)]
mod harness;
mod matrix;
mod memory;
#[allow(dead_code)]
#[path = "../support/proxy.rs"]
mod network;
mod plan;
mod preflight;
mod resume;
mod smoke;
mod verify;
mod visibility;
