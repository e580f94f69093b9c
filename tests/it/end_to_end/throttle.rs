//! What holds a run, says so; what is to end it, ends it; the table is as it was.

use serde_json::Value;

use super::ALTER;
use crate::harness::{Database, Kind, Osc, Running, Server, Stage, on_both};

on_both!(a_flag_file_holds_the_copy, max_load_holds_and_a_stopped_run_goes_on, critical_load_and_panic_flag_abort);

fn held_by(event: &Value, reason: &str) -> bool {
    event["held"].as_str().is_some_and(|held| held.starts_with(reason))
}

/// Waits for two reports of the same reason, and returns the rows that were copied by then; a chunk
/// that was under way at the first is committed by the second, a second later.
fn standing(run: &mut Running, reason: &str) -> u64 {
    run.until(reason, |e| held_by(e, reason));
    run.until(reason, |e| held_by(e, reason))["rows_copied"].as_u64().expect("rows_copied")
}

async fn a_flag_file_holds_the_copy(kind: Kind) {
    let stage = Stage::new(&Server::shared(kind), "e2e_throttle", 20_000).await;
    let mut run =
        Osc::alter(&stage.db, "orders", ALTER).args(["--chunk-size", "20", "--threads", "1"]).throttled().start();
    assert_eq!(standing(&mut run, "throttle flag file"), 0);
    run.unthrottle();
    run.until("rows to be copied", |e| e["phase"] == "copy" && e["rows_copied"].as_u64() > Some(0));
    std::fs::write(&run.throttle, "").expect("the flag file is written");
    let rows = standing(&mut run, "throttle flag file");
    assert!(rows > 0 && rows < 19_000, "{rows} rows were copied: the hold came too late to show anything");
    assert_eq!(standing(&mut run, "throttle flag file"), rows, "the copy went on");
    run.unthrottle();
    let (_, summary) = stage.clean(run.wait()).await;
    assert!(summary["held_ms"]["throttle flag file"].as_u64() > Some(3000), "{summary}");
}

async fn max_load_holds_and_a_stopped_run_goes_on(kind: Kind) {
    let stage = Stage::new(&Server::shared(kind), "e2e_load", 2000).await;
    // Whoever asks for the load is a running thread itself.
    let mut run = Osc::alter(&stage.db, "orders", ALTER).args(["--max-load", "Threads_running=1"]).start();
    assert_eq!(standing(&mut run, "load: Threads_running is"), 0);
    run.signal("-TERM");
    let report = run.wait().exited(5);
    assert_eq!(report.event("summary")["outcome"], "stopped");
    let mut run = Osc::alter(&stage.db, "orders", ALTER).postponed().start();
    run.go_once_synced();
    let (_, summary) = stage.clean(run.wait()).await;
    assert_eq!(summary["resumed"], true);
}

async fn critical_load_and_panic_flag_abort(kind: Kind) {
    let mut stage = Stage::new(&Server::shared(kind), "e2e_abort", 2000).await;
    let before = stage.db.show_create("orders").await;
    let critical = Osc::alter(&stage.db, "orders", ALTER).args(["--critical-load", "Threads_running=1"]).run();
    let critical = critical.exited(6);
    assert!(critical.says("The critical load was met twice in a row: Threads_running is"), "{}", critical.stderr);
    clean_up(&mut stage.db).await;

    let panic = std::env::temp_dir().join(format!("osc-test-panic-{}", kind.name()));
    let _ = std::fs::remove_file(&panic);
    let mut run = Osc::alter(&stage.db, "orders", ALTER)
        .throttled()
        .args(["--panic-flag-file", panic.to_str().expect("a path")])
        .start();
    run.until("a hold", |e| held_by(e, "throttle flag file"));
    std::fs::write(&panic, "").expect("the flag file is written");
    let report = run.wait().exited(6);
    std::fs::remove_file(&panic).expect("nobody else removes the flag file");
    assert!(report.says("The panic flag file"), "{}", report.stderr);
    clean_up(&mut stage.db).await;
    stage.untouched(&before).await;
}

/// What an aborted run leaves is removed by `osc cleanup`, and nothing else is.
async fn clean_up(db: &mut Database) {
    Osc::new(db, "cleanup").args(["--yes"]).run().exited(0);
    assert_eq!(db.tables().await, ["orders"]);
}
