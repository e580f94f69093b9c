//! Looking without touching: `--dry-run`, `check`, `--no-cut-over`; and `--drop-old` at the other end.

use mysql_async::prelude::Queryable;

use super::ALTER;
use crate::harness::stage::without_counter;
use crate::harness::{Database, Kind, Osc, Server, Stage, on_both};

on_both!(a_dry_run_and_a_check_change_nothing, no_cut_over_leaves_nothing_behind, drop_old_drops_the_old_table);

/// A table without traffic.
async fn small(kind: Kind, name: &str) -> Database {
    let mut db = Database::create(&Server::shared(kind), name).await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40), UNIQUE KEY (note))",
        "INSERT INTO orders (note) VALUES ('a'), ('b'), (NULL)",
    ])
    .await;
    db
}

async fn contents(db: &mut Database) -> (Vec<String>, String, Vec<(i32, Option<String>)>) {
    (
        db.tables().await,
        db.show_create("orders").await,
        db.admin.query("SELECT id, note FROM orders ORDER BY id").await.expect("the rows"),
    )
}

/// Where the server's binary log ends.
async fn end_of_binlog(db: &mut Database) -> (String, u64) {
    let sql = if db.server.kind.is_mariadb() { "SHOW MASTER STATUS" } else { "SHOW BINARY LOG STATUS" };
    let row = db.rows(sql).await.remove(0);
    (row.get(0).expect("a file"), row.get(1).expect("a position"))
}

/// What the binary log holds of this database behind a place.
async fn logged(db: &mut Database, from: &(String, u64)) -> Vec<(String, String)> {
    let rows = db.rows(&format!("SHOW BINLOG EVENTS IN '{}' FROM {}", from.0, from.1)).await;
    let text = |row: &mysql_async::Row, at| row.get::<String, _>(at).unwrap_or_default();
    let own = |info: &String| info.contains(&db.name);
    rows.iter().map(|row| (text(row, 2), text(row, 5))).filter(|(_, info)| own(info)).collect()
}

async fn a_dry_run_and_a_check_change_nothing(kind: Kind) {
    let mut db = small(kind, "e2e_dry").await;
    let before = contents(&mut db).await;
    let from = end_of_binlog(&mut db).await;
    let dry = Osc::alter(&db, "orders", ALTER).args(["--dry-run"]).run().exited(0);
    let check = Osc::new(&db, "check").args(["--table", "orders", "--alter", ALTER]).run().exited(0);
    assert_eq!(contents(&mut db).await, before);
    for report in [dry, check] {
        let plan = report.event("plan");
        assert_eq!((&plan["strategy"], &plan["dry_run"]), (&"shadow".into(), &true.into()), "{plan}");
        let statements = plan["statements"].to_string();
        for part in ["CREATE TABLE", ALTER, "INSERT", "DELETE", "RENAME TABLE", "orders_osc_new", "orders_osc_old"] {
            assert!(statements.contains(part), "{part} is not in the plan: {statements}");
        }
        assert!(report.events.iter().all(|e| e["event"] != "summary" && e["event"] != "progress"));
    }
    // No row of any table but the announcement's own, and no statement but those that try the definition out.
    for (what, info) in logged(&mut db, &from).await {
        let state = info.contains("orders_osc_state");
        let tried = info.contains("orders_osc_new") && !what.contains("ows");
        assert!(state || tried, "a dry run logged {what}: {info}");
    }
}

async fn no_cut_over_leaves_nothing_behind(kind: Kind) {
    let mut stage = Stage::new(&Server::shared(kind), "e2e_nocut", 3000).await;
    let before = stage.db.show_create("orders").await;
    let run = Osc::alter(&stage.db, "orders", ALTER).args(["--no-cut-over", "--chunk-size", "200"]);
    let report = run.run().exited(0);
    let summary = report.event("summary");
    assert_eq!(summary["outcome"], "not-swapped", "{summary}");
    assert!(summary["rows_copied"].as_u64() >= Some(2500), "{summary}");
    assert_eq!(stage.db.tables().await, ["orders"]);
    let old = without_counter(&before);
    assert_eq!(without_counter(&stage.untouched(&before).await.show_create("orders").await), old);
}

async fn drop_old_drops_the_old_table(kind: Kind) {
    let mut db = small(kind, "e2e_drop").await;
    let report = Osc::alter(&db, "orders", ALTER).args(["--drop-old"]).run().exited(0);
    assert!(report.event("summary").get("old_table").is_none());
    assert_eq!(db.tables().await, ["orders"]);
    assert!(db.show_create("orders").await.contains("`priority`"));
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders").await, 3);
}
