//! Traps of PostgreSQL that no other file is about; `docs/traps-postgres.md` lists all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::cutover::{ADD, BUSY, ROWS, complete, has_extra, on, shop};
use crate::harness::{Database, Kind, Osc, Prober, Server, get, on_both, run, wait_for};

/// The least that the lock is waited for by default, and the most that it is held for.
const LOCK_WAIT: Duration = Duration::from_millis(200);
/// How long the lock is held for the drain alone: half of what it may be held.
const DRAIN: Duration = Duration::from_secs(1);

/// Policies that hide rows from osc's account hide none from the copy; when that can't be had any more, the run ends.
async fn a_policy_hides_no_row_from_the_copy(kind: Kind) {
    let db = shop(kind, "trap_policy").await;
    let app = db.app_role();
    db.as_app(&[
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        &format!("CREATE POLICY mine ON orders USING (current_user = '{app}' AND id % 2 = 0)"),
    ])
    .await;
    block_in_place(|| Osc::alter(&db, "orders", ADD).run()).exited(0);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders WHERE extra = 7").await, ROWS);
    block_in_place(|| Osc::new(&db, "cleanup").args(["--yes", "--old"]).run()).exited(0);
    let mut osc = Osc::alter(&db, "orders", "ADD COLUMN more int").postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    db.as_app(&["ALTER TABLE orders FORCE ROW LEVEL SECURITY"]).await;
    osc.go();
    let report = block_in_place(|| osc.wait()).exited(1);
    assert!(report.says("was altered while the run was on"), "{}", report.stderr);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, ROWS);
    assert_eq!(
        db.one::<u64>("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'more'")
            .await,
        0
    );
}

/// A standby that commits wait for is away: the table is not locked, for the mark by which the stream is drained would wait too;
/// and one that goes away under the lock holds up neither the swap's commit nor the readers behind it.
async fn a_standby_that_is_away_holds_no_reader_up(kind: Kind) {
    let server = Server::own(kind, "trap-away", &[]);
    let db = on(&server, "trap_away").await;
    db.as_app(&["CREATE TABLE other (id int)"]).await;
    let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at("renamed").start();
    block_in_place(|| osc.until_phase("ready"));
    let answers = Arc::new(AtomicU64::new(0));
    let (reader, counter) = (db.app().await, answers.clone());
    let reading = tokio::spawn(async move {
        loop {
            assert_eq!(get(&reader, "SELECT count(*) FROM orders").await, Some(ROWS.to_string()));
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    away(&db, true).await;
    let hangs = db.app().await;
    let hanging = tokio::spawn(async move { run(&hangs, "INSERT INTO other VALUES (1)").await });
    // Until osc has noticed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    osc.go();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!hanging.is_finished(), "no commit waits for the standby: the test shows nothing");
    osc.pass_over();
    let now = block_in_place(|| osc.until("progress", |e| e["event"] == "progress"));
    assert_eq!(now["cutover_attempts"], 0, "the table was locked: {now}");
    away(&db, false).await;
    hanging.await.expect("it is committed when nobody waits any more");
    let paused = block_in_place(|| osc.until_paused("renamed"));
    away(&db, true).await;
    let hangs = db.app().await;
    let hanging = tokio::spawn(async move { run(&hangs, "INSERT INTO other VALUES (2)").await });
    let (before, began) = (answers.load(Ordering::Relaxed), Instant::now());
    paused.go();
    wait_for("a reader's answer", async || answers.load(Ordering::Relaxed) > before + 1).await;
    let took = began.elapsed();
    block_in_place(|| osc.wait()).exited(0);
    println!("{kind:?}: the readers went on {} ms after the swap's commit was sent", took.as_millis());
    assert!(took < BUSY, "{took:?}");
    assert!(has_extra(&db).await && !hanging.is_finished(), "swapped, while others wait for the standby");
    away(&db, false).await;
    hanging.await.expect("it is committed when nobody waits any more");
    assert!(!reading.is_finished(), "every look was of the whole table");
    reading.abort();
}

/// Names a standby that is not there, or takes the name away; in effect when this returns.
async fn away(db: &Database, away: bool) {
    let set = if away { "SET synchronous_standby_names = 'away'" } else { "RESET synchronous_standby_names" };
    db.server.run(&[&format!("ALTER SYSTEM {set}"), "SELECT pg_reload_conf()"]).await;
    let names = if away { "away" } else { "" };
    wait_for("the setting", async || db.one::<String>("SHOW synchronous_standby_names").await == names).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// A large transaction of another table stands in the stream before the swap's mark: the lock is not held for as long as
/// decoding it takes.
async fn a_long_drain_keeps_nobody_waiting(kind: Kind) {
    let db = shop(kind, "trap_drain").await;
    db.as_app(&["CREATE TABLE other (id int, note text)"]).await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v"]).postponed().pause_at("before-lock").start();
    block_in_place(|| osc.until_phase("ready"));
    let prober = Prober::start(&db, 17).await;
    osc.go();
    let paused = block_in_place(|| osc.until_paused("before-lock"));
    // Committed when nothing but the lock is left to do; what the stream is told of it comes after.
    run(&db.admin, "INSERT INTO other SELECT g, repeat('x', 100) FROM generate_series(1, 1500000) g").await;
    let began = Instant::now();
    paused.go();
    let report = block_in_place(|| osc.wait()).exited(0);
    let probes = prober.stop().await;
    let slowest = probes.slowest(began, Instant::now());
    let summary = report.event("summary");
    println!(
        "{kind:?}: {} attempts, the lock held for {} ms, the slowest statement {} ms, lag at most {} ms",
        summary["cutover_attempts"],
        summary["lock_held_ms"],
        slowest.as_millis(),
        summary["lag_max_ms"]
    );
    assert!(
        summary["lag_max_ms"].as_u64() > Some(300),
        "the stream was never behind: the test shows nothing: {summary}"
    );
    assert!(slowest < DRAIN + LOCK_WAIT + BUSY, "{slowest:?}");
    complete(&db, 17, probes.count()).await;
}

/// Rows that swap unique values all the time: the appliers never deadlock, for there is one.
async fn appliers_do_not_deadlock_on_swapped_values(kind: Kind) {
    let server = Server::own(kind, "trap-appliers", &[]);
    let db = on(&server, "trap_appliers").await;
    db.as_app(&[
        "ALTER TABLE orders ADD COLUMN code int UNIQUE DEFERRABLE INITIALLY DEFERRED",
        "UPDATE orders SET code = id",
    ])
    .await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v", "--threads", "4"]).postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    let app = db.app().await;
    // Half of all rows exchange their values with the other half, again and again, by one session: it can't deadlock itself.
    for _ in 0..20 {
        run(&app, &format!("UPDATE orders SET code = {ROWS} + 1 - code")).await;
        for n in 1..50 {
            run(&app, &format!("UPDATE orders SET code = {ROWS} + 1 - code WHERE code IN ({n}, {ROWS} + 1 - {n})"))
                .await;
        }
    }
    let mut osc = block_in_place(move || {
        osc.until("keys", |e| e["keys_synced"].as_u64() > Some(4000));
        osc
    });
    osc.go();
    osc.pass_over();
    block_in_place(|| osc.wait()).exited(0);
    assert_eq!(db.one::<u64>("SELECT count(DISTINCT code) FROM orders").await, ROWS);
    // Statistics of sessions that have ended are there.
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(db.one::<u64>(deadlocks).await, 0);
    let log = std::fs::read_to_string(server.value("LOG")).expect("the server has a log");
    assert!(!log.contains("deadlock detected"), "{log}");
}

on_both!(
    a_policy_hides_no_row_from_the_copy,
    a_standby_that_is_away_holds_no_reader_up,
    a_long_drain_keeps_nobody_waiting,
    appliers_do_not_deadlock_on_swapped_values
);
