//! Keys of every type: from the binlog and from a SELECT they are the same bytes, in the server's
//! order, and as SQL they find exactly their row on both sides.

use std::collections::BTreeSet;

use osc::engine::mysql::key::Side;
use osc::model::{KeyOrder, Range};

use super::{Bench, Tail, on_each};
use crate::harness::Kind;

/// A key: the columns, the definition of the key, an ALTER, and rows in the order of the key.
struct Case {
    name: &'static str,
    columns: &'static str,
    key: &'static str,
    alter: &'static str,
    rows: &'static [&'static str],
}

const NUMBERS: &[Case] = &[
    Case {
        name: "i1",
        columns: "k TINYINT NOT NULL",
        key: "k",
        alter: "MODIFY k BIGINT NOT NULL",
        rows: &["-128", "-1", "0", "1", "127"],
    },
    Case {
        name: "u1",
        columns: "k TINYINT UNSIGNED NOT NULL",
        key: "k",
        alter: "MODIFY k INT NOT NULL",
        rows: &["0", "1", "127", "128", "255"],
    },
    Case {
        name: "i2",
        columns: "k SMALLINT NOT NULL",
        key: "k",
        alter: "CHANGE k kk INT NOT NULL",
        rows: &["-32768", "-1", "0", "32767"],
    },
    Case {
        name: "u2",
        columns: "k SMALLINT UNSIGNED ZEROFILL NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["0", "1", "32768", "65535"],
    },
    Case {
        name: "i3",
        columns: "k MEDIUMINT NOT NULL",
        key: "k",
        alter: "MODIFY k DECIMAL(10,2) NOT NULL",
        rows: &["-8388608", "-1", "0", "1", "8388607"],
    },
    Case {
        name: "u3",
        columns: "k MEDIUMINT UNSIGNED NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["0", "8388607", "8388608", "16777215"],
    },
    Case {
        name: "i4",
        columns: "k INT NOT NULL",
        key: "k",
        alter: "RENAME COLUMN k TO `a b``c`",
        rows: &["-2147483648", "-1", "0", "2147483647"],
    },
    Case {
        name: "u4",
        columns: "k INT UNSIGNED NOT NULL",
        key: "k",
        alter: "MODIFY k BIGINT UNSIGNED NOT NULL",
        rows: &["0", "2147483648", "4294967295"],
    },
    Case {
        name: "i8",
        columns: "k BIGINT NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["-9223372036854775808", "-1", "0", "9223372036854775807"],
    },
    Case {
        name: "u8",
        columns: "k BIGINT UNSIGNED NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["0", "9223372036854775807", "9223372036854775808", "18446744073709551615"],
    },
    Case {
        name: "decs",
        columns: "k DECIMAL(65,30) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &[
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "-1.5",
            "-0.000000000000000000000000000001",
            "0",
            "0.1",
            "1",
            "99999999999999999999999999999999999.999999999999999999999999999999",
        ],
    },
    Case {
        name: "dec2",
        columns: "k DECIMAL(5,2) UNSIGNED NOT NULL",
        key: "k",
        alter: "MODIFY k DECIMAL(9,4) NOT NULL",
        rows: &["0", "0.01", "0.10", "1", "999.99"],
    },
    Case {
        name: "dec3",
        columns: "k DECIMAL(18,9) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["-123456789.987654321", "-0.5", "0.000000001", "100000000", "999999999.999999999"],
    },
    Case { name: "bit1", columns: "k BIT(1) NOT NULL", key: "k", alter: "ADD x INT", rows: &["0", "1"] },
    Case {
        name: "bit10",
        columns: "k BIT(10) NOT NULL",
        key: "k",
        alter: "MODIFY k BIT(20) NOT NULL",
        rows: &["0", "1", "255", "256", "1023"],
    },
    Case {
        name: "bit64",
        columns: "k BIT(64) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["0", "9223372036854775808", "18446744073709551615"],
    },
    Case {
        name: "years",
        columns: "k YEAR NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["0", "1901", "1970", "2000", "2155"],
    },
    Case {
        name: "enums",
        columns: "k ENUM('z','it''s','a','ü\\\\') NOT NULL",
        key: "k",
        alter: "MODIFY k ENUM('z','it''s','a','ü\\\\','b') NOT NULL",
        rows: &["1", "2", "3", "4"],
    },
    Case {
        name: "sets",
        columns: "k SET('z','y','x') NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["0", "1", "2", "3", "4", "7"],
    },
    Case {
        name: "set2",
        columns: "a INT NOT NULL, k SET('a','b','c','d','e','f','g','h','i','j') NOT NULL",
        key: "a, k",
        alter: "ADD x INT",
        rows: &["1, 0", "1, 513", "1, 1023", "2, 256", "2, 512"],
    },
];

const TIMES: &[Case] = &[
    Case {
        name: "dates",
        columns: "k DATE NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'0001-01-01'", "'1970-01-01'", "'2024-02-29'", "'9999-12-31'"],
    },
    Case {
        name: "dt0",
        columns: "k DATETIME NOT NULL",
        key: "k",
        alter: "MODIFY k DATETIME(6) NOT NULL",
        rows: &["'0001-01-01 00:00:00'", "'2024-02-29 23:59:59'", "'9999-12-31 23:59:59'"],
    },
    Case {
        name: "dt1",
        columns: "k DATETIME(1) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'2024-02-29 23:59:59.1'", "'2024-02-29 23:59:59.9'"],
    },
    Case {
        name: "dt3",
        columns: "k DATETIME(3) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'2024-02-29 23:59:59.001'", "'2024-02-29 23:59:59.999'"],
    },
    Case {
        name: "dt6",
        columns: "k DATETIME(6) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'2024-02-29 23:59:59.000001'", "'2024-02-29 23:59:59.999999'", "'9999-12-31 23:59:59.999999'"],
    },
    Case {
        name: "ts0",
        columns: "k TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
        key: "k",
        alter: "MODIFY k TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
        rows: &["'1970-01-01 00:00:01'", "'2024-02-29 23:59:59'", "'2038-01-19 03:14:07'"],
    },
    Case {
        name: "ts2",
        columns: "k TIMESTAMP(2) NOT NULL DEFAULT CURRENT_TIMESTAMP(2)",
        key: "k",
        alter: "ADD x INT",
        rows: &["'1970-01-01 00:00:01.00'", "'2024-03-31 01:30:00.01'", "'2024-03-31 01:30:00.99'"],
    },
    Case {
        name: "ts4",
        columns: "k TIMESTAMP(4) NOT NULL DEFAULT CURRENT_TIMESTAMP(4)",
        key: "k",
        alter: "ADD x INT",
        rows: &["'2024-03-31 01:30:00.0001'", "'2024-03-31 01:30:00.9999'"],
    },
    Case {
        name: "ts6",
        columns: "k TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
        key: "k",
        alter: "ADD x INT",
        rows: &["'2024-10-27 00:30:00.000001'", "'2024-10-27 01:30:00'", "'2038-01-19 03:14:07.999999'"],
    },
    Case {
        name: "t0",
        columns: "k TIME NOT NULL",
        key: "k",
        alter: "MODIFY k TIME(6) NOT NULL",
        rows: &["'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'00:00:01'", "'838:59:59'"],
    },
    Case {
        name: "t1",
        columns: "k TIME(1) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'-12:34:56.7'", "'-00:00:01.0'", "'-00:00:00.1'", "'00:00:00.1'", "'12:34:56.7'"],
    },
    Case {
        name: "t2",
        columns: "k TIME(2) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'-838:59:58.99'", "'-00:00:00.01'", "'00:00:00.01'"],
    },
    Case {
        name: "t3",
        columns: "k TIME(3) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'-838:59:58.999'", "'-00:00:00.001'", "'00:00:00.001'"],
    },
    Case {
        name: "t4",
        columns: "k TIME(4) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'-00:00:01.0001'", "'-00:00:00.9999'", "'00:00:00.0001'"],
    },
    Case {
        name: "t6",
        columns: "k TIME(6) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'-838:59:58.999999'", "'-00:00:00.000001'", "'00:00:00'", "'00:00:00.000001'", "'838:59:58.999999'"],
    },
];

const STRINGS: &[Case] = &[
    Case {
        name: "bins",
        columns: "k BINARY(4) NOT NULL",
        key: "k",
        alter: "MODIFY k BINARY(9) NOT NULL",
        rows: &["x''", "x'00000001'", "x'20'", "x'61'", "x'6100FF'", "x'62000000'", "x'FFFFFFFF'"],
    },
    Case {
        name: "uuids",
        columns: "k BINARY(16) NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["x'00112233445566778899aabbccddeeff'", "x'ff112233445566778899aabbccddee00'"],
    },
    Case {
        name: "vbin",
        columns: "k VARBINARY(300) NOT NULL",
        key: "k",
        alter: "MODIFY k VARBINARY(500) NOT NULL",
        rows: &["x''", "x'00'", "x'0000'", "x'0001'", "x'20'", "x'61'", "x'6100'", "x'6120'", "x'FF'"],
    },
    Case {
        name: "c_ascii",
        columns: "k CHAR(10) CHARACTER SET ascii NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'b c'"],
    },
    Case {
        name: "v_latin1",
        columns: "k VARCHAR(20) CHARACTER SET latin1 NOT NULL",
        key: "k",
        alter: "MODIFY k VARCHAR(99) CHARACTER SET latin1 NOT NULL",
        rows: &["''", "'a'", "'é'", "'it''s \\\\'", "'ß x'"],
    },
    Case {
        name: "c_latin1",
        columns: "k CHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL",
        key: "k",
        alter: "MODIFY k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL",
        rows: &["'a'", "'é'"],
    },
    Case {
        name: "v_utf8",
        columns: "k VARCHAR(20) CHARACTER SET utf8mb3 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'é'", "'日本'"],
    },
    Case {
        name: "v_mb4",
        columns: "k VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'日本'", "'😀'", "'e😀\\0x'"],
    },
    Case {
        name: "c_mb4",
        columns: "k CHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'日本'", "'😀'"],
    },
    Case {
        name: "v_gbk",
        columns: "k VARCHAR(20) CHARACTER SET gbk NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'a'", "'縗'", "'中'"],
    },
    Case {
        name: "v_sjis",
        columns: "k VARCHAR(20) CHARACTER SET sjis NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'a'", "'表'", "'ソ'"],
    },
    Case {
        name: "v_big5",
        columns: "k VARCHAR(20) CHARACTER SET big5 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'a'", "'功'", "'中'"],
    },
    Case {
        name: "v_ujis",
        columns: "k VARCHAR(20) CHARACTER SET ujis NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'a'", "'表'"],
    },
    Case {
        name: "v_ucs2",
        columns: "k VARCHAR(20) CHARACTER SET ucs2 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'日本'"],
    },
    Case {
        name: "c_ucs2",
        columns: "k CHAR(20) CHARACTER SET ucs2 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'日 本'"],
    },
    Case {
        name: "v_utf16",
        columns: "k VARCHAR(20) CHARACTER SET utf16 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'😀'"],
    },
    Case {
        name: "v_utf16le",
        columns: "k VARCHAR(20) CHARACTER SET utf16le NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'😀'"],
    },
    Case {
        name: "c_utf32",
        columns: "k CHAR(20) CHARACTER SET utf32 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["''", "'a'", "'😀'"],
    },
    Case {
        name: "v_cp1251",
        columns: "k VARCHAR(20) CHARACTER SET cp1251 NOT NULL",
        key: "k",
        alter: "ADD x INT",
        rows: &["'ж'", "'я'"],
    },
];

const MIXED: &[Case] = &[
    Case {
        name: "two",
        columns: "a INT NOT NULL, b VARBINARY(9) NOT NULL",
        key: "a, b",
        alter: "ADD x INT",
        rows: &["-1, 'z'", "0, ''", "0, 'a'", "0, 'a\\0'", "1, ''"],
    },
    Case {
        name: "three",
        columns: "a SMALLINT NOT NULL, b DATETIME(3) NOT NULL, c DECIMAL(4,1) NOT NULL",
        key: "a, b, c",
        alter: "CHANGE b a2 DATETIME(6) NOT NULL, ADD b INT",
        rows: &[
            "-5, '2024-01-01', 9",
            "1, '2023-01-01', -9.5",
            "1, '2023-01-01', 9.5",
            "1, '2023-01-01 00:00:00.001', -9.5",
            "2, '2020-01-01', 0",
        ],
    },
    Case {
        name: "enum2",
        columns: "e ENUM('x','w','v') NOT NULL, id INT NOT NULL",
        key: "e, id",
        alter: "ADD x INT",
        rows: &["1, 5", "1, 6", "2, 1", "3, -4", "3, 0"],
    },
    Case {
        name: "text2",
        columns: "t VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, id INT NOT NULL, l CHAR(3) CHARACTER SET latin1 NOT NULL",
        key: "t, id, l",
        alter: "ADD x INT",
        rows: &["'a', 5, 'x'", "'a', 6, ''", "'b', 1, 'ä'", "'ü', -4, 'y'"],
    },
    Case {
        name: "turned",
        columns: "b INT NOT NULL, a INT NOT NULL",
        key: "a, b",
        alter: "MODIFY b INT NOT NULL AFTER a, ADD x INT FIRST",
        rows: &["5, 1", "4, 2", "9, 2"],
    },
];

/// MySQL only: an index with descending columns.
const DESCENDING: &[Case] = &[
    Case { name: "desc1", columns: "k INT NOT NULL", key: "k DESC", alter: "ADD x INT", rows: &["5", "0", "-5"] },
    Case {
        name: "desc2",
        columns: "a INT NOT NULL, b VARBINARY(9) NOT NULL",
        key: "a, b DESC",
        alter: "ADD x INT",
        rows: &["1, 'b'", "1, 'a\\0'", "1, 'a'", "2, 'z'", "2, ''"],
    },
];

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
