//! Foreign keys that the ALTER adds, in a whole run under traffic: swapped with all of them valid; or not swapped, and the row
//! named; or, where the row came at the last moment, swapped and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::{ROWS, complete, has_extra, shop};
use crate::harness::{Database, Kind, Osc, Prober, on_both};

const ADD: &str = "ADD COLUMN extra int NOT NULL DEFAULT 7 CONSTRAINT to_shops REFERENCES shops, \
    ADD CONSTRAINT known FOREIGN KEY (id) REFERENCES keys ON DELETE CASCADE";

async fn shop_with_keys(kind: Kind, name: &str) -> Database {
    let db = shop(kind, name).await;
    db.as_app(&[
        "CREATE TABLE shops (id int PRIMARY KEY)",
        "INSERT INTO shops VALUES (7)",
        "CREATE TABLE keys (id bigint PRIMARY KEY)",
        &format!("INSERT INTO keys SELECT generate_series(1, {ROWS})"),
    ])
    .await;
    db
}

async fn valid(db: &Database, name: &str) -> Option<String> {
    let sql = format!(
        "SELECT convalidated FROM pg_constraint WHERE conrelid = 'public.orders'::regclass AND conname = '{name}'"
    );
    db.rows(&sql).await.into_iter().flatten().next().flatten()
}

/// Who writes to the other table meanwhile is never refused.
async fn they_are_valid_after_the_swap(kind: Kind) {
    let db = shop_with_keys(kind, "foreign_valid").await;
    let prober = Prober::start(&db, 17).await;
    let (stop, count, longest) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let app = db.app().await;
    let (stopped, counted, slowest) = (stop.clone(), count.clone(), longest.clone());
    let writer = tokio::spawn(async move {
        while !stopped.load(Ordering::SeqCst) {
            let begun = Instant::now();
            app.batch_execute("INSERT INTO keys VALUES (99999); UPDATE keys SET id = id WHERE id = 5; DELETE FROM keys WHERE id = 99999")
                .await
                .expect("the application's write");
            slowest.fetch_max(begun.elapsed().as_millis() as u64, Ordering::SeqCst);
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let osc = Osc::alter(&db, "orders", ADD);
    let report = block_in_place(|| osc.run()).exited(0);
    stop.store(true, Ordering::SeqCst);
    writer.await.expect("no write failed");
    let probes = prober.stop().await;
    println!(
        "{} writes to the other table, the longest {} ms; {} to the table",
        count.load(Ordering::SeqCst),
        longest.load(Ordering::SeqCst),
        probes.count()
    );
    assert!(count.load(Ordering::SeqCst) > 10);
    assert!(longest.load(Ordering::SeqCst) < 3000);
    assert!(has_extra(&db).await, "{}", report.stderr);
    complete(&db, 17, probes.count()).await;
    assert_eq!((valid(&db, "known").await.as_deref(), valid(&db, "to_shops").await.as_deref()), (Some("t"), Some("t")));
    assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
    db.as_app(&["DELETE FROM keys WHERE id = 3"]).await;
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, ROWS - 1);
}

/// Before anything is made, and once more when all is copied: the table is untouched, and the same command goes on when the row is
/// put right.
async fn a_row_that_does_not_meet_it_is_named(kind: Kind) {
    let db = shop_with_keys(kind, "foreign_named").await;
    let prober = Prober::start(&db, 17).await;
    for copied in [false, true] {
        let bad = db.again().await;
        let osc = Osc::alter(&db, "orders", ADD);
        let report = if copied {
            let mut osc = osc.postponed().start();
            block_in_place(|| osc.until_phase("ready"));
            bad.as_app(&["INSERT INTO orders VALUES (424242)"]).await;
            block_in_place(|| osc.go_once_synced());
            block_in_place(|| osc.wait())
        } else {
            bad.as_app(&["INSERT INTO orders VALUES (424242)"]).await;
            block_in_place(|| osc.run())
        };
        let report = report.exited(1);
        assert!(report.says("known") && report.says("id=424242"), "{}", report.stderr);
        assert!(!has_extra(&db).await && valid(&db, "known").await.is_none());
        assert_eq!(db.leftovers().await.is_empty(), !copied, "{copied}");
        db.as_app(&["DELETE FROM orders WHERE id = 424242"]).await;
    }
    block_in_place(|| Osc::alter(&db, "orders", ADD).run()).exited(0);
    let probes = prober.stop().await;
    complete(&db, 17, probes.count()).await;
    assert_eq!(valid(&db, "known").await.as_deref(), Some("t"));
    assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
}

/// Between the look at the rows and the swap.
async fn a_row_of_the_last_moment_is_told(kind: Kind) {
    let db = shop_with_keys(kind, "foreign_late").await;
    let prober = Prober::start(&db, 17).await;
    let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at("before-lock").start();
    block_in_place(|| osc.go_once_synced());
    let paused = block_in_place(|| osc.until_paused("before-lock"));
    db.as_app(&["INSERT INTO orders VALUES (424242)"]).await;
    paused.go();
    let report = block_in_place(|| osc.wait()).exited(0);
    for part in ["(id)=(424242)", "VALIDATE CONSTRAINT", "known", "NOT VALID"] {
        assert!(report.says(part), "{part}: {}", report.stderr);
    }
    let probes = prober.stop().await;
    assert!(has_extra(&db).await);
    assert_eq!((valid(&db, "known").await.as_deref(), valid(&db, "to_shops").await.as_deref()), (Some("f"), Some("t")));
    db.as_app(&["DELETE FROM orders WHERE id = 424242", "ALTER TABLE public.orders VALIDATE CONSTRAINT \"known\""])
        .await;
    complete(&db, 17, probes.count()).await;
    assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
}

on_both!(they_are_valid_after_the_swap, a_row_that_does_not_meet_it_is_named, a_row_of_the_last_moment_is_told);
