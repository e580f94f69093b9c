//! A vacuum is at work on the table: an ordinary one gives way, at the start of a run too; one that prevents wraparound does
//! not, is named, and is waited for, without the application.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::cutover::{ADD, BUSY, has_extra};
use crate::harness::server::OwnServer;
use crate::harness::{Database, Kind, Osc, Prober, Server, get, on_both, run, wait_for};

const ROWS: u64 = 8000;
/// The least that the lock is waited for by default.
const LOCK_WAIT: Duration = Duration::from_millis(200);

/// A server on which a vacuum of the table, once it has begun, takes ten seconds and more.
fn server(kind: Kind, name: &str) -> OwnServer {
    Server::own(kind, name, &["-c", "autovacuum_naptime=1s"])
}

/// A name after which what is told of a vacuum is easily cut.
const LONG: &str = "orders_of_all_the_customers_in_all_the_shops_since_the_begin";

/// Tables on which nothing but a need to prevent wraparound begins a vacuum before it is allowed.
async fn shop(server: &Server, name: &str) -> Database {
    let db = Database::create(server, name).await;
    for table in ["orders", LONG] {
        db.as_app(&[
            &format!(
                "CREATE TABLE {table} (id bigint PRIMARY KEY, version int NOT NULL DEFAULT 0) WITH (autovacuum_enabled = off, \
                   autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_freeze_max_age = 100000, \
                   autovacuum_analyze_threshold = 1000000)"
            ),
            &format!("INSERT INTO {table} SELECT g FROM generate_series(1, {ROWS}) g"),
        ])
        .await;
    }
    db
}

/// What the vacuum of a table says of itself; none while there is none.
async fn vacuum(db: &Database, table: &str) -> Option<String> {
    let sql = "SELECT query FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'";
    get(&db.admin, &format!("{sql} AND query ~ 'public\\.{table}\\M'")).await
}

/// Uses up so many numbers of transactions.
async fn burn(db: &Database, transactions: u32) {
    run(&db.admin, "SET synchronous_commit = off").await;
    let each = "PERFORM pg_current_xact_id(); COMMIT";
    run(&db.admin, &format!("DO $$ BEGIN FOR n IN 1..{transactions} LOOP {each}; END LOOP; END $$")).await;
}

async fn one_that_prevents_wraparound_is_named_and_waited_for(kind: Kind) {
    let server = server(kind, "vacuum-wraparound");
    let db = shop(&server, "vacuum_wraparound").await;
    // The new table is younger: none of the vacuums is of it.
    burn(&db, 95_000).await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v"]).postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    let prober = Prober::start(&db, 17).await;
    burn(&db, 6_000).await;
    wait_for("the vacuums", async || vacuum(&db, "orders").await.is_some() && vacuum(&db, LONG).await.is_some()).await;
    let began = Instant::now();
    let report = block_in_place(|| Osc::alter(&db, LONG, ADD).run()).exited(3);
    for part in [&format!("public.{LONG} (to prevent wraparound)"), "does not give way", "The table is unchanged."] {
        assert!(report.says(part), "'{part}' is not said: {}", report.stderr);
    }
    osc.go();
    block_in_place(|| osc.until("attempts", |e| e["cutover_attempts"].as_u64() >= Some(2)));
    assert!(vacuum(&db, "orders").await.is_some() && !has_extra(&db).await, "swapped, or the vacuum was over too soon");
    wait_for("the end of the vacuum", async || vacuum(&db, "orders").await.is_none()).await;
    let vacuumed = began.elapsed();
    let report = block_in_place(|| osc.wait()).exited(0);
    let probes = prober.stop().await;
    let slowest = probes.slowest(began, Instant::now());
    println!(
        "{kind:?}: the vacuum ended after {vacuumed:?}, the slowest statement waited for {} ms",
        slowest.as_millis()
    );
    assert!(report.says("A vacuum that prevents wraparound does not give way"), "{}", report.stderr);
    assert!(report.says(" public.orders (to prevent wraparound)"), "{}", report.stderr);
    assert!(slowest < LOCK_WAIT + BUSY, "{slowest:?}");
    assert!(has_extra(&db).await);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, ROWS);
    assert_eq!(db.one::<u64>("SELECT version FROM orders WHERE id = 17").await, probes.count());
    let log = std::fs::read_to_string(server.value("LOG")).expect("the server has a log");
    let mut lines = log.lines();
    while lines.any(|line| line.contains("canceling autovacuum task")) {
        let table = lines.next().unwrap_or_default();
        assert!(!table.contains("public.orders\""), "it gave way after all: {table}");
    }
}

/// The publication's lock is the same weak one.
async fn an_ordinary_one_gives_way_to_the_start(kind: Kind) {
    let server = server(kind, "vacuum-start");
    let db = shop(&server, "vacuum_start").await;
    run(&db.admin, "UPDATE orders SET version = 0; ALTER TABLE orders SET (autovacuum_enabled = on)").await;
    wait_for("the vacuum", async || vacuum(&db, "orders").await.is_some()).await;
    let began = Instant::now();
    let report = block_in_place(|| Osc::alter(&db, "orders", ADD).args(["-v"]).run());
    println!("{kind:?}: exit {} after {:?}", report.exit, began.elapsed());
    report.exited(0);
    assert!(has_extra(&db).await);
    let log = std::fs::read_to_string(server.value("LOG")).expect("the server has a log");
    assert!(log.contains("canceling autovacuum task"), "no vacuum had to give way: the test shows nothing");
}

/// The new table has just been filled, which is what an autovacuum waits for. It gives way before the application has to wait.
async fn one_of_the_new_table_gives_way(kind: Kind) {
    let server = server(kind, "vacuum-new");
    let db = shop(&server, "vacuum_new").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["-v"]).postponed().pause_at("before-lock").start();
    block_in_place(|| osc.until_phase("ready"));
    let prober = Prober::start(&db, 17).await;
    osc.go();
    let paused = block_in_place(|| osc.until_paused("before-lock"));
    let new: String =
        db.one("SELECT n.oid::regnamespace || '.orders' FROM pg_namespace n WHERE n.nspname ~ '^osc_.*_new$'").await;
    run(&db.admin, &format!("UPDATE {new} SET version = version; ALTER TABLE {new} SET (autovacuum_enabled = on)"))
        .await;
    let works =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query ~ '_new.orders'";
    wait_for("an autovacuum of the new table", async || db.one::<u32>(works).await > 0).await;
    let began = Instant::now();
    paused.go();
    let report = block_in_place(|| osc.wait()).exited(0);
    let probes = prober.stop().await;
    let slowest = probes.slowest(began, Instant::now());
    println!("{kind:?}: {} ms, the slowest statement {} ms", began.elapsed().as_millis(), slowest.as_millis());
    assert_eq!(report.event("summary")["cutover_attempts"], 1, "{}", report.stderr);
    assert!(slowest < LOCK_WAIT + BUSY, "{slowest:?}");
    assert_eq!(db.one::<u64>("SELECT version FROM orders WHERE id = 17").await, probes.count());
    let log = std::fs::read_to_string(server.value("LOG")).expect("the server has a log");
    assert!(log.contains("_new.orders\""), "no vacuum of the new table had to give way: the test shows nothing");
}

on_both!(
    one_that_prevents_wraparound_is_named_and_waited_for,
    an_ordinary_one_gives_way_to_the_start,
    one_of_the_new_table_gives_way
);
