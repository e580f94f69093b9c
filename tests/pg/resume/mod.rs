//! A life that ends in the middle, and the next one: kill -9 of osc at every place, a crash of the server, a slot that
//! was lost, another ALTER.

mod writers;

use crate::harness::server::db as scripts_db;
use crate::harness::stage::updates_only;
use crate::harness::{Database, Kind, Osc, Report, Running, Server, Stage, blocking, get, on_both, wait_for};
use writers::{Writers, table};

on_both!(
    killed_at_half,
    killed_in_the_copy,
    killed_at_every_place,
    the_server_crashes,
    a_lost_slot_is_told,
    done_is_done
);

const ROWS: i32 = 3000;
const ALTER: &str = "ALTER COLUMN id TYPE bigint, ADD COLUMN priority int NOT NULL DEFAULT 3";

fn alter(db: &Database, name: &str) -> Osc {
    Osc::alter(db, name, ALTER).args(["--chunk-size", "50", "--threads", "2", "--wait-snapshots", "30"])
}

async fn make(db: &Database, name: &str, rows: i32) -> Writers {
    let statements = table(name, rows as u64);
    db.as_app(&[&statements[0], &statements[1]]).await;
    Writers::start(&db.app_url(), name, rows).await
}

/// kill -9, and until the server has noticed.
async fn kill(db: &Database, run: Running) -> Report {
    run.signal("-KILL");
    let report = blocking(move || run.wait()).await;
    assert_eq!(report.exit, -1, "the run ended before it was killed: {}", report.stderr);
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", db.osc_role());
    wait_for("the end of its sessions", async || db.one::<u64>(&sessions).await == 0).await;
    report
}

async fn ended(run: Running) -> Report {
    blocking(move || run.wait()).await
}

/// The run swapped the tables: the ledger is clean, the table is the new one, and nothing but the old one is left.
async fn swapped(db: &Database, name: &str, writers: Writers, report: Report, olds: usize) {
    let report = report.exited(0);
    writers.work(30).await;
    let written = writers.verdict(&db.admin, name).await;
    assert!(written > 50, "{written}");
    let kind = format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attname = 'id'"
    );
    assert_eq!(db.one::<String>(&kind).await, "bigint", "{report:?}");
    let indexes = format!("SELECT count(*) FROM pg_index WHERE indrelid = '{name}'::regclass AND indisvalid");
    assert_eq!(db.one::<i64>(&indexes).await, 4, "{report:?}");
    assert_eq!(db.one::<i64>(&format!("SELECT count(*) FROM {name} WHERE priority IS DISTINCT FROM 3")).await, 0);
    let left = db.leftovers().await;
    assert!(
        left.len() == olds && left.iter().all(|one| one.starts_with("schema ") && one.ends_with("_old")),
        "{left:?}"
    );
}

/// How many rows of the table are in the shadow.
async fn copied(db: &Database, name: &str, rows: u64) {
    wait_for("rows in the shadow", async || in_shadow(db, name).await >= rows).await;
}

/// The rows of the shadow; none where there is no shadow.
async fn in_shadow(db: &Database, name: &str) -> u64 {
    let shadow = format!(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = '{name}' AND n.nspname ~ '^osc_.*_new$'"
    );
    let Some(schema) = get(&db.admin, &shadow).await else { return 0 };
    // A look at the plan builds a shadow too, and drops it.
    let counted = db.admin.query_one(&format!("SELECT count(*) FROM {schema}.{name}"), &[]).await;
    counted.map_or(0, |row| row.get::<_, i64>(0).unsigned_abs())
}

/// kill -9 in the middle of the copy: no more than one chunk a worker is copied twice.
async fn killed_at_half(kind: Kind) {
    const ROWS: u64 = 12_000;
    const CHUNK: u64 = 50;
    let server = Server::shared(kind);
    for threads in [1, 2, 4] {
        // The number of rows stays, so that they can be counted.
        let stage = Stage::with(&server, "resume_half", ROWS, |config| config.mix = updates_only()).await;
        let words = threads.to_string();
        let alter = || Osc::alter(&stage.db, "orders", ALTER).args(["--chunk-size", "50", "--threads", &words]);
        let run = alter().start();
        copied(&stage.db, "orders", ROWS / 2).await;
        kill(&stage.db, run).await;
        // What was committed, by the server's own count.
        let durable = in_shadow(&stage.db, "orders").await;
        assert!((ROWS / 2..ROWS - 1000).contains(&durable), "{durable} rows were copied: the kill came too late");
        let report = ended(alter().start()).await;
        let (_, summary) = stage.clean(report).await;
        assert_eq!((&summary["resumed"], summary["rows_copied"].as_u64()), (&true.into(), Some(ROWS)), "{summary}");
        let now = summary["rows_copied_now"].as_u64().expect("rows_copied_now");
        let twice = (now + durable).checked_sub(ROWS).expect("all rows were copied");
        println!("{}, {threads} threads: {durable} of {ROWS} rows were there, {twice} were copied twice", kind.name());
        assert!(twice <= threads * CHUNK, "{now} after {durable} of {ROWS}");
    }
}

async fn killed_in_the_copy(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "resume_copy").await;
    let writers = make(&db, "orders", ROWS).await;
    for part in [1, 3, 5] {
        let run = alter(&db, "orders").postponed().start();
        copied(&db, "orders", ROWS as u64 / 8 * part).await;
        kill(&db, run).await;
        writers.work(20).await;
    }
    let other = ended(Osc::alter(&db, "orders", "ADD COLUMN another int").start()).await.exited(3);
    assert!(other.says("ADD COLUMN priority") && other.says("osc cleanup"), "{}", other.stderr);
    let mut run = alter(&db, "orders").postponed().start();
    let run = blocking(move || {
        run.until_phase("ready");
        run
    })
    .await;
    kill(&db, run).await;
    writers.work(30).await;
    let report = ended(alter(&db, "orders").start()).await;
    let summary = report.event("summary").clone();
    assert_eq!(summary["resumed"], true, "{summary}");
    assert!(summary["rows_copied_now"].as_u64() < Some(500), "what was copied was copied again: {summary}");
    assert!(summary["keys_synced"].as_u64() > Some(0), "{summary}");
    swapped(&db, "orders", writers, report, 1).await;
}

/// Where a run is killed, and whether every run comes by there.
const PLACES: [(&str, bool); 14] = [
    ("shadow-built", true),
    ("run-stored", true),
    ("slot-made", true),
    ("chunk-synced", true),
    ("keys-synced", true),
    ("index-built", true),
    ("comparing", true),
    ("before-lock", true),
    ("lock-granted", true),
    ("drained", true),
    ("final-sync", false),
    ("synced", true),
    ("before-tidy", true),
    ("old-dropped", true),
];

async fn killed_at_every_place(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "resume_places").await;
    let mut olds = 0;
    for (place, sure) in PLACES {
        eprintln!("-- {} at {place}", kind.name());
        let name = format!("at_{}", place.replace('-', "_"));
        let writers = make(&db, &name, 600).await;
        let drop_old = if place == "old-dropped" { vec!["--drop-old"] } else { vec![] };
        let mut run = alter(&db, &name).args(drop_old.clone()).pause_at(place).start();
        let (run, there) = blocking(move || {
            let there = run.comes_by(place);
            (run, there)
        })
        .await;
        assert!(there || !sure, "no run came by {place}: {}", ended(run).await.stderr);
        let report = if there {
            kill(&db, run).await;
            writers.work(20).await;
            ended(alter(&db, &name).args(drop_old.clone()).start()).await
        } else {
            ended(run).await
        };
        olds += usize::from(drop_old.is_empty());
        swapped(&db, &name, writers, report, olds).await;
    }
}

/// The server is killed between syncs and the slot's moves, with a writer of the log that is ten seconds late: whatever
/// was committed asynchronously is lost. Nothing of a run is (trap 3).
async fn the_server_crashes(kind: Kind) {
    let server = Server::own(kind, "resume-crash", &["-c", "wal_writer_delay=10s"]);
    let mut db = Database::create(&server, "resume_crash").await;
    let writers = make(&db, "orders", ROWS).await;
    let mut resumed = 0;
    for part in [2, 6, 9] {
        let run = alter(&db, "orders").postponed().start();
        if part < 8 {
            copied(&db, "orders", ROWS as u64 / 8 * part).await;
        } else {
            let mut run_ = run;
            let back = blocking(move || {
                run_.until_phase("ready");
                run_
            })
            .await;
            writers.work(100).await;
            crash(&server, &mut db).await;
            resumed += u32::from(stopped(back).await);
            continue;
        }
        crash(&server, &mut db).await;
        resumed += u32::from(stopped(run).await);
    }
    eprintln!("{}: {resumed} of 3 runs ended with the server", kind.name());
    let report = ended(alter(&db, "orders").start()).await;
    assert!(writers.lost() > 0, "nobody noticed the crash");
    swapped(&db, "orders", writers, report, 1).await;
}

/// kill -9 of the whole server, and up again.
async fn crash(server: &Server, db: &mut Database) {
    let name = server.name.clone();
    blocking(move || {
        scripts_db(&["stop", &name, "--kill"]);
        scripts_db(&["restart", &name]);
    })
    .await;
    *db = Database { server: server.clone(), name: db.name.clone(), admin: server.admin(&db.name).await };
}

/// The run has stopped, or is told to; a server that is back soon enough does not end it.
async fn stopped(mut run: Running) -> bool {
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    if run.has_ended() {
        let report = ended(run).await;
        assert_eq!(report.exit, 5, "{}", report.stderr);
        return true;
    }
    run.signal("-KILL");
    ended(run).await;
    false
}

async fn a_lost_slot_is_told(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "resume_slot").await;
    let writers = make(&db, "orders", ROWS).await;
    let run = alter(&db, "orders").postponed().start();
    copied(&db, "orders", ROWS as u64 / 4).await;
    kill(&db, run).await;
    let mine = "slot_name ~ '^osc_' AND database = current_database()";
    db.run(&[&format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE {mine}")]).await;
    let report = ended(alter(&db, "orders").start()).await.exited(3);
    assert!(report.says("replication slot") && report.says("is not there any more"), "{}", report.stderr);
    assert!(report.says("osc cleanup"), "{}", report.stderr);
    writers.work(20).await;
    writers.verdict(&db.admin, "orders").await;
}

/// The same command again after it has done its work, and after somebody has undone it.
async fn done_is_done(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "resume_done").await;
    let writers = make(&db, "orders", 600).await;
    let report = ended(alter(&db, "orders").start()).await;
    swapped(&db, "orders", writers, report, 1).await;
    let oid: String = db.one("SELECT 'orders'::regclass::oid").await;
    let again = ended(alter(&db, "orders").start()).await.exited(0);
    assert!(again.says("resumed") || again.says("already"), "{:?}", again.events);
    assert_eq!(db.one::<String>("SELECT 'orders'::regclass::oid").await, oid, "it was done again");
    db.as_app(&["ALTER TABLE orders DROP COLUMN priority"]).await;
    ended(alter(&db, "orders").start()).await.exited(3);
    let dropped = ended(alter(&db, "orders").args(["--drop-old"]).start()).await;
    assert_eq!(dropped.exit, 3, "{}", dropped.stderr);
}
