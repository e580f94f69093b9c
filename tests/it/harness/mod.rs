//! What the tests stand on: servers, databases, the `osc` binary, and the comparison with a native ALTER.

pub mod database;
#[path = "../../support/instance.rs"]
pub mod instance;
#[path = "../../support/osc.rs"]
pub mod osc;
pub mod prober;
pub mod replica;
pub mod server;
pub mod stage;
pub mod twin;

#[allow(unused_imports)]
pub use database::Database;
#[allow(unused_imports)]
pub use osc::{Osc, Paused, Place, Report, Running};
#[allow(unused_imports)]
pub use prober::{Prober, Probes};
#[allow(unused_imports)]
pub use replica::Replica;
#[allow(unused_imports)]
pub use server::{Kind, OwnServer, Server};
#[allow(unused_imports)]
pub use stage::{Stage, wait_for};

/// Makes of each function that takes a [`Kind`] two tests, one on MySQL and one on MariaDB.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::harness::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                super::$name(Kind::MySql).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                super::$name(Kind::MariaDb).await;
            }
        }
    )+};
}
pub(crate) use on_both;
