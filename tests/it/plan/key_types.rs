//! Keys of every type: from the binlog and from a SELECT they are the same bytes, in the server's
//! order, and as SQL they find exactly their row on both sides.

use std::collections::BTreeSet;

use osc::engine::mysql::key::Side;
use osc::model::{KeyOrder, Range};

use super::key_cases::{Case, DESCENDING, MIXED, NUMBERS, STRINGS, TIMES};
use super::{Bench, Tail, on_each};
use crate::harness::Kind;

async fn check(kind: Kind, bench: &mut Bench, case: &Case) {
    let name = case.name;
    let context = format!("{} {name}", kind.name());
    bench
        .db
        .run(&[
            &format!("DROP TABLE IF EXISTS {name}, {name}_osc_new"),
            &format!(
                "CREATE TABLE {name} (pad VARCHAR(5) DEFAULT 'pad', {}, PRIMARY KEY ({}))",
                case.columns, case.key
            ),
        ])
        .await;
    let planned = bench.plan(name, case.alter).await.unwrap_or_else(|e| panic!("{context}: {e}"));
    let tail = Tail::open(bench, &planned).await;
    // In an order that is not the key's.
    let columns: Vec<String> = case
        .columns
        .split(", ")
        .filter_map(|c| c.split(' ').next())
        .map(String::from)
        .filter(|c| c.len() < 3)
        .collect();
    let half = case.rows.len() / 2;
    for row in case.rows[half..].iter().chain(&case.rows[..half]) {
        bench.db.run(&[&format!("INSERT INTO {name} ({}) VALUES ({row})", columns.join(", "))]).await;
    }
    let keys = bench.keys(&planned).await;
    let logged = tail.keys(bench).await;
    assert_eq!(keys.len(), case.rows.len(), "{context}");
    assert_eq!(logged, keys.iter().cloned().collect::<BTreeSet<_>>(), "{context}: the binlog's keys are the SELECT's");
    if planned.key.order == KeyOrder::Bytes {
        assert!(keys.is_sorted_by(|a, b| a < b), "{context}: bytes have the server's order: {keys:?}");
    }
    bench.copy(&planned, "TRUE").await.unwrap_or_else(|e| panic!("{context}: {e}"));
    let (original, shadow) = (planned.names.original.clone(), planned.names.shadow.clone());
    for (at, key) in keys.iter().enumerate() {
        for (side, table) in [(Side::Source, &original), (Side::Shadow, &shadow)] {
            let one = planned.key.where_keys(side, std::slice::from_ref(key)).unwrap();
            assert_eq!(bench.count(table, &one).await, 1, "{context}: {one}");
            let upto = Range { after: None, upto: Some(key.clone()) };
            let sql = planned.key.where_range(side, &upto).unwrap();
            assert_eq!(bench.count(table, &sql).await, at as u64 + 1, "{context}: {sql}");
            let after = Range { after: Some(key.clone()), upto: None };
            let sql = planned.key.where_range(side, &after).unwrap();
            assert_eq!(bench.count(table, &sql).await, (keys.len() - at - 1) as u64, "{context}: {sql}");
            for (to, end) in keys.iter().enumerate() {
                let range = Range { after: Some(key.clone()), upto: Some(end.clone()) };
                let sql = planned.key.where_range(side, &range).unwrap();
                assert_eq!(bench.count(table, &sql).await, to.saturating_sub(at) as u64, "{context}: {sql}");
            }
        }
        let source = planned.key.where_keys(Side::Source, std::slice::from_ref(key)).unwrap();
        let target = planned.key.where_keys(Side::Shadow, std::slice::from_ref(key)).unwrap();
        let deleted = bench.session.exec(&format!("DELETE FROM {shadow} WHERE {target}")).await.unwrap();
        assert_eq!(deleted, 1, "{context}: {target}");
        assert_eq!(bench.copy(&planned, &source).await.unwrap(), 1, "{context}: {source}");
        assert!(!planned.key.describe(key).is_empty());
    }
    for (side, table) in [(Side::Source, &original), (Side::Shadow, &shadow)] {
        let all = planned.key.where_keys(side, &keys).unwrap();
        assert_eq!(bench.count(table, &all).await, keys.len() as u64, "{context}: {all}");
    }
}

fn all(database: &'static str, cases: &'static [Case]) {
    on_each(|kind| async move {
        let mut bench = Bench::new(kind, database).await;
        // Zero dates and the like are what an old table has.
        bench
            .db
            .run(&["SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'", "SET NAMES utf8mb4"])
            .await;
        for case in cases {
            check(kind, &mut bench, case).await;
        }
    });
}

#[test]
fn numbers() {
    all("plan_numbers", NUMBERS);
}

#[test]
fn times() {
    all("plan_times", TIMES);
}

#[test]
fn strings() {
    all("plan_strings", STRINGS);
}

#[test]
fn several_columns() {
    all("plan_mixed", MIXED);
}

#[test]
fn descending() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut bench = Bench::new(Kind::MySql, "plan_desc").await;
        for case in DESCENDING {
            check(Kind::MySql, &mut bench, case).await;
        }
    });
}

/// Row events count columns in their own way: virtual, invisible and hidden ones must not shift the key.
#[test]
fn generated_and_invisible_columns() {
    on_each(|kind| async move {
        let mut bench = Bench::new(kind, "plan_generated").await;
        let mut tables = vec![
            (
                "v1",
                "v1 INT AS (a + 1) VIRTUAL, a INT, s1 INT AS (a + 2) STORED, k INT NOT NULL, v2 VARCHAR(9) AS (CONCAT(a, 'x')) VIRTUAL, PRIMARY KEY (k)",
                "a, k",
                &["1, 10", "2, 20"][..],
            ),
            (
                "inv",
                "a INT, i INT INVISIBLE, k INT NOT NULL, j TEXT INVISIBLE, PRIMARY KEY (k)",
                "a, k",
                &["1, 10", "2, 20"],
            ),
            (
                "blobs",
                "j JSON, b LONGBLOB, t TEXT, g GEOMETRY, k INT NOT NULL, PRIMARY KEY (k)",
                "j, b, t, g, k",
                &["'{}', REPEAT('x', 70000), '', POINT(1,2), 5", "NULL, NULL, 'x', NULL, 6"],
            ),
        ];
        // MariaDB lets no generated column be NOT NULL, so none can be in a key.
        if !kind.is_mariadb() {
            tables.push((
                "kept",
                "a INT NOT NULL, k INT AS (a * 10) STORED NOT NULL, UNIQUE KEY (k)",
                "a",
                &["1", "2"],
            ));
            tables.push((
                "func",
                "a INT, k INT NOT NULL, PRIMARY KEY (k), KEY f ((a + 1)), KEY g ((k * 2))",
                "a, k",
                &["1, 10", "2, 20"],
            ));
            tables.push((
                "multi",
                "j JSON, k INT NOT NULL, PRIMARY KEY (k), KEY f ((CAST(j AS UNSIGNED ARRAY)))",
                "j, k",
                &["'[1,2]', 10", "'[3]', 20"],
            ));
            tables.push((
                "virt",
                "a INT NOT NULL, k INT AS (a * 10) VIRTUAL NOT NULL, UNIQUE KEY (k)",
                "a",
                &["1", "2"],
            ));
        }
        for (name, columns, list, rows) in tables {
            let context = format!("{} {name}", kind.name());
            bench.db.run(&[&format!("CREATE TABLE {name} ({columns})")]).await;
            let planned = bench.plan(name, "ADD extra INT").await.unwrap_or_else(|e| panic!("{context}: {e}"));
            let tail = Tail::open(&mut bench, &planned).await;
            for row in rows {
                bench.db.run(&[&format!("INSERT INTO {name} ({list}) VALUES ({row})")]).await;
            }
            bench.db.run(&[&format!("UPDATE {name} SET {} = 77 LIMIT 1", if list == "a" { "a" } else { "k" })]).await;
            let logged = tail.keys(&mut bench).await;
            let keys = bench.keys(&planned).await;
            assert_eq!(keys.len(), rows.len(), "{context}");
            assert_eq!(logged.len(), rows.len() + 1, "{context}: {logged:?}");
            assert!(keys.iter().all(|key| logged.contains(key)), "{context}: {keys:?} {logged:?}");
            bench.copy(&planned, "TRUE").await.unwrap_or_else(|e| panic!("{context}: {e}"));
            assert_eq!(bench.count(&planned.names.shadow, "TRUE").await, rows.len() as u64, "{context}");
        }
    });
}

/// What strict servers refuse today, old tables have.
#[test]
fn zero_and_impossible_dates() {
    on_each(|kind| async move {
        let mut bench = Bench::new(kind, "plan_zero").await;
        bench.db.run(&["SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"]).await;
        for (name, columns, rows) in [
            ("d", "k DATE NOT NULL", &["'0000-00-00'", "'2024-00-00'", "'2024-01-00'", "'2024-02-30'", "'2024-02-31'"]),
            (
                "dt",
                "k DATETIME(3) NOT NULL",
                &[
                    "0",
                    "'2024-00-00 00:00:00'",
                    "'2024-01-00 10:00:00.5'",
                    "'2024-02-30 00:00:00'",
                    "'2024-11-31 10:00:00'",
                ],
            ),
            (
                "ts",
                "k TIMESTAMP(3) NOT NULL DEFAULT '2020-01-01 00:00:00'",
                &["0", "'1970-01-01 00:00:01'", "'1970-01-01 00:00:01.5'", "'2024-01-01'", "'2024-02-02'"],
            ),
        ] {
            let context = format!("{} {name}", kind.name());
            bench.db.run(&[&format!("CREATE TABLE {name} ({columns}, PRIMARY KEY (k))")]).await;
            let planned = bench.plan(name, "ADD extra INT").await.unwrap_or_else(|e| panic!("{context}: {e}"));
            assert!(planned.shadow.dates_stay, "{context}");
            bench.session.exec(osc::engine::mysql::shadow::KEEP_DATES).await.unwrap();
            let tail = Tail::open(&mut bench, &planned).await;
            for row in rows {
                bench.db.run(&[&format!("INSERT INTO {name} (k) VALUES ({row})")]).await;
            }
            let keys = bench.keys(&planned).await;
            assert!(keys.is_sorted_by(|a, b| a < b), "{context}: {keys:?}");
            assert_eq!(tail.keys(&mut bench).await, keys.iter().cloned().collect::<BTreeSet<_>>(), "{context}");
            for (at, key) in keys.iter().enumerate() {
                let one = planned.key.where_keys(Side::Source, std::slice::from_ref(key)).unwrap();
                assert_eq!(bench.copy(&planned, &one).await.unwrap(), 1, "{context}: {one}");
                let upto = Range { after: None, upto: Some(key.clone()) };
                let sql = planned.key.where_range(Side::Shadow, &upto).unwrap();
                assert_eq!(bench.count(&planned.names.shadow.clone(), &sql).await, at as u64 + 1, "{context}: {sql}");
            }
            let all = planned.key.where_keys(Side::Shadow, &keys).unwrap();
            let sql = format!("DELETE FROM {} WHERE {all}", planned.names.shadow);
            assert_eq!(bench.session.exec(&sql).await.unwrap(), keys.len() as u64, "{context}: {sql}");
            bench.copy(&planned, "TRUE").await.unwrap();
        }
    });
}
