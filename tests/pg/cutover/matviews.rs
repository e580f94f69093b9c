//! Materialized views in a whole run under traffic: who reads them is never refused and never waits for long, and at the end they lean
//! on the new table, or the run says that they don't.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, block_in_place};

use super::{ADD, BUSY, ROWS, complete, has_extra, shop};
use crate::harness::{Database, Kind, Osc, Prober, on_both, run, wait_for};

async fn shop_with_totals(kind: Kind, name: &str) -> Database {
    let db = shop(kind, name).await;
    db.as_app(&[
        "CREATE MATERIALIZED VIEW totals AS SELECT id % 2 AS half, count(*) AS rows, 100 / (min(version) + 1) AS share, now() AS at \
           FROM orders GROUP BY 1",
        "CREATE UNIQUE INDEX ON totals (half)",
        "CREATE VIEW over_totals AS SELECT sum(rows) AS rows FROM totals",
    ])
    .await;
    db
}

/// How often somebody has read the view over it, and how long that took at most, in milliseconds.
struct Reader {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    longest_ms: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Reader {
    async fn start(db: &Database) -> Reader {
        let (stop, count, longest_ms) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (app, stopped, counted, longest) = (db.app().await, stop.clone(), count.clone(), longest_ms.clone());
        let task = tokio::spawn(async move {
            let statement = app.prepare("SELECT rows::bigint FROM over_totals").await.expect("prepared");
            while !stopped.load(Ordering::SeqCst) {
                let begun = Instant::now();
                let row = app.query_one(&statement, &[]).await.expect("the view is read");
                assert_eq!(row.get::<_, i64>(0), ROWS as i64);
                longest.fetch_max(begun.elapsed().as_millis() as u64, Ordering::SeqCst);
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Reader { stop, count, longest_ms, task }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("no read failed");
        let (count, longest) = (self.count.load(Ordering::SeqCst), self.longest_ms.load(Ordering::SeqCst));
        println!("{count} reads of the view over the materialized view, the longest {longest} ms");
        assert!(count > 20, "{count}");
        longest
    }
}

/// The table that it is made of, and whether a refresh takes what is there now.
async fn leans_on(db: &Database) -> String {
    let sql = "SELECT d.refobjid::regclass FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
        AND d.refclassid = 'pg_class'::regclass WHERE r.ev_class = 'public.totals'::regclass AND d.refobjid <> r.ev_class LIMIT 1";
    db.rows(sql).await.into_iter().flatten().next().flatten().expect("it leans on something")
}

async fn refreshes(db: &Database) {
    db.as_app(&["INSERT INTO orders VALUES (900001), (900002)", "REFRESH MATERIALIZED VIEW CONCURRENTLY totals"]).await;
    assert_eq!(db.one::<u64>("SELECT rows::bigint FROM over_totals").await, ROWS + 2);
    db.as_app(&["DELETE FROM orders WHERE id > 900000", "REFRESH MATERIALIZED VIEW totals"]).await;
}

async fn it_is_read_all_the_while(kind: Kind) {
    let db = shop_with_totals(kind, "matviews_read").await;
    let prober = Prober::start(&db, 17).await;
    let reader = Reader::start(&db).await;
    let before = db.one::<String>("SELECT min(at)::text FROM totals").await;
    let report = block_in_place(|| Osc::alter(&db, "orders", ADD).run()).exited(0);
    assert!(report.says("totals is refreshed right after the swap"), "{}", report.stderr);
    assert_ne!(db.one::<String>("SELECT min(at)::text FROM totals").await, before, "it was filled anew");
    let longest = reader.stop().await;
    assert!(Duration::from_millis(longest) < Duration::from_millis(600) + BUSY, "{longest}");
    let probes = prober.stop().await;
    assert!(has_extra(&db).await);
    assert_eq!(leans_on(&db).await, "orders");
    refreshes(&db).await;
    complete(&db, 17, probes.count()).await;
    assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
    db.as_app(&["DROP MATERIALIZED VIEW totals CASCADE"]).await;
}

/// kill -9 with the twin made and not in its place: the same command does the rest, and so does `osc cleanup`, before it drops the old table.
async fn osc_is_killed_before_it_follows(kind: Kind) {
    for cleanup in [false, true] {
        let db = shop_with_totals(kind, "matviews_killed").await;
        let prober = Prober::start(&db, 17).await;
        let reader = Reader::start(&db).await;
        let mut osc = Osc::alter(&db, "orders", ADD).pause_at("follower-made").start();
        block_in_place(|| osc.until_paused("follower-made"));
        osc.signal("-KILL");
        block_in_place(|| osc.wait());
        prober.more(5).await;
        assert!(has_extra(&db).await);
        assert!(leans_on(&db).await.ends_with("_old.orders"));
        if cleanup {
            wait_for("the server to notice", async || {
                db.one::<u64>("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").await == 0
            })
            .await;
            let cleanup = Osc::new(&db, "cleanup").args(["--table", "orders", "--old", "--yes"]);
            block_in_place(|| cleanup.run()).exited(0);
            assert_eq!(db.leftovers().await, [""; 0]);
        } else {
            block_in_place(|| Osc::alter(&db, "orders", ADD).run()).exited(0);
            assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
        }
        reader.stop().await;
        let probes = prober.stop().await;
        assert_eq!(leans_on(&db).await, "orders");
        refreshes(&db).await;
        complete(&db, 17, probes.count()).await;
    }
}

/// A row that its query can't be run over, written while the run was on: nobody can refresh it, natively neither. The run says so and keeps what
/// it needs to do the rest.
async fn one_that_can_not_be_filled_is_told(kind: Kind) {
    let db = shop_with_totals(kind, "matviews_broken").await;
    let mut osc = Osc::alter(&db, "orders", ADD).args(["--drop-old"]).postponed().start();
    block_in_place(|| osc.until_phase("ready"));
    db.as_app(&["UPDATE orders SET version = -1 WHERE id = 4"]).await;
    block_in_place(|| osc.go_once_synced());
    let report = block_in_place(|| osc.wait()).exited(5);
    for part in [
        "public.totals could not be led to the new table",
        "division by zero",
        "The tables are swapped",
        "run the same command again",
    ] {
        assert!(report.says(part), "{part}: {}", report.stderr);
    }
    assert!(has_extra(&db).await && leans_on(&db).await.ends_with("_old.orders"));
    assert_eq!(db.one::<u64>("SELECT rows::bigint FROM over_totals").await, ROWS, "it shows what it showed");
    db.as_app(&["UPDATE orders SET version = 0 WHERE id = 4"]).await;
    let again = Osc::alter(&db, "orders", ADD).args(["--drop-old"]);
    block_in_place(|| again.run()).exited(0);
    assert_eq!(leans_on(&db).await, "orders");
    refreshes(&db).await;
    assert_eq!(db.leftovers().await, [""; 0]);
}

/// Somebody refreshes it, or looks at it for long: osc asks again and again, and who only reads waits for no longer than one of its tries.
async fn one_that_is_held_is_waited_for(kind: Kind) {
    let db = shop_with_totals(kind, "matviews_held").await;
    let mut osc = Osc::alter(&db, "orders", ADD).pause_at("follower-made").start();
    let paused = block_in_place(|| osc.until_paused("follower-made"));
    let holder = db.app().await;
    run(&holder, "BEGIN").await;
    run(&holder, "SELECT * FROM totals").await;
    let reader = Reader::start(&db).await;
    paused.go();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(leans_on(&db).await.ends_with("_old.orders"), "it is held");
    run(&holder, "COMMIT").await;
    block_in_place(|| osc.wait()).exited(0);
    let longest = reader.stop().await;
    assert!(Duration::from_millis(longest) < Duration::from_millis(600) + BUSY, "{longest}");
    assert_eq!(leans_on(&db).await, "orders");
    refreshes(&db).await;
    assert_eq!(db.leftovers().await.len(), 1, "the old table alone");
}

on_both!(
    it_is_read_all_the_while,
    osc_is_killed_before_it_follows,
    one_that_can_not_be_filled_is_told,
    one_that_is_held_is_waited_for,
);
