//! A second decoder: the crate mysql_cdc reads the same binary log as osc's own decoder, and both find
//! the same keys.
//!
//! osc's side is the product's own: mysql_async's events through `engine::mysql::decode`, delivered by
//! the feed. mysql_cdc 0.2.1 reads the server's files, because on the network it speaks no TLS, knows
//! `SHOW MASTER STATUS` only (gone in MySQL 8.4), and has a default of its own for the rest. What it can't
//! do, so that these tables have none of it: packets over 16 MB; a VARBINARY or a string that is no UTF-8
//! (it gives up); a negative TIME (it gives up); microseconds (it keeps milliseconds); compressed
//! transactions and events (it skips them silently); signs (every integer is unsigned); MariaDB's GTID
//! events of XA transactions.
//!
//! The values that it finds are put into the form that the product's `KeyReader` takes, which knows the
//! signs from the catalog; from there on both are the same code. A server of its own, so that nothing
//! else is in its log, and every event of it must be one that mysql_cdc reads.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use mysql_async::Value;
use mysql_async::binlog::value::BinlogValue;
use mysql_cdc::binlog_reader::BinlogReader;
use mysql_cdc::events::binlog_event::BinlogEvent;
use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use mysql_cdc::events::row_events::row_data::RowData;
use osc::engine::mysql::connect::Address;
use osc::engine::mysql::decode::KeyReader;
use osc::engine::mysql::key::KeySpec;
use osc::engine::mysql::session::Session;
use osc::model::Key;

use crate::harness::{Database, Kind, Server, on_both};
use crate::plan::{Bench, Tail};

on_both!(both_decoders_find_the_same_keys);

/// A key's column and the values that it takes in turn, all within what both decoders support.
const CASES: &[(&str, &str, &[&str])] = &[
    ("tiny", "TINYINT", &["0", "1", "127", "-128", "-1"]),
    ("utiny", "TINYINT UNSIGNED", &["0", "128", "255"]),
    ("small", "SMALLINT", &["0", "-32768", "32767"]),
    ("medium", "MEDIUMINT", &["0", "-8388608", "8388607", "-1"]),
    ("umedium", "MEDIUMINT UNSIGNED", &["0", "8388608", "16777215"]),
    ("plain", "INT", &["0", "-2147483648", "2147483647", "-1"]),
    ("uplain", "INT UNSIGNED", &["0", "4294967295"]),
    ("big", "BIGINT", &["0", "-9223372036854775808", "9223372036854775807"]),
    ("ubig", "BIGINT UNSIGNED", &["0", "9223372036854775808", "18446744073709551615"]),
    ("exact", "DECIMAL(30,9)", &["0", "-1.5", "123456789012345678901.000000001", "-0.000000001", "42.1"]),
    ("text", "VARCHAR(300)", &["''", "'a'", "'Ä ☃ 🚚'", "REPEAT('x', 299)"]),
    ("fixed", "CHAR(70)", &["''", "'abc'", "REPEAT('ä', 70)"]),
    ("binary_text", "VARCHAR(40) COLLATE utf8mb4_bin", &["'a'", "'A'", "'é'"]),
    ("day", "DATE", &["'1000-01-01'", "'2024-02-29'", "'9999-12-31'"]),
    ("moment", "DATETIME(3)", &["'1000-01-01 00:00:00'", "'2024-02-29 23:59:59.999'"]),
    ("stamp", "TIMESTAMP(3)", &["'1970-01-02 00:00:01'", "'2024-02-29 23:59:59.125'"]),
    ("clock", "TIME(3)", &["'00:00:00'", "'838:59:59'", "'12:34:56.789'"]),
    ("year", "YEAR", &["1901", "2024", "2155"]),
    ("choice", "ENUM('a','b','c')", &["'a'", "'c'"]),
    ("flags", "SET('a','b','c','d')", &["''", "'a,c'", "'b,d'"]),
];

async fn both_decoders_find_the_same_keys(kind: Kind) {
    let server = Server::own(kind, "differential", &[]);
    let db = Database::create(&server, "differential").await;
    let address = Address::parse(&db.osc_url(), Some("osc-secret")).expect("the URL");
    let session = Session::open(&address).await.expect("osc's session");
    let mut bench = Bench { db, session, address };
    let mut compared = 0;
    for (name, column, values) in CASES {
        compared += compare(&mut bench, name, column, values).await;
    }
    println!("{}: {compared} keys of {} types agree", kind.name(), CASES.len());
    assert!(compared >= 2 * CASES.len());
}

async fn compare(bench: &mut Bench, name: &str, column: &str, values: &[&str]) -> usize {
    let create = format!("CREATE TABLE `{name}` (pad INT, k {column} NOT NULL, n INT NOT NULL, PRIMARY KEY (k, n))");
    bench.db.run(&["SET time_zone = '+00:00'", &create]).await;
    let planned = bench.plan(name, "ADD COLUMN x INT").await.expect("the plan");
    let tail = Tail::open(bench, &planned).await;
    let (file, from) = end_of_binlog(bench).await;
    let mut seen = 0;
    for (at, value) in values.iter().enumerate() {
        // Inserted, changed, moved to another key, and every other one deleted.
        let mut statements = vec![
            format!("INSERT INTO `{name}` VALUES (1, {value}, {at})"),
            format!("UPDATE `{name}` SET pad = 2 WHERE n = {at}"),
            format!("UPDATE `{name}` SET n = n + 100 WHERE n = {at}"),
        ];
        if at % 2 == 1 {
            statements.push(format!("DELETE FROM `{name}` WHERE n = {at} + 100"));
        }
        seen += 2;
        for statement in &statements {
            bench.db.run(&[statement.as_str()]).await;
        }
    }
    let ours = tail.keys(bench).await;
    let path = Path::new(bench.db.server.value("DATADIR")).join(&file);
    let rows = second(&path, from, &bench.db.name, name);
    let theirs: BTreeSet<Key> = rows.iter().map(|row| encode(&planned.key, row)).collect();
    assert_eq!(ours.len(), seen, "{name}: osc's decoder");
    let describe = |keys: &BTreeSet<Key>| keys.iter().map(|k| planned.key.describe(k)).collect::<Vec<_>>();
    assert_eq!(describe(&ours), describe(&theirs), "{name}");
    assert_eq!(ours, theirs, "{name}");
    seen
}

async fn end_of_binlog(bench: &mut Bench) -> (String, u64) {
    let sql = bench.session.flavor.binlog_status();
    let row = bench.db.rows(sql).await.remove(0);
    (row.get(0).expect("a file"), row.get(1).expect("a position"))
}

/// The rows of a table's changes as mysql_cdc finds them, from a place on: before and after.
fn second(path: &Path, from: u64, db: &str, table: &str) -> Vec<RowData> {
    let reader = BinlogReader::new(File::open(path).expect("the server's file")).expect("a binary log");
    let mut tables = std::collections::HashMap::new();
    let mut rows = Vec::new();
    for event in reader.read_events() {
        let (header, event) = event.expect("mysql_cdc reads the event");
        let id = match &event {
            BinlogEvent::TableMapEvent(map) => {
                tables.insert(map.table_id, map.database_name == db && map.table_name == table);
                continue;
            }
            BinlogEvent::WriteRowsEvent(e) => e.table_id,
            BinlogEvent::UpdateRowsEvent(e) => e.table_id,
            BinlogEvent::DeleteRowsEvent(e) => e.table_id,
            _ => continue,
        };
        if u64::from(header.next_event_position) <= from || tables.get(&id) != Some(&true) {
            continue;
        }
        match event {
            BinlogEvent::WriteRowsEvent(e) => rows.extend(e.rows),
            BinlogEvent::DeleteRowsEvent(e) => rows.extend(e.rows),
            BinlogEvent::UpdateRowsEvent(e) => {
                rows.extend(e.rows.into_iter().flat_map(|r| [r.before_update, r.after_update]));
            }
            _ => {}
        }
    }
    rows
}

/// The key of a row of mysql_cdc's.
fn encode(spec: &KeySpec, row: &RowData) -> Key {
    let values: Vec<BinlogValue<'_>> = spec.columns().iter().map(|at| value(row.cells[*at].as_ref())).collect();
    spec.encode(&values.iter().collect::<Vec<_>>()).expect("a key")
}

fn value(cell: Option<&MySqlValue>) -> BinlogValue<'static> {
    BinlogValue::Value(match cell.expect("a key has no NULL") {
        MySqlValue::TinyInt(n) => Value::UInt(u64::from(*n)),
        MySqlValue::SmallInt(n) => Value::UInt(u64::from(*n)),
        MySqlValue::MediumInt(n) | MySqlValue::Int(n) => Value::UInt(u64::from(*n)),
        MySqlValue::BigInt(n) => Value::UInt(*n),
        MySqlValue::Decimal(text) | MySqlValue::String(text) => Value::Bytes(text.clone().into_bytes()),
        MySqlValue::Blob(bytes) => Value::Bytes(bytes.clone()),
        MySqlValue::Enum(n) => Value::Int(i64::from(*n)),
        MySqlValue::Set(bits) => Value::Bytes(bits.to_le_bytes().to_vec()),
        MySqlValue::Year(year) => Value::Bytes(year.to_string().into_bytes()),
        MySqlValue::Date(d) => Value::Date(d.year, d.month, d.day, 0, 0, 0, 0),
        MySqlValue::DateTime(d) => Value::Date(d.year, d.month, d.day, d.hour, d.minute, d.second, d.millis * 1000),
        MySqlValue::Time(t) => {
            let hours = u32::from(t.hour.unsigned_abs());
            Value::Time(t.hour < 0, hours / 24, (hours % 24) as u8, t.minute, t.second, t.millis * 1000)
        }
        MySqlValue::Timestamp(millis) => {
            Value::Bytes(format!("{}.{:06}", millis / 1000, millis % 1000 * 1000).into_bytes())
        }
        other => panic!("no case has such a value: {other:?}"),
    })
}
