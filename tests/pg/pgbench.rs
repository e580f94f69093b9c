//! PostgreSQL's own application, pgbench with its TPC-B script, while osc widens two columns of its largest table:
//! no transaction fails, and the balances agree across accounts, tellers, branches and history.
//!
//! `abalance` is selected, so its prepared statements fail when its type changes, under a native ALTER too
//! ("cached plan must not change result type"): there the simple and the extended protocol alone.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::server::project;
use crate::harness::{Database, Kind, Osc, Server, blocking, get, on_both};

const SCALE: &str = "2";
/// Transactions a second: what leaves the machine some air.
const RATE: &str = "300";
/// From the first strong lock of the swap to its commit.
const MOST_HELD_MS: f64 = 150.0;

fn pgbench(db: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(project().join("scripts/db"));
    command.args(["run", &db.server.name, "pgbench"]).args(arguments).arg(db.app_url());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(db: &Database, protocol: &str) -> Child {
    let fixed = ["--no-vacuum", "--client=8", "--jobs=2", "--time=300", "--rate", RATE, "--protocol", protocol];
    pgbench(db, &fixed).spawn().expect("pgbench starts")
}

/// Ends it as its own time limit would: each client finishes its transaction.
fn stop(bench: Child) -> String {
    let status = Command::new("kill").args(["-ALRM", &bench.id().to_string()]).status().expect("kill runs");
    assert!(status.success(), "pgbench has ended before its time");
    let output = bench.wait_with_output().expect("pgbench ends");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    assert!(output.status.success(), "pgbench failed: {said}");
    said
}

/// Transactions that the history has.
async fn done(db: &Database) -> u64 {
    db.one("SELECT count(*) FROM pgbench_history").await
}

async fn more(db: &Database, transactions: u64) {
    let wanted = done(db).await + transactions;
    let end = Instant::now() + Duration::from_secs(60);
    while done(db).await < wanted {
        assert!(Instant::now() < end, "pgbench does nothing any more");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn widened(db: &Database, column: &str, protocol: &str) {
    // Anew each time: what was widened by the last one can't be widened again.
    let output = pgbench(db, &["--initialize", "--quiet", "--scale", SCALE]).output().expect("pgbench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bench = start(db, protocol);
    more(db, 300).await;
    let osc = Osc::alter(db, "public.pgbench_accounts", &format!("ALTER COLUMN {column} TYPE bigint"));
    let report = blocking(move || osc.run()).await;
    let report = if report.exit == 0 { report } else { panic!("{column} {protocol}: {}", report.stderr) };
    let swapped = done(db).await;
    more(db, 300).await;
    let said = stop(bench);
    assert!(said.contains("number of failed transactions: 0 "), "{said}");
    let kind = format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
         WHERE attrelid = 'public.pgbench_accounts'::regclass AND attname = '{column}'"
    );
    assert_eq!(get(&db.admin, &kind).await.as_deref(), Some("bigint"));
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), \
                (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)";
    let sums = db.rows(sums).await.remove(0);
    assert!(sums.iter().all(|sum| sum.is_some() && *sum == sums[0]), "the balances disagree: {sums:?}");
    let per_row = "SELECT count(*) FROM (SELECT aid, sum(delta) AS sum FROM pgbench_history GROUP BY aid) h \
                   FULL JOIN pgbench_accounts a USING (aid) WHERE a.aid IS NULL OR coalesce(h.sum, 0) <> a.abalance";
    assert_eq!(db.one::<u64>(per_row).await, 0, "accounts that are not what their history says");
    let summary = report.event("summary");
    assert!(summary["keys_synced"].as_u64() > Some(0), "no change came by the stream: {summary}");
    let held = summary["lock_held_ms"].as_f64().expect("the lock was held");
    let commit = summary["commits"]["p95_ms"].as_f64().expect("there were commits");
    let average = said.lines().find(|line| line.starts_with("latency average")).unwrap_or_default();
    println!(
        "{:?} {column} {protocol}: {} transactions, {swapped} before the swap's end, lock held {held:.1} ms, \
         commits {commit:.1} ms (95 %), {} attempts; {average}",
        db.server.kind,
        done(db).await,
        summary["cutover_attempts"]
    );
    assert!(held < MOST_HELD_MS, "{column} {protocol}: the swap held its locks for {held} ms");
    // The next one is a run of its own.
    let cleanup = Osc::new(db, "cleanup").args(["--yes", "--old"]);
    blocking(move || cleanup.run()).await.exited(0);
    assert_eq!(db.leftovers().await, [""; 0]);
}

async fn pgbench_goes_on_while_its_columns_are_widened(kind: Kind) {
    let server = Server::own(kind, "pgbench", &[]);
    let db = Database::create(&server, "pgbench").await;
    for (column, protocol) in
        [("aid", "simple"), ("aid", "extended"), ("aid", "prepared"), ("abalance", "simple"), ("abalance", "extended")]
    {
        widened(&db, column, protocol).await;
    }
}

on_both!(pgbench_goes_on_while_its_columns_are_widened);
