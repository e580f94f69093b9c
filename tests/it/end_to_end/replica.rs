//! `--replica` with `--max-lag-millis`, on a real replica.

use super::ALTER;
use crate::harness::{Database, Kind, Osc, Replica, Server, Stage, on_both, wait_for};

on_both!(a_lagging_replica_holds_the_run);

async fn a_lagging_replica_holds_the_run(kind: Kind) {
    let source = Server::own(kind, "e2e-source", &[]);
    let replica = Replica::of(&source, "e2e-replica").await;
    let mut stage = Stage::new(&source, "e2e_lag", 8000).await;
    let mut there = replica.server.admin().await;
    wait_for("the table on the replica", async || {
        mysql_async::prelude::Queryable::query_drop(&mut there, "SELECT 1 FROM e2e_lag.orders LIMIT 1").await.is_ok()
    })
    .await;
    // The replica knows nothing of the run when it begins.
    replica.say("STOP REPLICA SQL_THREAD").await;
    let url = format!("mysql://127.0.0.1:{}/e2e_lag", replica.server.port());
    let mut run = Osc::alter(&stage.db, "orders", ALTER)
        .args(["--replica", &url, "--max-lag-millis", "1000", "--chunk-size", "20", "--threads", "1"])
        .postponed()
        .start();
    let lagging = |e: &serde_json::Value| e["held"].as_str().is_some_and(|held| held.starts_with("replica lag"));
    let held = run.until("a hold for lag", lagging);
    assert_eq!(run.until("a hold for lag", lagging)["rows_copied"], held["rows_copied"], "the copy went on");
    replica.say("START REPLICA SQL_THREAD").await;
    run.until("rows to be copied", |e| e["rows_copied"].as_u64() > Some(0) && e["held"].is_null());
    replica.say("STOP REPLICA SQL_THREAD").await;
    run.until("a hold for lag", lagging);
    let held = run.until("a hold for lag", lagging);
    assert_eq!(run.until("a hold for lag", lagging)["rows_copied"], held["rows_copied"], "the copy went on");
    replica.say("START REPLICA SQL_THREAD").await;
    run.until_phase("ready");
    run.go();
    let report = run.wait();
    let definition = |db: &Database| db.name.clone();
    let name = definition(&stage.db);
    let swapped = stage.db.show_create("orders").await;
    stage.clean(report).await;
    wait_for("the swap on the replica", async || {
        let sql = format!("SHOW CREATE TABLE {name}.orders");
        let row: Option<(String, String)> =
            mysql_async::prelude::Queryable::query_first(&mut there, sql).await.expect("the table is there");
        row.is_some_and(|(_, create)| create.contains("`priority`"))
    })
    .await;
    assert!(swapped.contains("`priority`"));
}
