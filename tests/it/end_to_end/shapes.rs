//! The shapes that a change can have in the binary log, each on a server of its own whose settings make
//! it, with proof that it was there: a run under the ledger's traffic loses nothing.

use mysql_async::prelude::Queryable;

use super::ALTER;
use crate::harness::{Database, Kind, Osc, OwnServer, Server, Stage, on_both};

on_both!(row_images, rotation, rows_over_16_mb);

/// A run under traffic, with something done while it holds, and again when it's ready.
async fn run_with(server: &Server, name: &str, statements: &[&str]) -> Database {
    let mut stage = Stage::new(server, name, 3000).await;
    let mut run = Osc::alter(&stage.db, "orders", ALTER).args(["--chunk-size", "100"]).throttled().postponed().start();
    run.until("a hold", |e| e["held"].is_string());
    stage.db.run(statements).await;
    run.unthrottle();
    run.until_phase("ready");
    stage.db.run(statements).await;
    stage.work(50).await;
    run.go();
    stage.clean(run.wait()).await.0
}

/// Events of these types in all of a server's binary logs, with the largest of them.
async fn logged(db: &mut Database, kinds: &[&str]) -> (usize, u64) {
    let logs = db.rows("SHOW BINARY LOGS").await;
    let (mut count, mut largest) = (0, 0);
    for log in logs {
        let file: String = log.get(0).expect("a file");
        for event in db.rows(&format!("SHOW BINLOG EVENTS IN '{file}'")).await {
            let text = |at: usize| event.get::<String, _>(at).expect("a text");
            let (begin, end): (u64, u64) = (event.get(1).expect("a position"), event.get(4).expect("a position"));
            if kinds.iter().any(|kind| text(2).starts_with(kind)) {
                count += 1;
                largest = largest.max(end.saturating_sub(begin));
            }
        }
    }
    (count, largest)
}

fn own(kind: Kind, name: &str) -> OwnServer {
    Server::own(kind, name, &["--max-allowed-packet=64M"])
}

async fn row_images(kind: Kind) {
    let server = own(kind, "e2e-images");
    for image in ["MINIMAL", "NOBLOB"] {
        server.run(&[&format!("SET GLOBAL binlog_row_image = '{image}'")]).await;
        let db = run_with(&server, &format!("e2e_{}", image.to_lowercase()), &[]).await;
        let session: Option<String> =
            db.app().await.query_first("SELECT @@SESSION.binlog_row_image").await.expect("the setting");
        assert_eq!(session.as_deref(), Some(image));
    }
}

async fn rotation(kind: Kind) {
    let server = own(kind, "e2e-rotate");
    let mut db = run_with(&server, "e2e_rotate", &["FLUSH BINARY LOGS", "FLUSH BINARY LOGS"]).await;
    assert!(db.rows("SHOW BINARY LOGS").await.len() >= 5);
}

async fn rows_over_16_mb(kind: Kind) {
    let server = own(kind, "e2e-large");
    let mut db = Database::create(&server, "e2e_large").await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, body LONGBLOB)",
        "CREATE TABLE other LIKE orders",
        "INSERT INTO orders VALUES (1, 'small'), (2, 'small'), (3, REPEAT('a', 17 << 20))",
    ])
    .await;
    let large = [
        "UPDATE orders SET body = CONCAT(REPEAT('b', 18 << 20), LENGTH(body)) WHERE id = 1",
        "UPDATE orders SET body = CONCAT(body, 'c') WHERE id = 3",
        "INSERT INTO orders SELECT MAX(id) + 1, REPEAT('d', 20 << 20) FROM orders",
        "INSERT INTO other SELECT COALESCE(MAX(id), 0) + 1, REPEAT('e', 20 << 20) FROM other",
        "DELETE FROM other",
    ];
    let mut run = Osc::alter(&db, "orders", ALTER).args(["--chunk-size", "1"]).throttled().postponed().start();
    run.until("a hold", |e| e["held"].is_string());
    db.run(&large).await;
    run.unthrottle();
    run.until_phase("ready");
    db.run(&large).await;
    run.until("the keys to be synced", |e| e["keys_synced"].as_u64() >= Some(3) && e["pending_keys"] == 0);
    run.go();
    let report = run.wait().exited(0);
    assert!(report.event("summary")["changes_seen"].as_u64() >= Some(6));
    let (count, largest) = logged(&mut db, &["Write_rows", "Update_rows", "Delete_rows"]).await;
    assert!(count >= 6 && largest > 32 << 20, "{count} events, the largest of {largest} bytes");
    assert_eq!(crate::harness::twin::assert_twin(&mut db, "orders", "orders_osc_old", ALTER).await, 5);
}

/// What only MySQL has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_transactions() {
    let server = own(Kind::MySql, "e2e-compressed");
    server.run(&["SET GLOBAL binlog_transaction_compression = ON"]).await;
    let mut db = run_with(&server, "e2e_compressed", &[]).await;
    let (count, _) = logged(&mut db, &["Transaction_payload"]).await;
    assert!(count > 100, "{count} compressed transactions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gtids() {
    let server = own(Kind::MySql, "e2e-nogtid");
    let steps = ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"].map(|mode| format!("SET GLOBAL gtid_mode = {mode}"));
    server.run(&steps.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut db = run_with(&server, "e2e_nogtid", &["FLUSH BINARY LOGS"]).await;
    assert_eq!(db.one::<String>("SELECT @@GLOBAL.gtid_mode").await, "OFF");
    let (count, _) = logged(&mut db, &["Anonymous_Gtid"]).await;
    assert!(count > 100, "{count} transactions without a GTID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_json() {
    let server = own(Kind::MySql, "e2e-json");
    let mut db = Database::create(&server, "e2e_json").await;
    db.run(&[
        "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
        "CREATE TABLE orders (id INT PRIMARY KEY, doc JSON, more JSON, n INT)",
        "INSERT INTO orders VALUES (1, '{\"a\": 1, \"pad\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}', '[1, 2, 3]', 0)",
        "INSERT INTO orders SELECT 2, doc, more, n FROM orders",
        "INSERT INTO orders SELECT id + 2, doc, more, n FROM orders",
    ])
    .await;
    let change = [
        "UPDATE orders SET doc = JSON_SET(doc, '$.a', id * 7), n = n + 1",
        "UPDATE orders SET more = JSON_SET(more, '$[1]', 99), doc = JSON_REMOVE(doc, '$.pad') WHERE id > 2",
        "UPDATE orders SET id = id + 100, doc = JSON_SET(doc, '$.a', 5) WHERE id = 4",
        "UPDATE orders SET id = id - 100, doc = JSON_SET(doc, '$.a', 6) WHERE id = 104",
    ];
    let mut run = Osc::alter(&db, "orders", ALTER).throttled().postponed().start();
    run.until("a hold", |e| e["held"].is_string());
    db.run(&change).await;
    run.unthrottle();
    run.until_phase("ready");
    let synced = run.until("a report", |e| e["phase"] == "ready")["keys_synced"].as_u64();
    db.run(&change).await;
    run.until("the keys to be synced", |e| e["keys_synced"].as_u64() >= synced.map(|n| n + 5));
    run.go();
    run.wait().exited(0);
    let (count, _) = logged(&mut db, &["Update_rows_partial"]).await;
    assert!(count >= 4, "{count} partial updates");
    assert_eq!(crate::harness::twin::assert_twin(&mut db, "orders", "orders_osc_old", ALTER).await, 4);
}
