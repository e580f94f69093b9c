//! A server that gives replication slots up (`max_slot_wal_keep_size`): the copy holds before it does, and goes on when the
//! danger is over; a slot that was lost ends the run. Both are said, and the application notices neither.
//!
//! On servers of their own, with little log for a slot.

use std::time::Duration;

use crate::harness::server::Server;
use crate::harness::{Database, Kind, Osc, Prober, Report, Running, blocking, get, on_both, run, wait_for};

const ROWS: u64 = 40_000;
const ADD: &str = "ADD COLUMN extra int NOT NULL DEFAULT 7";
/// What the server keeps for a slot. It counts in whole files of 16 MB, and one more.
const KEEP: &str = "max_slot_wal_keep_size=64MB";

/// How much log is left to osc's slot, in MB; none when the server has given it up.
async fn left(db: &Database) -> Option<i64> {
    let sql = "SELECT safe_wal_size / 1048576 FROM pg_replication_slots WHERE database = current_database()";
    get(&db.admin, sql).await.map(|text| text.parse().expect("a number"))
}

async fn status(db: &Database) -> String {
    db.one("SELECT wal_status FROM pg_replication_slots WHERE database = current_database()").await
}

/// Writes so many MB of log that no table has.
async fn log(db: &Database, mb: u32) {
    let sql = format!(
        "SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1048576))) FROM generate_series(1, {mb})"
    );
    run(&db.admin, &sql).await;
}

/// A run in the middle of its copy, held by the flag file, with keys that wait to be synced.
async fn in_the_copy(db: &Database) -> (Running, Prober) {
    db.as_app(&[
        "CREATE TABLE orders (id bigint PRIMARY KEY, version int NOT NULL DEFAULT 0)",
        &format!("INSERT INTO orders SELECT g FROM generate_series(1, {ROWS}) g"),
        "CREATE TABLE other (id int)",
    ])
    .await;
    let osc = Osc::alter(db, "orders", ADD).args(["-v", "--chunk-size", "50", "--threads", "1"]).throttled().start();
    let prober = Prober::start(db, 17).await;
    let osc = blocking(move || {
        let mut osc = osc;
        osc.until("the hold", |e| e["held"].is_string());
        osc.unthrottle();
        osc.until("rows in the shadow", |e| e["rows_copied"].as_u64() > Some(1000));
        std::fs::write(&osc.throttle, "").expect("the flag file is written");
        osc.until("the hold", |e| e["held"].as_str().is_some_and(|held| held.starts_with("throttle flag file")));
        osc
    })
    .await;
    (osc, prober)
}

/// A transaction of the application's on another table: the slot's log can't be freed until it ends.
async fn holds_the_log(db: &Database) -> tokio_postgres::Client {
    let app = db.app().await;
    run(&app, "BEGIN; INSERT INTO other VALUES (1)").await;
    run(&db.admin, "CHECKPOINT").await;
    app
}

async fn untouched(db: &Database, prober: Prober) {
    prober.more(20).await;
    let written = prober.stop().await.count();
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, ROWS);
    assert_eq!(db.one::<u64>("SELECT version FROM orders WHERE id = 17").await, written);
    assert_eq!(
        db.one::<u64>("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0").await,
        2
    );
}

async fn wait(osc: Running) -> Report {
    blocking(move || osc.wait()).await
}

/// The copy holds while little is left, the keys are synced all the same, for that alone frees the log; then it goes on.
async fn a_slot_in_danger_holds_the_copy(kind: Kind) {
    let server = Server::own(kind, "slot-danger", &["-c", KEEP]);
    let db = Database::create(&server, "slot_danger").await;
    let (osc, prober) = in_the_copy(&db).await;
    let holder = holds_the_log(&db).await;
    let before = left(&db).await.expect("the slot is alive");
    log(&db, 40).await;
    while left(&db).await > Some(12) {
        log(&db, 1).await;
    }
    println!("{kind:?}: {before} MB were left, then {:?} MB ({})", left(&db).await, status(&db).await);
    osc.unthrottle();
    let (osc, copied, synced) = blocking(move || {
        let mut osc = osc;
        let danger =
            |e: &serde_json::Value| e["held"].as_str().is_some_and(|held| held.starts_with("replication slot: "));
        let held = osc.until("the slot's hold", danger);
        println!("{}", held["held"]);
        std::thread::sleep(Duration::from_secs(2));
        osc.pass_over();
        let still = osc.until("the slot's hold", danger);
        let rows = |e: &serde_json::Value| e["rows_copied"].as_u64().expect("rows_copied");
        let keys = |e: &serde_json::Value| e["keys_synced"].as_u64().expect("keys_synced");
        let copied = rows(&still) - rows(&held);
        (osc, copied, keys(&still) - keys(&held))
    })
    .await;
    assert!(copied <= 50, "{copied} rows were copied while the slot was in danger");
    assert!(synced > 0, "no key was synced: the log would never be freed");
    run(&holder, "COMMIT").await;
    // Where a slot's log begins the server finds out when it next lists the running transactions.
    let moved = wait_for("the slot to move", async || {
        run(&db.admin, "CHECKPOINT").await;
        left(&db).await > Some(40)
    });
    moved.await;
    let report = wait(osc).await.exited(0);
    let probes = prober.stop().await;
    let summary = report.event("summary");
    assert!(summary["held_ms"]["replication slot"].as_u64() > Some(1000), "{summary}");
    assert!(report.says("about to give it up") && report.says("raise max_slot_wal_keep_size"), "{}", report.stderr);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders WHERE extra = 7").await, ROWS);
    assert_eq!(db.one::<u64>("SELECT version FROM orders WHERE id = 17").await, probes.count());
}

/// Lost while osc looks on, and while it stands still.
async fn a_slot_that_is_lost_ends_the_run(kind: Kind) {
    let server = Server::own(kind, "slot-lost", &["-c", KEEP]);
    for stopped in [false, true] {
        let db = Database::create(&server, &format!("slot_lost_{stopped}")).await;
        let (osc, prober) = in_the_copy(&db).await;
        let holder = holds_the_log(&db).await;
        if stopped {
            osc.signal("-STOP");
        }
        // Not by much of it: that would all be sent, and a process that stands still takes none.
        for _ in 0..8 {
            run(&db.admin, "SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal()").await;
        }
        run(&db.admin, "CHECKPOINT").await;
        wait_for("the server to give the slot up", async || status(&db).await == "lost").await;
        if stopped {
            osc.signal("-CONT");
        }
        let report = wait(osc).await.exited(1);
        println!(
            "{kind:?}, stopped {stopped}: {}",
            report.stderr.lines().filter(|l| l.contains("\"error\"")).collect::<String>()
        );
        run(&holder, "COMMIT").await;
        let what =
            "The server has given osc's replication slot up: it held more log than max_slot_wal_keep_size allows.";
        for part in [what, "The table was not swapped", "osc cleanup"] {
            assert!(report.says(part), "'{part}' is not said: {}", report.stderr);
        }
        prober.more(5).await;
        let alter = || Osc::alter(&db, "orders", ADD);
        let again = alter();
        let again = blocking(move || again.run()).await.exited(3);
        for part in ["was given up by the server", "The table is unchanged", "osc cleanup"] {
            assert!(again.says(part), "'{part}' is not said: {}", again.stderr);
        }
        let cleanup = Osc::new(&db, "cleanup").args(["--yes"]);
        blocking(move || cleanup.run()).await.exited(0);
        assert_eq!(db.leftovers().await, [""; 0]);
        untouched(&db, prober).await;
        let anew = alter();
        blocking(move || anew.run()).await.exited(0);
        assert_eq!(db.one::<u64>("SELECT count(*) FROM orders WHERE extra = 7").await, ROWS);
    }
}

/// From 18 on a slot that nobody reads for long is given up too: said when the run is to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_nobody_read_is_told_on_18() {
    let server = Server::own(Kind::Postgres, "slot-idle", &["-c", "idle_replication_slot_timeout=2s"]);
    let db = Database::with_orders(&server, "slot_idle").await;
    let osc = Osc::alter(&db, "orders", ADD).postponed().start();
    blocking(move || {
        let mut osc = osc;
        osc.until_phase("ready");
        osc.signal("-KILL");
        osc.wait()
    })
    .await;
    wait_for("the server to give the slot up", async || {
        run(&db.admin, "CHECKPOINT").await;
        status(&db).await == "lost"
    })
    .await;
    let again = Osc::alter(&db, "orders", ADD);
    let again = blocking(move || again.run()).await.exited(3);
    assert!(again.says("nobody read it for as long as idle_replication_slot_timeout allows"), "{}", again.stderr);
}

on_both!(a_slot_in_danger_holds_the_copy, a_slot_that_is_lost_ends_the_run);
