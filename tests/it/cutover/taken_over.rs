//! A process that stood still, before the lock or in it, while another one took its run over, removed its
//! shadow and built it anew: when it wakes it must not swap what is not its own, which here is an empty table.

use osc::engine::mysql::names::lock_name;
use osc::engine::mysql::sql::Table;
use tokio::task::block_in_place;

use super::{ADD, has_extra, shop, until_gone};
use crate::harness::{Kind, Osc, Server};

async fn taken_over(kind: Kind, place: &str) {
    let server = Server::own(kind, &format!("over-{place}"), &[]);
    let mut db = shop(&server, "taken_over", 800).await;
    let mut sleeper = Osc::alter(&db, "orders", ADD).pause_at(place).start();
    let paused = block_in_place(|| sleeper.until_paused(place));
    sleeper.signal("-STOP");
    // The server gives up the one that holds the run's lock, and the table's, and no other yet.
    let name = lock_name(&Table::new("taken_over", "orders"));
    let mut lost: Vec<u32> = vec![db.one(&format!("SELECT IS_USED_LOCK('{name}')")).await];
    if place != "before-lock" {
        lost.push(paused.ids[0]);
    }
    for id in &lost {
        db.run(&[&format!("KILL CONNECTION {id}")]).await;
    }
    until_gone(&mut db, &lost).await;

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
