//! osc stands still, by SIGSTOP, with the lock in its hands: the server itself ends it, in time.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::{ADD, BUSY, complete, has_extra, is_alive, on, shop};
use crate::harness::{Kind, Osc, Prober, Server, on_both, run, wait_for};

/// What may pass until the server has ended a session that holds the lock and whose process stands still: the two
/// seconds that it may be held, and the half that the server gives osc's own watchdog.
const HELD: Duration = Duration::from_millis(2500);

async fn a_process_that_stands_still_with_the_lock(kind: Kind) {
    for place in ["lock-granted", "synced", "renamed"] {
        let db = shop(kind, "fence_still").await;
        let prober = Prober::start(&db, 17).await;
        let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at(place).start();
        block_in_place(|| osc.go_once_synced());
        let began = Instant::now();
        let paused = block_in_place(|| osc.until_paused(place));
        osc.signal("-STOP");
        wait_for("the server to end it", async || !is_alive(&db, paused.ids[0]).await).await;
        prober.more(5).await;
        assert!(!has_extra(&db).await);
        paused.go();
        osc.signal("-CONT");
        block_in_place(|| osc.wait()).exited(0);
        let probes = prober.stop().await;
        let slowest = probes.slowest(began, Instant::now());
        eprintln!("{kind:?} {place}: the slowest statement waited for {} ms", slowest.as_millis());
        assert!(slowest > Duration::from_secs(1), "the lock was held: {slowest:?}");
        assert!(slowest < HELD + BUSY, "{place}: {slowest:?}");
        complete(&db, 17, probes.count()).await;
    }
}

/// It waits for the lock when it is stopped: the application waits behind it no longer than for a live one.
async fn a_process_that_stands_still_while_it_waits(kind: Kind) {
    let db = shop(kind, "fence_waiting").await;
    let prober = Prober::start(&db, 17).await;
    let reader = db.app().await;
    let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at("before-lock").start();
    block_in_place(|| osc.go_once_synced());
    let paused = block_in_place(|| osc.until_paused("before-lock"));
    run(&reader, "BEGIN; SELECT * FROM orders WHERE id = 1").await;
    let (holder, began) = (paused.ids[0], Instant::now());
    paused.go();
    let waits =
        format!("SELECT count(*) FROM pg_locks WHERE pid = {holder} AND NOT granted AND mode = 'AccessExclusiveLock'");
    wait_for("the lock request", async || db.one::<u32>(&waits).await == 1).await;
    osc.signal("-STOP");
    prober.more(5).await;
    let probes_waited = began.elapsed();
    assert!(probes_waited < Duration::from_secs(1) + BUSY, "{probes_waited:?}");
    osc.signal("-CONT");
    run(&reader, "COMMIT").await;
    block_in_place(|| osc.wait()).exited(0);
    complete(&db, 17, prober.stop().await.count()).await;
}

/// Stopped for so long that another process has taken the run over: it does not swap what is not its own.
async fn a_process_that_was_taken_over(kind: Kind) {
    for place in ["before-lock", "synced"] {
        let server = Server::own(kind, "fence-over", &[]);
        let db = on(&server, "fence_over").await;
        let mut sleeper = Osc::alter(&db, "orders", ADD).pause_at(place).start();
        let paused = block_in_place(|| sleeper.until_paused(place));
        sleeper.signal("-STOP");
        let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        run(&db.admin, end).await;
        if place == "synced" {
            run(&db.admin, &format!("SELECT pg_terminate_backend({}, 5000)", paused.ids[0])).await;
        }
        let cleanup = Osc::new(&db, "cleanup").args(["--yes"]);
        block_in_place(|| cleanup.run()).exited(0);
        let mut other = Osc::alter(&db, "orders", "ADD COLUMN other int").throttled().postponed().start();
        block_in_place(|| other.until("a hold", |e| e["held"].is_string()));
        paused.go();
        sleeper.signal("-CONT");
        let report = block_in_place(|| sleeper.wait());
        assert!([1, 5].contains(&report.exit), "{}: {}", report.exit, report.stderr);
        assert!(!has_extra(&db).await);
        assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, super::ROWS, "the table is the table");
        other.unthrottle();
        other.go();
        block_in_place(|| other.wait()).exited(0);
        assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, super::ROWS);
        assert_eq!(db.leftovers().await.len(), 1);
    }
}

on_both!(
    a_process_that_stands_still_with_the_lock,
    a_process_that_stands_still_while_it_waits,
    a_process_that_was_taken_over,
);
