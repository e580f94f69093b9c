//! Crashes without end, on PostgreSQL: the rounds of `chaos`, at another site.

#[path = "../chaos/places.rs"]
mod places;
#[path = "../chaos/plan.rs"]
mod plan;
#[path = "../chaos/round.rs"]
mod round;
#[path = "../chaos/rounds.rs"]
mod rounds;
mod site;
#[path = "../chaos/tally.rs"]
mod tally;

#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../pg/harness/mod.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../support/proxy.rs"]
mod network;

use harness::Kind;
use rounds::as_asked;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_on_postgres() {
    as_asked(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_on_postgres15() {
    as_asked(Kind::Postgres15).await;
}
