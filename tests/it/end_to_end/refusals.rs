//! What can't run is refused before anything is touched, with a sentence that helps.

use super::ALTER;
use crate::harness::{Database, Kind, Osc, Report, Server, on_both};

on_both!(what_cannot_run_is_refused, a_second_run_is_refused_while_one_lives);

/// Runs an ALTER that must be refused, and asserts that nothing came of it.
async fn refused(db: &mut Database, table: &str, alter: &str, exit: i32) -> Report {
    let before = (db.tables().await, db.show_create("orders").await);
    let report = Osc::alter(db, table, alter).run().exited(exit);
    assert_eq!((db.tables().await, db.show_create("orders").await), before, "{alter}");
    assert!(report.events.iter().all(|e| e["event"] != "progress"), "{alter}");
    report
}

async fn what_cannot_run_is_refused(kind: Kind) {
    let mut db = Database::create(&Server::shared(kind), "e2e_refuse").await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(40))",
        "CREATE TABLE other (id INT PRIMARY KEY)",
        "CREATE VIEW orders_view AS SELECT * FROM orders",
    ])
    .await;
    let syntax = refused(&mut db, "orders", "ADD COLUMN note2 VARCHAR(80) NOT NOT NULL", 3).await;
    assert!(syntax.says("You have an error in your SQL syntax"), "{}", syntax.stderr);
    let unknown = refused(&mut db, "orders", "DROP COLUMN no_such", 3).await;
    assert!(unknown.says("no_such"), "{}", unknown.stderr);
    let missing = refused(&mut db, "no_such_table", ALTER, 3).await;
    assert!(missing.says("no_such_table"), "{}", missing.stderr);
    let view = refused(&mut db, "orders_view", ALTER, 3).await;
    assert!(view.says("view"), "{}", view.stderr);
    let prefix = refused(&mut db, "orders", "ALTER TABLE other ADD COLUMN x INT", 2).await;
    assert!(prefix.says("other"), "{}", prefix.stderr);
}

async fn a_second_run_is_refused_while_one_lives(kind: Kind) {
    let mut db = Database::create(&Server::shared(kind), "e2e_second").await;
    db.run(&["CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1), (2)"]).await;
    let mut first = Osc::alter(&db, "orders", ALTER).throttled().start();
    first.until("a hold", |e| e["held"].as_str().is_some_and(|h| h.contains("throttle flag file")));
    let tables = db.tables().await;
    for (verb, alter) in [("alter", ALTER), ("alter", "ADD COLUMN other INT"), ("check", ALTER)] {
        let second = Osc::new(&db, verb).args(["--table", "orders", "--alter", alter]).run().exited(3);
        assert!(second.says("at work on e2e_second.orders"), "{}", second.stderr);
    }
    // Nor does cleanup touch what a live run works on.
    Osc::new(&db, "cleanup").args(["--yes"]).run().exited(0);
    assert_eq!(db.tables().await, tables);
    first.unthrottle();
    first.wait().exited(0);
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}
