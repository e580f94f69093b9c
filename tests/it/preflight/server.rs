//! The server's settings, on instances of the tests' own.

use super::*;

#[tokio::test]
async fn no_binary_log() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-nolog", &["--skip-log-bin"]);
        let db = orders(&server, "shop1").await;
        let todo = refused_for(&db, "orders", &["writes no binary log"]).await;
        assert!(todo.contains("log_bin"));
    }
}

#[tokio::test]
async fn filters() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-filter", &["--binlog-do-db=some", "--binlog-ignore-db=others"]);
        let db = orders(&server, "shop1").await;
        let (what, _) = refused(&db, "orders").await;
        assert_eq!(what.lines().count(), 2, "{what}");
        assert!(what.contains("binlog_do_db=some") && what.contains("binlog_ignore_db=others"), "{what}");
    }
}

#[tokio::test]
async fn settings_that_can_be_changed_while_it_runs() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-settings", &[]);
        let db = orders(&server, "shop1").await;
        passes(&db, "orders").await;
        let mut cases = vec![
            ("binlog_format = STATEMENT", "binlog_format is STATEMENT"),
            ("binlog_format = MIXED", "binlog_format is MIXED"),
            ("read_only = ON", "read-only (read_only=ON)"),
        ];
        if kind.is_mariadb() {
            cases.push(("log_bin_compress = ON", "log_bin_compress is ON"));
            cases.push(("tx_read_only = ON", "sessions are read-only"));
        } else {
            cases.push(("binlog_order_commits = OFF", "binlog_order_commits is OFF"));
            cases.push(("super_read_only = ON", "read-only (super_read_only=ON)"));
            cases.push(("transaction_read_only = ON", "sessions are read-only"));
        }
        for (setting, sentence) in cases {
            server.run(&[&format!("SET GLOBAL {setting}")]).await;
            let todo = refused_for(&db, "orders", &[sentence]).await;
            let name = setting.split(' ').next().unwrap();
            if todo.starts_with("SET GLOBAL") && !name.starts_with("tx_") {
                let statement = todo.split_once(';').unwrap().0;
                server.run(&[statement]).await;
            } else {
                server.run(&["SET GLOBAL read_only = OFF", &format!("SET GLOBAL {name} = OFF")]).await;
            }
            passes(&db, "orders").await;
        }
        if !kind.is_mariadb() {
            server.run(&["ALTER SCHEMA shop1 READ ONLY = 1"]).await;
            let todo = refused_for(&db, "orders", &["database shop1 is read-only"]).await;
            obey(&server, &todo).await;
            passes(&db, "orders").await;
        }
        // Hints, not refusals.
        server.run(&["SET GLOBAL sync_binlog = 0", "SET GLOBAL sql_mode = ''"]).await;
        let hints = passes(&db, "orders").await.hints.join("\n");
        assert!(hints.contains("sync_binlog") && hints.contains("not strict"), "{hints}");
        server.run(&["SET GLOBAL binlog_expire_logs_seconds = 3600"]).await;
        let hints = passes(&db, "orders").await.hints.join("\n");
        assert!(hints.contains("1.0 hours"), "{hints}");
    }
}

#[tokio::test]
async fn row_images_of_any_kind_pass() {
    for kind in [Kind::MySql, Kind::MariaDb, Kind::MariaDb118] {
        let server = Server::own(kind, "pre-image", &[]);
        let mut db = orders(&server, "shop1").await;
        db.run(&["CREATE TABLE d (a INT DEFAULT 7, b INT, PRIMARY KEY (a, b))"]).await;
        let images: &[&str] = match kind {
            Kind::MariaDb118 => &["MINIMAL", "NOBLOB", "FULL", "FULL_NODUP"],
            _ => &["MINIMAL", "NOBLOB", "FULL"],
        };
        for image in images {
            server.run(&[&format!("SET GLOBAL binlog_row_image = {image}")]).await;
            let facts = passes(&db, "orders").await;
            assert_eq!(facts.row_image, *image);
            assert!(!facts.hints.iter().any(|h| h.contains("MINIMAL")));
            let hinted = passes(&db, "d").await.hints.iter().any(|h| h.contains("column `a` has a default"));
            assert_eq!(hinted, *image == "MINIMAL");
        }
    }
}

#[tokio::test]
async fn semi_sync_and_gtid_are_seen() {
    let server = Server::own(Kind::MySql, "pre-gtid", &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]);
    server.run(&["INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'"]).await;
    server.run(&["SET GLOBAL rpl_semi_sync_source_enabled = ON"]).await;
    let facts = passes(&orders(&server, "shop1").await, "orders").await;
    assert!(!facts.gtid_mode && facts.semi_sync);
    let server = Server::own(Kind::MariaDb, "pre-gtid", &["--rpl-semi-sync-master-enabled=ON"]);
    assert!(passes(&orders(&server, "shop1").await, "orders").await.semi_sync);
}

#[tokio::test]
async fn an_old_version_and_galera() {
    let server = Server::own(Kind::MariaDb, "pre-old", &["--version=10.5.29-MariaDB"]);
    let db = orders(&server, "shop1").await;
    refused_for(&db, "nothing_else_is_asked", &["MariaDB 10.5.29", "MariaDB 10.6 and later"]).await;
    drop(server);
    let server = Server::own(Kind::MariaDb, "pre-galera", &["--wsrep-on=ON"]);
    let db = orders(&server, "shop1").await;
    refused_for(&db, "orders", &["Galera"]).await;
}

#[tokio::test]
async fn a_replica_that_logs_nothing_of_what_it_receives() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-replica", &["--log-slave-updates=OFF", "--relay-log=relay"]);
        let db = orders(&server, "shop1").await;
        assert!(passes(&db, "orders").await.hints.iter().all(|h| !h.contains("itself a replica")));
        if kind.is_mariadb() {
            server.run(&["CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x'"]).await;
            server.run(&["START SLAVE SQL_THREAD"]).await;
        } else {
            server.run(&["CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1"]).await;
        }
        refused_for(&db, "orders", &["itself a replica", "log_slave_updates=OFF"]).await;
    }
}

#[tokio::test]
async fn prepared_xa_transactions() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-xa", &[]);
        let db = orders(&server, "shop1").await;
        let mut app = db.app().await;
        for statement in [
            "XA START 'a b','q',7",
            "INSERT INTO orders VALUES (1, 'x')",
            "XA END 'a b','q',7",
            "XA PREPARE 'a b','q',7",
        ] {
            app.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        let mut osc = session(&db).await;
        assert_eq!(preflight::prepared_xa(&mut osc).await.unwrap(), ["X'612062','q',7"]);
        let todo = refused_for(&db, "orders", &["X'612062','q',7", "Prepared XA"]).await;
        // Another session can end it once its own is gone.
        app.disconnect().await.unwrap();
        let statement = todo.rsplit_once(" or ").unwrap().1;
        let mut admin = server.admin().await;
        let mut tries = 0;
        while let Err(error) = admin.query_drop(statement).await {
            tries += 1;
            assert!(tries < 50, "{statement}: {error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        passes(&db, "orders").await;
    }
}

#[tokio::test]
async fn an_xa_transaction_that_ends_is_waited_for() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-xa-short", &[]);
        let db = orders(&server, "shop1").await;
        let mut app = db.app().await;
        for statement in ["XA START 'x'", "INSERT INTO orders VALUES (1, 'x')", "XA END 'x'", "XA PREPARE 'x'"] {
            app.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        let ends = async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            app.query_drop("XA COMMIT 'x'").await.unwrap();
        };
        tokio::join!(ends, passes(&db, "orders"));
    }
}

#[tokio::test]
async fn readers_of_the_binlog_are_counted_whatever_others_run() {
    for kind in Kind::QUICK {
        let server = Server::own(kind, "pre-readers", &[]);
        let db = orders(&server, "shop1").await;
        assert_eq!(passes(&db, "orders").await.replicas, 0);
        // In information_schema.PROCESSLIST this statement would be an error for everybody on MySQL.
        let mut busy = db.app().await;
        let sleeper = tokio::spawn(async move { busy.query_drop("SELECT SLEEP(3), '\u{1f69a}'").await });
        let reader = session(&db).await.into_conn();
        let request = mysql_async::BinlogStreamRequest::new(4711);
        let stream = reader.get_binlog_stream(request).await.unwrap();
        let facts = passes(&db, "orders").await;
        assert_eq!(facts.replicas, 1);
        assert!(
            facts.hints.iter().any(|h| h.starts_with("1 connection reads the server's binary log")),
            "{:?}",
            facts.hints
        );
        drop(stream);
        sleeper.await.unwrap().unwrap();
    }
}
