//! What dead runs left is removed, and nothing that anybody needs.

use osc::engine::mysql::cleanup::{self, Leftover};
use osc::engine::mysql::fence::sentry_statement;
use osc::engine::mysql::names::{Names, Role, lock_name};
use osc::engine::mysql::sql::{Ident, Table};
use osc::engine::mysql::state::create_statements;
use osc::error::Kind as Sort;

use super::harness::{Database, Kind, Server};
use super::preflight::session;

pub fn names(db: &Database, original: &str) -> Names {
    Names::of(&Table::new(&db.name, original)).unwrap()
}

/// The tables of a run that was interrupted.
pub async fn dead_run(db: &mut Database, original: &str) {
    let names = names(db, original);
    let [state, marks] = create_statements(&names);
    let record =
        format!(r#"{{"format": 99, "id": "x", "table": "{}.{original}", "alter": "ADD COLUMN later INT"}}"#, db.name);
    db.run(&[
        &state,
        &marks,
        &format!("CREATE TABLE {} LIKE {}", names.shadow, names.original),
        &format!("INSERT INTO {} VALUES ('run', '{record}')", names.state),
    ])
    .await;
}

async fn find(db: &Database, table: Option<&str>) -> Vec<Leftover> {
    cleanup::find(&mut session(db).await, &Ident::new(&db.name), table).await.unwrap()
}

fn named(found: &[Leftover]) -> Vec<&str> {
    found.iter().map(|l| l.table.name.bare()).collect()
}

async fn create(kind: Kind, name: &str) -> Database {
    let mut db = Database::create(&Server::shared(kind), name).await;
    db.run(&["CREATE TABLE orders (id INT PRIMARY KEY) COMMENT 'mine'", "CREATE TABLE items (id INT PRIMARY KEY)"])
        .await;
    db
}

#[tokio::test]
async fn a_dead_run_is_removed_and_what_is_not_ours_stays() {
    for kind in [Kind::MySql, Kind::MariaDb, Kind::MariaDb118] {
        let mut db = create(kind, "clean_dead").await;
        dead_run(&mut db, "orders").await;
        dead_run(&mut db, "items").await;
        db.run(&[
            &sentry_statement(&names(&db, "orders")),
            "CREATE TABLE mine_osc_new (id INT PRIMARY KEY)",
            "CREATE TABLE mine_osc_state (id INT PRIMARY KEY)",
            "CREATE VIEW v_osc_new AS SELECT 1",
            "CREATE TABLE items_osc_old LIKE items",
        ])
        .await;
        let of_orders = find(&db, Some("orders")).await;
        assert_eq!(named(&of_orders), ["orders_osc_new", "orders_osc_old", "orders_osc_marks", "orders_osc_state"]);
        assert!(of_orders.iter().all(|l| l.ours && !l.live && !l.is_old && l.original == "orders"));
        let found = find(&db, None).await;
        assert_eq!(found.iter().filter(|l| l.ours && !l.is_old).count(), 7);
        assert_eq!(named(&found.iter().filter(|l| l.is_old).cloned().collect::<Vec<_>>()), ["items_osc_old"]);
        let others: Vec<Leftover> = found.iter().filter(|l| !l.ours).cloned().collect();
        assert_eq!(named(&others), ["mine_osc_new", "mine_osc_state", "v_osc_new"]);
        let mut osc = session(&db).await;
        for other in &others {
            let error = cleanup::remove(&mut osc, other).await.unwrap_err();
            assert_eq!(error.kind(), Sort::Refused);
        }
        for left in found.iter().filter(|l| l.ours && !l.is_old) {
            cleanup::remove(&mut osc, left).await.unwrap();
            // Gone is gone.
            cleanup::remove(&mut osc, left).await.unwrap();
        }
        assert_eq!(
            db.tables().await,
            ["items", "items_osc_old", "mine_osc_new", "mine_osc_state", "orders", "v_osc_new"]
        );
        let old: Vec<Leftover> = found.into_iter().filter(|l| l.is_old).collect();
        cleanup::remove(&mut osc, &old[0]).await.unwrap();
        assert!(!db.tables().await.contains(&"items_osc_old".to_owned()));
        let free: Option<i64> =
            db.one(&format!("SELECT IS_USED_LOCK('{}')", lock_name(&Table::new(&db.name, "orders")))).await;
        assert_eq!(free, None);
    }
}

#[tokio::test]
async fn a_live_run_is_left_alone() {
    for kind in Kind::QUICK {
        let mut db = create(kind, "clean_live").await;
        dead_run(&mut db, "orders").await;
        dead_run(&mut db, "items").await;
        let before = find(&db, Some("orders")).await;
        let mut run = session(&db).await;
        let lock = lock_name(&Table::new(&db.name, "orders"));
        let got: Option<i64> = run.first(&format!("SELECT GET_LOCK('{lock}', 0)")).await.unwrap();
        assert_eq!(got, Some(1));
        let found = find(&db, None).await;
        assert!(found.iter().all(|l| l.live == (l.original == "orders")));
        let mut osc = session(&db).await;
        // Also what was listed before the run began.
        for left in before.iter().chain(found.iter().filter(|l| l.live)) {
            let error = cleanup::remove(&mut osc, left).await.unwrap_err();
            assert!(error.kind() == Sort::Refused && error.what().contains("at work on orders"), "{error}");
        }
        for left in found.iter().filter(|l| !l.live) {
            cleanup::remove(&mut osc, left).await.unwrap();
        }
        assert_eq!(db.tables().await, ["items", "orders", "orders_osc_marks", "orders_osc_new", "orders_osc_state"]);
        drop(run);
        let error = loop {
            match cleanup::remove(&mut osc, &before[0]).await {
                Ok(()) => break None,
                Err(error) if error.what().contains("at work") => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await
                }
                Err(error) => break Some(error),
            }
        };
        assert!(error.is_none(), "{error:?}");
    }
}

#[tokio::test]
async fn what_changed_since_it_was_listed_is_left_alone() {
    for kind in Kind::QUICK {
        let mut db = create(kind, "clean_stale").await;
        db.run(&[&sentry_statement(&names(&db, "orders"))]).await;
        dead_run(&mut db, "orders").await;
        let found = find(&db, None).await;
        let sentry = found.iter().find(|l| l.role == Role::Old).unwrap();
        let shadow = found.iter().find(|l| l.role == Role::Shadow).unwrap();
        // A run came, swapped and ended: what was the sentry's name is the old table's now.
        db.run(&[
            "DROP TABLE orders_osc_old",
            "RENAME TABLE orders TO orders_osc_old, orders_osc_new TO orders",
            "DROP TABLE orders_osc_state, orders_osc_marks",
            "CREATE TABLE orders_osc_new (somebody_elses INT)",
        ])
        .await;
        let mut osc = session(&db).await;
        for left in [sentry, shadow] {
            let error = cleanup::remove(&mut osc, left).await.unwrap_err();
            assert!(error.what().contains("not what it was"), "{error}");
        }
        assert_eq!(db.tables().await, ["items", "orders", "orders_osc_new", "orders_osc_old"]);
    }
}

#[tokio::test]
async fn a_run_whose_table_is_gone_or_has_a_long_name() {
    for kind in Kind::QUICK {
        let mut db = create(kind, "clean_names").await;
        let long = "t".repeat(64);
        let odd = "a`b c.d'é";
        db.run(&[&format!("CREATE TABLE {long} LIKE items"), &format!("CREATE TABLE {} LIKE items", Ident::new(odd))])
            .await;
        for name in [&long, "items"] {
            dead_run(&mut db, name).await;
        }
        let names = names(&db, odd);
        db.run(&[&create_statements(&names)[0], &format!("CREATE TABLE {} LIKE items", names.shadow)]).await;
        db.run(&[&format!("DROP TABLE {long}, items")]).await;
        let found = find(&db, None).await;
        assert_eq!(found.len(), 8);
        let mut osc = session(&db).await;
        for left in &found {
            assert!(left.ours, "{left:?}");
            assert!([&long, "items", odd].contains(&left.original.as_str()));
            cleanup::remove(&mut osc, left).await.unwrap();
        }
        assert_eq!(db.tables().await.len(), 2);
    }
}

#[tokio::test]
async fn a_replica_is_not_cleaned_up() {
    let server = Server::own(Kind::MariaDb, "clean-replica", &["--relay-log=relay"]);
    let mut db = Database::create(&server, "shop1").await;
    db.run(&["CREATE TABLE orders (id INT PRIMARY KEY)", &create_statements(&names(&db, "orders"))[1]]).await;
    server
        .run(&["CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x'", "START SLAVE SQL_THREAD"])
        .await;
    let found = find(&db, None).await;
    let error = cleanup::remove(&mut session(&db).await, &found[0]).await.unwrap_err();
    assert!(error.kind() == Sort::Refused && error.what().contains("replica"), "{error}");
    assert_eq!(db.tables().await, ["orders", "orders_osc_marks"]);
}

#[tokio::test]
async fn a_live_run_is_seen_by_any_spelling() {
    let server = Server::own(Kind::MariaDb, "clean-lower", &["--lower-case-table-names=1"]);
    let mut db = Database::create(&server, "shop1").await;
    db.run(&["CREATE TABLE orders (id INT PRIMARY KEY)"]).await;
    dead_run(&mut db, "orders").await;
    let mut run = session(&db).await;
    let lock = lock_name(&Table::new("shop1", "orders"));
    run.exec(&format!("DO GET_LOCK('{lock}', 0)")).await.unwrap();
    let mut osc = session(&db).await;
    for (database, table) in [("shop1", "orders"), ("SHOP1", "Orders"), ("Shop1", "ORDERS")] {
        let found = cleanup::find(&mut osc, &Ident::new(database), Some(table)).await.unwrap();
        assert!(found.len() == 3 && found.iter().all(|l| l.live), "{found:?}");
        assert!(cleanup::remove(&mut osc, &found[0]).await.is_err());
    }
}
