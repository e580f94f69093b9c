//! Lost connections, rotated files, stored positions.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use osc::engine::mysql::feed::current_position;
use osc::engine::mysql::session::Session;
use osc::engine::{Event, Feed};
use osc::error::Kind;
use osc::model::Position;

use super::world::*;

const T: &str = "id INT PRIMARY KEY AUTO_INCREMENT, v INT";

/// Kills this feed's connection on the server, by killing all replicas'; returns how many there were.
pub async fn kill_dumps(w: &mut World) -> usize {
    let ids: Vec<u64> =
        w.app.query("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'").await.unwrap();
    for id in &ids {
        // It may have gone by itself.
        let _ = w.app.query_drop(format!("KILL {id}")).await;
    }
    ids.len()
}

#[tokio::test]
async fn a_killed_connection_loses_nothing() {
    let _alone = alone().await;
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let mut keys = Vec::new();
        for round in 0..8 {
            w.run("INSERT INTO t (v) VALUES (1), (2), (3)").await;
            w.run("BEGIN").await;
            w.run("INSERT INTO t (v) VALUES (4)").await;
            if round % 2 == 0 {
                assert!(kill_dumps(&mut w).await > 0);
            }
            w.run("INSERT INTO t (v) VALUES (5)").await;
            w.run("COMMIT").await;
            if round % 3 == 0 {
                kill_dumps(&mut w).await;
            }
            keys.extend(w.drain().await);
        }
        assert_eq!(sorted(keys), (1..=40).collect::<Vec<_>>());
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn rotation_loses_nothing() {
    let _alone = alone().await;
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let mut position = w.start.clone();
        for round in 0..4 {
            w.run("INSERT INTO t (v) VALUES (1)").await;
            w.run("FLUSH BINARY LOGS").await;
            w.run("INSERT INTO t (v) VALUES (2)").await;
            let token = w.mark().await;
            let (keys, at) = w.upto(token).await.unwrap();
            assert_eq!(keys, [round * 2 + 1, round * 2 + 2]);
            assert_ne!(position, at);
            position = at;
        }
        kill_dumps(&mut w).await;
        w.run("INSERT INTO t (v) VALUES (1)").await;
        assert_eq!(w.drain().await, [9]);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn the_stream_goes_on_from_a_stored_position() {
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        w.run("INSERT INTO t (v) VALUES (1), (2)").await;
        let token = w.mark().await;
        let (_, position) = w.upto(token).await.unwrap();
        w.run("INSERT INTO t (v) VALUES (3)").await;
        w.run("FLUSH BINARY LOGS").await;
        w.run("INSERT INTO t (v) VALUES (4)").await;
        w.drain().await;
        for _ in 0..2 {
            w.reopen(Some(&position)).await.unwrap();
            // Marks of the earlier life are in the stream too, and are not ours any more.
            assert_eq!(w.drain().await, [3, 4]);
        }
        let mut session = Session::open(&address).await.unwrap();
        let now = current_position(&mut session).await.unwrap();
        w.reopen(Some(&now)).await.unwrap();
        w.run("INSERT INTO t (v) VALUES (5)").await;
        assert_eq!(w.drain().await, [5]);
        assert!(w.feed.position_text().contains("binlog.0"), "{}", w.feed.position_text());
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_purged_binlog_is_said_so() {
    let _alone = alone().await;
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let start = w.start.clone();
        w.run("INSERT INTO t (v) VALUES (1)").await;
        w.drain().await;
        w.run("FLUSH BINARY LOGS").await;
        w.run("INSERT INTO t (v) VALUES (2)").await;
        let token = w.mark().await;
        let (_, position) = w.upto(token).await.unwrap();
        let file: String =
            serde_json::from_str::<serde_json::Value>(&position.0).unwrap()["file"].as_str().unwrap().into();
        w.run(&format!("PURGE BINARY LOGS TO '{file}'")).await;
        let error = w.reopen(Some(&start)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Definite, "{error}");
        assert!(error.what().contains("no longer has the binlog"), "{error}");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn another_server_is_not_taken_for_the_first() {
    let w = World::new(&mysql(), T).await;
    let mut stored: serde_json::Value = serde_json::from_str(&w.start.0).unwrap();
    stored["server"] = "somebody else".into();
    let mut w = w;
    let reopened = w.reopen(Some(&Position(stored.to_string()))).await;
    if stored["gtid"].is_string() {
        reopened.unwrap();
    }
    stored["gtid"] = serde_json::Value::Null;
    let error = w.reopen(Some(&Position(stored.to_string()))).await.unwrap_err();
    assert!(error.what().contains("Another server"), "{error}");
    w.done().await;
}

#[tokio::test]
async fn a_dropped_feed_ends_its_thread() {
    on_both(|address| async move {
        let threads = || {
            std::fs::read_dir("/proc/self/task")
                .unwrap()
                .filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("comm")).ok())
                .filter(|name| name.trim() == "osc-binlog")
                .count()
        };
        let before = threads();
        let mut idle = World::new(&address, T).await;
        let mut full = World::new(&address, T).await;
        full.run("INSERT INTO t (v) VALUES (1)").await;
        full.run("SET @n = 0").await;
        for _ in 0..18 {
            full.run("INSERT INTO t (v) SELECT v FROM t").await;
        }
        idle.drain().await;
        let feed = idle.feed;
        let begin = Instant::now();
        drop((feed, full.feed));
        while threads() > before && begin.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        eprintln!("the threads ended after {:?}", begin.elapsed());
        assert!(threads() <= before);
        run(&mut full.app, &format!("DROP DATABASE {}", full.db)).await;
        run(&mut idle.app, &format!("DROP DATABASE {}", idle.db)).await;
    })
    .await;
}

#[tokio::test]
async fn next_can_be_dropped_at_any_time() {
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let mut keys = Vec::new();
        for _ in 0..50 {
            w.run("INSERT INTO t (v) VALUES (1), (2)").await;
            let token = w.mark().await;
            let mut seen = false;
            while !seen {
                // Far shorter than an event takes to come.
                match tokio::time::timeout(Duration::from_micros(200), w.feed.next()).await {
                    Ok(Ok(Event::Keys(more))) => keys.extend(more.iter().map(int)),
                    Ok(Ok(Event::Mark { token: t, .. })) => seen = t == token,
                    Ok(Err(error)) => panic!("{error}"),
                    Err(_) => {}
                }
            }
        }
        assert_eq!(keys, (1..=100).collect::<Vec<_>>());
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn tagged_gtids_are_passed_by_file_and_offset() {
    let _alone = alone().await;
    let mut w = World::new(&mysql(), T).await;
    let gtids: String = get(&mut w.app, "SELECT @@GLOBAL.gtid_mode").await;
    let version: String = get(&mut w.app, "SELECT VERSION()").await;
    w.run("INSERT INTO t (v) VALUES (1)").await;
    let token = w.mark().await;
    let (_, position) = w.upto(token).await.unwrap();
    assert_eq!(position.0.contains("gtid"), gtids == "ON", "{position:?}");
    if gtids == "ON" && !version.starts_with("8.0") {
        w.run("SET SESSION gtid_next = 'AUTOMATIC:osc_test'").await;
    }
    w.run("INSERT INTO t (v) VALUES (2)").await;
    w.run("SET SESSION gtid_next = 'AUTOMATIC'").await;
    w.run("INSERT INTO t (v) VALUES (3)").await;
    kill_dumps(&mut w).await;
    w.run("INSERT INTO t (v) VALUES (4)").await;
    let token = w.mark().await;
    let (keys, later) = w.upto(token).await.unwrap();
    assert_eq!(sorted(keys), [2, 3, 4]);
    assert!(!later.0.contains("gtid") || version.starts_with("8.0"), "{later:?}");
    w.run("INSERT INTO t (v) VALUES (5)").await;
    w.reopen(Some(&position)).await.unwrap();
    assert_eq!(w.drain().await, [2, 3, 4, 5]);
    w.reopen(Some(&later)).await.unwrap();
    assert_eq!(w.drain().await, [5]);
    // Else gtid_executed holds a tag from now on, and nothing begins with a set any more.
    w.run("RESET BINARY LOGS AND GTIDS").await;
    w.done().await;
}
