//! Changes that are in the binlog before anybody can read them: commits that wait for a replica that isn't
//! there, and XA transactions between their PREPARE and their COMMIT.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use osc_traffic::{Config, Handle, Ledger, Traffic};
use tokio::task::block_in_place;

use crate::cutover::{ADD, has_extra, more_rows, shop, until, writers};
use crate::harness::{Database, Kind, Osc, OwnServer, Prober, Server};

/// How long semi-sync waits for a replica before it turns itself off.
const STALL: Duration = Duration::from_secs(2);

/// The names of semi-sync on this server: variables, and status.
fn semi_sync(kind: Kind) -> &'static str {
    if kind.is_mariadb() { "rpl_semi_sync_master" } else { "rpl_semi_sync_source" }
}

fn server(kind: Kind, name: &str) -> OwnServer {
    let options: &[&str] = if kind.is_mariadb() {
        &["--rpl-semi-sync-master-timeout=2000", "--rpl-semi-sync-master-wait-point=AFTER_SYNC"]
    } else {
        &[
            "--plugin-load-add=semisync_source.so",
            "--rpl-semi-sync-source-timeout=2000",
            "--rpl-semi-sync-source-wait-point=AFTER_SYNC",
        ]
    };
    Server::own(kind, name, options)
}

/// How often semi-sync has turned itself off, which it does after each stall.
async fn stalls(db: &mut Database) -> u64 {
    let sql = format!("SHOW GLOBAL STATUS LIKE '{}_no_times'", semi_sync(db.server.kind));
    let (_, times): (String, u64) = db.one(&sql).await;
    times
}

/// The next commit waits for two seconds in the binlog, and all others behind it. Returns how often
/// semi-sync has turned itself off so far: MySQL counts SET … = OFF too.
async fn arm(db: &mut Database) -> u64 {
    let name = semi_sync(db.server.kind);
    db.run(&[&format!("SET GLOBAL {name}_enabled = OFF")]).await;
    let before = stalls(db).await;
    db.run(&[&format!("SET GLOBAL {name}_enabled = ON")]).await;
    before
}

/// One stall, from its arming to its end, as the traffic's clock has it.
async fn stall(db: &mut Database, traffic: &Handle) -> (Duration, Duration) {
    let from = traffic.elapsed();
    let before = arm(db).await;
    until("the stall ends", async || stalls(db).await > before).await;
    (from, traffic.elapsed() + Duration::from_millis(100))
}

/// The stall was felt: some statement of these times took most of it.
fn felt(ledger: &Ledger, what: &str, (from, to): (Duration, Duration)) -> f64 {
    let worst = ledger.window(what, from, to).from_send.max_ms;
    assert!(worst >= 1000.0, "no statement waited in the stall of the {what}: {worst} ms at most");
    worst
}

async fn stalled(kind: Kind) {
    let server = server(kind, "stall");
    let mut db = shop(&server, "stall", 6000).await;
    let traffic = writers(&db).await;
    more_rows(&traffic, 100).await;

    // A chunk stands before its commit, and goes on within the stall.
    let osc = Osc::alter(&db, "orders", ADD).args(["--chunk-size", "100"]).postponed().pause_at("chunk-synced");
    let mut running = osc.start();
    let paused = block_in_place(|| running.until_paused("chunk-synced"));
    let from = traffic.elapsed();
    let before = arm(&mut db).await;
    until("the stall begins", async || waiting(&mut db).await > 0).await;
    paused.go();
    until("the stall ends", async || stalls(&mut db).await > before).await;
    let copy = (from, traffic.elapsed() + Duration::from_millis(100));
    // Changes go on being applied after it, and through the next.
    block_in_place(|| running.until_phase("ready"));
    let apply = stall(&mut db, &traffic).await;
    more_rows(&traffic, 100).await;

    // The lock is asked for while commits wait…
    let from = traffic.elapsed();
    let before = arm(&mut db).await;
    until("the stall begins", async || waiting(&mut db).await > 0).await;
    running.go();
    until("the stall ends", async || stalls(&mut db).await > before).await;
    let cutover = (from, traffic.elapsed() + Duration::from_millis(100));
    let report = block_in_place(|| running.wait()).exited(0);
    traffic.stamp("swapped");
    let ledger = clean(&mut db, traffic).await;
    let summary = report.event("summary");
    assert!(summary["changes_seen"].as_u64() > Some(0), "{summary}");
    println!(
        "{} stalls: slowest statement in the copy's {:.0} ms, in the apply's {:.0} ms, in the cutover's {:.0} ms; {} attempts, \
         lock held {} ms, {} changes met a range being copied",
        kind.name(),
        felt(&ledger, "copy", copy),
        felt(&ledger, "apply", apply),
        felt(&ledger, "cutover", cutover),
        summary["cutover_attempts"],
        summary["lock_held_ms"],
        summary["changes_overlapping"]
    );
}

/// A stall that begins under the lock: at the drain's mark, and at the swap itself.
async fn stalled_under_the_lock(kind: Kind) {
    let server = server(kind, "stall-lock");
    for place in ["lock-granted", "synced"] {
        let mut db = shop(&server, "stall_lock", 2000).await;
        let traffic = writers(&db).await;
        more_rows(&traffic, 50).await;
        let mut running = Osc::alter(&db, "orders", ADD).pause_at(place).start();
        let paused = block_in_place(|| running.until_paused(place));
        let began = Instant::now();
        let before = arm(&mut db).await;
        paused.go();
        until("the stall ends", async || stalls(&mut db).await > before).await;
        let took = began.elapsed();
        assert!(took >= STALL.mul_f64(0.9), "{place}: a commit waited: {took:?}");
        let report = block_in_place(|| running.wait()).exited(0);
        traffic.stamp("swapped");
        clean(&mut db, traffic).await;
        let summary = report.event("summary");
        println!(
            "{} stall at {place}: {took:?}, {} attempts, lock held {} ms",
            kind.name(),
            summary["cutover_attempts"],
            summary["lock_held_ms"]
        );
    }
}

/// Sessions whose commit waits for a replica now.
async fn waiting(db: &mut Database) -> u64 {
    let (_, count): (String, u64) =
        db.one(&format!("SHOW GLOBAL STATUS LIKE '{}_wait_sessions'", semi_sync(db.server.kind))).await;
    count
}

async fn clean(db: &mut Database, traffic: Handle) -> Ledger {
    more_rows(&traffic, 50).await;
    let ledger = traffic.stop().await;
    let old = ledger.verify_old(&db.app_url(), "orders_osc_old", "swapped").await.expect("the old table is read");
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read").with_old(old);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(has_extra(db).await, Some(true));
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
    ledger
}

/// Prepares an XA transaction that sets the version of one row, and leaves it.
async fn prepare(db: &Database, xid: &str, key: u64, version: u64) {
    let mut app = db.app().await;
    for sql in [
        format!("XA START '{xid}'"),
        format!("UPDATE orders SET version = {version} WHERE id = {key}"),
        format!("XA END '{xid}'"),
        format!("XA PREPARE '{xid}'"),
    ] {
        app.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    app.disconnect().await.expect("a goodbye");
}

async fn end(db: &Database, how: &str, xid: &str) {
    let sql = format!("XA {how} '{xid}'");
    db.app().await.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// XA transactions of a ledger, prepared for longer than several marks, ended by other connections.
async fn xa_traffic(kind: Kind) {
    let server = Server::own(kind, "xa-traffic", &[]);
    let mut db = shop(&server, "xa_traffic", 4000).await;
    let config = Config {
        writers: 16,
        rate_per_s: 300.0,
        xa: true,
        xa_hold: Duration::from_millis(300),
        ..Config::new(db.app_url())
    };
    let traffic = Traffic::start(config).await.expect("the traffic starts");
    more_rows(&traffic, 50).await;
    let osc = Osc::alter(&db, "orders", ADD).args(["--chunk-size", "100"]).postponed();
    let mut running = osc.start();
    block_in_place(|| running.until_phase("ready"));
    more_rows(&traffic, 300).await;
    running.go();
    let report = block_in_place(|| running.wait()).exited(0);
    traffic.stamp("swapped");
    let ledger = clean(&mut db, traffic).await;
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read");
    let xa: u64 = verdict.acknowledged.iter().filter(|(k, _)| format!("{k:?}").starts_with("Xa")).map(|(_, n)| n).sum();
    assert!(xa > 10, "{:?}", verdict.acknowledged);
    println!("{} XA traffic: {xa} XA statements; {}", kind.name(), report.event("summary")["cutover_attempts"]);
}

/// Rows of XA transactions that are prepared before the run begins, over its marks, and across the lock.
async fn xa_across(kind: Kind) {
    let server = Server::own(kind, "xa-across", &[]);
    let mut db = shop(&server, "xa_across", 1000).await;
    let prober = Prober::start(&db, 1500).await;
    // Before the start, and it stays: refused, with its name.
    prepare(&db, "early", 1003, 71).await;
    let osc = Osc::alter(&db, "orders", ADD);
    let report = block_in_place(|| osc.run()).exited(3);
    assert!(report.says("'early'"), "{}", report.stderr);
    assert_eq!(db.tables().await, ["orders"]);
    // Before the start, and it ends in time: waited for.
    let mut running = Osc::alter(&db, "orders", ADD).postponed().pause_at("before-lock").start();
    prober.more(100).await;
    end(&db, "COMMIT", "early").await;
    block_in_place(|| running.until_phase("ready"));
    // Over some marks.
    for (xid, key) in [("mark-1", 1004), ("mark-2", 1005), ("back", 1006)] {
        prepare(&db, xid, key, 72).await;
    }
    prober.more(200).await;
    end(&db, "COMMIT", "mark-1").await;
    end(&db, "ROLLBACK", "back").await;
    // Across the lock: it's asked for while two are prepared.
    running.go();
    let paused = block_in_place(|| running.until_paused("before-lock"));
    prepare(&db, "lock", 1007, 73).await;
    paused.go();
    block_in_place(|| running.until("a second attempt", |e| e["cutover_attempts"].as_u64() >= Some(2)));
    assert_eq!(has_extra(&mut db).await, Some(false), "not swapped over a prepared transaction");
    end(&db, "COMMIT", "mark-2").await;
    end(&db, "COMMIT", "lock").await;
    let report = block_in_place(|| running.wait()).exited(0);
    prober.more(50).await;
    let probes = prober.stop().await;
    let found: Vec<(u64, u64)> = db
        .admin
        .query("SELECT id, version FROM orders WHERE id BETWEEN 1003 AND 1007 ORDER BY id")
        .await
        .expect("the rows");
    assert_eq!(found, [(1003, 71), (1004, 72), (1005, 72), (1006, 1), (1007, 73)]);
    let counted: u64 = db.one("SELECT version FROM orders WHERE id = 1500").await;
    assert_eq!(counted, 1 + probes.count(), "every acknowledged write is there");
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
    println!("{} XA across the lock: {} attempts", kind.name(), report.event("summary")["cutover_attempts"]);
}

macro_rules! on_both {
    ($($mysql:ident, $mariadb:ident: $test:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
        async fn $mysql() {
            $test(Kind::MySql).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
        async fn $mariadb() {
            $test(Kind::MariaDb).await;
        }
    )*};
}

on_both! {
    commits_that_wait_for_a_replica_lose_nothing_on_mysql, commits_that_wait_for_a_replica_lose_nothing_on_mariadb: stalled;
    commits_that_wait_under_the_lock_lose_nothing_on_mysql, commits_that_wait_under_the_lock_lose_nothing_on_mariadb:
        stalled_under_the_lock;
    xa_traffic_loses_nothing_on_mysql, xa_traffic_loses_nothing_on_mariadb: xa_traffic;
    xa_transactions_across_marks_and_the_lock_on_mysql, xa_transactions_across_marks_and_the_lock_on_mariadb: xa_across;
}
