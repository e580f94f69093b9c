//! What must stop a run, and says why.

use osc::error::Kind;

use super::world::*;

const T: &str = "id INT PRIMARY KEY, v INT";

async fn disturbed(w: &mut World, words: &[&str]) {
    let error = w.error().await;
    assert_eq!(error.kind(), Kind::Definite, "{error}");
    for word in words {
        assert!(error.what().contains(word), "no '{word}' in: {error}");
    }
    assert!(error.table_state().is_some());
}

#[tokio::test]
async fn ddl_on_our_table_stops() {
    on_both(|address| async move {
        let mut statements = vec![
            "TRUNCATE TABLE t",
            "ALTER TABLE t ADD c INT",
            "ALTER TABLE t FORCE",
            "CREATE INDEX i ON t (v)",
            "RENAME TABLE t TO t2",
            "DROP TABLE t",
            "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1",
            "ALTER TABLE p EXCHANGE PARTITION p1 WITH TABLE t",
            "CREATE TABLE child (id INT, FOREIGN KEY (id) REFERENCES t (id))",
        ];
        for statement in statements.drain(..) {
            let mut w = World::new(&address, T).await;
            if statement.contains("EXCHANGE") {
                w.run("CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (9))").await;
            }
            w.run(statement).await;
            let needle = statement.chars().take(6).collect::<String>();
            disturbed(&mut w, &[&needle]).await;
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_dropped_database_stops() {
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let mut app = w.other().await;
        let db = w.db.clone();
        run(&mut app, &format!("DROP DATABASE {db}")).await;
        // No marks can be sent any more; the disturbance comes all the same.
        let error = w.next().await.unwrap_err();
        assert!(error.what().contains("DROP"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_session_in_statement_format_stops() {
    // Such a statement ends the run of every table on the server, those of the other tests too.
    let _alone = alone().await;
    on_both(|address| async move {
        for statement in
            ["INSERT INTO t VALUES (1, 1)", "UPDATE t SET v = 2", "DELETE FROM other", "INSERT INTO t SELECT 5, RAND()"]
        {
            let mut w = World::new(&address, T).await;
            w.run("CREATE TABLE other (a INT)").await;
            w.run("INSERT INTO t VALUES (9, 9)").await;
            w.run("INSERT INTO other VALUES (9)").await;
            w.run("SET SESSION binlog_format = STATEMENT").await;
            w.run(statement).await;
            disturbed(&mut w, &["STATEMENT"]).await;
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn compressed_events_of_mariadb_stop() {
    let _alone = alone().await;
    let mut w = World::new(&mariadb(), T).await;
    // Only what has no other way out: the setting is global, the next test must not meet it.
    w.run("SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10").await;
    let mut app = w.other().await;
    run(&mut app, "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").await;
    let error = w.error().await;
    w.run("SET GLOBAL log_bin_compress = OFF").await;
    assert!(error.what().contains("log_bin_compress"), "{error}");
    w.done().await;
}

#[tokio::test]
async fn a_row_without_its_key_stops() {
    // The key osc goes by is not the primary key here: MINIMAL images lack it.
    on_both(|address| async move {
        let mut w = World::new(&address, "id INT NOT NULL UNIQUE, pk INT PRIMARY KEY, v INT").await;
        w.run("INSERT INTO t VALUES (1, 10, 1)").await;
        w.run("SET SESSION binlog_row_image = MINIMAL").await;
        w.run("UPDATE t SET v = 2").await;
        disturbed(&mut w, &["without its key"]).await;
        w.done().await;
    })
    .await;
}
