//! The names beside the table: free, a dead run's, an old table's, somebody else's.

use super::*;
use osc::engine::mysql::fence::sentry_statement;
use osc::engine::mysql::state::create_statements;

use crate::cleanup::{dead_run, names};

#[tokio::test]
async fn an_interrupted_run_is_told_with_its_alter() {
    for kind in Kind::QUICK {
        let mut db = orders(&Server::shared(kind), "pre_left_run").await;
        dead_run(&mut db, "orders").await;
        let todo = refused_for(
            &db,
            "orders",
            &[
                "A run on pre_left_run.orders was interrupted",
                "orders_osc_new, orders_osc_marks, orders_osc_state",
                "ADD COLUMN later INT",
            ],
        )
        .await;
        assert!(todo.contains("`osc cleanup --table pre_left_run.orders`") && todo.contains("Go on"), "{todo}");
        // The run that goes on.
        let names = names(&db, "orders");
        preflight::check(&mut session(&db).await, &names, true).await.unwrap();
        db.run(&["DELETE FROM orders_osc_state"]).await;
        refused_for(&db, "orders", &["came to nothing"]).await;
        db.run(&["DROP TABLE orders_osc_state, orders_osc_new"]).await;
        refused_for(&db, "orders", &["came to nothing", "(orders_osc_marks)"]).await;
        db.run(&["DROP TABLE orders_osc_marks", &sentry_statement(&names)]).await;
        refused_for(&db, "orders", &["came to nothing", "(orders_osc_old)"]).await;
        db.run(&["DROP TABLE orders_osc_old"]).await;
        passes(&db, "orders").await;
    }
}

#[tokio::test]
async fn an_old_table_is_told_with_how_to_drop_it() {
    for kind in Kind::QUICK {
        let mut db = orders(&Server::shared(kind), "pre_left_old").await;
        let names = names(&db, "orders");
        let [state, marks] = create_statements(&names);
        db.run(&["CREATE TABLE orders_osc_old LIKE orders", &state, &marks]).await;
        // A run that goes on and has swapped already finds it there; one that has its shadow still can't.
        preflight::check(&mut session(&db).await, &names, true).await.unwrap();
        db.run(&["CREATE TABLE orders_osc_new LIKE orders"]).await;
        let error = preflight::check(&mut session(&db).await, &names, true).await.unwrap_err();
        assert!(error.what().contains("kept as pre_left_old.orders_osc_old"), "{error}");
        db.run(&["DROP TABLE orders_osc_new, orders_osc_state, orders_osc_marks"]).await;
        let todo = refused_for(&db, "orders", &["kept as pre_left_old.orders_osc_old"]).await;
        obey(&db.server, &todo).await;
        passes(&db, "orders").await;
    }
}

#[tokio::test]
async fn a_table_of_somebody_else_is_told_apart() {
    for kind in Kind::QUICK {
        let mut db = orders(&Server::shared(kind), "pre_left_other").await;
        for name in ["orders_osc_new", "orders_osc_state", "orders_osc_marks"] {
            db.run(&[&format!("CREATE TABLE {name} (id INT PRIMARY KEY)")]).await;
            let todo = refused_for(&db, "orders", &[name, "nothing shows that osc made it"]).await;
            let (_, statement) = todo.split_once(": ").unwrap();
            db.run(&[statement]).await;
            passes(&db, "orders").await;
        }
        db.run(&["CREATE VIEW orders_osc_old AS SELECT 1"]).await;
        refused_for(&db, "orders", &["orders_osc_old"]).await;
    }
}

#[tokio::test]
async fn names_of_64_characters() {
    for kind in Kind::QUICK {
        let long = "t".repeat(64);
        let mut db = orders(&Server::shared(kind), "pre_left_long").await;
        db.run(&[&format!("CREATE TABLE {long} (id INT PRIMARY KEY)")]).await;
        passes(&db, &long).await;
        dead_run(&mut db, &long).await;
        refused_for(&db, &long, &["was interrupted", "ADD COLUMN later"]).await;
        passes(&db, "orders").await;
    }
}
