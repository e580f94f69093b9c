//! A process that stood still, before the lock or in it, while another one took its run over, removed its
//! shadow and built it anew: when it wakes it must not swap what is not its own, which here is an empty table.
//! Nor may it, before its first life, go on with what has become the run of another ALTER.

use osc::engine::mysql::names::lock_name;
use osc::engine::mysql::sql::Table;
use tokio::task::block_in_place;

use super::{ADD, has_extra, shop, until_gone};
use crate::harness::{Database, Kind, Osc, Server};

/// The server gives up the connection that holds the run's lock.
async fn lose_run_lock(db: &mut Database) {
    let name = lock_name(&Table::new(&db.name, "orders"));
    let id: u32 = db.one(&format!("SELECT IS_USED_LOCK('{name}')")).await;
    db.run(&[&format!("KILL CONNECTION {id}")]).await;
    until_gone(db, &[id]).await;
}

/// Both commands swap two columns' names or don't: with one's statements and the other's shadow their values
/// would change places.
async fn overtaken(kind: Kind, sleeps_at: &str, wakes_at: &str) {
    let server = Server::without_xa(kind);
    let mut db = shop(&server, &format!("over_{}", sleeps_at.replace('-', "_")), 300).await;
    db.run(&["ALTER TABLE orders ADD COLUMN a INT NOT NULL DEFAULT 1, ADD COLUMN b INT NOT NULL DEFAULT 2"]).await;
    let mut sleeper = Osc::alter(&db, "orders", ADD).pause_at(sleeps_at).start();
    let asleep = block_in_place(|| sleeper.until_paused(sleeps_at));
    lose_run_lock(&mut db).await;
    let cleanup = Osc::new(&db, "cleanup").args(["--yes"]);
    block_in_place(|| cleanup.run()).exited(0);
    let other = Osc::alter(&db, "orders", "CHANGE a b INT NOT NULL DEFAULT 1, CHANGE b a INT NOT NULL DEFAULT 2");
    let mut other = other.pause_at(wakes_at).start();
    let paused = block_in_place(|| other.until_paused(wakes_at));

    asleep.go();
    let report = block_in_place(|| sleeper.wait()).exited(5);
    assert!(report.says("another osc process was at work"), "{}", report.stderr);
    paused.go();
    block_in_place(|| other.wait()).exited(0);
    assert_eq!(has_extra(&mut db).await, Some(false));
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders WHERE b = 1 AND a = 2").await, 300);
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_that_slept_before_its_first_life_leaves_another_run_alone_on_mysql() {
    overtaken(Kind::MySql, "run-stored", "comparing").await;
    overtaken(Kind::MySql, "shadow-built", "shadow-built").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_that_slept_before_its_first_life_leaves_another_run_alone_on_mariadb() {
    overtaken(Kind::MariaDb, "run-stored", "comparing").await;
    overtaken(Kind::MariaDb, "shadow-built", "shadow-built").await;
}

async fn taken_over(kind: Kind, place: &str) {
    let server = Server::own(kind, &format!("over-{place}"), &[]);
    let mut db = shop(&server, "taken_over", 800).await;
    let mut sleeper = Osc::alter(&db, "orders", ADD).pause_at(place).start();
    let paused = block_in_place(|| sleeper.until_paused(place));
    sleeper.signal("-STOP");
    // The server gives up the one that holds the run's lock, and the table's, and no other yet.
    lose_run_lock(&mut db).await;
    if place != "before-lock" {
        db.run(&[&format!("KILL CONNECTION {}", paused.ids[0])]).await;
        until_gone(&mut db, &paused.ids[..1]).await;
    }

    let cleanup = Osc::new(&db, "cleanup").args(["--yes"]);
    block_in_place(|| cleanup.run()).exited(0);
    let mut other = Osc::alter(&db, "orders", "ADD COLUMN other INT").throttled().postponed().start();
    block_in_place(|| other.until("a hold", |e| e["held"].is_string()));
    let copied: u64 = db.one("SELECT COUNT(*) FROM orders_osc_new").await;
    assert!(copied < 800, "the other run holds");

    paused.go();
    sleeper.signal("-CONT");
    let report = block_in_place(|| sleeper.wait());
    // The run's lock is missed too; and before the table's, on MariaDB, the sentry that the clean-up removed.
    assert!([1, 5].contains(&report.exit), "{}: {}", report.exit, report.stderr);
    assert_eq!(has_extra(&mut db).await, Some(false));
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders").await, 800, "the table is the table");
    other.unthrottle();
    other.go();
    block_in_place(|| other.wait()).exited(0);
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders").await, 800);
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_that_was_taken_over_does_not_swap_on_mysql() {
    taken_over(Kind::MySql, "before-lock").await;
    taken_over(Kind::MySql, "synced").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_that_was_taken_over_does_not_swap_on_mariadb() {
    taken_over(Kind::MariaDb, "before-lock").await;
    taken_over(Kind::MariaDb, "synced").await;
}
