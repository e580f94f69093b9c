//! Others hold the table, or a snapshot, when it is to be swapped: they are named and waited for, and nobody else waits
//! longer than promised.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::{ADD, BUSY, complete, has_extra, on, shop};
use crate::harness::{Kind, Osc, Prober, Running, Server, get, on_both, run, wait_for};

/// The least that the lock is waited for by default.
const LOCK_WAIT: Duration = Duration::from_millis(200);

async fn attempts(osc: &mut Running, least: u64) {
    block_in_place(|| osc.until("attempts", |e| e["cutover_attempts"].as_u64() >= Some(least)));
}

async fn a_transaction_holds_the_table(kind: Kind) {
    let db = shop(kind, "fence_open").await;
    let prober = Prober::start(&db, 17).await;
    let holder = db.app().await;
    run(&holder, "BEGIN; UPDATE orders SET version = 0 WHERE id = 1").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v"]).postponed().start();
    // Making the slot waits for everybody who has written.
    tokio::time::sleep(Duration::from_secs(2)).await;
    run(&holder, "COMMIT; BEGIN; SELECT * FROM orders WHERE id = 2").await;
    block_in_place(|| osc.go_once_synced());
    let began = Instant::now();
    attempts(&mut osc, 3).await;
    let ended = Instant::now();
    assert!(!has_extra(&db).await);
    run(&holder, "COMMIT").await;
    let report = block_in_place(|| osc.wait()).exited(0);
    let probes = prober.stop().await;
    assert!(report.says("SELECT * FROM orders WHERE id = 2"), "who holds it is named: {}", report.stderr);
    let slowest = probes.slowest(began, ended);
    eprintln!("{kind:?}: the slowest statement waited for {} ms", slowest.as_millis());
    assert!(slowest < LOCK_WAIT + BUSY, "{slowest:?}");
    complete(&db, 17, probes.count()).await;
}

async fn a_prepared_transaction_holds_the_table(kind: Kind) {
    let server = Server::own(kind, "fence-prepared", &["-c", "max_prepared_transactions=5"]);
    let db = on(&server, "fence_prepared").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v"]).postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    let app = db.app().await;
    run(&app, "BEGIN; UPDATE orders SET version = 5 WHERE id = 3; PREPARE TRANSACTION 'in-doubt'").await;
    osc.go();
    attempts(&mut osc, 2).await;
    assert!(!has_extra(&db).await);
    run(&app, "COMMIT PREPARED 'in-doubt'").await;
    let report = block_in_place(|| osc.wait()).exited(0);
    assert!(report.says("in-doubt"), "{}", report.stderr);
    assert_eq!(db.one::<u32>("SELECT version FROM orders WHERE id = 3").await, 5);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, super::ROWS);
}

/// A snapshot from before the copy would miss all of its rows.
async fn a_snapshot_is_older_than_the_copy(kind: Kind) {
    let db = shop(kind, "fence_snapshot").await;
    let old = db.app().await;
    run(&old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    // READ COMMITTED: will see the new rows, and is not waited for.
    let new = db.app().await;
    run(&new, "BEGIN; SELECT 1").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v"]).start();
    block_in_place(|| osc.until_phase("cutover"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!osc.has_ended() && !has_extra(&db).await);
    let seen = get(&old, "SELECT count(*) FROM orders").await;
    assert_eq!(seen, Some(super::ROWS.to_string()));
    run(&old, "COMMIT").await;
    let report = block_in_place(|| osc.wait()).exited(0);
    assert!(report.says("snapshot is older than the copy"), "{}", report.stderr);
    assert_eq!(get(&new, "SELECT count(*) FROM orders").await, Some(super::ROWS.to_string()));
}

async fn a_snapshot_that_stays_ends_the_wait(kind: Kind) {
    let db = shop(kind, "fence_stays").await;
    let old = db.app().await;
    run(&old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let report = block_in_place(|| Osc::alter(&db, "orders", ADD).args(["--wait-snapshots", "1"]).run()).exited(5);
    assert!(report.says("--wait-snapshots") && report.says("SELECT 1"), "{}", report.stderr);
    assert!(!has_extra(&db).await);
    run(&old, "COMMIT").await;
    block_in_place(|| Osc::alter(&db, "orders", ADD).run()).exited(0);
    assert!(has_extra(&db).await);
}

/// The application locks in the order that is worst for us: it has written to the table and then reads it again and
/// again, while others wait for it. None of its transactions may fail with a deadlock.
async fn no_deadlock_in_any_order(kind: Kind) {
    let db = shop(kind, "fence_deadlock").await;
    db.as_app(&["CREATE TABLE parent (id int PRIMARY KEY)", "INSERT INTO parent VALUES (1)"]).await;
    let mut osc = Osc::alter(&db, "orders", ADD).postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    let url = db.app_url();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut tasks = Vec::new();
    for n in 0..4u32 {
        let (url, stop) = (url.clone(), stop.clone());
        tasks.push(tokio::spawn(async move {
            let app = crate::harness::sql::connect(&url).await;
            let mut done = 0u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let id = 100 + n;
                for statement in [
                    "BEGIN".to_owned(),
                    "SELECT * FROM parent WHERE id = 1".to_owned(),
                    format!("UPDATE orders SET version = version + 1 WHERE id = {id}"),
                    "SELECT pg_sleep(0.02)".to_owned(),
                    "SELECT * FROM parent WHERE id = 1 FOR SHARE".to_owned(),
                    format!("SELECT * FROM orders WHERE id = {id}"),
                    "COMMIT".to_owned(),
                ] {
                    app.batch_execute(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
                }
                done += 1;
            }
            done
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    osc.go();
    block_in_place(|| osc.wait()).exited(0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for (n, task) in tasks.into_iter().enumerate() {
        let done = task.await.expect("no transaction failed");
        let id = 100 + n;
        assert_eq!(db.one::<u32>(&format!("SELECT version FROM orders WHERE id = {id}")).await, done);
        assert!(done > 0);
    }
    assert!(has_extra(&db).await);
}

/// An autovacuum that works on the table gives way to the weak lock; nobody of the application waits meanwhile.
async fn an_autovacuum_gives_way(kind: Kind) {
    let slow = ["autovacuum_naptime=1s", "autovacuum_vacuum_cost_delay=100ms", "autovacuum_vacuum_cost_limit=1"];
    let options: Vec<&str> = slow.iter().flat_map(|option| ["-c", option]).collect();
    let server = Server::own(kind, "fence-vacuum", &options);
    server.run(&["ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"]).await;
    let db = on(&server, "fence_vacuum").await;
    let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at("before-lock").start();
    block_in_place(|| osc.until_phase("ready"));
    let prober = Prober::start(&db, 17).await;
    osc.go();
    let paused = block_in_place(|| osc.until_paused("before-lock"));
    // It begins while osc stands before the lock.
    run(&db.admin, "UPDATE orders SET version = version WHERE id > 100").await;
    run(&db.admin, "UPDATE orders SET version = version WHERE id > 100").await;
    server.run(&["ALTER SYSTEM SET autovacuum = on", "SELECT pg_reload_conf()"]).await;
    let works = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE '%public.orders%'";
    wait_for("an autovacuum of the table", async || db.one::<u32>(works).await > 0).await;
    let began = Instant::now();
    paused.go();
    let report = block_in_place(|| osc.wait());
    let probes = prober.stop().await;
    eprintln!(
        "{kind:?}: {} ms, slowest {:?}, exit {}",
        began.elapsed().as_millis(),
        probes.slowest(began, Instant::now()),
        report.exit
    );
    assert!(probes.slowest(began, Instant::now()) < LOCK_WAIT + BUSY);
    report.exited(0);
    complete(&db, 17, probes.count()).await;
}

on_both!(
    a_transaction_holds_the_table,
    a_prepared_transaction_holds_the_table,
    a_snapshot_is_older_than_the_copy,
    a_snapshot_that_stays_ends_the_wait,
    no_deadlock_in_any_order,
    an_autovacuum_gives_way,
);
