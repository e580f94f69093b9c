//! Every test that claims something about `osc` on PostgreSQL, against real servers, on 15 and on 18.
//!
//! One binary: a test gets a database of its own, in which osc runs as the documented least-privileged
//! account, whose role has hostile defaults. Nothing here is skipped when a server is missing: it fails.

mod between;
mod catalog;
mod cleanup;
mod cutover;
#[allow(dead_code)]
mod harness;
#[allow(dead_code)]
#[path = "../support/proxy.rs"]
mod network;
mod preflight;
mod resume;
mod slot;
mod smoke;
mod sync;
mod traffic;

// The long tier: `scripts/test --full`.
#[path = "bytes.rs"]
mod long_bytes;
#[path = "frozen.rs"]
mod long_frozen;
#[path = "held.rs"]
mod long_held;
#[path = "large.rs"]
mod long_large;
#[path = "matrix/mod.rs"]
mod long_matrix;
#[path = "pgbench.rs"]
mod long_pgbench;
#[path = "standby.rs"]
mod long_standby;
#[path = "traps.rs"]
mod long_traps;
#[path = "vacuum.rs"]
mod long_vacuum;
