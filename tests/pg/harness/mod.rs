//! What the tests stand on: servers, databases, the `osc` binary, and the application.

pub mod database;
#[path = "../../support/hostile.rs"]
pub mod hostile;
#[path = "../../support/instance.rs"]
pub mod instance;
#[path = "../../support/osc.rs"]
pub mod osc;
pub mod prober;
pub mod server;
pub mod sql;
pub mod stage;
pub mod standby;
pub mod twin;

#[allow(unused_imports)]
pub use database::Database;
#[allow(unused_imports)]
pub use osc::{Osc, Paused, Place, Report, Running};
#[allow(unused_imports)]
pub use prober::{Prober, Probes};
#[allow(unused_imports)]
pub use server::{Kind, OwnServer, Server};
#[allow(unused_imports)]
pub use sql::{get, rows, run};
#[allow(unused_imports)]
pub use stage::Stage;

use std::time::{Duration, Instant};

/// How long something that must happen may take before the test gives up on it.
pub const SOON: Duration = Duration::from_secs(60);

/// Asks again and again until it's so; fails when it doesn't come.
pub async fn wait_for(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !so().await {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs what waits for a process without holding up the test's connections.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Makes of each function that takes a [`Kind`] two tests, one on PostgreSQL 15 and one on 18.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::harness::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_15() {
                super::$name(Kind::Postgres15).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_18() {
                super::$name(Kind::Postgres).await;
            }
        }
    )+};
}
pub(crate) use on_both;
