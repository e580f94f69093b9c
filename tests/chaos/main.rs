//! Crashes without end: a run that is killed, cut off and started again until it ends, on real servers under
//! traffic with a ledger.
//!
//! `scripts/chaos` asks for many rounds; without it there are a few, for every run of the tests. What happens in
//! a round follows from its seed; when exactly it meets the run does not, for servers take their own time.
//!
//! This is MySQL and MariaDB; `pgchaos` is the same on PostgreSQL. What differs between them is `site`.

mod places;
mod plan;
mod round;
mod rounds;
mod site;
mod tally;

#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../it/harness/mod.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../support/proxy.rs"]
mod network;

use harness::Kind;
use rounds::as_asked;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_on_mysql() {
    as_asked(Kind::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_on_mariadb() {
    as_asked(Kind::MariaDb).await;
}
