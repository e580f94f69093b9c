//! A life that ends in the middle, and the next one: kill -9 of osc and of the server, the binary log
//! purged meanwhile, another ALTER, and `osc cleanup`.

mod again;
mod failover;
mod taken_back;

use mysql_async::prelude::Queryable;

use crate::harness::server::db as scripts_db;
use crate::harness::stage::{osc_connections, updates_only};
use crate::harness::{Database, Kind, Osc, Report, Running, Server, Stage, on_both, wait_for};

on_both!(
    a_killed_run_goes_on_where_it_was,
    killed_again_and_again,
    a_purged_binlog_is_told,
    the_server_dies,
    cleanup_removes_what_the_dead_left
);

const ALTER: &str = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3, MODIFY note VARCHAR(300)";
const CHUNK: u64 = 50;

fn alter(db: &Database) -> Osc {
    Osc::alter(db, "orders", ALTER).args(["--chunk-size", "50", "--threads", "2"])
}

async fn count(db: &mut Database, table: &str) -> u64 {
    db.one(&format!("SELECT COUNT(*) FROM {table}")).await
}

/// Waits until so many rows are in the shadow.
async fn copied(db: &mut Database, rows: u64) {
    wait_for("rows in the shadow", async || {
        db.admin.query_first("SELECT COUNT(*) FROM orders_osc_new").await.ok().flatten() >= Some(rows)
    })
    .await;
}

/// kill -9, and until the server has noticed.
async fn kill(db: &mut Database, run: Running) -> Report {
    run.signal("-KILL");
    let report = run.wait();
    assert_eq!(report.exit, -1, "the run ended before it was killed: {}", report.stderr);
    wait_for("the end of its connections", async || osc_connections(db).await.is_empty()).await;
    report
}

/// kill -9 in the middle of the copy: no more than one chunk a worker is copied twice.
async fn a_killed_run_goes_on_where_it_was(kind: Kind) {
    for threads in [1, 2, 4] {
        killed_at_half(kind, threads).await;
    }
}

async fn killed_at_half(kind: Kind, threads: u64) {
    const ROWS: u64 = 12_000;
    let server = Server::shared(kind);
    // The number of rows stays, so that they can be counted.
    let mut stage = Stage::with(&server, "resume_kill", ROWS, |config| config.mix = updates_only()).await;
    let db = &mut stage.db;
    let words = threads.to_string();
    let alter = |db: &Database| Osc::alter(db, "orders", ALTER).args(["--chunk-size", "50", "--threads", &words]);
    let run = alter(db).start();
    copied(db, ROWS / 2).await;
    kill(db, run).await;
    // What was committed, by the server's own count.
    let durable = count(db, "orders_osc_new").await;
    assert!((ROWS / 2..ROWS - 1000).contains(&durable), "{durable} rows were copied: the kill came too late");

    let tables = db.tables().await;
    let other = Osc::alter(db, "orders", "ADD COLUMN another INT").run().exited(3);
    assert!(other.says("ADD COLUMN priority") && other.says("osc cleanup"), "{}", other.stderr);
    assert_eq!(db.tables().await, tables);

    let report = alter(&stage.db).run();
    let (_, summary) = stage.clean(report).await;
    assert_eq!((&summary["resumed"], summary["rows_copied"].as_u64()), (&true.into(), Some(ROWS)), "{summary}");
    let now = summary["rows_copied_now"].as_u64().expect("rows_copied_now");
    let twice = (now + durable).checked_sub(ROWS).expect("all rows were copied");
    println!("{}, {threads} threads: {durable} of {ROWS} rows were there, {twice} were copied twice", kind.name());
    assert!(twice <= threads * CHUNK, "{now} after {durable} of {ROWS}");
}

async fn killed_again_and_again(kind: Kind) {
    const ROWS: u64 = 6000;
    let mut stage = Stage::new(&Server::shared(kind), "resume_again", ROWS).await;
    // In the copy, and when it's done.
    for part in [1, 3, 5] {
        let run = alter(&stage.db).postponed().start();
        copied(&mut stage.db, ROWS / 8 * part).await;
        kill(&mut stage.db, run).await;
        stage.work(20).await;
    }
    let mut run = alter(&stage.db).postponed().start();
    run.until_phase("ready");
    kill(&mut stage.db, run).await;
    stage.work(50).await;
    let report = alter(&stage.db).run();
    let (_, summary) = stage.clean(report).await;
    assert_eq!(summary["resumed"], true);
    assert!(summary["rows_copied_now"].as_u64() < Some(500), "what was copied was copied again: {summary}");
}

async fn a_purged_binlog_is_told(kind: Kind) {
    let server = Server::own(kind, "resume-purge", &[]);
    let mut stage = Stage::new(&server, "resume_purge", 4000).await;
    let mut run = alter(&stage.db).throttled().start();
    run.until("a hold", |e| e["held"].is_string());
    run.unthrottle();
    copied(&mut stage.db, 1000).await;
    kill(&mut stage.db, run).await;
    stage.work(20).await;
    stage.db.run(&["FLUSH BINARY LOGS"]).await;
    let newest: String = stage.db.rows("SHOW BINARY LOGS").await.pop().expect("a log").get(0).expect("its name");
    stage.work(20).await;
    stage.db.run(&[&format!("PURGE BINARY LOGS TO '{newest}'")]).await;
    assert_eq!(stage.db.rows("SHOW BINARY LOGS").await.len(), 1);

    let report = alter(&stage.db).run().exited(1);
    assert!(report.says("no longer has the binlog from where osc has to go on"), "{}", report.stderr);
    assert!(report.says("binlog_expire_logs_seconds"), "{}", report.stderr);
    Osc::new(&stage.db, "cleanup").args(["--yes"]).run().exited(0);
    let report = alter(&stage.db).run();
    let (_, summary) = stage.clean(report).await;
    assert_eq!(summary["resumed"], false);
}

async fn the_server_dies(kind: Kind) {
    const ROWS: u64 = 6000;
    let server = Server::own(kind, "resume-crash", &[]);
    let mut stage = Stage::new(&server, "resume_crash", ROWS).await;
    let run = alter(&stage.db).start();
    copied(&mut stage.db, ROWS / 3).await;
    scripts_db(&["stop", &server.name, "--kill"]);
    scripts_db(&["restart", &server.name]);
    stage.db.admin = server.admin().await;
    stage.db.run(&["USE resume_crash"]).await;
    let mut report = run.wait();
    println!("{}: osc ended with {} after the server's crash", kind.name(), report.exit);
    if report.exit == 5 {
        assert!(report.says("run the same command"), "{}", report.stderr);
        report = alter(&stage.db).run();
    }
    let report = report.exited(0);
    assert_eq!(report.event("summary")["outcome"], "swapped");
    stage.traffic.stamp("swapped");
    stage.work(50).await;
    let ledger = stage.traffic.stop().await;
    let verdict = ledger.verify(&stage.db.app_url(), "orders").await.expect("the table is read");
    // The application's connections broke, of course; what it was told was done is there.
    assert!(verdict.is_lossless() && verdict.connections_lost > 0, "{verdict}");
    assert_eq!(stage.db.tables().await, ["orders", "orders_osc_old"]);
}

async fn cleanup_removes_what_the_dead_left(kind: Kind) {
    let mut db = Database::create(&Server::shared(kind), "resume_cleanup").await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(40))",
        "INSERT INTO orders VALUES (1, 'a'), (2, 'b')",
    ])
    .await;
    // An old table of a run that ended well, under another name: `orders` itself has a dead run.
    db.run(&["CREATE TABLE done LIKE orders"]).await;
    Osc::alter(&db, "done", "ADD COLUMN x INT").run().exited(0);
    let clean = db.tables().await;
    assert_eq!(clean, ["done", "done_osc_old", "orders"]);
    let mut run = alter(&db).postponed().start();
    run.until_phase("ready");
    let live = db.tables().await;
    let cleanup = |arguments: &[&str]| Osc::new(&db, "cleanup").args(arguments.iter().copied()).run().exited(0);
    let report = cleanup(&["--yes"]);
    assert!(report.says("a run is at work on its table"), "{:?}", report.events);
    let dry = cleanup(&["--dry-run", "--old"]);
    assert!(dry.says("would remove") && dry.says("done_osc_old"), "{:?}", dry.events);
    assert_eq!(db.tables().await, live);
    kill(&mut db, run).await;
    let cleanup = |db: &Database, arguments: &[&str]| {
        Osc::new(db, "cleanup").args(arguments.iter().copied()).run().exited(0);
    };
    assert_eq!(db.tables().await, live, "a dead run's tables stay until they are removed");
    cleanup(&db, &["--dry-run"]);
    assert_eq!(db.tables().await, live);
    cleanup(&db, &["--yes"]);
    assert_eq!(db.tables().await, clean);
    cleanup(&db, &["--yes", "--old"]);
    assert_eq!(db.tables().await, ["done", "orders"]);
    alter(&db).run().exited(0);
}
