//! The sync and the comparison: what can't be copied is named by its row; what differs is found, in every way in which a
//! value can; statements go by the key's index however little the statistics know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Database, Kind, Osc, Report, Server, blocking, on_both, wait_for};

on_both!(
    a_true_duplicate_is_named,
    an_exclusion_is_named,
    ranges_move_under_a_deferred_exclusion,
    a_value_that_does_not_fit_is_named,
    every_difference_is_found,
    a_key_that_can_not_be_hashed_is_compared,
    differences_are_repaired
);

async fn run(osc: Osc) -> Report {
    blocking(move || osc.run()).await
}

/// Nothing was swapped; nothing is in the way of another run after `osc cleanup`.
async fn untouched(db: &Database, count: u64) {
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, count);
    assert_eq!(db.one::<i32>("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^osc_.*_old$'").await, 0);
}

async fn a_true_duplicate_is_named(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_duplicate").await;
    db.as_app(&[
        "CREATE TABLE orders (id int PRIMARY KEY, mail text)",
        "INSERT INTO orders SELECT g, 'm' || g FROM generate_series(1, 2000) g",
        "UPDATE orders SET mail = 'M1234' WHERE id = 77",
    ])
    .await;
    // Far apart: they are in different chunks, and no statement of the copy sees both.
    let alter = "ADD EXCLUDE USING btree (lower(mail) WITH =)";
    let plain = "ALTER COLUMN mail TYPE varchar(20), ADD CONSTRAINT mails UNIQUE (mail)";
    let chunks = ["--chunk-size", "100", "--threads", "2"];
    let report = run(Osc::alter(&db, "orders", alter).args(chunks)).await.exited(1);
    assert!(report.says("77") && report.says("1234"), "{}", report.stderr);
    untouched(&db, 2000).await;
    run(Osc::new(&db, "cleanup").args(["--yes"])).await.exited(0);
    db.as_app(&["UPDATE orders SET mail = 'm1234' WHERE id = 77"]).await;
    let report = run(Osc::alter(&db, "orders", plain).args(chunks)).await.exited(1);
    assert!(report.says("mails") && report.says("(77)") && report.says("(1234)"), "{}", report.stderr);
    assert!(report.says("m1234"), "{}", report.stderr);
    untouched(&db, 2000).await;
}

async fn an_exclusion_is_named(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_exclusion").await;
    db.as_app(&[
        "CREATE TABLE orders (id int PRIMARY KEY, span int4range NOT NULL)",
        "INSERT INTO orders SELECT g, int4range(10 * g, 10 * g + 10) FROM generate_series(1, 1000) g",
        "UPDATE orders SET span = int4range(1235, 1237) WHERE id = 900",
    ])
    .await;
    for when in ["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"] {
        let alter = format!("ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&){when}");
        let report = run(Osc::alter(&db, "orders", &alter).args(["--chunk-size", "100"])).await.exited(1);
        assert!(report.says("apart") && report.says("(123)") && report.says("(900)"), "{}", report.stderr);
        untouched(&db, 1000).await;
        run(Osc::new(&db, "cleanup").args(["--yes"])).await.exited(0);
    }
}

/// Ranges that move on by one row, all of them, all the time, under a constraint that lets them do so until the commit.
async fn ranges_move_under_a_deferred_exclusion(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_deferred").await;
    db.as_app(&[
        "CREATE TABLE orders (id int PRIMARY KEY, span int4range NOT NULL, \
           CONSTRAINT apart EXCLUDE USING gist (span WITH &&) DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO orders SELECT g, int4range(10 * g, 10 * g + 10) FROM generate_series(1, 400) g",
    ])
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let (app, stopped) = (db.app().await, stop.clone());
    let writer = tokio::spawn(async move {
        let mut moves = 0_i64;
        while !stopped.load(Ordering::SeqCst) {
            let from = moves % 390 + 1;
            let sql = format!(
                "UPDATE orders SET span = int4range(10 * ((lower(span) / 10 - {from} + 1) % 10 + {from}), 10 * ((lower(span) / 10 - {from} + 1) % 10 + {from}) + 10) \
                 WHERE lower(span) / 10 BETWEEN {from} AND {from} + 9"
            );
            app.batch_execute(&sql).await.expect("ten ranges change places");
            moves += 1;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        moves
    });
    let osc = Osc::alter(&db, "orders", "ADD COLUMN extra int DEFAULT 7").args(["--chunk-size", "50"]);
    let report = run(osc).await.exited(0);
    stop.store(true, Ordering::SeqCst);
    let moves = writer.await.expect("no write failed");
    assert!(moves > 20 && report.event("summary")["keys_synced"].as_u64() > Some(20), "{moves}");
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders WHERE extra = 7").await, 400);
    assert_eq!(db.one::<u64>("SELECT count(DISTINCT lower(span)) FROM orders").await, 400);
    let deferred =
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND conname = 'apart' AND condeferred";
    assert_eq!(db.one::<u64>(deferred).await, 1);
}

async fn a_value_that_does_not_fit_is_named(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_value").await;
    db.as_app(&[
        "CREATE TABLE orders (id int, region text, note text, PRIMARY KEY (region, id))",
        "INSERT INTO orders SELECT g, 'r' || g % 3, 'n' || g FROM generate_series(1, 2000) g",
        "UPDATE orders SET note = 'much too long' WHERE id = 1500",
    ])
    .await;
    let report =
        run(Osc::alter(&db, "orders", "ALTER COLUMN note TYPE varchar(6)").args(["--chunk-size", "300"])).await;
    let report = report.exited(1);
    assert!(report.says("region='r0', id=1500") && report.says("varying(6)"), "{}", report.stderr);
    untouched(&db, 2000).await;
}

const TABLE: &str = "CREATE TABLE orders (id int PRIMARY KEY, note text, n numeric, r float8, doc jsonb, raw bytea, \
    at timestamptz, tags text[], fixed char(5), flag boolean, j json)";
const FILL: &str = "INSERT INTO orders SELECT 10 * g, 'note ' || g, g + 0.50, g / 7.0, '{\"a\": 1}', '\\x0102', \
    '2024-01-01 00:00:00.000001+00', '{a,b}', 'ab', true, '{\"a\":  1}' FROM generate_series(1, 300) g";
const ALTER: &str =
    "ALTER COLUMN id TYPE bigint, ADD COLUMN priority int DEFAULT 3, ALTER COLUMN note TYPE varchar(30)";

/// What is done to the shadow, and the keys of which it's wrong.
const PLANTS: &[(&str, &[i64])] = &[
    ("UPDATE sh SET note = note || ' ' WHERE id = 10", &[10]),
    ("UPDATE sh SET note = '' WHERE id = 20", &[20]),
    ("UPDATE sh SET note = NULL WHERE id = 30", &[30]),
    // Equal as numbers, and not what a native ALTER leaves.
    ("UPDATE sh SET n = n::numeric(20, 3) WHERE id = 40", &[40]),
    ("UPDATE sh SET r = r + 1e-13 WHERE id = 50", &[50]),
    ("UPDATE sh SET doc = '{\"a\": 1.0}' WHERE id = 60", &[60]),
    ("UPDATE sh SET raw = '\\x01020000' WHERE id = 70", &[70]),
    ("UPDATE sh SET at = at + interval '1 microsecond' WHERE id = 80", &[80]),
    ("UPDATE sh SET tags = '{b,a}' WHERE id = 90", &[90]),
    ("UPDATE sh SET tags = '[0:1]={a,b}' WHERE id = 100", &[100]),
    ("UPDATE sh SET fixed = 'abc' WHERE id = 110", &[110]),
    ("UPDATE sh SET flag = NULL WHERE id = 120", &[120]),
    ("UPDATE sh SET j = '{\"a\": 1}' WHERE id = 130", &[130]),
    ("UPDATE sh SET priority = 4 WHERE id = 140", &[140]),
    ("DELETE FROM sh WHERE id = 150", &[150]),
    ("INSERT INTO sh (id) VALUES (155)", &[155]),
    ("INSERT INTO sh (id) VALUES (5)", &[5]),
    ("INSERT INTO sh (id) VALUES (999999)", &[999_999]),
    ("UPDATE sh SET id = 161 WHERE id = 160", &[160, 161]),
    ("UPDATE sh SET note = CASE id WHEN 170 THEN 'note 18' ELSE 'note 17' END WHERE id IN (170, 180)", &[170, 180]),
    ("UPDATE sh SET r = '-0' WHERE id = 190", &[190]),
];

/// Runs up to the comparison, plants, and lets it go on.
async fn planted(db: &Database, alter: &str, plants: &[&str], arguments: &[&str]) -> Report {
    let mut run = Osc::alter(db, "orders", alter)
        .args(["--chunk-size", "100", "--threads", "1"])
        .args(arguments.iter().copied())
        .pause_at("comparing")
        .start();
    let (run, paused) = blocking(move || {
        let paused = run.until_paused("comparing");
        (run, paused)
    })
    .await;
    let shadow: String = db
        .one(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
              WHERE c.relname = 'orders' AND n.nspname ~ '^osc_.*_new$'",
        )
        .await;
    for plant in plants {
        let sql = plant.replacen(" sh ", &format!(" {shadow}.orders "), 1);
        assert_ne!(&sql, plant);
        assert!(db.admin.execute(&sql, &[]).await.expect("it can be planted") > 0, "{sql}");
    }
    paused.go();
    blocking(move || run.wait()).await
}

async fn every_difference_is_found(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_differs").await;
    db.as_app(&[TABLE, FILL, "UPDATE orders SET r = 0 WHERE id = 190"]).await;
    for (plant, keys) in PLANTS {
        let report = planted(&db, ALTER, &[plant], &["--no-repair"]).await.exited(4);
        for key in *keys {
            assert!(report.says(&format!("id={key}:")), "{plant}: {}", report.stderr);
        }
        untouched(&db, 300).await;
        run(Osc::new(&db, "cleanup").args(["--yes"])).await.exited(0);
    }
}

/// One suspect is asked for by its key alone, in a join that 18 can plan for a key of a type with a hash only.
async fn a_key_that_can_not_be_hashed_is_compared(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_unhashed").await;
    for (key, value) in [("bit varying(20)", "g::bit(9)::varbit"), ("money", "g::money")] {
        db.as_app(&[
            "DROP TABLE IF EXISTS orders",
            &format!("CREATE TABLE orders (id {key} PRIMARY KEY, note text)"),
            &format!("INSERT INTO orders SELECT {value}, 'note ' || g FROM generate_series(1, 300) g"),
        ])
        .await;
        let plant = "UPDATE sh SET note = '' WHERE note = 'note 77'";
        let report = planted(&db, "ADD COLUMN priority int DEFAULT 3", &[plant], &[]).await.exited(0);
        let summary = report.event("summary").clone();
        assert_eq!(summary["verified"]["repaired"], 1, "{summary}");
        assert_eq!(db.one::<u64>("SELECT count(*) FROM orders WHERE note = ''").await, 0);
        run(Osc::new(&db, "cleanup").args(["--yes", "--old"])).await.exited(0);
    }
}

async fn differences_are_repaired(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "sync_repair").await;
    db.as_app(&[TABLE, FILL, "UPDATE orders SET r = 0 WHERE id = 190"]).await;
    let plants: Vec<&str> = PLANTS.iter().map(|(plant, _)| *plant).collect();
    let report = planted(&db, ALTER, &plants, &[]).await.exited(0);
    let summary = report.event("summary").clone();
    assert_eq!(summary["outcome"], "swapped", "{summary}");
    let old = db.old_of("orders").await;
    let columns = "id::bigint, note::varchar(30), n, r, doc, raw, at, tags, fixed, flag, j";
    let sides = format!(
        "SELECT count(*) FROM (SELECT o.id, ROW({columns})::record AS r FROM {old} o) o \
         FULL JOIN (SELECT c.id, ROW({columns})::record AS r FROM orders c) c ON o.id = c.id \
         WHERE o.id IS NULL OR c.id IS NULL OR o.r *<> c.r"
    );
    assert_eq!(db.one::<u64>(&sides).await, 0);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders WHERE priority IS DISTINCT FROM 3").await, 0);
    wait_for("nothing but the old table", async || db.leftovers().await.len() == 1).await;
}
