//! Every type against every type: a value that osc copies is what a native ALTER makes of it, and what
//! a native ALTER refuses osc refuses too.

use std::collections::BTreeMap;

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use osc::engine::mysql::session::Session;
use osc::engine::mysql::shadow::KEEP_DATES;
use osc::error::Kind as ErrorKind;

use super::conversion_values::{Type, types};
use super::{Bench, on_each};
use crate::harness::Kind;

/// What becomes of a value: the bytes that a SELECT shows, or an error.
type Outcome = Result<Option<Vec<u8>>, String>;

fn read_sql(table: &str, to: &Type, filter: &str) -> String {
    let value = if to.sql.starts_with("FLOAT") || to.sql.starts_with("DOUBLE") {
        "CAST(c + 0e0 AS CHAR)"
    } else if to.sql.starts_with("JSON") {
        "CONCAT(JSON_TYPE(c), ' ', c)"
    } else {
        "c"
    };
    format!("SELECT id, {value} FROM {table} WHERE {filter} ORDER BY id")
}

fn field(row: &Row, at: usize) -> Option<Vec<u8>> {
    row.get_opt::<Option<Vec<u8>>, _>(at).and_then(Result::ok).flatten()
}

/// What native ALTERs make of rows of `s`; each failure is narrowed down to its rows.
async fn native(bench: &mut Bench, to: &Type, ids: &[usize], out: &mut BTreeMap<usize, Outcome>) {
    let list = ids.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let admin = &mut bench.db.admin;
    admin.query_drop("DROP TEMPORARY TABLE IF EXISTS n").await.unwrap();
    admin.query_drop("CREATE TEMPORARY TABLE n LIKE s").await.unwrap();
    let fill = format!("INSERT INTO n SELECT * FROM s WHERE id IN ({list})");
    let filled = admin.query_drop(&fill).await;
    let altered = match filled {
        Ok(()) => admin.query_drop(format!("ALTER TABLE n MODIFY c {}", to.sql)).await,
        Err(error) => panic!("{fill}: {error}"),
    };
    match altered {
        Ok(()) => {
            let rows: Vec<Row> = admin.query(read_sql("n", to, "TRUE")).await.unwrap();
            for row in rows {
                out.insert(row.get(0).unwrap(), Ok(field(&row, 1)));
            }
        }
        Err(error) if ids.len() == 1 => {
            out.insert(ids[0], Err(error.to_string()));
        }
        Err(_) => {
            let (a, b) = ids.split_at(ids.len() / 2);
            Box::pin(native(bench, to, a, out)).await;
            Box::pin(native(bench, to, b, out)).await;
        }
    }
}

async fn ours(session: &mut Session, insert: &str, to: &Type, ids: &[usize]) -> BTreeMap<usize, Outcome> {
    let mut out = BTreeMap::new();
    for id in ids {
        if let Err(error) = session.exec(&format!("{insert} WHERE id = {id}")).await {
            out.insert(*id, Err(error.what().to_owned()));
        }
    }
    for row in session.rows(&read_sql("s_osc_new", to, "TRUE")).await.unwrap() {
        out.insert(row.get(0).unwrap(), Ok(field(&row, 1)));
    }
    out
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok(None) => "NULL".into(),
        Ok(Some(bytes)) => format!("{:?}", String::from_utf8_lossy(bytes).chars().take(40).collect::<String>()),
        Err(error) => format!("ERR {}", error.chars().take(90).collect::<String>()),
    }
}

/// Tries all values of one type as another; false if osc refuses the pair.
async fn pair(kind: Kind, bench: &mut Bench, from: &Type, to: &Type, wrong: &mut Vec<String>) -> bool {
    let ids: Vec<usize> = (1..=from.values.len()).collect();
    let planned = match bench.plan("s", &format!("MODIFY c {}", to.sql)).await {
        Ok(planned) => planned,
        Err(error) if error.kind() == ErrorKind::Refused => {
            return error.what().starts_with("The server refuses");
        }
        Err(error) => panic!("{} {} → {}: {error}", kind.name(), from.sql, to.sql),
    };
    let mut expected = BTreeMap::new();
    native(bench, to, &ids, &mut expected).await;
    let mut session = Session::open(&bench.address).await.unwrap();
    if planned.shadow.dates_stay {
        session.exec(KEEP_DATES).await.unwrap();
    }
    let insert = planned.insert("TRUE").replace(" WHERE TRUE", "");
    let found = ours(&mut session, &insert, to, &ids).await;
    for id in &ids {
        let (native, ours) = (&expected[id], &found[id]);
        let verdict = match (native, ours) {
            (Ok(a), Ok(b)) if a == b => continue,
            (Err(_), Err(_)) => continue,
            (Ok(_), Ok(_)) => "DIFFERS",
            (Err(_), Ok(_)) => "LENIENT",
            (Ok(_), Err(_)) => "STRICTER",
        };
        if !is_known(kind, verdict, from, to, from.values[id - 1]) {
            let (native, ours) = (shown(native), shown(ours));
            let (kind, value) = (kind.name(), from.values[id - 1]);
            wrong.push(format!(
                "{verdict} {kind}: {} to {}, {value}: {native} by ALTER, {ours} by osc",
                from.sql, to.sql
            ));
        }
    }
    true
}

/// Where osc is meant to be different from a native ALTER.
fn is_known(kind: Kind, verdict: &str, from: &Type, to: &Type, value: &str) -> bool {
    match verdict {
        // ALTER puts the time of the ALTER there.
        "STRICTER" if to.sql.starts_with("TIMESTAMP NOT NULL") && value == "NULL" => true,
        // ALTER stores garbage: a number out of range, and what is left of a text that is no number.
        "STRICTER" if from.sql == "FLOAT" && to.sql.starts_with("BIGINT") && value == "3.4e38" => true,
        "STRICTER" if kind == Kind::MySql && from.sql == "TEXT" && to.sql.starts_with("DECIMAL") => {
            value == "'2024-02-29'"
        }
        "STRICTER" if kind.is_mariadb() && from.sql.ends_with("ucs2") => to.sql.contains("INT") && value == "'a'",
        // ALTER refuses a number that the type has room for.
        "LENIENT" if kind.is_mariadb() && to.sql == "BIGINT UNSIGNED" => value == "'18446744073709551615'",
        _ => false,
    }
}

/// The pairs of the quick tier.
const QUICK: &[&str] = &[
    "INT",
    "BIGINT UNSIGNED",
    "DECIMAL(10,2)",
    "FLOAT",
    "FLOAT(7,2)",
    "VARCHAR(50)",
    "VARCHAR(3)",
    "TEXT",
    "TINYTEXT",
    "DATETIME(6)",
    "TIMESTAMP NULL",
    "YEAR",
    "JSON",
];

async fn matrix(kind: Kind, from: &[&Type], to: &[&Type]) {
    let mut bench = Bench::new(kind, "plan_convert").await;
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for from in from {
        bench
            .db
            .run(&["DROP TABLE IF EXISTS s", &format!("CREATE TABLE s (id INT PRIMARY KEY, c {})", from.sql)])
            .await;
        for (at, value) in from.values.iter().enumerate() {
            bench.db.run(&[&format!("INSERT INTO s VALUES ({}, {value})", at + 1)]).await;
        }
        for to in to {
            refused += usize::from(!pair(kind, &mut bench, from, to, &mut wrong).await);
        }
    }
    println!("{}: {} pairs, of which osc refuses {refused}", kind.name(), from.len() * to.len());
    assert!(wrong.is_empty(), "{} values:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_type_to_every_type() {
    let full = std::env::var_os("OSC_TEST_FULL").is_some();
    on_each(|kind| async move {
        let mut all = types(kind);
        all.retain(|t| full || QUICK.contains(&t.sql));
        // To look at some alone: OSC_TEST_FROM=TIME,VARBINARY(20)
        let only = std::env::var("OSC_TEST_FROM").ok();
        let from: Vec<&Type> =
            all.iter().copied().filter(|t| only.as_ref().is_none_or(|o| o.split(',').any(|o| o == t.sql))).collect();
        matrix(kind, &from, &all).await;
    });
}
