//! Runs cases side by side and tells of all that failed.

use std::sync::Arc;

use futures_util::FutureExt;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{Case, End};
use super::traffic::{Traffic, fill};
use crate::harness::twin::{assert_twin_but, rows};
use crate::harness::{Database, Osc, Report, Running, Server};

/// Runs at a time: each has some connections of the traffic's and osc's own.
const SIDE_BY_SIDE: usize = 6;
/// Changes that the traffic makes after everything was copied, before it stops.
const AFTER_COPY: u32 = 30;

/// Runs the cases that are for this server, all of them, in a database of their own.
pub async fn run(server: &Server, file: &str, tables: &[&'static [Case]]) {
    let kind = server.kind;
    let only = std::env::var("OSC_MATRIX").unwrap_or_default();
    let cases = tables.iter().flat_map(|cases| cases.iter()).filter(|case| case.is_for(kind));
    let cases: Vec<&'static Case> =
        cases.filter(|case| only.is_empty() || only.split(',').any(|o| case.name == o)).collect();
    let mut database = Database::create(server, &format!("matrix_{file}")).await;
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut runs = JoinSet::new();
    for case in &cases {
        let (case, places, server, name) = (*case, places.clone(), server.clone(), database.name.clone());
        runs.spawn(async move {
            let _place = places.acquire_owned().await.expect("never closed");
            let began = std::time::Instant::now();
            let outcome = std::panic::AssertUnwindSafe(one(&server, &name, case)).catch_unwind().await;
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
    let left: Vec<String> = database.tables().await.into_iter().filter(|t| is_left_over(t)).collect();
    let count = failed.len();
    assert!(failed.is_empty(), "{count} of {} cases failed on {kind:?}:\n{}", cases.len(), failed.join("\n\n"));
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(!only.is_empty() || swapped == 0 || overlapping > 0, "in no run did a change meet the copy of its rows");
}

fn is_left_over(table: &str) -> bool {
    ["_osc_new", "_osc_marks", "_osc_state"].iter().any(|suffix| table.ends_with(suffix))
}

fn said(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// One case. Returns the summary of a run that swapped.
async fn one(server: &Server, database: &str, case: &'static Case) -> Option<Value> {
    let mut admin = server.admin().await;
    admin.query_drop(format!("USE `{database}`")).await.expect("the database exists");
    let mut db = Database { server: server.clone(), name: database.to_owned(), admin };
    db.run(&[&case.create()]).await;
    fill(&db, case).await;
    say(&mut db, case, case.setup).await;
    // Values as they are, not as the connection's character set can show them.
    db.run(&["SET character_set_results = NULL"]).await;
    // A native ALTER checks dates again that nobody changes; osc takes what the table has.
    if let Some(mode) = case.mode {
        db.run(&[&format!("SET sql_mode = '{mode}'")]).await;
    }
    match case.end {
        End::Twin => Some(twin(&mut db, case).await),
        End::Refused(parts) => {
            refused(&mut db, case, parts).await;
            None
        }
        End::Failed(parts) => {
            failed(&mut db, case, parts).await;
            None
        }
    }
}

async fn say(db: &mut Database, case: &Case, statements: &[&str]) {
    for statement in statements {
        db.run(&[&statement.replace("{t}", &case.quoted())]).await;
    }
}

/// Starts osc, held, and returns when changes came by the stream.
async fn held(db: &Database, case: &Case, traffic: &Traffic) -> Running {
    let osc = Osc::alter(db, &case.argument(), case.alter).args(["--chunk-size", "10", "--threads", "1"]);
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

async fn twin(db: &mut Database, case: &'static Case) -> Value {
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
    let old = summary["old_table"].as_str().expect("the old table is kept");
    let old = old.strip_prefix(&format!("{}.", db.name)).expect("the old table is in the database").to_owned();
    let alike = |definition: &str| {
        let same = |line: &&str| case.differs.is_empty() || !line.contains(case.differs);
        definition.lines().filter(same).map(|l| l.trim_end_matches(',')).collect::<Vec<_>>().join("\n")
    };
    let compared = assert_twin_but(db, case.table(), &old, case.alter, alike).await;
    assert!(compared > 0, "there are no rows to compare");
    summary
}

async fn refused(db: &mut Database, case: &'static Case, parts: &[&str]) {
    let before = picture(db, case, "TRUE").await;
    let osc = Osc::alter(db, &case.argument(), case.alter);
    let report = blocking(move || osc.run()).await.exited(3);
    said_all(&report, parts);
    assert_eq!(before, picture(db, case, "TRUE").await, "the table is not as it was");
}

/// Rows with `id` from 100000 on are not the traffic's: they must be as they were.
async fn failed(db: &mut Database, case: &'static Case, parts: &[&str]) {
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
    let native = format!("ALTER TABLE {} {}", case.quoted(), case.alter);
    let native = db.admin.query_drop(&native).await;
    assert!(native.is_err(), "a native ALTER would succeed");
    // What a failed run has done can be gone on with, or removed.
    let cleanup = Osc::new(db, "cleanup").args(["--table", &case.argument()]);
    blocking(move || cleanup.run()).await.exited(0);
    let left = db.tables().await.into_iter().filter(|t| t.starts_with(&format!("{}_osc", case.table())));
    assert_eq!(left.count(), 0, "cleanup left something behind");
}

fn said_all(report: &Report, parts: &[&str]) {
    for part in parts {
        assert!(report.says(part), "the message does not say {part:?}: {}", report.stderr);
    }
}

/// The definition, without what traffic changes in it, and the rows that satisfy a condition.
async fn picture(db: &mut Database, case: &Case, condition: &str) -> (String, Vec<Vec<String>>) {
    let definition = db.show_create(case.table()).await;
    let counter = definition.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT="));
    let definition = counter.collect::<Vec<_>>().join(" ");
    (definition, rows(db, case.table(), condition).await)
}
