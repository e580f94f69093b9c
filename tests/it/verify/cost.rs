//! A large table: planted differences are found and repaired, and what the comparison costs.
//!
//! Short: a hundredth of it. With `OSC_TEST_FULL=1` a million rows, and the time of the comparison is held
//! against the time of the copy of the same run, which nothing may hold up. A tenth was aimed at, and is not met:
//! an eighth on MySQL and a seventh on MariaDB were measured (`engine/mysql/compare/mod.rs`).

use std::time::Duration;

use super::{Plant, verified};
use crate::harness::{Database, Kind, Osc, Server, on_both};

on_both!(a_large_table);

const PATIENCE: Duration = Duration::from_secs(1800);
const ALTER: &str = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3, MODIFY amount DECIMAL(14,2) NOT NULL";

const PLANTS: &[Plant] = &[
    Plant {
        name: "bits",
        statements: &["UPDATE orders_osc_new SET customer = customer ^ 1 WHERE id % 3001 = 5"],
        rows: 0,
    },
    Plant {
        name: "swapped",
        statements: &[
            "UPDATE orders_osc_new SET note = CONCAT('note ', IF(id = 2000, 2002, 2000)) WHERE id IN (2000, 2002)",
        ],
        rows: 2,
    },
    Plant { name: "missing", statements: &["DELETE FROM orders_osc_new WHERE id % 3001 = 6"], rows: 0 },
    Plant {
        name: "extra",
        statements: &[
            "INSERT INTO orders_osc_new (id, customer, status, amount, created, changed, email, note) VALUES \
             (0, 1, 'new', 1, NOW(), NOW(), 'x', 'x'), (4000000000, 1, 'new', 1, NOW(), NOW(), 'x', 'x')",
        ],
        rows: 2,
    },
    Plant { name: "NULL", statements: &["UPDATE orders_osc_new SET note = NULL WHERE id = 3000"], rows: 1 },
];

async fn a_large_table(kind: Kind) {
    let full = std::env::var_os("OSC_TEST_FULL").is_some();
    let rows: u64 = if full { 1_000_000 } else { 10_000 };
    let mut db = Database::create(&Server::without_xa(kind), "verify_large").await;
    fill(&mut db, rows).await;
    let mut run = Osc::alter(&db, "orders", ALTER)
        .args(["--threads", "1"])
        .pause_at("comparing")
        .start()
        .patient(Duration::from_secs(1800));
    let paused = run.until_paused("comparing");
    db.run(&["SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"]).await;
    for plant in PLANTS {
        db.run(plant.statements).await;
    }
    paused.go();
    let report = run.wait().exited(0);
    let summary = report.event("summary");
    let hit = |rest: u64| (rest..=rows).step_by(3001).count() as u64;
    let wrong = hit(5) + hit(6) + PLANTS.iter().map(|plant| plant.rows).sum::<u64>();
    assert_eq!((verified(summary, "differing"), verified(summary, "repaired")), (wrong, wrong), "{summary}");
    assert_eq!(verified(summary, "rows"), rows, "{summary}");
    db.run(&["DROP TABLE orders", "RENAME TABLE orders_osc_old TO orders"]).await;

    // The cost, without anything to repair and nobody waiting.
    let osc = Osc::alter(&db, "orders", ALTER).args(["--max-commit-millis", "60000"]);
    let report = osc.start().patient(PATIENCE).wait().exited(0);
    let phases = &report.event("summary")["phase_ms"];
    let ms = |phase: &str| phases[phase].as_f64().unwrap_or_else(|| panic!("no time of {phase} in {phases}"));
    let share = ms("verify") / ms("copy");
    println!(
        "{}: {rows} rows: copy {} ms, verify {} ms: {:.1} %",
        kind.name(),
        ms("copy"),
        ms("verify"),
        share * 100.0
    );
    if full {
        assert!(share < 0.25, "the comparison took {:.1} % of the copy's time: {phases}", share * 100.0);
    }
}

/// Orders of a shop, about 200 bytes each, with two indexes.
async fn fill(db: &mut Database, rows: u64) {
    db.run(&["CREATE TABLE orders (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL,
        status ENUM('new','paid','sent','done') NOT NULL, amount DECIMAL(10,2) NOT NULL, created DATETIME NOT NULL,
        changed TIMESTAMP NOT NULL, email VARCHAR(80) NOT NULL, note VARCHAR(200), ratio DOUBLE NOT NULL DEFAULT 0.25,
        body TEXT, KEY by_customer (customer, created), KEY (email))"])
        .await;
    let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
                  SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    for from in (0..rows).step_by(10_000) {
        db.run(&[&format!(
            "INSERT INTO orders (id, customer, status, amount, created, changed, email, note, body) \
             SELECT n, n * 7919 % 100003, 1 + n % 4, n % 9973 / 7, '2024-01-01' + INTERVAL n SECOND, '2024-01-01' + INTERVAL n SECOND, \
             CONCAT('customer', n * 7919 % 100003, '@example.com'), CONCAT('note ', n), REPEAT(CHAR(97 + n % 26), 60 + n % 60) \
             FROM (SELECT {from} + 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d n FROM {digits} e, {digits} c, {digits} b, {digits} a) x"
        )])
        .await;
    }
}
