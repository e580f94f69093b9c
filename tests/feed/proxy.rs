//! A network that fails: a proxy in front of the server, which can freeze or refuse.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use osc::engine::mysql::binlog::Options;
use osc::engine::mysql::connect::Address;
use osc::error::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use super::world::*;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Pass,
    /// Connections stay open and nothing passes, as when a cable is cut; new ones pass.
    Frozen(u32),
    /// Connections are cut and no new one is let in.
    Refuse,
}

struct Proxy {
    address: Address,
    mode: Rc<Cell<Mode>>,
    connections: Rc<Cell<u32>>,
}

/// Runs on the LocalSet of the test.
async fn proxy(server: &Address) -> Proxy {
    let to: SocketAddr = server.describe().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (mode, connections) = (Rc::new(Cell::new(Mode::Pass)), Rc::new(Cell::new(0)));
    let (m, c) = (mode.clone(), connections.clone());
    spawn_local(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            if m.get() == Mode::Refuse {
                continue;
            }
            c.set(c.get() + 1);
            let upstream = TcpStream::connect(to).await.unwrap();
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = upstream.into_split();
            spawn_local(pump(client_read, server_write, m.clone(), c.get()));
            spawn_local(pump(server_read, client_write, m.clone(), c.get()));
        }
    });
    Proxy { address: server.with_host("127.0.0.1", at.port()), mode, connections }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mode: Rc<Cell<Mode>>,
    number: u32,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = tokio::select! {
            read = from.read(&mut buffer) => match read { Ok(0) | Err(_) => return, Ok(n) => n },
            () = tokio::time::sleep(Duration::from_millis(20)) => 0,
        };
        match mode.get() {
            Mode::Refuse => return,
            Mode::Frozen(upto) if number <= upto => std::future::pending().await,
            _ => {}
        }
        if n > 0 && to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

const T: &str = "id INT PRIMARY KEY AUTO_INCREMENT, v INT";

#[tokio::test]
async fn a_half_open_connection_is_found_by_its_silence() {
    LocalSet::new()
        .run_until(on_both(|address| async move {
            let through = proxy(&address).await;
            let options = Options { silence: Duration::from_secs(3), ..Options::default() };
            let mut w = World::behind(&address, &through.address, T, options).await;
            w.run("INSERT INTO t (v) VALUES (1)").await;
            assert_eq!(w.drain().await, [1]);
            // Heartbeats keep a quiet connection from being taken for dead.
            let before = through.connections.get();
            let quiet = tokio::time::timeout(Duration::from_secs(5), w.next()).await;
            assert!(quiet.is_err() && through.connections.get() == before, "a quiet connection was given up");
            through.mode.set(Mode::Frozen(before));
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
            let through = proxy(&address).await;
            let options = Options { give_up: Duration::from_secs(3), ..Options::default() };
            let mut w = World::behind(&address, &through.address, T, options).await;
            w.run("INSERT INTO t (v) VALUES (1)").await;
            assert_eq!(w.drain().await, [1]);
            // A short outage is no reason.
            through.mode.set(Mode::Refuse);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            through.mode.set(Mode::Pass);
            w.run("INSERT INTO t (v) VALUES (2)").await;
            assert_eq!(w.drain().await, [2]);
            through.mode.set(Mode::Refuse);
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
