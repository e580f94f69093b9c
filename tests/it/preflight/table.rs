//! The table: there, of the right kind, and nothing hangs on it.

use super::*;

#[tokio::test]
async fn a_missing_table_is_told_with_names_like_it() {
    for kind in Kind::QUICK {
        let db = orders(&Server::shared(kind), "pre_missing").await;
        let todo = refused_for(&db, "ordesr", &["no table pre_missing.ordesr"]).await;
        assert_eq!(todo, "Did you mean pre_missing.orders?");
        let todo = refused_for(&db, "Orders", &["no table pre_missing.Orders"]).await;
        assert_eq!(todo, "Did you mean pre_missing.orders?");
        let todo = refused_for(&db, "something", &["no table pre_missing.something"]).await;
        assert!(!todo.contains("mean"), "{todo}");
    }
}

#[tokio::test]
async fn what_is_no_ordinary_innodb_table() {
    for kind in Kind::QUICK {
        let mut db = orders(&Server::shared(kind), "pre_kinds").await;
        db.run(&[
            "CREATE VIEW v AS SELECT id FROM orders",
            "CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM",
            "CREATE TABLE c (id INT PRIMARY KEY) ENGINE=MEMORY",
            "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2",
        ])
        .await;
        refused_for(&db, "v", &["pre_kinds.v is a view"]).await;
        let todo = refused_for(&db, "m", &["pre_kinds.m", "MyISAM", "InnoDB"]).await;
        obey(&db.server, &todo).await;
        passes(&db, "m").await;
        refused_for(&db, "c", &["MEMORY"]).await;
        assert!(passes(&db, "p").await.table.partitioned);
        if kind.is_mariadb() {
            db.run(&["CREATE SEQUENCE s", "CREATE TABLE h (id INT PRIMARY KEY) WITH SYSTEM VERSIONING"]).await;
            refused_for(&db, "s", &["is a sequence"]).await;
            refused_for(&db, "h", &["system-versioned"]).await;
        }
    }
}

#[tokio::test]
async fn foreign_keys_either_way() {
    for kind in Kind::QUICK {
        let server = Server::shared(kind);
        // A database that osc's account can't see; first, because an earlier run's would hold the other one.
        let other = Database::create(&server, "pre_fk_other").await;
        let mut db = orders(&server, "pre_fk").await;
        db.run(&[
            "CREATE TABLE parts (id BIGINT PRIMARY KEY, CONSTRAINT l_fk FOREIGN KEY (id) REFERENCES orders (id) ON DELETE CASCADE)",
            "CREATE TABLE `pre_fk_other`.`far-away` (id BIGINT PRIMARY KEY, CONSTRAINT far_fk FOREIGN KEY (id) REFERENCES pre_fk.orders (id))",
            "CREATE TABLE tree (id BIGINT PRIMARY KEY, up BIGINT, CONSTRAINT tree_fk FOREIGN KEY (up) REFERENCES tree (id))",
            "CREATE TABLE free (id BIGINT PRIMARY KEY)",
        ])
        .await;
        refused_for(&db, "orders", &["l_fk of pre_fk.parts", "far_fk of pre_fk_other.far-away"]).await;
        refused_for(&db, "parts", &["pre_fk.parts has foreign keys (l_fk)"]).await;
        refused_for(&db, "tree", &["tree_fk"]).await;
        passes(&db, "free").await;
        drop(other);
        db.run(&["DROP DATABASE pre_fk_other"]).await;
    }
}

#[tokio::test]
async fn triggers_and_all_at_once() {
    for kind in Kind::QUICK {
        let mut db = orders(&Server::shared(kind), "pre_trigger").await;
        db.run(&["CREATE TRIGGER t_bi BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = UPPER(NEW.note)"]).await;
        refused_for(&db, "orders", &["triggers (t_bi)"]).await;
        db.run(&[
            "CREATE TABLE parts (id BIGINT PRIMARY KEY, CONSTRAINT l_fk FOREIGN KEY (id) REFERENCES orders (id))",
            "CREATE TABLE orders_osc_old (id INT)",
        ])
        .await;
        let (what, todo) = refused(&db, "orders").await;
        assert_eq!(what.lines().count(), 3, "{what}");
        assert!(what.contains("t_bi") && what.contains("l_fk") && what.contains("orders_osc_old"));
        assert!(todo.contains("DROP TABLE `pre_trigger`.`orders_osc_old`"), "{todo}");
    }
}

#[tokio::test]
async fn a_server_that_folds_names() {
    // MySQL can be this only from its first start on.
    let server = Server::own(Kind::MariaDb, "pre-lower", &["--lower-case-table-names=1"]);
    let db = orders(&server, "shop1").await;
    assert_eq!(passes(&db, "orders").await.lower_case_table_names, 1);
    let todo = refused_for(&db, "Orders", &["under the name shop1.orders"]).await;
    assert_eq!(todo, "Name it like that: --table shop1.orders");
    let mut osc = session(&db).await;
    let spelled = preflight::spelled(&mut osc, &Table::new("SHOP1", "ORDERS")).await.unwrap();
    assert_eq!(spelled, Table::new("shop1", "orders"));
    let missing = Table::new("SHOP1", "Nothing");
    assert_eq!(preflight::spelled(&mut osc, &missing).await.unwrap(), missing);
    refused_for(&db, "Order", &["no table shop1.Order"]).await;
}
