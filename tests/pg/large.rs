//! A large table: planted differences are found and repaired, and what the comparison costs.
//!
//! With `OSC_TEST_FULL=1` a million rows, and the time of the comparison is held against the time of copy and indexes of
//! another run on the same table, which nothing holds up.

use std::time::Duration;

use crate::harness::{Database, Kind, Osc, Report, Server, blocking, on_both};

on_both!(differences_in_a_large_table);

const PATIENCE: Duration = Duration::from_secs(1800);
const ALTER: &str = "ADD COLUMN priority smallint NOT NULL DEFAULT 3, ALTER COLUMN amount TYPE numeric(14, 2)";

/// What is done to the shadow `sh`, and to how many rows; none: to each three-thousandth.
const PLANTS: &[(&str, Option<u64>)] = &[
    ("UPDATE sh SET customer = customer # 1 WHERE id % 3001 = 5", None),
    ("DELETE FROM sh WHERE id % 3001 = 6", None),
    ("UPDATE sh SET note = 'note ' || CASE id WHEN 2000 THEN 2002 ELSE 2000 END WHERE id IN (2000, 2002)", Some(2)),
    (
        "INSERT INTO sh SELECT 0 AS id, customer, status, amount, created, email, note, ratio, body FROM sh WHERE id = 1",
        Some(1),
    ),
    ("UPDATE sh SET note = NULL WHERE id = 3000", Some(1)),
];

async fn differences_in_a_large_table(kind: Kind) {
    let full = std::env::var_os("OSC_TEST_FULL").is_some();
    let rows: u64 = if full { 1_000_000 } else { 20_000 };
    let db = Database::create(&Server::shared(kind), "large").await;
    db.as_app(&[
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, status text NOT NULL, \
           amount numeric(10, 2) NOT NULL, created timestamptz NOT NULL, email varchar(80) NOT NULL, \
           note varchar(200), ratio float8 NOT NULL DEFAULT 0.25, body text); \
         CREATE INDEX by_customer ON orders (customer, created); CREATE INDEX by_email ON orders (email)",
        &format!(
            "INSERT INTO orders SELECT n, n * 7919 % 100003, (ARRAY['new', 'paid', 'sent', 'done'])[1 + n % 4], \
               n % 9973 / 7.0, timestamptz '2024-01-01' + n * interval '1 second', \
               'customer' || n * 7919 % 100003 || '@example.com', 'note ' || n, 0.25, \
               repeat(chr((97 + n % 26)::int), (60 + n % 60)::int) FROM generate_series(1, {rows}::bigint) n"
        ),
        "ANALYZE orders",
    ])
    .await;
    let (report, wrong) = spoiled(&db, rows, &[]).await;
    let report = report.exited(0);
    let summary = report.event("summary");
    let verified = &summary["verified"];
    assert_eq!(
        (verified["differing"].as_u64(), verified["repaired"].as_u64()),
        (Some(wrong), Some(wrong)),
        "{summary}"
    );
    assert_eq!(verified["rows"].as_u64(), Some(rows), "{summary}");
    let old = db.old_of("orders").await;
    let sides = format!(
        "SELECT count(*) FROM (SELECT id, ROW(customer, status, amount, created, email, note, ratio, body)::record r FROM orders) n \
         FULL JOIN (SELECT id, ROW(customer, status, amount::numeric(14, 2), created, email, note, ratio, body)::record r FROM {old}) o \
         ON n.id = o.id WHERE n.id IS NULL OR o.id IS NULL OR n.r *<> o.r"
    );
    assert_eq!(db.one::<u64>(&sides).await, 0);
    let schema = old.split('.').next().expect("schema.table");
    db.run(&[&format!("DROP TABLE orders; ALTER TABLE {old} SET SCHEMA public; DROP SCHEMA {schema}")]).await;

    // Without the repair nothing is swapped.
    refused(&db, rows).await;

    // The cost, with nothing to repair.
    let osc = Osc::alter(&db, "orders", ALTER).args(["--max-commit-millis", "60000"]);
    let report = blocking(move || osc.start().patient(PATIENCE).wait()).await.exited(0);
    let phases = &report.event("summary")["phase_ms"];
    let ms = |phase: &str| phases[phase].as_f64().unwrap_or_else(|| panic!("no time of {phase} in {phases}"));
    // The indexes that are built later are of the copy too.
    let share = ms("verify") / (ms("copy") + ms("index"));
    println!(
        "{}: {rows} rows: copy {} ms, indexes {} ms, verify {} ms: {:.1} % of both",
        kind.name(),
        ms("copy"),
        ms("index"),
        ms("verify"),
        share * 100.0
    );
    if full {
        assert!(share < 0.25, "the comparison took {:.1} % of the time of copy and indexes: {phases}", share * 100.0);
    }
}

/// A run whose shadow is spoiled before the comparison, and how many rows are wrong.
async fn spoiled(db: &Database, rows: u64, arguments: &[&str]) -> (Report, u64) {
    let mut run = Osc::alter(db, "orders", ALTER)
        .args(["--threads", "1", "--max-commit-millis", "60000"])
        .args(arguments.iter().copied())
        .pause_at("comparing")
        .start()
        .patient(PATIENCE);
    let (run, paused) = blocking(move || {
        assert!(run.comes_by("comparing"), "the run ended before the comparison");
        let paused = run.until_paused("comparing");
        (run, paused)
    })
    .await;
    let shadow: String = db
        .one(
            "SELECT n.nspname || '.orders' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname = 'orders' AND n.nspname ~ '^osc_.*_new$'",
        )
        .await;
    let mut wrong = 0;
    for (plant, hit) in PLANTS {
        let sql = plant.replace(" sh ", &format!(" {shadow} "));
        let changed = db.admin.execute(&sql, &[]).await.expect("it can be planted");
        assert_eq!(changed, hit.unwrap_or((5..=rows).step_by(3001).count() as u64), "{sql}");
        wrong += changed;
    }
    paused.go();
    (blocking(move || run.wait()).await, wrong)
}

async fn refused(db: &Database, rows: u64) {
    let (report, _) = spoiled(db, rows, &["--no-repair"]).await;
    let report = report.exited(4);
    assert!(report.says("id="), "{}", report.stderr);
    let swapped = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'priority'";
    assert_eq!(db.one::<u64>(swapped).await, 0, "swapped all the same");
    let cleanup = Osc::new(db, "cleanup").args(["--yes"]);
    blocking(move || cleanup.run()).await.exited(0);
}
