//! The values that a key reader gets, for every type that can be in a key.

use mysql_async::Value;
use mysql_async::binlog::value::BinlogValue;
use osc::engine::Event;
use osc::engine::mysql::binlog::Options;
use osc::engine::mysql::connect::Address;
use osc::engine::mysql::decode::KeyReader;
use osc::error::Result;
use osc::model::Key;

use super::world::*;

/// Keys that say what their values were.
struct Said;

impl KeyReader for Said {
    fn columns(&self) -> &[usize] {
        &[1, 0]
    }

    fn encode(&self, values: &[&BinlogValue<'_>]) -> Result<Key> {
        let [BinlogValue::Value(number), BinlogValue::Value(value)] = values else {
            return Ok(Key::new(format!("{values:?}").as_bytes()));
        };
        let said = match value {
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => format!("'{text}'"),
                _ => bytes.iter().map(|b| format!("{b:02x}")).collect(),
            },
            other => other.as_sql(true),
        };
        Ok(Key::new(format!("{}:{said}", number.as_sql(true)).as_bytes()))
    }

    fn table_columns(&self) -> usize {
        2
    }
}

/// Inserts each literal into a column of the type; what the reader says about it must be this.
async fn says(address: &Address, kind: &str, cases: &[(&str, &str)]) {
    let columns = format!("id {kind} NOT NULL, n INT NOT NULL, KEY (n)");
    let mut w = World::with_reader(address, &columns, Options::default(), |_| Box::new(Said)).await;
    w.run("SET SESSION sql_mode = '', time_zone = '+00:00', character_set_connection = utf8mb4").await;
    for (n, (literal, _)) in cases.iter().enumerate() {
        w.run(&format!("INSERT INTO t VALUES ({literal}, {n})")).await;
    }
    w.run("DELETE FROM t").await;
    let mark = w.mark().await;
    let mut got = Vec::new();
    loop {
        match w.next().await.unwrap() {
            Event::Keys(keys) => got.extend(keys.iter().map(|k| String::from_utf8_lossy(k.as_bytes()).into_owned())),
            Event::Mark { token, .. } if token == mark => break,
            Event::Mark { .. } => {}
        }
    }
    got.sort();
    got.dedup();
    let mut expected: Vec<String> = cases.iter().enumerate().map(|(n, (_, said))| format!("{n}:{said}")).collect();
    expected.sort();
    assert_eq!(got, expected, "{kind}");
    w.done().await;
}

#[tokio::test]
async fn numbers() {
    on_both(|a| async move {
        says(&a, "TINYINT", &[("-128", "-128"), ("127", "127"), ("-1", "-1")]).await;
        // The binlog does not always say that a column is unsigned, so the feed never does.
        says(&a, "TINYINT UNSIGNED", &[("255", "-1"), ("127", "127")]).await;
        says(&a, "SMALLINT", &[("-32768", "-32768"), ("258", "258")]).await;
        says(&a, "MEDIUMINT", &[("-8388608", "-8388608"), ("8388607", "8388607"), ("66051", "66051")]).await;
        says(&a, "MEDIUMINT UNSIGNED", &[("16777215", "-1")]).await;
        says(&a, "INT", &[("-2147483648", "-2147483648"), ("16909060", "16909060")]).await;
        says(
            &a,
            "BIGINT",
            &[("-9223372036854775808", "-9223372036854775808"), ("72623859790382856", "72623859790382856")],
        )
        .await;
        says(&a, "BIGINT UNSIGNED", &[("18446744073709551615", "-1")]).await;
        says(&a, "DOUBLE", &[("-1.5", "-1.5"), ("1024.25", "1024.25")]).await;
        says(&a, "FLOAT", &[("0.5", "0.5")]).await;
        says(&a, "BIT(1)", &[("b'1'", "'\u{1}'")]).await;
        says(&a, "BIT(12)", &[("b'111100000001'", "'\u{f}\u{1}'")]).await;
        says(&a, "YEAR", &[("1999", "'1999'"), ("0", "'0000'"), ("2155", "'2155'"), ("1901", "'1901'")]).await;
        says(
            &a,
            "DECIMAL(12,3)",
            &[
                ("0", "'0.000'"),
                ("-0.001", "'-0.001'"),
                ("123456789.987", "'123456789.987'"),
                ("-999999999.999", "'-999999999.999'"),
                ("10", "'10.000'"),
            ],
        )
        .await;
        says(&a, "DECIMAL(5,0)", &[("-42", "'-42'"), ("99999", "'99999'")]).await;
        says(
            &a,
            "DECIMAL(30,20)",
            &[
                ("1234567890.12345678901234567890", "'1234567890.12345678901234567890'"),
                ("-0.00000000000000000001", "'-0.00000000000000000001'"),
            ],
        )
        .await;
        says(&a, "DECIMAL(4,4)", &[("-0.0001", "'-0.0001'"), ("0.9999", "'0.9999'")]).await;
        says(
            &a,
            "DECIMAL(65,30)",
            &[(
                "-12345678901234567890123456789012345.123456789012345678901234567891",
                "'-12345678901234567890123456789012345.123456789012345678901234567891'",
            )],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn times() {
    on_both(|a| async move {
        says(
            &a,
            "DATE",
            &[
                ("'2020-02-29'", "'2020-02-29'"),
                ("'0000-00-00'", "'0000-00-00'"),
                ("'9999-12-31'", "'9999-12-31'"),
                ("'1000-01-01'", "'1000-01-01'"),
            ],
        )
        .await;
        says(
            &a,
            "DATETIME",
            &[
                ("'2020-02-29 23:59:58'", "'2020-02-29 23:59:58'"),
                ("'0000-00-00'", "'0000-00-00'"),
                ("'9999-12-31 23:59:59'", "'9999-12-31 23:59:59'"),
            ],
        )
        .await;
        says(&a, "DATETIME(1)", &[("'2020-02-29 23:59:58.7'", "'2020-02-29 23:59:58.700000'")]).await;
        says(&a, "DATETIME(4)", &[("'2020-02-29 23:59:58.1234'", "'2020-02-29 23:59:58.123400'")]).await;
        says(&a, "DATETIME(6)", &[("'2020-02-29 23:59:58.000001'", "'2020-02-29 23:59:58.000001'")]).await;
        says(&a, "TIMESTAMP", &[("'2020-02-29 23:59:58'", "'1583020798'"), ("'1970-01-01 00:00:01'", "'1'")]).await;
        says(
            &a,
            "TIMESTAMP(3)",
            &[("'2020-02-29 23:59:58.007'", "'1583020798.007000'"), ("'2020-02-29 23:59:58'", "'1583020798'")],
        )
        .await;
        says(&a, "TIMESTAMP(6)", &[("'2038-01-19 03:14:07.999999'", "'2147483647.999999'")]).await;
        says(
            &a,
            "TIME",
            &[
                ("'-838:59:59'", "'-838:59:59'"),
                ("'838:59:59'", "'838:59:59'"),
                ("'00:00:00'", "'000:00:00'"),
                ("'-00:00:01'", "'-000:00:01'"),
            ],
        )
        .await;
        says(
            &a,
            "TIME(2)",
            &[
                ("'-00:00:00.01'", "'-000:00:00.010000'"),
                ("'10:11:12.13'", "'010:11:12.130000'"),
                ("'-10:11:12.13'", "'-010:11:12.130000'"),
            ],
        )
        .await;
        says(&a, "TIME(4)", &[("'-00:00:01.0001'", "'-000:00:01.000100'")]).await;
        says(
            &a,
            "TIME(6)",
            &[
                ("'-838:59:58.999999'", "'-838:59:58.999999'"),
                ("'00:00:00.000001'", "'000:00:00.000001'"),
                ("'-00:00:01.000000'", "'-000:00:01'"),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn strings() {
    on_both(|a| async move {
        let long = format!("'{}'", "é".repeat(255));
        says(&a, "CHAR(3)", &[("'a'", "'a'"), ("'é€ '", "'é€'"), ("''", "''")]).await;
        says(&a, "CHAR(255) CHARACTER SET utf8mb4", &[(&long, &long)]).await;
        says(&a, "CHAR(3) CHARACTER SET latin1", &[("'é'", "e9")]).await;
        says(&a, "VARCHAR(10)", &[("'a '", "'a '"), ("'é€'", "'é€'")]).await;
        says(&a, "VARCHAR(500)", &[(&long, &long), ("''", "''")]).await;
        says(&a, "BINARY(4)", &[("x'0a00'", "'\n'"), ("x'ff00ff00'", "ff00ff"), ("'a '", "'a '")]).await;
        says(&a, "BINARY(255)", &[("x'ff'", "ff")]).await;
        says(&a, "VARBINARY(300)", &[("x'0aff00'", "0aff00")]).await;
        says(&a, "BLOB", &[("'ab'", "'ab'")]).await;
        says(&a, "ENUM('a','b')", &[("'b'", "2"), ("'a'", "1")]).await;
        let many = (0..300).map(|n| format!("'v{n}'")).collect::<Vec<_>>().join(",");
        says(&a, &format!("ENUM({many})"), &[("'v299'", "300"), ("'v0'", "1")]).await;
        says(&a, "SET('a','b','c')", &[("'a,c'", "'\u{5}'")]).await;
        let nine = (0..9).map(|n| format!("'v{n}'")).collect::<Vec<_>>().join(",");
        says(&a, &format!("SET({nine})"), &[("'v8,v0'", "'\u{1}\u{1}'")]).await;
    })
    .await;
    // Fixed binary in disguise, in the order of their text.
    let m = mariadb();
    says(&m, "INET6", &[("'::ffff:1.2.3.4'", "00000000000000000000ffff01020304")]).await;
    says(&m, "INET4", &[("'255.2.3.4'", "ff020304")]).await;
    says(
        &m,
        "UUID",
        &[
            ("'123e4567-e89b-42d3-a456-4266554400ff'", "123e4567e89b42d3a4564266554400ff"),
            ("'00112233-4455-6677-8899-aabbccddeeff'", "00112233445566778899aabbccddeeff"),
        ],
    )
    .await;
}
