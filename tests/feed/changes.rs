//! Every form in which a changed row can stand in the binlog.

use super::world::*;

#[tokio::test]
async fn keys_before_and_after_are_delivered() {
    on_both(|address| async move {
        let mut w = World::new(&address, "id INT PRIMARY KEY, v INT").await;
        w.run("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").await;
        w.run("UPDATE t SET v = 9 WHERE id = 2").await;
        w.run("UPDATE t SET id = 7 WHERE id = 3").await;
        w.run("DELETE FROM t WHERE id = 1").await;
        assert_eq!(w.drain().await, [1, 2, 3, 2, 3, 7, 1]);
        assert_eq!(w.feed.changes(), 6);
        w.run("REPLACE INTO t VALUES (2, 5)").await;
        w.run("INSERT INTO t VALUES (7, 1) ON DUPLICATE KEY UPDATE v = v + 1").await;
        w.run("BEGIN").await;
        w.run("INSERT INTO t VALUES (100, 1)").await;
        w.run("SAVEPOINT s").await;
        w.run("INSERT INTO t VALUES (101, 1)").await;
        w.run("ROLLBACK TO s").await;
        w.run("COMMIT").await;
        let keys = sorted(w.drain().await);
        assert_eq!(keys, [2, 7, 100]);
        assert!(w.feed.bytes() > 0);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn images_without_the_unchanged_columns_are_read() {
    on_both(|address| async move {
        let mut w = World::new(&address, "id INT PRIMARY KEY, a INT, b LONGTEXT, c BLOB").await;
        let mut images = vec!["MINIMAL", "NOBLOB"];
        if w.flavor.is_mariadb() && w.flavor.version >= (11, 4, 0) {
            images.push("FULL_NODUP");
        }
        for image in images {
            w.run(&format!("SET SESSION binlog_row_image = {image}")).await;
            w.run("INSERT INTO t VALUES (1, 1, 'x', 'y'), (2, 2, NULL, NULL)").await;
            w.run("UPDATE t SET a = 5").await;
            w.run("UPDATE t SET id = 3, b = 'z' WHERE id = 2").await;
            w.run("DELETE FROM t").await;
            assert_eq!(w.drain().await, [1, 2, 1, 2, 3, 1, 3], "{image}");
        }
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_mark_is_read_whatever_the_row_image() {
    for (address, image) in [(mysql(), "MINIMAL"), (mariadb(), "MINIMAL"), (mariadb(), "FULL_NODUP")] {
        let mut w = World::new(&address, "id INT PRIMARY KEY").await;
        if image == "FULL_NODUP" && w.flavor.version < (11, 4, 0) {
            continue;
        }
        let (token, sql) = w.mark_sql();
        w.run(&format!("SET SESSION binlog_row_image = {image}")).await;
        for _ in 0..2 {
            w.marks.sent(token);
            w.run(&sql).await;
            w.marks.returned(token);
            w.upto(token).await.unwrap();
            // The same again changes only the time, and is a mark all the same: as after a lost answer.
        }
        w.done().await;
    }
}

#[tokio::test]
async fn partial_json_updates_are_read() {
    let mut w = World::new(&mysql(), "id INT PRIMARY KEY, a JSON, n INT, b JSON, s VARCHAR(9)").await;
    w.run("INSERT INTO t VALUES (1, '{\"k\": \"some text that is long enough\"}', 1, '[1,2,3]', 'x')").await;
    w.run("INSERT INTO t SELECT id + 1, a, n, b, s FROM t").await;
    for image in ["FULL", "MINIMAL"] {
        w.run(&format!("SET SESSION binlog_row_value_options = PARTIAL_JSON, binlog_row_image = {image}")).await;
        w.run(&format!("UPDATE t SET a = JSON_SET(a, '$.k', '{image}'), b = JSON_REPLACE(b, '$[0]', '{image}')")).await;
        w.run(&format!("UPDATE t SET b = JSON_REPLACE(b, '$[1]', '{image}'), s = '{image}' WHERE id = 2")).await;
        w.run("UPDATE t SET n = n + 1").await;
    }
    assert_eq!(w.drain().await, [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    w.done().await;
}

#[tokio::test]
async fn compressed_transactions_are_read() {
    let mut w = World::new(&mysql(), "id INT PRIMARY KEY, v LONGTEXT").await;
    w.run("SET SESSION binlog_transaction_compression = ON").await;
    w.run("BEGIN").await;
    for id in 1..=300 {
        w.run(&format!("INSERT INTO t VALUES ({id}, REPEAT('{id} ', 10000))")).await;
    }
    w.run("COMMIT").await;
    w.run("UPDATE t SET v = 'x' WHERE id <= 2").await;
    // The next transaction is not compressed: the place in the file must be right again.
    w.run("SET SESSION binlog_transaction_compression = OFF").await;
    w.run("DELETE FROM t WHERE id = 3").await;
    let token = w.mark().await;
    let (keys, position) = w.upto(token).await.unwrap();
    assert_eq!(keys, (1..=300).chain([1, 2, 3]).collect::<Vec<_>>());
    w.run("DELETE FROM t WHERE id = 4").await;
    w.reopen(Some(&position)).await.unwrap();
    assert_eq!(w.drain().await, [4]);
    w.done().await;
}

#[tokio::test]
async fn an_event_over_16_mib_is_read() {
    on_both(|address| async move {
        let mut w = World::new(&address, "id INT PRIMARY KEY, v LONGBLOB").await;
        w.run("INSERT INTO t VALUES (1, REPEAT('x', 20000000))").await;
        w.run("UPDATE t SET v = CONCAT(v, 'y')").await;
        w.run("INSERT INTO t VALUES (2, REPEAT('x', 16777216 - 60))").await;
        w.run("DELETE FROM t WHERE id = 1").await;
        assert_eq!(w.drain().await, [1, 2, 1]);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn columns_of_any_type_are_stepped_over() {
    on_both(|address| async move {
        let mut columns = "id INT PRIMARY KEY, a1 TINYINT, a2 SMALLINT, a3 MEDIUMINT, a4 BIGINT, a5 FLOAT, a6 DOUBLE, \
            a7 DECIMAL(65,30), a8 DECIMAL(9,2), a9 BIT(1), b1 BIT(64), b2 BIT(17), b3 YEAR, b4 DATE, b5 TIME, \
            b6 TIME(6), b7 DATETIME, b8 DATETIME(3), b9 TIMESTAMP NULL, c1 TIMESTAMP(2) NULL, c2 CHAR(3), \
            c3 CHAR(255) CHARACTER SET utf8mb4, c4 BINARY(200), c5 VARCHAR(10), c6 VARCHAR(5000), c7 VARBINARY(300), \
            c8 TINYBLOB, c9 BLOB, d1 MEDIUMTEXT, d2 LONGTEXT, d3 ENUM('a','b'), d4 SET('a','b','c'), d5 JSON, d6 POINT, \
            d7 INT GENERATED ALWAYS AS (a4 + 1) VIRTUAL, d8 INT GENERATED ALWAYS AS (a4 + 2) STORED"
            .to_string();
        let flavor = osc::engine::mysql::session::Session::open(&address).await.unwrap().flavor;
        if flavor.is_mariadb() {
            columns += ", e1 UUID, e2 INET6, e3 INET4, e4 VARCHAR(2000) COMPRESSED, e5 BLOB COMPRESSED, \
                e6 INT INVISIBLE, e7 TEXT UNIQUE, KEY (a1)";
        } else {
            columns += ", e1 VECTOR(3), e2 INT INVISIBLE, KEY ((a1 + a2)), KEY ((CAST(d5->'$.z' AS UNSIGNED ARRAY)))";
        }
        let mut w = World::new(&address, &columns).await;
        w.run("INSERT INTO t (id) VALUES (1)").await;
        w.run(
            "UPDATE t SET a1 = -1, a2 = -2, a3 = -3, a4 = -4, a5 = 1.5, a6 = -2.5, a7 = -1.000000000000000000000000000001, \
             a8 = 1234567.89, a9 = 1, b1 = 77, b2 = 99, b3 = 1999, b4 = '2020-02-29', b5 = '-10:20:30', \
             b6 = '-838:59:58.999999', b7 = '2020-01-02 03:04:05', b8 = '2020-01-02 03:04:05.678', \
             b9 = '2020-01-02 03:04:05', c1 = '2020-01-02 03:04:05.67', c2 = 'é', c3 = REPEAT('é', 255), c4 = 'bin', \
             c5 = 'v', c6 = REPEAT('v', 5000), c7 = REPEAT('w', 300), c8 = 'x', c9 = REPEAT('y', 1000), \
             d1 = REPEAT('z', 70000), d2 = 'long', d3 = 'b', d4 = 'a,c', d5 = '{\"z\": [1,2]}', d6 = POINT(1,2)",
        )
        .await;
        if flavor.is_mariadb() {
            w.run("UPDATE t SET e1 = UUID(), e2 = '::1', e3 = '1.2.3.4', e4 = REPEAT('q', 1900), e5 = REPEAT('r', 900), e6 = 1").await;
        } else {
            w.run("UPDATE t SET e1 = TO_VECTOR('[1,2,3]'), e2 = 1").await;
        }
        w.run("UPDATE t SET id = 2").await;
        w.run("DELETE FROM t").await;
        assert_eq!(w.drain().await, [1, 2]);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn other_tables_and_statement_annotations_do_not_matter() {
    on_both(|address| async move {
        let mut w = World::new(&address, "id INT PRIMARY KEY, v INT").await;
        w.run("CREATE TABLE u (id INT PRIMARY KEY, t_id INT)").await;
        w.run("CREATE TABLE u2 (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES u (id))").await;
        w.run("CREATE TRIGGER tr AFTER INSERT ON u FOR EACH ROW INSERT INTO t VALUES (NEW.id + 1000, 1)").await;
        let annotate =
            if w.flavor.is_mariadb() { "binlog_annotate_row_events" } else { "binlog_rows_query_log_events" };
        w.run(&format!("SET SESSION {annotate} = ON")).await;
        w.run("INSERT INTO t VALUES (1, 1)").await;
        w.run("INSERT INTO u VALUES (5, 1)").await;
        w.run("CREATE TABLE copy AS SELECT * FROM t").await;
        w.run("UPDATE t, u SET t.v = 5, u.t_id = 6 WHERE t.id = 1").await;
        w.run("ANALYZE TABLE t").await;
        w.run("OPTIMIZE TABLE t").await;
        w.run("CREATE TEMPORARY TABLE tmp (id INT)").await;
        w.run("INSERT INTO tmp VALUES (1)").await;
        w.run("DROP TEMPORARY TABLE tmp").await;
        if w.flavor.is_mariadb() {
            // MySQL refuses it in a binlog with GTIDs.
            w.run("ALTER TABLE u ADD r DOUBLE DEFAULT (RAND()), ADD s CHAR(36) DEFAULT (UUID())").await;
        }
        w.run("CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN (SELECT MAX(v) FROM t)").await;
        w.run("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t").await;
        w.run("ALTER TABLE u ADD t INT, ADD INDEX t (t)").await;
        w.run("TRUNCATE TABLE copy").await;
        w.run("DROP TABLE copy").await;
        w.run("/* osc:1234abcd */ ALTER TABLE t COMMENT = 'ours'").await;
        w.run("DELETE FROM t WHERE id = 1").await;
        assert_eq!(w.drain().await, [1, 1005, 1]);
        w.done().await;
    })
    .await;
}
