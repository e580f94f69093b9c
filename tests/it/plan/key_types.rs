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
