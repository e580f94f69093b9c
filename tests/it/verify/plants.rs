//! Every kind of difference, in a table whose columns compare in different ways.

use super::{Plant, planted, verified};
use crate::harness::stage::without_counter;
use crate::harness::{Database, Kind, Osc, Server, on_both, twin};

on_both!(
    all_at_once_are_repaired,
    all_at_once_are_repaired_where_columns_are_converted,
    each_alone_keeps_the_run_from_swapping,
    what_is_not_compared_goes_unnoticed
);

/// Columns stay as they are, but for a new one.
const PLAIN: &str = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3, ADD COLUMN mark VARCHAR(9) NOT NULL";
/// No expression is equal to these assignments: the server's own has to tell.
const CONVERTED: &str = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3, ADD COLUMN mark VARCHAR(9) NOT NULL, \
                         MODIFY n BIGINT, MODIFY moment DATETIME, MODIFY weight FLOAT, MODIFY digits INT";

const PLANTS: &[Plant] = &[
    Plant {
        name: "a flipped bit",
        statements: &[
            "UPDATE orders_osc_new SET bits = INSERT(bits, 3, 1, CHAR(ASCII(SUBSTRING(bits, 3, 1)) ^ 1)) WHERE id = 10",
        ],
        rows: 1,
    },
    Plant {
        name: "two values swapped between rows",
        statements: &[
            "UPDATE orders_osc_new SET note = CASE id WHEN 20 THEN 'note 21' ELSE 'note 20' END WHERE id IN (20, 21)",
        ],
        rows: 2,
    },
    Plant { name: "'' for NULL", statements: &["UPDATE orders_osc_new SET note = '' WHERE id = 30"], rows: 1 },
    Plant { name: "NULL for ''", statements: &["UPDATE orders_osc_new SET note = NULL WHERE id = 31"], rows: 1 },
    Plant { name: "0 for NULL", statements: &["UPDATE orders_osc_new SET n = 0 WHERE id = 30"], rows: 1 },
    Plant { name: "a missing row", statements: &["DELETE FROM orders_osc_new WHERE id = 40"], rows: 1 },
    Plant {
        name: "an extra row",
        statements: &["INSERT INTO orders_osc_new (id, note, name, bits, mark) VALUES (5, 'x', 'x', 'x', '')"],
        rows: 1,
    },
    Plant {
        name: "an extra row above the last",
        statements: &["INSERT INTO orders_osc_new (id, note, name, bits, mark) VALUES (99999, 'x', 'x', 'x', '')"],
        rows: 1,
    },
    Plant {
        name: "one row missing and one too many",
        statements: &["UPDATE orders_osc_new SET id = 7 WHERE id = 45"],
        rows: 2,
    },
    Plant {
        name: "the same change in two rows",
        statements: &["UPDATE orders_osc_new SET n = n ^ 4 WHERE id IN (50, 51)"],
        rows: 2,
    },
    Plant {
        name: "another case",
        statements: &["UPDATE orders_osc_new SET name = UPPER(name) WHERE id = 60"],
        rows: 1,
    },
    Plant { name: "an accent", statements: &["UPDATE orders_osc_new SET name = 'nàme 61' WHERE id = 61"], rows: 1 },
    Plant {
        name: "a space at the end",
        statements: &["UPDATE orders_osc_new SET name = CONCAT(name, ' ') WHERE id = 62"],
        rows: 1,
    },
    Plant { name: "a new column", statements: &["UPDATE orders_osc_new SET priority = 4 WHERE id = 70"], rows: 1 },
    Plant {
        name: "a new column without a default",
        statements: &["UPDATE orders_osc_new SET mark = ' ' WHERE id = 71"],
        rows: 1,
    },
    Plant {
        name: "a border between columns",
        statements: &["UPDATE orders_osc_new SET note = 'ab', body = 'c' WHERE id = 90"],
        rows: 1,
    },
    Plant { name: "an ENUM", statements: &["UPDATE orders_osc_new SET size = 'l' WHERE id = 100"], rows: 1 },
    Plant { name: "a SET", statements: &["UPDATE orders_osc_new SET flags = 'x,z' WHERE id = 101"], rows: 1 },
    Plant {
        name: "the last digit",
        statements: &["UPDATE orders_osc_new SET amount = amount + 0.01 WHERE id = 102"],
        rows: 1,
    },
    Plant { name: "a float", statements: &["UPDATE orders_osc_new SET ratio = ratio + 1e-14 WHERE id = 103"], rows: 1 },
    Plant {
        name: "a microsecond",
        statements: &["UPDATE orders_osc_new SET stamp = stamp + INTERVAL 1 MICROSECOND WHERE id = 105"],
        rows: 1,
    },
    Plant {
        name: "JSON",
        statements: &["UPDATE orders_osc_new SET doc = '{\"a\": [1, 2, 4]}' WHERE id = 106"],
        rows: 1,
    },
    Plant {
        name: "JSON's types",
        // The server takes 3 and 3.0 for equal and would not write it.
        statements: &[
            "UPDATE orders_osc_new SET doc = NULL WHERE id = 107",
            "UPDATE orders_osc_new SET doc = '{\"a\": [1, 2, 3.0]}' WHERE id = 107",
        ],
        rows: 1,
    },
    Plant { name: "a bit", statements: &["UPDATE orders_osc_new SET bit = b'101' WHERE id = 108"], rows: 1 },
    Plant {
        name: "a negative TIME",
        statements: &["UPDATE orders_osc_new SET clock = '-00:00:01' WHERE id = 109"],
        rows: 1,
    },
    Plant {
        name: "a byte of a BLOB",
        statements: &["UPDATE orders_osc_new SET data = x'00ff01' WHERE id = 110"],
        rows: 1,
    },
    Plant {
        name: "a stray point",
        statements: &["UPDATE orders_osc_new SET place = ST_GeomFromText('POINT(1 3)') WHERE id = 111"],
        rows: 1,
    },
    Plant { name: "latin1", statements: &["UPDATE orders_osc_new SET old = 'ä' WHERE id = 112"], rows: 1 },
    Plant { name: "YEAR", statements: &["UPDATE orders_osc_new SET year = 2001 WHERE id = 113"], rows: 1 },
];

/// MariaDB's zero has no sign that a statement could give it.
const OF_MYSQL: Plant =
    Plant { name: "a zero's sign", statements: &["UPDATE orders_osc_new SET ratio = -0e0 WHERE id = 104"], rows: 1 };

/// What only a converted column shows.
const OF_CONVERTED: &[Plant] = &[
    Plant {
        name: "a rounded moment",
        statements: &["UPDATE orders_osc_new SET moment = moment + INTERVAL 1 SECOND WHERE id = 80"],
        rows: 1,
    },
    Plant { name: "a rounded float", statements: &["UPDATE orders_osc_new SET weight = 1.26 WHERE id = 81"], rows: 1 },
    Plant { name: "a parsed number", statements: &["UPDATE orders_osc_new SET digits = 83 WHERE id = 82"], rows: 1 },
];

/// 400 rows: even keys only, up to 120 each of its own.
async fn filled(kind: Kind, name: &str) -> Database {
    let mut db = Database::create(&Server::without_xa(kind), name).await;
    db.run(&[
        "CREATE TABLE orders (
           id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, note VARCHAR(80), name VARCHAR(40) NOT NULL, n INT,
           amount DECIMAL(12,2) NOT NULL DEFAULT 1.5, weight DOUBLE NOT NULL DEFAULT 1.25001, ratio DOUBLE NOT NULL DEFAULT 0.1,
           moment DATETIME(3) NOT NULL DEFAULT '2024-02-29 12:00:00.501', stamp TIMESTAMP(6) NOT NULL DEFAULT '2024-02-29 12:00:00.5',
           size ENUM('s','m','l') NOT NULL DEFAULT 'm', flags SET('x','y','z') NOT NULL DEFAULT 'x',
           bits VARBINARY(20) NOT NULL, body TEXT, doc JSON, bit BIT(3) NOT NULL DEFAULT b'100', clock TIME NOT NULL DEFAULT '00:00:01',
           data BLOB, place POINT, old VARCHAR(20) CHARACTER SET latin1 NOT NULL DEFAULT 'a', year YEAR NOT NULL DEFAULT 2000,
           digits VARCHAR(9) NOT NULL DEFAULT '82', half INT AS (n DIV 2) STORED, twice INT AS (n * 2) VIRTUAL,
           KEY (name), KEY (n)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "INSERT INTO orders (note, name, n, bits, body) SELECT 'a', 'name', 0, 'bits', 'bc' FROM \
         (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) a, \
         (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) b, \
         (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) c, \
         (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) d",
        "DELETE FROM orders WHERE id IN (5, 7)",
        "UPDATE orders SET name = CONCAT('name ', id), n = id, bits = CONCAT('bits', id), \
         note = CASE WHEN id = 30 THEN NULL WHEN id = 31 THEN '' WHEN id = 90 THEN 'a' ELSE CONCAT('note ', id) END, \
         ratio = IF(id = 104, 0, ratio), doc = '{\"a\": [1, 2, 3]}', data = x'00ff00', place = ST_GeomFromText('POINT(1 2)')",
        "UPDATE orders SET n = NULL WHERE id = 30",
        // Above the copies of id 120 the rows have gaps.
        "UPDATE orders SET id = id * 3 WHERE id > 200 ORDER BY id DESC",
    ])
    .await;
    db
}

async fn repaired(kind: Kind, name: &str, alter: &str, mut plants: Vec<&Plant>) {
    plants.extend((kind == Kind::MySql).then_some(&OF_MYSQL));
    let mut db = filled(kind, name).await;
    let osc = Osc::alter(&db, "orders", alter);
    let report = planted(&mut db, osc, &plants).await.exited(0);
    let summary = report.event("summary");
    // Two plants may meet in one row.
    let wrong: u64 = plants.iter().map(|plant| plant.rows).sum::<u64>() - 1;
    assert_eq!((verified(summary, "differing"), verified(summary, "repaired")), (wrong, wrong), "{summary}");
    assert!(verified(summary, "rows") >= 398 && verified(summary, "ranges") > 0, "{summary}");
    // The counter remembers the extra rows.
    let rows = twin::assert_twin_but(&mut db, "orders", "orders_osc_old", alter, without_counter).await;
    assert_eq!(rows, 398);
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}

async fn all_at_once_are_repaired(kind: Kind) {
    repaired(kind, "verify_all", PLAIN, PLANTS.iter().collect()).await;
}

async fn all_at_once_are_repaired_where_columns_are_converted(kind: Kind) {
    repaired(kind, "verify_converted", CONVERTED, PLANTS.iter().chain(OF_CONVERTED).collect()).await;
}

async fn each_alone_keeps_the_run_from_swapping(kind: Kind) {
    let mut db = filled(kind, "verify_each").await;
    let definition = db.show_create("orders").await;
    let before = twin::rows(&mut db, "orders", "TRUE").await;
    let plain = PLANTS.iter().chain((kind == Kind::MySql).then_some(&OF_MYSQL)).map(|plant| (PLAIN, plant));
    for (alter, plant) in plain.chain(OF_CONVERTED.iter().map(|plant| (CONVERTED, plant))) {
        println!("{}: {}", kind.name(), plant.name);
        let osc = Osc::alter(&db, "orders", alter).args(["--no-repair"]);
        let report = planted(&mut db, osc, &[plant]).await.exited(4);
        let count = if plant.rows == 1 { "1 row of" } else { "2 rows of" };
        for part in [count, "id=", "orders has", "orders_osc_new has", "The table is unchanged", "--no-repair"] {
            assert!(report.says(part), "{}: '{part}' is not in {}", plant.name, report.stderr);
        }
        assert_eq!(db.show_create("orders").await, definition, "{}", plant.name);
        assert_eq!(twin::rows(&mut db, "orders", "TRUE").await, before, "{}", plant.name);
        Osc::new(&db, "cleanup").args(["--yes"]).run().exited(0);
        assert_eq!(db.tables().await, ["orders"], "{}", plant.name);
    }
}

/// What the flag gives up is given up: else the tests above would prove nothing.
async fn what_is_not_compared_goes_unnoticed(kind: Kind) {
    let mut db = filled(kind, "verify_none").await;
    let mut run = Osc::alter(&db, "orders", PLAIN).args(["--no-verify"]).pause_at("before-lock").start();
    let paused = run.until_paused("before-lock");
    db.run(PLANTS[5].statements).await;
    paused.go();
    let report = run.wait().exited(0);
    assert_eq!(verified(report.event("summary"), "ranges"), 0);
    assert!(report.event("plan")["warnings"].to_string().contains("--no-verify"));
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders").await, 397);
}
