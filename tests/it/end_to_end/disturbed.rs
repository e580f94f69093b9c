//! What makes the stream useless ends the run with a sentence that names it, and an untouched table.

use super::ALTER;
use crate::harness::stage::without_counter;
use crate::harness::{Database, Kind, Osc, Running, Server, on_both};

on_both!(a_session_in_statement_format_ends_the_run, changes_of_the_table_by_others_end_the_run);

async fn table(server: &Server, name: &str) -> Database {
    let mut db = Database::create(server, name).await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(40))",
        "INSERT INTO orders (note) VALUES ('a'), ('b'), ('c')",
        "CREATE TABLE other (id INT PRIMARY KEY)",
    ])
    .await;
    db
}

/// A run that has copied and waits for its cutover.
fn waiting(db: &Database) -> Running {
    let mut run = Osc::alter(db, "orders", ALTER).postponed().start();
    run.until_phase("ready");
    run
}

async fn a_session_in_statement_format_ends_the_run(kind: Kind) {
    // A server of its own: such a session ends the runs on all tables, as a statement may write to any.
    let server = Server::own(kind, "e2e-stmt", &[]);
    let mut db = table(&server, "e2e_stmt").await;
    let before = db.show_create("orders").await;
    let run = waiting(&db);
    db.run(&["SET SESSION binlog_format = 'STATEMENT'", "UPDATE orders SET note = 'x' WHERE id = 2"]).await;
    let report = run.wait().exited(1);
    assert!(report.says("STATEMENT format") && report.says("binlog_format = ROW"), "{}", report.stderr);
    assert_eq!(db.show_create("orders").await, before);
    assert_eq!(db.one::<String>("SELECT note FROM orders WHERE id = 2").await, "x");
}

async fn changes_of_the_table_by_others_end_the_run(kind: Kind) {
    let cases = [
        ("TRUNCATE TABLE orders", "TRUNCATE"),
        ("ALTER TABLE orders ADD COLUMN theirs INT", "ALTER"),
        ("ALTER TABLE orders RENAME TO elsewhere", "ALTER"),
        ("RENAME TABLE orders TO elsewhere", "RENAME"),
        ("CREATE INDEX theirs ON orders (note)", "INDEX"),
        ("DROP TABLE orders", "DROP"),
    ];
    for (statement, word) in cases {
        let mut db = table(&Server::shared(kind), "e2e_ddl").await;
        let run = waiting(&db);
        // What others do to other tables is their business.
        db.run(&["TRUNCATE TABLE other", "ALTER TABLE other ADD COLUMN x INT", statement]).await;
        let after = db.tables().await;
        let left = after.iter().find(|t| *t == "orders" || *t == "elsewhere").cloned();
        let definition = match &left {
            Some(table) => Some(db.show_create(table).await),
            None => None,
        };
        let report = run.wait().exited(1);
        assert!(report.says(word) && report.says("orders"), "{statement}: {}", report.stderr);
        assert_eq!(db.tables().await, after, "{statement}");
        if let (Some(table), Some(definition)) = (left, definition) {
            assert_eq!(without_counter(&db.show_create(&table).await), without_counter(&definition), "{statement}");
        }
    }
}
