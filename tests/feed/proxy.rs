//! A network that fails, between the feed and the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use osc::engine::mysql::binlog::Options;
use osc::engine::mysql::connect::Address;
use osc::error::Kind;
use tokio::task::LocalSet;

use super::network::{Mode, Proxy};
use super::world::*;

/// A proxy in front of the server, and how to reach the server through it.
async fn proxy(server: &Address) -> (Proxy, Address) {
    let to: SocketAddr = server.describe().parse().unwrap();
    let proxy = Proxy::to(to).await;
    let through = server.with_host("127.0.0.1", proxy.port);
    (proxy, through)
}

const T: &str = "id INT PRIMARY KEY AUTO_INCREMENT, v INT";

#[tokio::test]
async fn a_half_open_connection_is_found_by_its_silence() {
    LocalSet::new()
        .run_until(on_both(|address| async move {
            let (network, through) = proxy(&address).await;
            let options = Options { silence: Duration::from_secs(3), ..Options::default() };
            let mut w = World::behind(&address, &through, T, options).await;
            w.run("INSERT INTO t (v) VALUES (1)").await;
            assert_eq!(w.drain().await, [1]);
            // Heartbeats keep a quiet connection from being taken for dead.
            let before = network.connections();
            let quiet = tokio::time::timeout(Duration::from_secs(5), w.next()).await;
            assert!(quiet.is_err() && network.connections() == before, "a quiet connection was given up");
            network.set(Mode::Frozen(before));
            let begin = Instant::now();
            w.run("INSERT INTO t (v) VALUES (2)").await;
            assert_eq!(w.drain().await, [2]);
            eprintln!("went on after {:?}", begin.elapsed());
            assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
            w.done().await;
        }))
        .await;
}

#[tokio::test]
async fn a_connection_that_stays_lost_stops_the_run() {
    LocalSet::new()
        .run_until(on_both(|address| async move {
            let (network, through) = proxy(&address).await;
            let options = Options { give_up: Duration::from_secs(3), ..Options::default() };
            let mut w = World::behind(&address, &through, T, options).await;
            w.run("INSERT INTO t (v) VALUES (1)").await;
            assert_eq!(w.drain().await, [1]);
            // A short outage is no reason.
            network.set(Mode::Refuse);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            network.set(Mode::Pass);
            w.run("INSERT INTO t (v) VALUES (2)").await;
            assert_eq!(w.drain().await, [2]);
            network.set(Mode::Refuse);
            let begin = Instant::now();
            let error = w.next().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Stopped, "{error}");
            assert!(error.what_to_do().is_some());
            eprintln!("gave up after {:?}: {error} {:?}", begin.elapsed(), error.causes());
            assert!((3..9).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
            assert!(w.next().await.is_err(), "after the end there is nothing more");
            w.done().await;
        }))
        .await;
}

#[tokio::test]
async fn marks_that_never_come_are_noticed() {
    let options = Options { silence: Duration::from_secs(1), ..Options::default() };
    let mut w = World::with(&mysql(), T, options).await;
    // A mark that returns and is in no binlog, as behind a filter.
    let (token, _) = w.mark_sql();
    w.marks.sent(token);
    w.marks.returned(token);
    let error = w.next().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Definite);
    assert!(error.what().contains("marks do not come out"), "{error}");
    w.done().await;
}
