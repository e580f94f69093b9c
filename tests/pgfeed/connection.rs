//! Lost connections, stored places, servers that stop and crash.

use std::time::{Duration, Instant};

use osc::engine::postgres::connect::Address;
use osc::engine::postgres::stream::Options;
use osc::engine::postgres::wire::Wire;
use osc::engine::{Event, Feed};
use osc::error::Kind;

use super::world::*;

const T: &str = "id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, v int";

async fn kill_walsender(w: &World) {
    let sql = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{}'",
        w.names.slot
    );
    get(&w.admin, &sql).await;
}

async fn confirmed(w: &World) -> String {
    let sql = format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'", w.names.slot);
    get(&w.admin, &sql).await.unwrap()
}

#[tokio::test]
async fn a_killed_connection_loses_nothing() {
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        let mut keys = Vec::new();
        for round in 0..8 {
            w.run("INSERT INTO t (v) VALUES (1), (2), (3)").await;
            w.run("BEGIN").await;
            w.run("INSERT INTO t (v) VALUES (4)").await;
            if round % 2 == 0 {
                kill_walsender(&w).await;
            }
            w.run("INSERT INTO t (v) VALUES (5)").await;
            w.run("COMMIT").await;
            if round % 3 == 0 {
                kill_walsender(&w).await;
            }
            keys.extend(w.drain_ids().await);
        }
        assert_eq!(sorted(keys), (1..=40).collect::<Vec<_>>());
        assert!(w.feed.connections() > 3);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn the_stream_goes_on_from_the_stored_place_and_the_slot_is_never_ahead_of_it() {
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        let begin = confirmed(&w).await;
        w.run("INSERT INTO t (v) VALUES (1), (2)").await;
        let token = w.mark().await;
        let (_, position) = w.upto(token).await.unwrap();
        w.run("INSERT INTO t (v) VALUES (3)").await;
        assert_eq!(w.drain_ids().await, [3]);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(confirmed(&w).await, begin, "the slot moved though nothing was stored");
        // A process that died after it had received and before it had stored.
        for _ in 0..2 {
            w.reopen(Some(&position), Options::default()).await.unwrap();
            assert_eq!(w.drain_ids().await, [3]);
        }
        w.reopen(None, Options::default()).await.unwrap();
        assert_eq!(w.drain_ids().await, [1, 2, 3]);
        w.handle.stored(&position).unwrap();
        let stored =
            serde_json::from_str::<serde_json::Value>(&position.0).unwrap()["lsn"].as_str().unwrap().to_string();
        let begun = Instant::now();
        while confirmed(&w).await != stored {
            assert!(begun.elapsed() < PATIENCE, "{} is not {stored}", confirmed(&w).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Idle: marks alone move it.
        let token = w.mark().await;
        let (_, later) = w.upto(token).await.unwrap();
        w.handle.stored(&later).unwrap();
        let begun = Instant::now();
        while confirmed(&w).await == stored {
            assert!(begun.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What lies before the slot can't be had any more, and is asked for in vain.
        let error = w.reopen(Some(&position), Options::default()).await.unwrap_err();
        assert!(error.what().contains("not there any more"), "{error}");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_lets_the_sender_go_and_comes_back() {
    on_both(|server| async move {
        let options = Options { queue_bytes: 4_000, held: Duration::from_secs(1), ..Options::default() };
        let mut w = World::with(&server, T, "", options).await;
        for _ in 0..20 {
            w.run("INSERT INTO t (v) SELECT 1 FROM generate_series(1, 200)").await;
        }
        let begun = Instant::now();
        while w.feed.walsender() != 0 {
            assert!(begun.elapsed() < PATIENCE, "the sender is still held");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(sorted(w.drain_ids().await), (1..=4000).collect::<Vec<_>>());
        assert!(w.feed.connections() > 1);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_stops_when_it_is_told_to_and_a_crash_loses_nothing() {
    for kind in KINDS {
        let name = format!("pgfeed-{kind}-crash");
        let server = server(kind, &name);
        let mut w = World::new(&server, T).await;
        w.run("INSERT INTO t (v) VALUES (1)").await;
        assert_eq!(w.drain_ids().await, [1]);
        // Nothing is stored, so the slot is behind; a server that waited for it would never stop.
        let begun = Instant::now();
        let stopping = tokio::task::spawn_blocking({
            let name = name.clone();
            move || db(&["stop", &name])
        });
        stopping.await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "the server stopped after {:?}", begun.elapsed());
        restart(&mut w, &name, &[]).await;
        w.run("INSERT INTO t (v) VALUES (2)").await;
        assert_eq!(w.drain_ids().await, [2]);
        restart(&mut w, &name, &["stop", &name, "--kill"]).await;
        w.run("INSERT INTO t (v) VALUES (3)").await;
        // Identity columns skip values in a crash.
        assert_eq!(w.drain_ids().await.len(), 1);
        w.done().await;
        db(&["stop", &name]);
    }
}

/// Starts the server again while the feed looks for it.
async fn restart(w: &mut World, name: &str, before: &[&str]) {
    let (name, before) = (name.to_string(), before.iter().map(|s| s.to_string()).collect::<Vec<_>>());
    let mut work = tokio::task::spawn_blocking(move || {
        if !before.is_empty() {
            db(&before.iter().map(String::as_str).collect::<Vec<_>>());
        }
        db(&["restart", &name]);
    });
    loop {
        tokio::select! {
            done = &mut work => break done.unwrap(),
            event = w.feed.next() => assert!(matches!(event.unwrap(), Event::Keys(_)), "a mark that nobody sent"),
        }
    }
    w.app = w.other().await;
    w.admin = connect(&w.server.admin).await;
}

#[tokio::test]
async fn signing_in_is_refused_with_a_sentence() {
    on_both(|server| async move {
        let good = Address::parse(&server.osc, None).unwrap();
        for bad in [good.with_user("osc", Some("wrong")), good.with_user("osc", None), good.with_database("nowhere")] {
            let error = Wire::open(&bad).await.map(drop).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{error}");
        }
        let app = Address::parse(&server.app, None).unwrap();
        let error = Wire::open(&app).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
    })
    .await;
}
