//! Keys of every kind: those that only the server can compare, of several columns, descending, converted.

use super::{Plant, planted, verified};
use crate::harness::twin::assert_twin;
use crate::harness::{Database, Kind, Osc, Server, on_both};

on_both!(keys_are_found_and_repaired, no_temporary_table_reaches_the_binary_log);

struct Case {
    name: &'static str,
    columns: &'static str,
    rows: &'static str,
    alter: &'static str,
    plant: Plant,
}

const CASES: &[Case] = &[
    Case {
        name: "a collated string",
        columns: "k VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT",
        rows: "('a', 1), ('b', 2), ('C', 3), ('d', 4), ('é', 5), ('f ', 6)",
        alter: "ADD COLUMN x INT",
        plant: Plant {
            name: "another spelling, one missing, one extra",
            statements: &[
                "UPDATE t_osc_new SET k = 'c' WHERE k = 'C'",
                "UPDATE t_osc_new SET k = 'E' WHERE v = 5",
                "DELETE FROM t_osc_new WHERE k = 'd'",
                "INSERT INTO t_osc_new (k) VALUES ('zz')",
            ],
            rows: 4,
        },
    },
    Case {
        name: "several columns, one descending",
        columns: "a INT, e ENUM('x','y') NOT NULL, b VARBINARY(9), v INT, PRIMARY KEY (e, a DESC, b)",
        rows: "(1, 'x', x'00', 1), (2, 'x', x'00', 2), (2, 'y', x'00ff', 3), (2, 'y', x'00', 4)",
        alter: "ADD COLUMN x INT",
        plant: Plant {
            name: "wrong, missing and extra",
            statements: &[
                "UPDATE t_osc_new SET v = 9 WHERE a = 1",
                "DELETE FROM t_osc_new WHERE b = x'00ff'",
                "INSERT INTO t_osc_new (a, e, b) VALUES (3, 'y', x'ff')",
            ],
            rows: 3,
        },
    },
    Case {
        name: "wider types",
        columns: "a SMALLINT, d DECIMAL(6,2), b BINARY(2), m DATETIME(3), v INT, PRIMARY KEY (a, d, b, m)",
        rows: "(1, 1.5, 'a', '2024-01-01', 1), (2, -1.5, 'ab', '2024-01-01 01:02:03.004', 2), (3, 0, '', '2024-01-01', 3)",
        alter: "MODIFY a INT NOT NULL, MODIFY d DECIMAL(9,4) NOT NULL, MODIFY b BINARY(4) NOT NULL, MODIFY m DATETIME(6) NOT NULL",
        plant: Plant {
            name: "wrong, missing and extra",
            statements: &[
                "UPDATE t_osc_new SET v = 9 WHERE a = 1",
                "DELETE FROM t_osc_new WHERE a = 2",
                "INSERT INTO t_osc_new VALUES (4, -7.25, 'q', '2024-01-01 01:02:03.004', 5)",
            ],
            rows: 3,
        },
    },
    Case {
        name: "not the shadow's own key",
        columns: "a INT PRIMARY KEY, v INT NOT NULL",
        rows: "(1, 1), (2, 2), (3, 3)",
        alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (a, v)",
        plant: Plant {
            name: "a second row of one key",
            statements: &["INSERT INTO t_osc_new VALUES (2, 7)", "DELETE FROM t_osc_new WHERE a = 3"],
            rows: 2,
        },
    },
    Case {
        name: "a renamed column, an invisible one, an odd name",
        columns: "`a = b` INT PRIMARY KEY, `v``s` INT, h INT",
        rows: "(1, 1, 1), (2, 2, 2), (3, 3, 3)",
        alter: "RENAME COLUMN `v``s` TO `w.x`, RENAME COLUMN `a = b` TO k, DROP COLUMN h, ADD COLUMN h VARCHAR(3) NOT NULL",
        plant: Plant {
            name: "wrong values",
            statements: &["UPDATE t_osc_new SET `w.x` = 3 WHERE k = 1", "UPDATE t_osc_new SET h = 'x' WHERE k = 2"],
            rows: 2,
        },
    },
];

async fn keys_are_found_and_repaired(kind: Kind) {
    for case in CASES {
        println!("{}: {}", kind.name(), case.name);
        let mut db = Database::create(&Server::without_xa(kind), "verify_keys").await;
        db.run(&[&format!("CREATE TABLE t ({})", case.columns)]).await;
        db.run(&[&format!("INSERT INTO t VALUES {}", case.rows)]).await;
        let rows: u64 = db.one("SELECT COUNT(*) FROM t").await;
        let osc = Osc::alter(&db, "t", case.alter).args(["--chunk-size", "2"]);
        let report = planted(&mut db, osc, &[&case.plant]).await.exited(0);
        let summary = report.event("summary");
        let wrong = case.plant.rows;
        assert_eq!((verified(summary, "differing"), verified(summary, "repaired")), (wrong, wrong), "{summary}");
        assert_eq!(verified(summary, "rows"), rows, "{}: {summary}", case.name);
        assert_eq!(assert_twin(&mut db, "t", "t_osc_old", case.alter).await as u64, rows, "{}", case.name);
    }
}

/// The scratch table of a comparison is the session's own business.
async fn no_temporary_table_reaches_the_binary_log(kind: Kind) {
    let mut db = Database::create(&Server::without_xa(kind), "verify_scratch").await;
    db.run(&[
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) NOT NULL)",
        "INSERT INTO t VALUES (1, '1'), (2, '02'), (3, '3')",
    ])
    .await;
    let sql = if kind.is_mariadb() { "SHOW MASTER STATUS" } else { "SHOW BINARY LOG STATUS" };
    let end = db.rows(sql).await.remove(0);
    let (file, at): (String, u64) = (end.get(0).expect("a file"), end.get(1).expect("a position"));
    let report = Osc::alter(&db, "t", "MODIFY v INT NOT NULL").run().exited(0);
    assert_eq!(verified(report.event("summary"), "rows"), 3);
    let events = db.rows(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {at}")).await;
    let said: Vec<String> = events.iter().filter_map(|row| row.get::<String, _>(5)).collect();
    assert!(said.iter().any(|text| text.contains("t_osc_new")), "the run is in another file: {said:?}");
    let scratch: Vec<&String> = said.iter().filter(|text| text.contains("osc_compared")).collect();
    assert!(scratch.is_empty(), "{scratch:?}");
}
