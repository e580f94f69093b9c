//! Keys of every type: they come out of the stream, go back typed, and find their row and no other.

use osc::model::KeyOrder;

use super::world::*;

/// A column's type, what its values are, and whether its bytes have the server's order.
const TYPES: &[(&str, &[&str], KeyOrder)] = &[
    ("smallint", &["-32768", "-1", "0", "32767"], KeyOrder::Bytes),
    ("integer", &["-2147483648", "-1", "0", "2147483647"], KeyOrder::Bytes),
    ("bigint", &["-9223372036854775808", "-1", "0", "9223372036854775807"], KeyOrder::Bytes),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], KeyOrder::Bytes),
    ("bytea", &["\\x", "\\x00", "\\x0001", "\\xff5c27"], KeyOrder::Bytes),
    ("text COLLATE \"C\"", &["", "a", "a'b\"\\c", "é", "日本", "\t\n"], KeyOrder::Bytes),
    ("text", &["", "a", "A", "a'b\"\\c", "é", "\u{1f600}"], KeyOrder::Unknown),
    ("text COLLATE blind", &["Straße", "b", "C", "é"], KeyOrder::Unknown),
    ("varchar(5)", &["abcde", "ab", "ab "], KeyOrder::Unknown),
    ("char(4)", &["ab", "abcd", ""], KeyOrder::Unknown),
    ("numeric", &["0.30", "-1e-30", "12345678901234567890.5", "NaN", "Infinity"], KeyOrder::Unknown),
    ("numeric(12,2)", &["0.30", "-99.99"], KeyOrder::Unknown),
    ("float8", &["0.30000000000000004", "0.3", "1e308", "-Infinity", "NaN"], KeyOrder::Unknown),
    ("float4", &["0.1", "16777217"], KeyOrder::Unknown),
    ("boolean", &["true", "false"], KeyOrder::Unknown),
    ("date", &["infinity", "0044-03-15 BC", "2024-02-29", "9999-12-31"], KeyOrder::Unknown),
    ("timestamp", &["infinity", "2024-02-29 23:59:59.999999", "0044-03-15 01:02:03 BC"], KeyOrder::Unknown),
    ("timestamptz", &["-infinity", "2024-03-31 02:30:00.000001+05:30", "1883-11-18 12:03:58-07"], KeyOrder::Unknown),
    ("time", &["00:00", "24:00:00", "12:34:56.789012"], KeyOrder::Unknown),
    ("interval", &["1 year 2 mons -3 days 04:05:06.789", "-1 sec"], KeyOrder::Unknown),
    ("inet", &["10.0.0.1", "10.0.0.1/8", "::1", "2001:db8::/32"], KeyOrder::Unknown),
    ("cidr", &["10.0.0.0/8", "2001:db8::/32"], KeyOrder::Unknown),
    ("mood", &["sad", "it''s \"fine\"", "glad"], KeyOrder::Unknown),
    ("positive", &["1", "2147483647"], KeyOrder::Bytes),
    ("name_of", &["x", "Y"], KeyOrder::Unknown),
    ("bit(3)", &["000", "101"], KeyOrder::Unknown),
    ("oid", &["0", "4294967295"], KeyOrder::Unknown),
];

const MADE: &str = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
    CREATE TYPE mood AS ENUM ('glad', 'sad', 'it''s \"fine\"'); \
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0); CREATE DOMAIN word AS text; \
    CREATE DOMAIN name_of AS word COLLATE blind";

/// Types of a world's own can't be there before its schema: the table is made anew.
async fn world(server: &Server, columns: &str) -> World {
    let more = format!("{MADE}; DROP TABLE t; CREATE TABLE t ({columns})");
    World::with(server, "id int PRIMARY KEY", &more, Default::default()).await
}

#[tokio::test]
async fn every_type_finds_its_row() {
    on_both(|server| async move {
        for (kind, values, order) in TYPES {
            let mut w = world(&server, &format!("id {kind} PRIMARY KEY, v int")).await;
            assert_eq!(w.key.order(), *order, "{kind}");
            for value in *values {
                let literal = value.replace("''", "'").replace('\'', "''");
                w.run(&format!("INSERT INTO t VALUES ('{literal}', 1)")).await;
            }
            let keys = w.drain().await;
            assert_eq!(keys.len(), values.len(), "{kind}");
            for key in &keys {
                let sql =
                    format!("SELECT count(*) FROM t WHERE {}", w.key.where_keys(std::slice::from_ref(key)).unwrap());
                assert_eq!(get(&w.app, &sql).await.unwrap(), "1", "{kind}: {sql}");
            }
            if *order == KeyOrder::Bytes {
                let mut ordered = keys.clone();
                ordered.sort();
                for pair in ordered.windows(2) {
                    let (a, b) =
                        (w.key.literals(&pair[0]).unwrap().remove(0), w.key.literals(&pair[1]).unwrap().remove(0));
                    let collation = if kind.contains('C') { " COLLATE \"C\"" } else { "" };
                    assert_eq!(
                        get(&w.app, &format!("SELECT {a}{collation} < {b}")).await.unwrap(),
                        "t",
                        "{kind}: {a} {b}"
                    );
                }
            }
            // All at once, changed one by one, and under an index.
            w.run("UPDATE t SET v = 2").await;
            let again = w.drain().await;
            let sql = format!("SELECT count(*) FROM t WHERE v = 2 AND {}", w.key.where_keys(&again).unwrap());
            assert_eq!(get(&w.app, &sql).await.unwrap(), values.len().to_string(), "{kind}");
            w.run("DELETE FROM t").await;
            let mut gone = w.drain().await;
            let mut inserted = keys.clone();
            gone.sort();
            inserted.sort();
            assert_eq!(gone, inserted, "{kind}");
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn composite_keys_find_their_rows() {
    on_both(|server| async move {
        let mut w = world(
            &server,
            "v int, \"Größe \"\" x\" numeric(9,3), d date, name text COLLATE blind, n bigint, PRIMARY KEY (name, n, d, \"Größe \"\" x\")",
        )
        .await;
        w.run("INSERT INTO t SELECT 0, i / 8.0, '2024-01-01'::date + i, chr(65 + i % 7), i % 3 FROM generate_series(1, 50) i").await;
        let keys = w.drain().await;
        assert_eq!(keys.len(), 50);
        for key in &keys {
            let sql = format!("SELECT count(*) FROM t WHERE {}", w.key.where_keys(std::slice::from_ref(key)).unwrap());
            assert_eq!(get(&w.app, &sql).await.unwrap(), "1", "{sql}");
        }
        let sql = format!("SELECT count(*) FROM t WHERE {}", w.key.where_keys(&keys).unwrap());
        assert_eq!(get(&w.app, &sql).await.unwrap(), "50");
        w.done().await;
    })
    .await;
}
