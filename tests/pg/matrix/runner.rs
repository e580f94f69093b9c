//! Runs cases side by side and tells of all that failed.

use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{Case, End};
use super::traffic::{Traffic, fill};
use crate::harness::twin::{assert_twin, definition, records};
use crate::harness::{Database, Osc, Report, Running, Server, blocking, get};

/// Runs at a time: each has some connections of the traffic's and osc's own, and a replication slot.
const SIDE_BY_SIDE: usize = 5;
/// Changes that the traffic makes after everything was copied, before it stops.
const AFTER_COPY: u32 = 30;

/// Runs the cases, all of them, in a database of their own.
pub async fn run(server: &Server, file: &str, tables: &[&'static [Case]]) {
    let only = std::env::var("OSC_MATRIX").unwrap_or_default();
    let cases = tables.iter().flat_map(|cases| cases.iter());
    let cases: Vec<&'static Case> =
        cases.filter(|case| only.is_empty() || only.split(',').any(|o| case.name == o)).collect();
    let database = Database::create(server, &format!("matrix_{file}")).await;
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut runs = JoinSet::new();
    for case in &cases {
        let (case, places, db) = (*case, places.clone(), database.again().await);
        runs.spawn(async move {
            let _place = places.acquire_owned().await.expect("never closed");
            let began = std::time::Instant::now();
            let outcome = std::panic::AssertUnwindSafe(one(db, case)).catch_unwind().await;
            println!(
                "{:>6} ms  {} {}",
                began.elapsed().as_millis(),
                case.name,
                if outcome.is_ok() { "" } else { "FAILED" }
            );
            (case.name, outcome.map_err(said))
        });
    }
    let (mut failed, mut overlapping, mut swapped) = (Vec::new(), 0, 0);
    while let Some(run) = runs.join_next().await {
        match run.expect("a case is caught when it panics") {
            (_, Ok(Some(summary))) => {
                swapped += 1;
                overlapping += summary["changes_overlapping"].as_u64().unwrap_or(0);
            }
            (_, Ok(None)) => {}
            (name, Err(why)) => failed.push(format!("--- {name}\n{why}")),
        }
    }
    let left: Vec<String> = database.leftovers().await.into_iter().filter(|l| !l.ends_with("_old")).collect();
    let count = failed.len();
    let kind = server.kind;
    assert!(failed.is_empty(), "{count} of {} cases failed on {kind:?}:\n{}", cases.len(), failed.join("\n\n"));
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(!only.is_empty() || swapped == 0 || overlapping > 0, "in no run did a change meet the copy of its rows");
}

fn said(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// One case. Returns the summary of a run that swapped.
async fn one(db: Database, case: &'static Case) -> Option<Value> {
    db.as_app(case.types).await;
    db.as_app(&[&case.create()]).await;
    fill(&db, case).await;
    say(&db, case, case.setup).await;
    match case.end {
        End::Twin => Some(twin(&db, case).await),
        End::Refused(parts) => {
            refused(&db, case, parts).await;
            None
        }
        End::Failed(parts) => {
            failed(&db, case, parts).await;
            None
        }
    }
}

async fn say(db: &Database, case: &Case, statements: &[&str]) {
    for statement in statements {
        db.as_app(&[&statement.replace("{t}", &case.quoted())]).await;
    }
}

fn alter(db: &Database, case: &Case) -> Osc {
    Osc::alter(db, &format!("public.{}", case.name), case.alter)
}

/// Starts osc, held, and returns when changes came by the stream.
async fn held(db: &Database, case: &Case, traffic: &Traffic) -> Running {
    let osc = alter(db, case).args(["--chunk-size", "10", "--threads", "1"]);
    let running = osc.throttled().postponed().start();
    until(running, traffic, |running| {
        running.until("changes by the stream", |e| e["event"] == "progress" && e["changes_seen"].as_u64() > Some(0));
    })
    .await
}

async fn ready(running: Running, traffic: &Traffic) -> Running {
    let ready = |running: &mut Running| {
        running.until_phase("ready");
    };
    until(running, traffic, ready).await
}

/// Waits for what osc says, as long as the traffic has no trouble.
async fn until(mut running: Running, traffic: &Traffic, wait: impl FnOnce(&mut Running) + Send + 'static) -> Running {
    let pid = running.pid();
    let waited = blocking(move || {
        wait(&mut running);
        running
    });
    tokio::select! {
        running = waited => running,
        trouble = traffic.trouble() => {
            let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
            panic!("{trouble}");
        }
    }
}

async fn ended(running: Running) -> Report {
    blocking(move || running.wait()).await
}

async fn twin(db: &Database, case: &'static Case) -> Value {
    let traffic = Traffic::start(db, case).await;
    let running = held(db, case, &traffic).await;
    say(db, case, case.during).await;
    running.unthrottle();
    let running = ready(running, &traffic).await;
    say(db, case, case.late).await;
    traffic.more(AFTER_COPY).await;
    traffic.stop().await;
    running.go();
    let report = ended(running).await.exited(0);
    let summary = report.event("summary").clone();
    assert_eq!(summary["strategy"], "shadow");
    for count in ["rows_copied", "changes_seen", "keys_synced"] {
        assert!(summary[count].as_u64() > Some(0), "{count} is 0: {summary}");
    }
    let compared = assert_twin(db, case.name, case.alter).await;
    assert!(compared > 0, "there are no rows to compare");
    summary
}

async fn refused(db: &Database, case: &'static Case, parts: &[&str]) {
    let before = picture(db, case, "true").await;
    let osc = alter(db, case);
    let report = blocking(move || osc.run()).await.exited(3);
    said_all(&report, parts);
    assert_eq!(before, picture(db, case, "true").await, "the table is not as it was");
}

/// Rows with `id` from 100000 on are not the traffic's: they must be as they were.
async fn failed(db: &Database, case: &'static Case, parts: &[&str]) {
    let traffic = Traffic::start(db, case).await;
    let running = held(db, case, &traffic).await;
    say(db, case, case.during).await;
    let before = picture(db, case, "id >= 100000").await;
    let untouched = case.late.is_empty();
    running.unthrottle();
    let running = if case.late.is_empty() { running } else { ready(running, &traffic).await };
    say(db, case, case.late).await;
    let report = ended(running).await.exited(1);
    traffic.stop().await;
    said_all(&report, parts);
    let after = picture(db, case, "id >= 100000").await;
    assert_eq!(before.0, after.0, "the definition is not as it was");
    assert!(!untouched || before.1 == after.1, "a row is not as it was");
    let native = db.admin.batch_execute(&format!("ALTER TABLE {} {}", case.quoted(), case.alter)).await;
    assert!(native.is_err(), "a native ALTER would succeed");
    // What a failed run has done can be gone on with, or removed.
    let cleanup = Osc::new(db, "cleanup").args(["--yes", "--table", &format!("public.{}", case.name)]);
    blocking(move || cleanup.run()).await.exited(0);
    let left = format!(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname ~ '^osc_' AND c.relname = '{}'",
        case.name
    );
    assert_eq!(get(&db.admin, &left).await.as_deref(), Some("0"), "cleanup left something behind");
}

fn said_all(report: &Report, parts: &[&str]) {
    for part in parts {
        assert!(report.says(part), "the message does not say {part:?}: {}", report.stderr);
    }
}

/// The definition, and the rows that satisfy a condition.
async fn picture(db: &Database, case: &Case, condition: &str) -> (Vec<String>, Vec<String>) {
    let table = case.quoted();
    (definition(db, &table).await, records(db, &table, condition).await)
}
