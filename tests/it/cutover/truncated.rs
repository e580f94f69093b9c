//! A TRUNCATE of the application's that waits behind osc's lock, from before the RENAME: once it is answered the
//! table is empty, whichever of the two came first.

use mysql_async::prelude::Queryable;
use tokio::task::block_in_place;

use super::{ADD, has_extra, processlist, shop, until};
use crate::harness::{Kind, Osc, Server};

async fn truncated(kind: Kind) {
    let server = Server::own(kind, "truncated", &[]);
    let mut db = shop(&server, "truncated", 800).await;
    let mut running = Osc::alter(&db, "orders", ADD).pause_at("synced").start();
    let paused = block_in_place(|| running.until_paused("synced"));
    let mut app = server.admin().await;
    let truncate = tokio::spawn(async move { app.query_drop("TRUNCATE TABLE truncated.orders").await });
    let list = processlist(&db);
    let waits = format!("SELECT COUNT(*) FROM {list} WHERE info LIKE 'TRUNCATE%' AND state LIKE 'Waiting for table%'");
    until("the TRUNCATE waits", async || db.one::<u64>(&waits).await == 1).await;
    paused.go();
    truncate.await.expect("the application goes on").expect("its statement is served");
    let report = block_in_place(|| running.wait());
    assert_eq!(db.one::<u64>("SELECT COUNT(*) FROM orders").await, 0, "what was answered is so");
    if kind.is_mariadb() {
        // The RENAME came later: it was not let go, and then the stream had the TRUNCATE.
        let report = report.exited(1);
        assert!(report.says("would come before the swap") && report.says("TRUNCATE"), "{}", report.stderr);
    } else {
        // Renamed under the lock; the TRUNCATE was the new table's.
        report.exited(0);
    }
    assert_eq!(has_extra(&mut db).await, Some(!kind.is_mariadb()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_truncate_that_waits_behind_the_lock_is_not_undone_on_mysql() {
    truncated(Kind::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_truncate_that_waits_behind_the_lock_is_not_undone_on_mariadb() {
    truncated(Kind::MariaDb).await;
}
