//! A process that stands still (SIGSTOP, a machine that was paused) while its server has much to send: the server lets it go.
//!
//! Found with the slot's end: the server asks the reader's connection to end once and waits for that in its checkpoint; one that
//! can't send waited for as long as the process stood still.

use std::time::{Duration, Instant};

use crate::harness::{Database, Kind, Osc, Server, blocking, on_both, run, wait_for};

async fn a_reader_that_stands_still_keeps_no_checkpoint_waiting(kind: Kind) {
    let server = Server::own(kind, "frozen", &["-c", "max_slot_wal_keep_size=64MB"]);
    let db = Database::with_orders(&server, "frozen").await;
    let osc = Osc::alter(&db, "orders", "ADD COLUMN extra int").postponed().start();
    let osc = blocking(move || {
        let mut osc = osc;
        osc.until_phase("ready");
        osc
    })
    .await;
    osc.signal("-STOP");
    // Of the kind that every logical reader is sent.
    let messages =
        "SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1048576))) FROM generate_series(1, 120)";
    run(&db.admin, messages).await;
    let stuck = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event_type = 'Client'";
    wait_for("a sender that can't send", async || db.one::<u32>(stuck).await == 1).await;
    let begun = Instant::now();
    run(&db.admin, "CHECKPOINT").await;
    let took = begun.elapsed();
    println!("{kind:?}: the checkpoint took {took:?}");
    let lost = "SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'";
    assert_eq!(db.one::<u32>(lost).await, 1, "the slot was not given up: the test shows nothing");
    assert!(took < Duration::from_secs(45), "{took:?}");
    osc.signal("-CONT");
    let report = blocking(move || osc.wait()).await.exited(1);
    assert!(report.says("The server has given osc's replication slot up"), "{}", report.stderr);
}

on_both!(a_reader_that_stands_still_keeps_no_checkpoint_waiting);
