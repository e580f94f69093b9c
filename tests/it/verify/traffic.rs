//! Under traffic: a row that moves is no difference, however hot it is, and a wrong one is found all the same.

use mysql_async::prelude::Queryable;
use osc_traffic::Config;

use super::verified;
use crate::harness::{Database, Kind, Osc, Server, Stage, on_both};

/// The server's number for a deadlock.
const DEADLOCK: u16 = 1213;

on_both!(no_false_alarm_among_hot_rows, a_wrong_row_is_found_under_traffic);

const ALTER: &str = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3";

fn busy(config: &mut Config) {
    config.writers = 8;
    config.rate_per_s = 1500.0;
    config.xa = true;
}

/// Few rows, many writers: every look meets rows that are being changed. Nothing may be repaired, so one
/// false alarm would end the run.
async fn no_false_alarm_among_hot_rows(kind: Kind) {
    let (mut ranges, mut moving) = (0, 0);
    for round in 0..3 {
        let stage = Stage::with(&Server::shared(kind), &format!("verify_hot_{round}"), 600, busy).await;
        let report = Osc::alter(&stage.db, "orders", ALTER).args(["--no-repair", "--chunk-size", "20"]).run();
        let (_, summary) = stage.clean(report).await;
        assert_eq!((verified(&summary, "differing"), verified(&summary, "repaired")), (0, 0), "{summary}");
        ranges += verified(&summary, "ranges");
        moving += verified(&summary, "in_motion");
    }
    println!("{}: {ranges} ranges, {moving} rows in motion", kind.name());
    assert!(moving > 0, "no look met a row that was being changed: the test shows nothing");
}

async fn a_wrong_row_is_found_under_traffic(kind: Kind) {
    let mut stage = Stage::with(&Server::shared(kind), "verify_wrong", 5000, busy).await;
    let osc = Osc::alter(&stage.db, "orders", ALTER).args(["--chunk-size", "100", "--threads", "1"]);
    let mut run = osc.pause_at("comparing").start();
    let paused = run.until_paused("comparing");
    // Rows that the traffic may meanwhile have deleted, or will still change: what is left of these is wrong.
    plant(&mut stage.db, "UPDATE orders_osc_new SET priority = 4 WHERE id % 50 = 7").await;
    plant(&mut stage.db, "DELETE FROM orders_osc_new WHERE id % 50 = 8").await;
    paused.go();
    let report = run.wait();
    let (mut db, summary) = stage.clean(report).await;
    let (wrong, right) = (verified(&summary, "differing"), verified(&summary, "repaired"));
    assert!(wrong > 20 && wrong == right, "{summary}");
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders WHERE priority <> 3").await, 0);
}

/// Spoils rows of the shadow, while osc goes on syncing others: of two that lock many rows each, one may be the
/// server's victim, and if that is this statement it has planted nothing.
async fn plant(db: &mut Database, sql: &str) {
    loop {
        match db.admin.query_drop(sql).await {
            Err(mysql_async::Error::Server(error)) if error.code == DEADLOCK => {}
            planted => return planted.expect("planted"),
        }
    }
}
