//! What the servers read for a condition: proved by their own counters, not by EXPLAIN.

use osc::engine::mysql::key::Side;
use osc::engine::mysql::session::Session;
use osc::model::{Key, Range};

use super::{Bench, Planned, on_each};
use crate::harness::Kind;

const ROWS: u64 = 20_000;

/// Tables of many rows: the columns, the key, and the key's columns by the row's number.
#[rustfmt::skip]
const TABLES: &[(&str, &str, &str, &str)] = &[
    ("one", "a INT NOT NULL", "a", "n"),
    ("big", "a BIGINT UNSIGNED NOT NULL", "a", "n * CAST(922337203685477 AS UNSIGNED)"),
    ("two", "a INT NOT NULL, b INT NOT NULL", "a, b", "n DIV 500, n MOD 500"),
    ("three", "a INT NOT NULL, b SMALLINT NOT NULL, c BIGINT NOT NULL", "a, b, c", "n DIV 2000, (n DIV 50) MOD 40, n MOD 50"),
    ("skewed", "a INT NOT NULL, b INT NOT NULL", "a, b", "1, n"),
    ("txt", "a VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL", "a", "CONCAT('key', LPAD(n, 6, '0'))"),
    ("latin", "a VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL, b INT NOT NULL", "a, b", "CONCAT('key', n DIV 500), n"),
    ("sjis", "a CHAR(20) CHARACTER SET sjis NOT NULL", "a", "CONCAT('表', LPAD(n, 6, '0'))"),
    ("uuid", "a BINARY(16) NOT NULL", "a", "UNHEX(LPAD(HEX(n), 32, '0'))"),
    ("tag", "e ENUM('a','b','c','d') NOT NULL, b INT NOT NULL", "e, b", "1 + n DIV 5000, n"),
    ("tagend", "a INT NOT NULL, e ENUM('a','b','c','d') NOT NULL, b INT NOT NULL", "a, e, b", "n DIV 400, 1 + n DIV 100 MOD 4, n"),
    ("u8two", "a BIGINT UNSIGNED NOT NULL, b BIGINT UNSIGNED NOT NULL", "a, b", "n DIV 100 * CAST(92233720368547758 AS UNSIGNED), n * CAST(922337203685477 AS UNSIGNED)"),
    ("bit64", "a BIT(64) NOT NULL, b INT NOT NULL", "a, b", "n DIV 100 * CAST(92233720368547758 AS UNSIGNED), n"),
    ("times", "a DATETIME(3) NOT NULL", "a", "DATE_ADD('2020-01-01', INTERVAL n * 1001000 MICROSECOND)"),
    ("stamps", "a TIMESTAMP(6) NOT NULL DEFAULT '2020-01-01 00:00:00', b INT NOT NULL", "a, b", "DATE_ADD('2020-01-01', INTERVAL n DIV 100 SECOND), n"),
    ("money", "a DECIMAL(20,4) NOT NULL", "a", "n / 7"),
    ("bits", "a BIT(40) NOT NULL", "a", "n * 1000"),
    ("spans", "a TIME(3) NOT NULL", "a", "SEC_TO_TIME(CAST(n AS SIGNED) - 10000)"),
];

async fn reads(session: &mut Session) -> u64 {
    // FLUSH STATUS needs a privilege that osc does not have; so the difference is taken.
    let rows: Vec<(String, u64)> = session.all("SHOW SESSION STATUS LIKE 'Handler_read%'").await.unwrap();
    rows.iter().map(|(_, n)| n).sum()
}

/// Runs a statement, undoes it, and returns how many rows it changed and how many it read.
async fn measured(session: &mut Session, sql: &str) -> (u64, u64) {
    session.exec("START TRANSACTION").await.unwrap();
    let before = reads(session).await;
    let overhead = reads(session).await - before;
    let changed = session.exec_long(sql).await.unwrap_or_else(|e| panic!("{}: {e}", head(sql)));
    let read = reads(session).await - before - 2 * overhead;
    session.exec("ROLLBACK").await.unwrap();
    (changed, read)
}

fn head(sql: &str) -> String {
    sql.chars().take(400).collect()
}

async fn filled(bench: &mut Bench, (name, columns, key, values): (&str, &str, &str, &str)) -> Planned {
    let list: Vec<&str> = columns.split(", ").filter_map(|c| c.split(' ').next()).collect();
    let ddl = format!("CREATE TABLE {name} ({columns}, v INT NOT NULL DEFAULT 0, PRIMARY KEY ({key}))");
    let insert = format!("INSERT INTO {name} ({}) SELECT {values} FROM numbers", list.join(", "));
    bench.db.run(&[&ddl, &insert, &format!("ANALYZE TABLE {name}")]).await;
    let planned = bench.plan(name, "ADD extra INT, STATS_AUTO_RECALC=0").await.unwrap();
    // The statistics of the shadow say that it is empty, as they may for as long as a copy takes.
    bench.db.run(&[&format!("ANALYZE TABLE {}", planned.names.shadow)]).await;
    planned
}

async fn check(kind: Kind, bench: &mut Bench, table: (&str, &str, &str, &str)) {
    let planned = filled(bench, table).await;
    let keys = bench.keys(&planned).await;
    assert_eq!(keys.len() as u64, ROWS);
    let context = format!("{} {}", kind.name(), table.0);

    // Sets of keys.
    let some: Vec<Key> = keys.iter().step_by(20).cloned().collect();
    assert_eq!(some.len(), 1000);
    let source = planned.key.where_keys(Side::Source, &some).unwrap();
    let shadow = planned.key.where_keys(Side::Shadow, &some).unwrap();
    let insert = planned.insert(&source);
    expect(&context, "INSERT … SELECT of keys", measured(&mut bench.session, &insert).await, 1000);
    bench.copy(&planned, "TRUE").await.unwrap();
    let delete = format!("DELETE FROM {} WHERE {shadow}", planned.names.shadow);
    expect(&context, "DELETE of keys", measured(&mut bench.session, &delete).await, 1000);

    // Ranges, also inside of one value of the first column, and open ones.
    for (from, to) in [(7_777, 8_777), (0, 10), (499, 500), (100, 160), (19_990, ROWS as usize)] {
        let range = Range { after: Some(keys[from].clone()), upto: keys.get(to).cloned() };
        let rows = (to.min(keys.len() - 1) - from) as u64;
        let source = planned.key.where_range(Side::Source, &range).unwrap();
        let shadow = planned.key.where_range(Side::Shadow, &range).unwrap();
        let delete = format!("DELETE FROM {} WHERE {shadow}", planned.names.shadow);
        expect(&context, &format!("DELETE of {shadow}"), measured(&mut bench.session, &delete).await, rows);
        bench.session.exec_long(&delete).await.unwrap();
        let insert = planned.insert(&source);
        expect(&context, &format!("INSERT … SELECT of {source}"), measured(&mut bench.session, &insert).await, rows);
        bench.session.exec_long(&insert).await.unwrap();
    }

    // The end of the next range.
    let start = Range { after: Some(keys[5_000].clone()), upto: None };
    let next = format!(
        "SELECT {} FROM {} FORCE INDEX ({}) WHERE {} ORDER BY {} LIMIT 1 OFFSET 999",
        planned.key.select_list(),
        planned.names.original,
        planned.key.index,
        planned.key.where_range(Side::Source, &start).unwrap(),
        planned.key.order_by(Side::Source)
    );
    let before = reads(&mut bench.session).await;
    let overhead = reads(&mut bench.session).await - before;
    let row = bench.session.rows(&next).await.unwrap();
    let read = reads(&mut bench.session).await - before - 2 * overhead;
    assert_eq!(planned.key.read_row(&row[0], 0).unwrap(), keys[6_000], "{context}");
    assert!(read < 1_100, "{context}: the end of the next range took {read} reads: {next}");
}

fn expect(context: &str, what: &str, (changed, read): (u64, u64), rows: u64) {
    let what = head(what);
    assert_eq!(changed, rows, "{context}: {what}");
    assert!(read <= rows + rows / 10 + 12, "{context}: {rows} rows took {read} reads: {what}");
}

#[test]
fn conditions_read_only_what_they_find() {
    on_each(|kind| async move {
        let mut bench = Bench::new(kind, "plan_access").await;
        let limit = if kind.is_mariadb() { "max_recursive_iterations" } else { "cte_max_recursion_depth" };
        bench
            .db
            .run(&[
                &format!("SET SESSION {limit} = 1000000, time_zone = '+00:00'"),
                "SET NAMES utf8mb4",
                "CREATE TABLE numbers (n INT PRIMARY KEY)",
                &format!(
                    "INSERT INTO numbers WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < {}) \
                     SELECT n FROM r",
                    ROWS - 1
                ),
            ])
            .await;
        for table in TABLES {
            check(kind, &mut bench, *table).await;
        }
    });
}
