//! Tables that hang under a parent, altered while the application works by way of the parent: no acknowledged write is lost
//! and none lands in the old table, no statement fails.
//!
//! Each writer owns its rows, so for each there is one truth: the last acknowledged write. It reads its rows back all the
//! time too, by the parent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::{JoinHandle, block_in_place};
use tokio_postgres::Statement;

use crate::harness::{Database, Kind, Osc, Server, on_both, rows, run, wait_for};

const ROWS: i32 = 1500;
const WRITERS: i32 = 5;
/// From here on a row is in the other child.
const OTHER: i32 = 1_000_000;

/// How the application writes to a tree.
#[derive(Clone, Copy)]
struct Tree {
    setup: &'static [&'static str],
    top: &'static str,
    leaf: &'static str,
    /// Into the leaf, and into the other child.
    insert: [&'static str; 2],
    /// A row goes from the leaf to the other child.
    away: &'static str,
    /// What is altered, one after the other.
    alters: &'static [&'static str],
    /// How a row of the leaf would be made out of the others' by a plan for all children.
    all: &'static str,
}

const PARTITIONS: Tree = Tree {
    setup: &[
        "CREATE TABLE tree (id int PRIMARY KEY, version int NOT NULL, note text) PARTITION BY RANGE (id)",
        "CREATE INDEX ON tree (note)",
        "CREATE TABLE middle PARTITION OF tree FOR VALUES FROM (0) TO (1000000) PARTITION BY HASH (id)",
        "CREATE TABLE leaf PARTITION OF middle FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE TABLE other PARTITION OF tree FOR VALUES FROM (1000000) TO (MAXVALUE)",
    ],
    top: "tree",
    leaf: "leaf",
    insert: ["INSERT INTO tree (id, version) VALUES ($1, 0)", "INSERT INTO tree (id, version) VALUES ($1, 0)"],
    away: "UPDATE tree SET id = $2, version = version + 1 WHERE id = $1",
    alters: &[
        "SET (fillfactor = 50)",
        "ADD CONSTRAINT small CHECK (version < 1000000)",
        "ADD UNIQUE (version, id)",
        "DROP CONSTRAINT small",
    ],
    all: "UPDATE tree SET version = version + 1 WHERE id + 0 = $1",
};

const HEIRS: Tree = Tree {
    setup: &[
        "CREATE TABLE tree (id int, version int NOT NULL, note text)",
        "CREATE TABLE middle () INHERITS (tree)",
        "CREATE TABLE leaf (PRIMARY KEY (id), own int DEFAULT 5) INHERITS (middle)",
        "CREATE TABLE other (PRIMARY KEY (id)) INHERITS (tree)",
    ],
    top: "tree",
    leaf: "leaf",
    insert: ["INSERT INTO leaf (id, version) VALUES ($1, 0)", "INSERT INTO other (id, version) VALUES ($1, 0)"],
    away: "WITH gone AS (DELETE FROM tree WHERE id = $1 RETURNING version) INSERT INTO other (id, version) SELECT $2, version + 1 FROM gone",
    alters: &[
        "ALTER own TYPE bigint",
        "ADD COLUMN more int NOT NULL DEFAULT 7",
        "ALTER own TYPE int, DROP COLUMN more",
        "SET (fillfactor = 50)",
    ],
    all: "UPDATE tree SET version = version + 1 WHERE id + 0 = $1",
};

struct Writers {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<(BTreeMap<i32, i32>, Duration)>>,
}

impl Writers {
    async fn start(db: &Database, tree: Tree) -> Writers {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..WRITERS).map(|number| {
            let (url, stop, done) = (db.app_url(), stop.clone(), done.clone());
            tokio::spawn(async move { write(&url, tree, number, &stop, &done).await })
        });
        Writers { tasks: tasks.collect(), stop, done }
    }

    async fn work(&self, more: u64) {
        let from = self.done.load(Ordering::Relaxed);
        wait_for("writes of the application", async || {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a writer ended");
            self.done.load(Ordering::Relaxed) >= from + more
        })
        .await;
    }

    /// What was acknowledged, the number of statements, and the longest of them.
    async fn stop(self) -> (BTreeMap<i32, i32>, u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut book, mut longest) = (BTreeMap::new(), Duration::ZERO);
        for task in self.tasks {
            let (rows, slowest) = task.await.expect("no statement failed, and every row read was as written");
            book.extend(rows);
            longest = longest.max(slowest);
        }
        (book, self.done.load(Ordering::Relaxed), longest)
    }
}

async fn write(
    url: &str,
    tree: Tree,
    number: i32,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> (BTreeMap<i32, i32>, Duration) {
    let app = crate::harness::sql::connect(url).await;
    let prepare = async |sql: &str| -> Statement { app.prepare(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")) };
    let (top, leaf) = (tree.top, tree.leaf);
    let one = prepare(&format!("UPDATE {top} SET version = version + 1 WHERE id = $1")).await;
    let all = prepare(tree.all).await;
    let own = prepare(&format!("UPDATE {leaf} SET version = version + 1 WHERE id = $1")).await;
    let gone = prepare(&format!("DELETE FROM {top} WHERE id = $1")).await;
    let read = prepare(&format!("SELECT version FROM {top} WHERE id = $1")).await;
    let away = prepare(tree.away).await;
    let insert = [prepare(tree.insert[0]).await, prepare(tree.insert[1]).await];
    let mut rng = StdRng::seed_from_u64(number as u64);
    let mut book: BTreeMap<i32, i32> = (1..=ROWS).filter(|id| id % WRITERS == number).map(|id| (id, 0)).collect();
    let mut next = ROWS + 1 + (number - (ROWS + 1)).rem_euclid(WRITERS);
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let from = rng.random_range(0..next);
        let (&id, &version) = book.range(from..).chain(book.range(..from)).next().expect("a row");
        let inside = id < OTHER;
        let begun = Instant::now();
        let changed = match rng.random_range(0..10) {
            0 | 1 => (app.execute(&one, &[&id]).await, Some((id, version + 1))),
            2 => (app.execute(&all, &[&id]).await, Some((id, version + 1))),
            // Not prepared: planned anew each time.
            3 => {
                let sql = format!("UPDATE {top} SET version = version + 1 WHERE id = {id}");
                (app.execute(sql.as_str(), &[]).await, Some((id, version + 1)))
            }
            4 if inside => (app.execute(&own, &[&id]).await, Some((id, version + 1))),
            5 if inside => {
                let to = id + OTHER;
                book.remove(&id);
                (app.execute(&away, &[&id, &to]).await, Some((to, version + 1)))
            }
            6 => {
                book.remove(&id);
                (app.execute(&gone, &[&id]).await, None)
            }
            7 | 8 => {
                let to = next + if rng.random_range(0..4) == 0 { OTHER } else { 0 };
                next += WRITERS;
                (app.execute(&insert[usize::from(to >= OTHER)], &[&to]).await, Some((to, 0)))
            }
            _ => {
                let found = app.query(&read, &[&id]).await.unwrap_or_else(|e| panic!("reading {id}: {e:?}"));
                let found: Vec<i32> = found.iter().map(|row| row.get(0)).collect();
                assert_eq!(found, [version], "the row {id}");
                (Ok(1), Some((id, version)))
            }
        };
        longest = longest.max(begun.elapsed());
        let (outcome, now) = changed;
        assert_eq!(outcome.unwrap_or_else(|e| panic!("the row {id}: {e:?}")), 1, "the row {id} of version {version}");
        book.extend(now);
        done.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..4))).await;
    }
    (book, longest)
}

async fn filled(kind: Kind, name: &str, tree: Tree) -> Database {
    filled_on(&Server::shared(kind), name, tree).await
}

async fn filled_on(server: &Server, name: &str, tree: Tree) -> Database {
    let db = Database::create(server, name).await;
    db.as_app(tree.setup).await;
    let target = tree.insert[0].split_whitespace().nth(2).expect("a table");
    db.as_app(&[&format!("INSERT INTO {target} (id, version) SELECT g, 0 FROM generate_series(1, {ROWS}) g")]).await;
    db
}

async fn sum_of(db: &Database, table: &str) -> String {
    db.one(&format!(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(id || ':' || version, ',' ORDER BY id)), '-') FROM {table}"
    ))
    .await
}

async fn under_traffic(kind: Kind, name: &str, tree: Tree) {
    let db = filled(kind, name, tree).await;
    let writers = Writers::start(&db, tree).await;
    writers.work(200).await;
    let oid = "SELECT 'leaf'::regclass::oid";
    let mut held = Vec::new();
    for alter in tree.alters {
        let before: u32 = db.one(oid).await;
        let mut osc = Osc::alter(&db, tree.leaf, alter).postponed().start();
        block_in_place(|| osc.go_once_synced());
        let report = block_in_place(|| osc.wait()).exited(0);
        assert_ne!(db.one::<u32>(oid).await, before, "{alter}");
        let summary = report.event("summary");
        assert!(summary["keys_synced"].as_u64() > Some(0) && summary["rows_copied"].as_u64() > Some(0), "{summary}");
        held.push((summary["lock_held_ms"].clone(), summary["cutover_attempts"].clone()));
        // Whoever still writes to the old table is found out.
        let old = db.old_of(tree.leaf).await;
        let then = sum_of(&db, &old).await;
        writers.work(300).await;
        assert_eq!(sum_of(&db, &old).await, then, "somebody wrote to the old table");
        let schema = old.split('.').next().expect("a schema");
        db.run(&[&format!("DROP SCHEMA {schema} CASCADE")]).await;
        assert_eq!(db.leftovers().await, [""; 0]);
    }
    let (book, statements, longest) = writers.stop().await;
    println!("{kind:?}: {statements} statements, the longest {} ms; {held:?}", longest.as_millis());
    let mut there = BTreeMap::new();
    for row in rows(&db.admin, &format!("SELECT id, version, tableoid::regclass FROM {}", tree.top)).await {
        let cell = |at: usize| row[at].clone().expect("no NULL");
        let (id, version): (i32, i32) = (cell(0).parse().expect("an id"), cell(1).parse().expect("a version"));
        assert_eq!(cell(2), if id < OTHER { "leaf" } else { "other" }, "{id}");
        assert!(there.insert(id, version).is_none(), "the row {id} is there twice");
    }
    let wrong: Vec<i32> = book.keys().chain(there.keys()).filter(|id| book.get(id) != there.get(id)).copied().collect();
    assert!(wrong.is_empty(), "{} rows are not as written: {:?}", wrong.len(), &wrong[..wrong.len().min(9)]);
    assert!(there.keys().any(|id| *id > OTHER && *id < OTHER + ROWS), "no row went to the other child");
}

async fn a_partition_under_traffic(kind: Kind) {
    under_traffic(kind, "parents_part", PARTITIONS).await;
}

async fn an_heir_under_traffic(kind: Kind) {
    under_traffic(kind, "parents_heirs", HEIRS).await;
}

/// Who comes while the swap is on waits at the top, before anybody knows what is below: had a statement got as far as the old table, it
/// would write there afterwards.
async fn who_comes_meanwhile_waits_at_the_top(kind: Kind) {
    for (name, tree) in [("parents_wait_p", PARTITIONS), ("parents_wait_h", HEIRS)] {
        let db = filled(kind, name, tree).await;
        let one = format!("UPDATE {} SET version = version + 1 WHERE id = $1", tree.top);
        let mut ready = Vec::new();
        for (number, sql) in [&one, &one, &one, tree.all, tree.all].into_iter().enumerate() {
            let (app, id) = (db.app().await, number as i32 + 1);
            let statement = app.prepare(sql).await.expect("a statement");
            // Often enough for a plan that is kept.
            for _ in 0..7 * (number % 3) {
                app.execute(&statement, &[&id]).await.expect("a write");
            }
            ready.push((app, statement, id));
        }
        let reader = db.app().await;
        let mut osc = Osc::alter(&db, tree.leaf, tree.alters[0]).pause_at("lock-granted").start();
        let paused = block_in_place(|| osc.until_paused("lock-granted"));
        let mut tasks = Vec::new();
        for (app, statement, id) in ready {
            tasks.push(tokio::spawn(async move { app.execute(&statement, &[&id]).await.expect("a write") }));
        }
        let top = tree.top;
        let count =
            tokio::spawn(async move { crate::harness::get(&reader, &format!("SELECT count(*) FROM {top}")).await });
        let waiting = |of: &str| {
            format!(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND relation = '{of}'::regclass \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        };
        let at_the_top = waiting(top);
        let begun = Instant::now();
        while db.one::<u32>(&at_the_top).await < 6 && begun.elapsed() < Duration::from_secs(1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (top, below) = (db.one::<u32>(&at_the_top).await, db.one::<u32>(&waiting(tree.leaf)).await);
        paused.go();
        block_in_place(|| osc.wait()).exited(0);
        for task in tasks {
            assert_eq!(task.await.expect("it was done"), 1);
        }
        assert_eq!(count.await.expect("it was read"), Some(ROWS.to_string()));
        let versions: String =
            db.one("SELECT string_agg(version::text, ' ' ORDER BY id) FROM tree WHERE id <= 5").await;
        assert_eq!(
            (versions.as_str(), top, below),
            ("1 8 15 1 8", 6, 0),
            "{name}: the writes are there, and all waited at the top"
        );
    }
}

/// kill -9 in the copy and under the lock, then the same command again; or the cleanup.
async fn osc_is_killed(kind: Kind) {
    for (name, tree) in [("parents_kill_p", PARTITIONS), ("parents_kill_h", HEIRS)] {
        let db = filled(kind, name, tree).await;
        let before: u32 = db.one("SELECT 'leaf'::regclass::oid").await;
        let sums = sum_of(&db, tree.top).await;
        for (place, cleaned) in [("lock-granted", true), ("renamed", false)] {
            let mut osc = Osc::alter(&db, tree.leaf, tree.alters[0]).pause_at(place).start();
            block_in_place(|| osc.until_paused(place));
            osc.signal("-KILL");
            block_in_place(|| osc.wait());
            if cleaned {
                block_in_place(|| Osc::new(&db, "cleanup").run()).exited(0);
                assert_eq!(db.leftovers().await, [""; 0]);
            }
            assert_eq!(
                (db.one::<u32>("SELECT 'leaf'::regclass::oid").await, sum_of(&db, tree.top).await),
                (before, sums.clone())
            );
        }
        block_in_place(|| Osc::alter(&db, tree.leaf, tree.alters[0]).run()).exited(0);
        assert_ne!(db.one::<u32>("SELECT 'leaf'::regclass::oid").await, before);
        assert_eq!(sum_of(&db, tree.top).await, sums);
        assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
    }
}

/// One that analyzes a parent of plain inheritance holds its children; it gives way to the weak lock on the parent.
async fn an_autovacuum_of_the_top_gives_way(kind: Kind) {
    let slow = ["autovacuum_naptime=1s", "autovacuum_vacuum_cost_delay=100ms", "autovacuum_vacuum_cost_limit=1"];
    let options: Vec<&str> = slow.iter().flat_map(|option| ["-c", option]).collect();
    let server = Server::own(kind, "parents-vacuum", &options);
    server.run(&["ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"]).await;
    let db = filled_on(&server, "parents_vacuum", HEIRS).await;
    // Nothing but that: a page each tenth of a second, and the children after the parent itself.
    for table in ["leaf", "middle", "other"] {
        run(&db.admin, &format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
    }
    run(
        &db.admin,
        "ALTER TABLE tree SET (autovacuum_vacuum_threshold = 100000000, autovacuum_vacuum_insert_threshold = -1)",
    )
    .await;
    let mut osc = Osc::alter(&db, "leaf", HEIRS.alters[0]).postponed().pause_at("before-lock").start();
    block_in_place(|| osc.until_phase("ready"));
    let writers = Writers::start(&db, HEIRS).await;
    osc.go();
    let paused = block_in_place(|| osc.until_paused("before-lock"));
    run(&db.admin, "INSERT INTO tree SELECT -g, 0, repeat('n', 500) FROM generate_series(1, 200) g").await;
    server.run(&["ALTER SYSTEM SET autovacuum = on", "SELECT pg_reload_conf()"]).await;
    // It has come to the children.
    let holds = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'autovacuum worker' \
                 AND a.query LIKE '%ANALYZE public.tree%' AND l.relation = 'leaf'::regclass AND l.granted";
    wait_for("an autovacuum that analyzes the parent", async || db.one::<u32>(holds).await > 0).await;
    let begun = Instant::now();
    paused.go();
    block_in_place(|| osc.wait()).exited(0);
    let took = begun.elapsed();
    let (_, statements, longest) = writers.stop().await;
    println!(
        "{kind:?}: swapped after {} ms, {statements} statements, the longest {} ms",
        took.as_millis(),
        longest.as_millis()
    );
    assert!(longest < Duration::from_millis(200) + super::BUSY, "{longest:?}");
}

/// A TRUNCATE of the top is one of the partition.
async fn the_top_is_truncated(kind: Kind) {
    for (name, tree) in [("parents_cut_p", PARTITIONS), ("parents_cut_h", HEIRS)] {
        let db = filled(kind, name, tree).await;
        let before: u32 = db.one("SELECT 'leaf'::regclass::oid").await;
        let mut osc = Osc::alter(&db, tree.leaf, tree.alters[0]).postponed().start();
        block_in_place(|| osc.until_phase("ready"));
        db.as_app(&["TRUNCATE tree"]).await;
        let report = block_in_place(|| osc.wait());
        assert!(report.exit == 1 && report.says("truncated"), "{}: {}", report.exit, report.stderr);
        assert_eq!(db.one::<u32>("SELECT 'leaf'::regclass::oid").await, before);
        block_in_place(|| Osc::new(&db, "cleanup").run()).exited(0);
        assert_eq!(db.leftovers().await, [""; 0]);
    }
}

/// A subscriber of the partitioned table gets each change once, those of the copy not at all.
async fn a_subscriber_of_the_top(kind: Kind) {
    let db = filled(kind, "parents_sub", PARTITIONS).await;
    let slot = format!("sub_{}", db.name);
    let drop =
        format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{slot}'");
    db.run(&[
        "CREATE PUBLICATION by_top FOR TABLE tree",
        "CREATE PUBLICATION by_root FOR TABLE tree WITH (publish_via_partition_root)",
        &drop,
        &format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
    ])
    .await;
    let mut osc = Osc::alter(&db, "leaf", "SET (fillfactor = 50)").postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    db.as_app(&["UPDATE tree SET version = 7 WHERE id <= 10", "INSERT INTO tree VALUES (5000, 1)"]).await;
    block_in_place(|| osc.go_once_synced());
    block_in_place(|| osc.wait()).exited(0);
    db.as_app(&[
        "UPDATE leaf SET version = 8 WHERE id <= 5",
        "DELETE FROM tree WHERE id = 5000",
        "UPDATE tree SET id = 2000000 WHERE id = 1",
    ])
    .await;
    for publication in ["by_top", "by_root"] {
        let sql = format!(
            "SELECT chr(get_byte(data, 0)), count(*) FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL, \
               'proto_version', '1', 'publication_names', '{publication}') WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D', 'T') GROUP BY 1 ORDER BY 1"
        );
        let seen: Vec<String> =
            db.rows(&sql).await.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
        // The row that moved comes as a DELETE and an INSERT, whichever way it is published.
        assert_eq!(seen, ["D2", "I2", "U15"], "{publication}");
    }
    db.run(&[&drop]).await;
}

on_both!(
    a_partition_under_traffic,
    an_heir_under_traffic,
    who_comes_meanwhile_waits_at_the_top,
    osc_is_killed,
    an_autovacuum_of_the_top_gives_way,
    the_top_is_truncated,
    a_subscriber_of_the_top
);
