//! A key comes only when a new read sees its change.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use osc::engine::{Event, Feed};

use super::world::*;

const T: &str = "id int PRIMARY KEY, v int NOT NULL DEFAULT 0";

/// Each writer owns its keys and counts in their rows, so the nth delivery of a key must find at least n there.
/// Commits of every kind: waited for and not, with subtransactions, and prepared ones.
async fn under_writers(server: &Server, transactions: i64) {
    const WRITERS: i64 = 8;
    let mut w = World::new(server, T).await;
    let reader = w.other().await;
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let client = w.other().await;
        let schema = w.schema.clone();
        run(&client, &format!("INSERT INTO t SELECT {writer} * 10 + i, 0 FROM generate_series(0, 9) i")).await;
        writing.spawn(async move {
            for round in 0..transactions {
                let one = writer * 10 + round % 10;
                let change = format!("UPDATE t SET v = v + 1 WHERE id = {one}");
                let sql = match writer % 4 {
                    0 => change,
                    1 => format!("BEGIN; SET LOCAL synchronous_commit = off; {change}; COMMIT"),
                    2 => {
                        format!("BEGIN; SAVEPOINT a; {change}; RELEASE a; SAVEPOINT b; {change}; ROLLBACK TO b; COMMIT")
                    }
                    _ => format!("BEGIN; {change}; PREPARE TRANSACTION '{schema}-{writer}'"),
                };
                run(&client, &sql).await;
                if writer % 4 == 3 {
                    run(&client, &format!("COMMIT PREPARED '{schema}-{writer}'")).await;
                }
            }
        });
    }
    let mut seen: HashMap<i64, i64> = HashMap::new();
    let wanted = WRITERS * transactions + WRITERS * 10;
    let mut delivered = 0;
    let begun = Instant::now();
    while delivered < wanted {
        let Event::Keys(keys) = w.next().await.unwrap() else { continue };
        for key in keys {
            let key = id(&w.key, &key);
            // The first delivery is the INSERT's.
            let count = seen.entry(key).or_insert(-1);
            *count += 1;
            let found: i64 = get(&reader, &format!("SELECT v FROM t WHERE id = {key}")).await.unwrap().parse().unwrap();
            assert!(found >= *count, "delivery {count} of key {key} found {found}: it came before it was visible");
            delivered += 1;
        }
    }
    while let Some(done) = writing.join_next().await {
        done.unwrap();
    }
    assert_eq!(w.drain().await.len(), 0, "more came than was written");
    assert_eq!(seen.len() as i64, WRITERS * 10);
    eprintln!("{delivered} keys in {:?}", begun.elapsed());
    w.done().await;
}

#[tokio::test]
async fn keys_of_a_live_write_are_visible_when_they_come() {
    on_both(|server| async move { under_writers(&server, 400).await }).await;
}

/// A standby that comes and goes: many commits are decoded long before they are visible. Without it the two are so
/// close together that a feed with no barrier at all passes (seen).
#[tokio::test]
async fn also_while_a_standby_comes_and_goes() {
    let _alone = alone().await;
    on_both(|server| async move {
        let admin = connect(&server.admin).await;
        let toggle = async {
            loop {
                for setting in ["SET synchronous_standby_names = 'away'", "RESET synchronous_standby_names"] {
                    run(&admin, &format!("ALTER SYSTEM {setting}")).await;
                    run(&admin, "SELECT pg_reload_conf()").await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        tokio::select! {
            () = under_writers(&server, 150) => {}
            () = toggle => {}
        }
        run(&admin, "ALTER SYSTEM RESET synchronous_standby_names").await;
        run(&admin, "SELECT pg_reload_conf()").await;
    })
    .await;
}

#[tokio::test]
async fn also_when_the_transaction_numbers_have_wrapped() {
    for kind in KINDS {
        let name = format!("pgfeed-{kind}-wrapped");
        let server = server(kind, &name);
        let admin = connect(&server.admin).await;
        let epoch = "SELECT (pg_current_xact_id()::text::numeric / 4294967296)::bigint";
        if get(&admin, epoch).await.unwrap() == "0" {
            drop(admin);
            db(&["stop", &name]);
            db(&["run", &name, "pg_resetwal", "--epoch=3", "-D", &server.data]);
            db(&["restart", &name]);
        }
        let admin = connect(&server.admin).await;
        assert_eq!(get(&admin, epoch).await.unwrap(), "3");
        under_writers(&server, 100).await;
        standby(&server).await;
        db(&["stop", &name]);
    }
}

async fn wait_for_setting(w: &World, value: &str) {
    run(&w.admin, &format!("ALTER SYSTEM SET synchronous_standby_names = '{value}'")).await;
    run(&w.admin, "SELECT pg_reload_conf()").await;
    let begun = Instant::now();
    while get(&w.admin, "SHOW synchronous_standby_names").await.unwrap() != value {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Each process reads it when it is next idle, and only then is a commit held.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// A standby that never answers: commits are in the log, decoded, and invisible for as long as that lasts.
async fn standby(server: &Server) {
    let mut w = World::new(server, T).await;
    w.run("INSERT INTO t SELECT i, 0 FROM generate_series(1, 5) i").await;
    w.drain().await;
    let bytes = w.feed.bytes();
    wait_for_setting(&w, "away").await;
    let writer = w.other().await;
    let write = tokio::spawn(async move { run(&writer, "DELETE FROM t WHERE id = 3").await });
    // It comes out of the stream, and nothing is delivered.
    let begun = Instant::now();
    let mut early = None;
    while begun.elapsed() < Duration::from_secs(2) {
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(100), w.feed.next()).await {
            early = Some(event.unwrap());
            break;
        }
    }
    let seen = get(&w.app, "SELECT count(*) FROM t WHERE id = 3").await.unwrap();
    let decoded = w.feed.bytes() - bytes;
    wait_for_setting(&w, "").await;
    write.await.unwrap();
    assert!(early.is_none(), "delivered while its commit waited for the standby: {early:?}");
    assert_eq!(seen, "1", "the standby holds nothing up: the test shows nothing");
    assert!(decoded > 40, "the delete was not decoded while its commit waited: the test shows nothing");
    let Event::Keys(keys) = w.next().await.unwrap() else { panic!("a mark that nobody sent") };
    assert_eq!(get(&w.app, "SELECT count(*) FROM t WHERE id = 3").await.unwrap(), "0");
    assert_eq!(keys.iter().map(|k| id(&w.key, k)).collect::<Vec<_>>(), [3]);
    w.done().await;
}

#[tokio::test]
async fn under_a_stopped_standby_keys_wait_for_their_commit() {
    let _alone = alone().await;
    on_both(|server| async move { standby(&server).await }).await;
}

#[tokio::test]
async fn prepared_transactions_come_when_they_are_committed() {
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        let name = w.schema.clone();
        w.run(&format!("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '{name}-1'")).await;
        w.run(&format!("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION '{name}-2'")).await;
        w.run("INSERT INTO t VALUES (3)").await;
        assert_eq!(w.drain_ids().await, [3]);
        w.run(&format!("ROLLBACK PREPARED '{name}-2'")).await;
        assert_eq!(w.drain_ids().await, [0; 0]);
        w.run(&format!("COMMIT PREPARED '{name}-1'")).await;
        assert_eq!(w.drain_ids().await, [1]);
        assert_eq!(get(&w.app, "SELECT string_agg(id::text, ',' ORDER BY id) FROM t").await.unwrap(), "1,3");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn commits_that_nobody_waits_for_come_too() {
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        w.run("SET synchronous_commit = off").await;
        for round in 1..=200 {
            w.run(&format!("INSERT INTO t VALUES ({round}, {round})")).await;
        }
        assert_eq!(w.drain_ids().await, (1..=200).collect::<Vec<_>>());
        w.done().await;
    })
    .await;
}
