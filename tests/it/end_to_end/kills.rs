//! An administrator kills osc's connections, all of them, again and again: the run still ends well.

use mysql_async::prelude::Queryable;

use super::ALTER;
use crate::harness::stage::osc_connections;
use crate::harness::{Kind, Osc, Server, Stage, on_both, wait_for};

on_both!(killed_connections_come_back);

/// Kills every connection that osc has now, and waits until it has new ones.
async fn kill_all(stage: &mut Stage) -> usize {
    let old = osc_connections(&mut stage.db).await;
    for id in &old {
        // One that ended by itself meanwhile is no concern.
        let _ = stage.db.admin.query_drop(format!("KILL CONNECTION {id}")).await;
    }
    let db = &mut stage.db;
    wait_for("new connections of osc", async || {
        let now = osc_connections(db).await;
        now.len() >= 3 && now.iter().all(|id| !old.contains(id))
    })
    .await;
    old.len()
}

async fn killed_connections_come_back(kind: Kind) {
    let mut stage = Stage::new(&Server::shared(kind), "e2e_kill", 20_000).await;
    let mut run = Osc::alter(&stage.db, "orders", ALTER)
        .args(["--chunk-size", "20", "--threads", "2"])
        .throttled()
        .postponed()
        .start();
    run.until("a hold", |e| e["held"].is_string());
    let mut killed = kill_all(&mut stage).await;
    run.unthrottle();
    run.until("rows to be copied", |e| e["rows_copied"].as_u64() > Some(0));
    for _ in 0..4 {
        killed += kill_all(&mut stage).await;
    }
    run.until_phase("ready");
    for _ in 0..2 {
        killed += kill_all(&mut stage).await;
    }
    assert!(killed >= 7 * 4, "{killed} connections were killed");
    run.go();
    let (_, summary) = stage.clean(run.wait()).await;
    assert!(summary["retries"].as_u64() > Some(0), "no kill was felt: {summary}");
}
