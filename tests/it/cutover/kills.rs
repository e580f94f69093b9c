//! The lock's holder, the renaming session and the process itself killed at every step.
//!
//! Before each kill some rows are committed that osc has not synced, while it stands before the lock: a
//! swap without the final sync would lose them, and the ledger would show it.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use tokio::task::block_in_place;

use super::{ADD, alive, doing, has_extra, more_rows, of_osc, shop, state, until, until_gone, writers};
use crate::harness::{Database, Kind, Osc, Report, Server};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// The connection that takes, or holds, the lock.
    Holder,
    /// MariaDB's second connection.
    Renamer,
    /// kill -9; then the same command again.
    Process,
}

/// What the catalog says after a kill.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Not,
    Swapped,
    /// Two sessions end, in either order: what the run says must be what is.
    Either,
    /// There is nothing of the sort to kill.
    Nothing,
}
use Then::{Either, Not, Nothing, Swapped};

/// How a step is reached, and whether the tables are swapped after the kill.
struct Step {
    place: &'static str,
    on: &'static [Kind],
    /// After the holder's, the renamer's and the process's death.
    then: [Then; 3],
}

const ALL: &[Kind] = &[Kind::MySql, Kind::MariaDb];
const MARIADB: &[Kind] = &[Kind::MariaDb];
const NOT: [Then; 3] = [Not, Not, Not];

const STEPS: [Step; 10] = [
    Step { place: "before-lock", on: ALL, then: NOT },
    Step { place: WAITING, on: ALL, then: NOT },
    Step { place: "lock-granted", on: ALL, then: NOT },
    Step { place: "drained", on: ALL, then: NOT },
    Step { place: "final-sync", on: ALL, then: NOT },
    Step { place: "synced", on: ALL, then: NOT },
    Step { place: "rename-queued", on: MARIADB, then: NOT },
    // The holder's death lets the RENAME through, and all is synced; kill -9 ends both in either order. A KILL
    // closes the renamer's connection before its thread wakes up: osc then ends the holder's, and a lock that
    // is granted to a thread that was killed but has not looked yet lets the RENAME through (seen).
    Step { place: "sentry-dropped", on: MARIADB, then: [Swapped, Either, Either] },
    Step { place: "renamed", on: ALL, then: [Swapped, Swapped, Swapped] },
    Step { place: "before-tidy", on: ALL, then: [Nothing, Nothing, Swapped] },
];

/// Long enough to be met while it waits.
const LOCK_TIMEOUT: &str = "5000";

/// Not a failpoint: LOCK TABLES waits behind a transaction of the test's.
const WAITING: &str = "lock-waiting";

async fn killed(kind: Kind, kill: Kill) {
    let name = format!("kill_{kill:?}").to_lowercase();
    let server = Server::own(kind, &name.replace('_', "-"), &[]);
    let mut outcomes = Vec::new();
    for step in STEPS.iter().filter(|s| s.on.contains(&kind)) {
        if step.then[kill as usize] == Nothing || (kill == Kill::Renamer && !kind.is_mariadb()) {
            continue;
        }
        let began = Instant::now();
        let mut db = shop(&server, &name, 1500).await;
        let swapped = at(&mut db, step, kill).await;
        outcomes.push(format!("{} {swapped} ({:.1} s)", step.place, began.elapsed().as_secs_f64()));
    }
    println!("{} {kill:?} killed, swapped then: {}", kind.name(), outcomes.join(", "));
}

/// One run, killed at one step, up to its good end; whether it was swapped after the kill.
async fn at(db: &mut Database, step: &Step, kill: Kill) -> bool {
    let what = format!("{kill:?} killed at {}", step.place);
    let traffic = writers(db).await;
    more_rows(&traffic, 50).await;
    let waiting = step.place == WAITING;
    // A transaction that the lock has to wait for; after the lock is asked for nobody gets in.
    let mut open = db.app().await;
    if waiting {
        open.query_drop("START TRANSACTION").await.expect("a transaction");
        let _: Option<u64> = open.query_first("SELECT COUNT(*) FROM orders WHERE id = 1").await.expect("a read");
    }
    let command = |db: &Database| Osc::alter(db, "orders", ADD).args(["--cut-over-lock-timeout-ms", LOCK_TIMEOUT]);
    let mut osc = command(db).postponable().pause_at("before-lock");
    if !waiting && step.place != "before-lock" {
        osc = osc.pause_at(step.place);
    }
    let mut running = osc.start();
    let before = block_in_place(|| running.until_paused("before-lock"));
    let ids = before.ids.clone();
    more_rows(&traffic, 50).await;
    let paused = if waiting {
        before.go();
        let id = ids[0];
        until("LOCK TABLES", async || doing(db, id).await.starts_with("LOCK TABLES")).await;
        until("LOCK TABLES waits", async || state(db, id).await == "Waiting for table metadata lock").await;
        None
    } else if step.place == "before-lock" {
        Some(before)
    } else {
        before.go();
        let paused = block_in_place(|| running.until_paused(step.place));
        assert!(paused.ids.is_empty() || paused.ids == ids, "{what}: another attempt");
        Some(paused)
    };

    let gone = match kill {
        Kill::Holder => vec![ids[0]],
        Kill::Renamer => vec![ids[1]],
        Kill::Process => of_osc(db).await,
    };
    if kill != Kill::Process {
        assert_eq!(alive(db, &gone).await.len(), 1, "{what}: a live one");
    }
    let mut living = None;
    if kill == Kill::Process {
        running.signal("-KILL");
        let report = block_in_place(|| running.wait());
        assert_eq!(report.exit, -1, "{what}: {}", report.stderr);
    } else {
        // What the catalog says after the kill shall not be the next attempt's.
        running.postpone();
        db.run(&[&format!("KILL CONNECTION {}", gone[0])]).await;
        living = Some(running);
    }
    let killed_at = Instant::now();
    until_gone(db, &gone).await;
    if kill == Kill::Holder {
        until("the RENAME ends", async || !doing(db, ids[1]).await.starts_with("RENAME")).await;
    }
    let took = killed_at.elapsed();
    // MySQL doesn't look whether the client of a waiting LOCK TABLES is there; the wait ends by the timeout,
    // in whole seconds.
    let limit = Duration::from_secs(if waiting && kill == Kill::Process { 7 } else { 3 });
    assert!(took < limit, "{what}: the sessions lived on for {took:?}");

    let swapped = has_extra(db).await.unwrap_or_else(|| panic!("{what}: there is no orders"));
    match step.then[kill as usize] {
        Not => assert!(!swapped, "{what}: swapped"),
        Swapped => assert!(swapped, "{what}: not swapped"),
        Either | Nothing => {}
    }
    let tables = db.tables().await;
    assert_eq!(tables.iter().any(|t| t == "orders_osc_new"), !swapped, "{what}: {tables:?}");
    open.query_drop("COMMIT").await.expect("the transaction ends");
    if let Some(running) = &living {
        running.go();
        if let Some(paused) = paused {
            paused.go();
        }
    }
    let report = block_in_place(|| match living {
        Some(running) => running.wait(),
        None => command(db).run(),
    });
    let report = report.exited(0);
    traffic.stamp("swapped");
    judge(db, kill, swapped, &report, &what);
    more_rows(&traffic, 50).await;
    let ledger = traffic.stop().await;
    let old = ledger.verify_old(&db.app_url(), "orders_osc_old", "swapped").await.expect("the old table is read");
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read").with_old(old);
    assert!(verdict.is_clean(), "{what}: {verdict}");
    assert_eq!(has_extra(db).await, Some(true), "{what}");
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"], "{what}: nothing else is left behind");
    swapped
}

/// What the run that ended well must have said.
fn judge(db: &Database, kill: Kill, swapped: bool, report: &Report, what: &str) {
    let summary = report.event("summary");
    assert_eq!(summary["outcome"], "swapped", "{what} in {}", db.name);
    if kill == Kill::Process {
        assert_eq!(summary["resumed"], true, "{what}: {summary}");
        assert_eq!(summary["rows_copied_now"], 0, "{what}: all was copied before the kill: {summary}");
    } else if !swapped {
        assert!(summary["cutover_attempts"].as_u64() >= Some(2), "{what}: {summary}");
    }
}

/// kill -9 between the dropping of the old table and of the run's own; the command comes again at once.
async fn cut_off_at_the_very_end(kind: Kind) {
    let server = Server::own(kind, "very-end", &[]);
    for place in ["before-tidy", "old-dropped"] {
        let mut db = shop(&server, "very_end", 500).await;
        let command = |db: &Database| Osc::alter(db, "orders", ADD).args(["--drop-old"]);
        let mut running = command(&db).pause_at(place).start();
        block_in_place(|| running.until_paused(place));
        running.signal("-KILL");
        block_in_place(|| running.wait());
        assert_eq!(has_extra(&mut db).await, Some(true));
        let again = command(&db);
        let report = block_in_place(|| again.run()).exited(0);
        assert_eq!(report.event("summary")["outcome"], "swapped");
        assert_eq!(db.tables().await, ["orders"], "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_lock_holder_killed_at_every_step_on_mysql() {
    killed(Kind::MySql, Kill::Holder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_lock_holder_killed_at_every_step_on_mariadb() {
    killed(Kind::MariaDb, Kill::Holder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_renaming_session_killed_at_every_step_on_mariadb() {
    killed(Kind::MariaDb, Kill::Renamer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn osc_killed_at_every_step_and_started_again_on_mysql() {
    killed(Kind::MySql, Kill::Process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn osc_killed_at_every_step_and_started_again_on_mariadb() {
    killed(Kind::MariaDb, Kill::Process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_cut_off_at_the_very_end_is_finished_on_mysql() {
    cut_off_at_the_very_end(Kind::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_cut_off_at_the_very_end_is_finished_on_mariadb() {
    cut_off_at_the_very_end(Kind::MariaDb).await;
}
