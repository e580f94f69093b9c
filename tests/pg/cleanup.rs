//! What dead runs leave behind is found and removed; what is somebody's is not.

use tokio::task::block_in_place;

use crate::harness::{Database, Kind, Osc, Report, Server, on_both, run, wait_for};

const ADD: &str = "ADD COLUMN extra int";

async fn shop(kind: Kind, name: &str) -> Database {
    let db = Database::create(&Server::shared(kind), name).await;
    db.as_app(&[
        "CREATE TABLE orders (id int PRIMARY KEY, version int NOT NULL DEFAULT 0)",
        "INSERT INTO orders SELECT g FROM generate_series(1, 5000) g",
    ])
    .await;
    db
}

fn cleanup(db: &Database, words: &[&str]) -> Report {
    block_in_place(|| Osc::new(db, "cleanup").args(words.iter().copied()).run())
}

/// kill -9 in the middle of a copy: everything there is of a run is found, told and removed, and nothing else.
async fn a_killed_run_is_removed(kind: Kind) {
    let db = shop(kind, "fence_killed").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["--chunk-size", "100"]).pause_at("chunk-synced").start();
    block_in_place(|| osc.until_paused("chunk-synced"));
    // It lives: nothing is touched.
    let report = cleanup(&db, &["--yes"]).exited(0);
    assert!(report.says("a run is at work"), "{:?}", report.events);
    assert!(db.leftovers().await.iter().any(|left| left.starts_with("slot")));
    osc.signal("-KILL");
    block_in_place(|| osc.wait());
    wait_for("the server to notice", async || {
        db.one::<u64>("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").await == 0
    })
    .await;
    let before = db.leftovers().await;
    assert_eq!(before.len(), 4, "{before:?}");
    let report = cleanup(&db, &["--dry-run"]).exited(0);
    assert!(report.says("would remove"), "{:?}", report.events);
    assert_eq!(db.leftovers().await, before);
    cleanup(&db, &["--yes"]).exited(0);
    assert_eq!(db.leftovers().await, [""; 0]);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, 5000);
    assert!(cleanup(&db, &["--yes"]).exited(0).events.is_empty());
}

/// A slot alone keeps the server's log until the disk is full.
async fn a_forgotten_slot_is_found_alone(kind: Kind) {
    let db = shop(kind, "fence_slot").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["--chunk-size", "100"]).pause_at("chunk-synced").start();
    block_in_place(|| osc.until_paused("chunk-synced"));
    // Stands still, with the stream's connection open, and has lost everything else.
    osc.signal("-STOP");
    run(
        &db.admin,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'osc' \
         AND datname = current_database() AND backend_type = 'client backend'",
    )
    .await;
    for left in db.leftovers().await {
        match left.split_once(' ') {
            Some(("schema", name)) => run(&db.admin, &format!("DROP SCHEMA {name} CASCADE")).await,
            Some(("publication", name)) => run(&db.admin, &format!("DROP PUBLICATION {name}")).await,
            _ => {}
        }
    }
    let left = db.leftovers().await;
    assert!(left.len() == 1 && left[0].starts_with("slot"), "{left:?}");
    assert_eq!(
        db.one::<String>("SELECT active FROM pg_replication_slots WHERE database = current_database()").await,
        "t"
    );
    // Another table's is not ours to remove.
    let other = cleanup(&db, &["--yes", "--table", "public.other"]).exited(0);
    assert!(other.events.is_empty() && db.leftovers().await.len() == 1);
    cleanup(&db, &["--yes", "--table", "orders"]).exited(0);
    assert_eq!(db.leftovers().await, [""; 0]);
    osc.signal("-CONT");
    let report = block_in_place(|| osc.wait());
    assert_ne!(report.exit, 0, "{}", report.stderr);
    assert_eq!(db.tables().await, ["public.orders"]);
}

/// What only looks like osc's, and the old table of a finished run.
async fn what_is_somebodys_is_left_alone(kind: Kind) {
    let db = shop(kind, "fence_alone").await;
    db.as_app(&["CREATE SCHEMA osc_0123456789abcdef_new", "CREATE TABLE osc_0123456789abcdef_new.mine (id int)"]).await;
    run(&db.admin, "SELECT pg_create_logical_replication_slot('osc_fedcba9876543210', 'pgoutput')").await;
    let report = cleanup(&db, &["--yes", "--old"]).exited(0);
    assert!(report.says("nothing shows that osc made it"), "{:?}", report.events);
    assert_eq!(db.leftovers().await.len(), 2);
    run(&db.admin, "SELECT pg_drop_replication_slot('osc_fedcba9876543210')").await;

    block_in_place(|| Osc::alter(&db, "orders", ADD).run()).exited(0);
    let old = db.old_of("orders").await;
    let report = cleanup(&db, &["--yes"]).exited(0);
    assert!(report.says("--old removes it"), "{:?}", report.events);
    assert_eq!(db.one::<u64>(&format!("SELECT count(*) FROM {old}")).await, 5000);
    // Somebody has built on it.
    run(&db.admin, &format!("CREATE VIEW looks AS SELECT * FROM {old}")).await;
    let report = cleanup(&db, &["--yes", "--old"]).exited(3);
    assert!(report.says("looks"), "{}", report.stderr);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM looks").await, 5000);
    run(&db.admin, "DROP VIEW looks").await;
    cleanup(&db, &["--yes", "--old"]).exited(0);
    assert_eq!(db.leftovers().await, ["schema osc_0123456789abcdef_new"]);
}

on_both!(a_killed_run_is_removed, a_forgotten_slot_is_found_alone, what_is_somebodys_is_left_alone);
