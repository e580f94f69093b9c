//! `osc verify`: two tables compared on their own.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use crate::harness::{Database, Kind, Osc, Report, Server, on_both};

on_both!(
    equal_tables_and_different_ones,
    columns_are_found_by_name_by_rename_or_by_the_alter,
    what_can_not_be_compared_is_refused,
    a_table_that_is_written
);

fn verify(db: &Database, with: &str, more: &[&str]) -> Report {
    Osc::new(db, "verify").args(["--table", "orders", "--with", with]).args(more.iter().copied()).run()
}

async fn filled(kind: Kind, name: &str) -> Database {
    let mut db = Database::create(&Server::without_xa(kind), name).await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(80) COLLATE utf8mb4_general_ci, n INT NOT NULL, KEY (n))",
        "INSERT INTO orders SELECT 1 + a.d + 10 * b.d + 100 * c.d, CONCAT('note ', a.d), b.d FROM \
         (SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) a, \
         (SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) b, \
         (SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) c",
        "CREATE TABLE copy LIKE orders",
        "INSERT INTO copy SELECT * FROM orders",
    ])
    .await;
    db
}

async fn equal_tables_and_different_ones(kind: Kind) {
    let mut db = filled(kind, "alone_plain").await;
    let report = verify(&db, "copy", &["--chunk-size", "50"]).exited(0);
    let said = report.event("verified");
    assert_eq!((&said["outcome"], &said["rows"], &said["ranges"]), (&"equal".into(), &216.into(), &5.into()), "{said}");
    assert!(said["caveat"].as_str().is_some_and(|text| text.contains("written meanwhile")));

    db.run(&[
        "UPDATE copy SET note = UPPER(note) WHERE id = 1",
        "DELETE FROM copy WHERE id = 2",
        "INSERT INTO copy VALUES (700, NULL, 1), (701, NULL, 1)",
    ])
    .await;
    let report = verify(&db, "copy", &["--chunk-size", "50"]).exited(4);
    let said = report.event("verified");
    assert_eq!((&said["outcome"], &said["differing"]), (&"different".into(), &4.into()), "{said}");
    for part in [
        "4 rows differ between alone_plain.orders and alone_plain.copy.",
        "id=1: orders has (id='1', note='note 0', n='0'), copy has (id='1', note='NOTE 0', n='0').",
        "id=2: orders has (id='2', note='note 1', n='0'), copy has no such row.",
        "id=700: orders has no such row, copy has (id='700', note=NULL, n='1').",
        "Nothing was changed.",
    ] {
        assert!(report.says(part), "'{part}' is not in {}", report.stderr);
    }
    // All of it: more than is worth counting.
    db.run(&["DELETE FROM copy", "INSERT INTO copy SELECT id + 1000 * a.n, note, a.n FROM orders, (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) a"]).await;
    let report = verify(&db, "copy", &[]).exited(4);
    assert_eq!(report.event("verified")["cut_short"], true);
    assert!(report.says("At least "), "{}", report.stderr);
}

async fn columns_are_found_by_name_by_rename_or_by_the_alter(kind: Kind) {
    let mut db = filled(kind, "alone_names").await;
    let alter = "RENAME COLUMN note TO text, ADD COLUMN more INT, DROP COLUMN n, MODIFY id BIGINT NOT NULL";
    db.run(&[&format!("ALTER TABLE copy {alter}"), "UPDATE copy SET more = id"]).await;
    let renamed = verify(&db, "copy", &["--rename", "note=text"]).exited(0);
    let told = verify(&db, "copy", &["--alter", alter]).exited(0);
    for report in [&renamed, &told] {
        let said = &report.event("verified")["not_compared"];
        assert_eq!(said, &serde_json::json!(["n (only in alone_names.orders)", "more (only in alone_names.copy)"]));
    }
    // Without a word on it, the two are two columns.
    let report = verify(&db, "copy", &[]).exited(0);
    assert!(report.event("verified")["not_compared"][0].as_str().is_some_and(|text| text.contains("note")));
    db.run(&["UPDATE copy SET text = 'x' WHERE id = 3"]).await;
    verify(&db, "copy", &[]).exited(0);
    verify(&db, "copy", &["--rename", "note=text"]).exited(4);
    let report = verify(&db, "copy", &["--alter", alter]).exited(4);
    assert!(report.says("text='note 2'), copy has (id='3', text='x')."), "{}", report.stderr);
}

async fn what_can_not_be_compared_is_refused(kind: Kind) {
    let mut db = filled(kind, "alone_refused").await;
    assert!(verify(&db, "nowhere", &[]).exited(3).says("There is no table alone_refused.nowhere"));
    assert!(verify(&db, "orders", &[]).exited(2).says("the same table"));
    assert!(verify(&db, "copy", &["--rename", "note=nothing"]).exited(2).says("has no column `nothing`"));
    assert!(verify(&db, "copy", &["--rename", "note"]).exited(2).says("--rename must be OLD=NEW"));
    db.run(&["ALTER TABLE copy DROP PRIMARY KEY"]).await;
    assert!(verify(&db, "copy", &[]).exited(3).says("No key of alone_refused.orders can carry"));
    db.run(&["CREATE VIEW seen AS SELECT * FROM orders"]).await;
    assert!(verify(&db, "seen", &[]).exited(3).says("no ordinary table"));
}

/// Both tables get every write, one shortly after the other: no difference stays.
async fn a_table_that_is_written(kind: Kind) {
    let db = filled(kind, "alone_written").await;
    let mut app = db.app().await;
    let writer = tokio::spawn(async move {
        for n in 0..100_000 {
            for table in ["orders", "copy"] {
                let sql = format!("UPDATE {table} SET n = {n} WHERE id = {}", n % 216 + 1);
                app.query_drop(sql).await.expect("the application writes");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    for _ in 0..3 {
        let report = verify(&db, "copy", &["--chunk-size", "20"]).exited(0);
        assert_eq!(report.event("verified")["outcome"], "equal");
    }
    assert!(!writer.is_finished());
    writer.abort();
}
