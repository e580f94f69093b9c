//! What holds a cutover back: somebody on the table, a flag file, a request to stop. The application
//! waits for none of it longer than it was promised.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::block_in_place;

use crate::cutover::{ADD, doing, has_extra, more_rows, shop, until, writers};
use crate::harness::{Database, Kind, Osc, Prober, Report, Server};

/// osc's default for `--cut-over-lock-timeout-ms`.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);
/// What a statement may take beyond the lock's timeout and the run's own worst.
const ALLOWED: Duration = Duration::from_millis(150);
/// The longest that a lock may be held; `cli/alter.rs`.
const HOLD: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocker {
    Transaction,
    Select,
    Xa,
}

/// Begins what is in the way.
async fn block(db: &Database, blocker: Blocker) -> (Conn, u32) {
    let mut app = db.app().await;
    let id = app.id();
    match blocker {
        Blocker::Transaction => {
            app.query_drop("START TRANSACTION").await.expect("a transaction");
            app.query_drop("UPDATE orders SET version = 77 WHERE id = 1003").await.expect("an update");
        }
        Blocker::Select => {}
        Blocker::Xa => {
            for sql in [
                "XA START 'held'",
                "UPDATE orders SET version = 77 WHERE id = 1003",
                "XA END 'held'",
                "XA PREPARE 'held'",
            ] {
                app.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            }
            // A transaction manager that died: whoever comes next ends the transaction.
            app.disconnect().await.expect("a goodbye");
            app = db.app().await;
        }
    }
    (app, id)
}

async fn blocked(kind: Kind, blocker: Blocker) {
    let name = format!("blocked_{blocker:?}").to_lowercase();
    let server = Server::own(kind, &name.replace('_', "-"), &[]);
    let mut db = shop(&server, &name, 1000).await;
    let prober = Prober::start(&db, 1500).await;
    let mut running = Osc::alter(&db, "orders", ADD).postponed().start();
    let began = Instant::now();
    block_in_place(|| running.until_phase("ready"));
    prober.more(600).await;
    let quiet = (began, Instant::now());

    let (app, id) = block(&db, blocker).await;
    let mut app = Some(app);
    let select = (blocker == Blocker::Select).then(|| {
        let mut conn = app.take().expect("a connection");
        // Half a minute, unless somebody ends it.
        let sql = "SELECT COUNT(*) FROM orders WHERE SLEEP(0.03) = 0";
        tokio::spawn(async move { conn.query_drop(sql).await })
    });
    if select.is_some() {
        until("the SELECT runs", async || doing(&mut db, id).await.starts_with("SELECT COUNT")).await;
    }
    let from = Instant::now();
    running.go();
    block_in_place(|| running.until("three attempts", |e| e["cutover_attempts"].as_u64() >= Some(3)));
    prober.more(20).await;
    assert_eq!(has_extra(&mut db).await, Some(false), "not swapped past the {blocker:?}");
    let to = Instant::now();
    match blocker {
        Blocker::Transaction => {
            app.as_mut().expect("there").query_drop("COMMIT").await.expect("the transaction commits")
        }
        Blocker::Xa => {
            app.as_mut().expect("there").query_drop("XA COMMIT 'held'").await.expect("the transaction commits")
        }
        Blocker::Select => db.run(&[&format!("KILL QUERY {id}")]).await,
    }
    if let Some(select) = select {
        let _ = select.await.expect("the SELECT's task");
    }
    let report = block_in_place(|| running.wait()).exited(0);
    let after = to.elapsed();
    prober.more(50).await;
    let probes = prober.stop().await;

    let summary = report.event("summary");
    let attempts = summary["cutover_attempts"].as_u64().expect("counted");
    assert!(summary["changes_seen"].as_u64() > Some(0), "{summary}");
    assert!(attempts >= 4, "{summary}");
    // The pause after the attempt that failed last, at most, and the attempt itself.
    let pause = Duration::from_millis(500 * (1 << (attempts - 1).min(6))).mul_f64(1.5);
    assert!(after < pause + Duration::from_secs(3), "{after:?} from the end of the {blocker:?} to the end of the run");
    let says = |text: &str| report.says(text);
    match blocker {
        Blocker::Xa => assert!(says("prepared XA transaction"), "{}", report.stderr),
        _ => assert!(says(&format!("connection {id} of app_{name}@")), "{id} is not named: {}", report.stderr),
    }
    let (base, waited, swap) =
        (probes.slowest(quiet.0, quiet.1), probes.slowest(from, to), probes.slowest(to, to + after));
    println!(
        "{} {blocker:?}: {attempts} attempts; slowest statement {waited:?} while blocked, {base:?} before, {swap:?} at the \
         swap; {after:?} from its end to the run's; lock held {} ms",
        kind.name(),
        summary["lock_held_ms"]
    );
    assert!(waited < LOCK_TIMEOUT + base + ALLOWED, "{waited:?}; {base:?} before");
    let held = Duration::from_secs_f64(summary["lock_held_ms"].as_f64().expect("held") / 1000.0);
    assert!(swap < LOCK_TIMEOUT + held + base + ALLOWED, "{swap:?}; {base:?} before, lock held {held:?}");
    let counted: u64 = db.one("SELECT version FROM orders WHERE id = 1500").await;
    assert_eq!(counted, 1 + probes.count(), "every acknowledged write is there");
    if blocker != Blocker::Select {
        assert_eq!(db.one::<u64>("SELECT version FROM orders WHERE id = 1003").await, 77);
    }
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}

/// A process that is stopped (or cut off from the server) with the lock in its hands.
async fn frozen(kind: Kind) {
    let server = Server::own(kind, "frozen", &[]);
    let mut db = shop(&server, "frozen", 1000).await;
    let prober = Prober::start(&db, 1500).await;
    let began = Instant::now();
    let mut running = Osc::alter(&db, "orders", ADD).pause_at("lock-granted").start();
    let paused = block_in_place(|| running.until_paused("lock-granted"));
    running.signal("-STOP");
    let from = Instant::now();
    prober.more(50).await;
    let to = Instant::now();
    assert_eq!(has_extra(&mut db).await, Some(false));
    paused.go();
    running.signal("-CONT");
    let report = block_in_place(|| running.wait()).exited(0);
    let probes = prober.stop().await;
    let (base, waited) = (probes.slowest(began, from - HOLD.min(from - began)), probes.slowest(from, to));
    println!("{} frozen with the lock: slowest statement {waited:?}", kind.name());
    assert!(waited > HOLD, "the lock was held: {waited:?}");
    // The server counts whole seconds.
    assert!(waited < HOLD + Duration::from_secs(2) + base + ALLOWED, "{waited:?}");
    assert!(report.event("summary")["cutover_attempts"].as_u64() >= Some(2));
    let counted: u64 = db.one("SELECT version FROM orders WHERE id = 1500").await;
    assert_eq!(counted, 1 + probes.count(), "every acknowledged write is there");
}

/// The postpone flag holds the cutover and nothing else.
async fn postponed(kind: Kind) {
    let server = Server::own(kind, "postponed", &[]);
    let mut db = shop(&server, "postponed", 3000).await;
    let traffic = writers(&db).await;
    let mut running = Osc::alter(&db, "orders", ADD).postponed().start();
    let ready = block_in_place(|| running.until_phase("ready"));
    let synced = |e: &serde_json::Value| e["keys_synced"].as_u64().expect("counted");
    let before = synced(&ready);
    more_rows(&traffic, 400).await;
    let later =
        block_in_place(|| running.until("200 more keys", |e| e["event"] == "progress" && synced(e) > before + 200));
    assert_eq!(later["phase"], "ready");
    assert!(later["held"].as_str().is_some_and(|why| why.contains("postpone")), "{later}");
    assert_eq!(has_extra(&mut db).await, Some(false));
    running.go();
    let gone = Instant::now();
    block_in_place(|| running.wait()).exited(0);
    let took = gone.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} from the flag's removal to the end");
    traffic.stamp("swapped");
    clean(&mut db, traffic).await;
    println!("{} postponed: {} keys synced while held; {took:?} to the end", kind.name(), synced(&later) - before);
}

async fn clean(db: &mut Database, traffic: osc_traffic::Handle) {
    more_rows(&traffic, 50).await;
    let ledger = traffic.stop().await;
    let old = ledger.verify_old(&db.app_url(), "orders_osc_old", "swapped").await.expect("the old table is read");
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read").with_old(old);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(has_extra(db).await, Some(true));
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}

async fn no_cut_over(kind: Kind) {
    let server = Server::own(kind, "no-cut-over", &[]);
    let mut db = shop(&server, "no_cut_over", 3000).await;
    let create = db.show_create("orders").await;
    let traffic = writers(&db).await;
    let osc = Osc::alter(&db, "orders", ADD).args(["--no-cut-over"]);
    let report = block_in_place(|| osc.run()).exited(0);
    let summary = report.event("summary");
    assert_eq!(summary["outcome"], "not-swapped");
    assert!(summary["rows_copied"].as_u64() >= Some(2000), "{summary}");
    assert!(summary["changes_seen"].as_u64() > Some(0), "{summary}");
    let ledger = traffic.stop().await;
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read");
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(db.tables().await, ["orders"], "nothing is left behind");
    let counters_aside = |text: &str| text.split(" AUTO_INCREMENT=").next().map(str::to_owned);
    assert_eq!(counters_aside(&db.show_create("orders").await), counters_aside(&create));
}

/// Where a run stands when it's asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Copy,
    /// A range of rows is in the shadow, not committed.
    Chunk,
    /// All is copied, and the stream lags too far behind for the cutover.
    CatchUp,
    Ready,
    /// A batch of changed rows is in the shadow, not committed, in whatever phase. Postponed: on a quiet machine a run
    /// swaps before a change of the traffic needs a batch.
    Keys,
    BeforeLock,
    LockGranted,
}

const STOPS: [At; 7] = [At::Copy, At::Chunk, At::CatchUp, At::Ready, At::Keys, At::BeforeLock, At::LockGranted];

fn slow(db: &Database) -> Osc {
    Osc::alter(db, "orders", ADD).args(["--chunk-size", "200", "--threads", "2"])
}

/// Starts a run and asks it to stop when it stands there; its report, and how long it took to end.
async fn stop_at(db: &Database, at: At) -> (Report, Duration) {
    let osc = slow(db);
    let (osc, place) = match at {
        At::Copy => (osc.throttled(), None),
        At::Ready => (osc.postponed(), None),
        At::Chunk | At::CatchUp => (osc.pause_at("chunk-synced"), Some("chunk-synced")),
        At::Keys => (osc.postponed().pause_at("keys-synced"), Some("keys-synced")),
        At::BeforeLock => (osc.pause_at("before-lock"), Some("before-lock")),
        At::LockGranted => (osc.pause_at("lock-granted"), Some("lock-granted")),
    };
    let mut running = osc.start();
    let mut paused = place.map(|place| block_in_place(|| running.until_paused(place)));
    let mut admin = db.server.admin().await;
    match at {
        At::Copy => drop(block_in_place(|| running.until("held", |e| e["held"].as_str().is_some()))),
        At::Ready => drop(block_in_place(|| running.until_phase("ready"))),
        At::CatchUp => {
            // Marks that can't be written are marks that don't come out of the stream.
            let lock = format!("LOCK TABLES {}.orders_osc_marks READ", db.name);
            admin.query_drop(lock).await.expect("the marks are locked");
            let late = |e: &serde_json::Value| e["event"] == "progress" && e["lag_ms"].as_u64() > Some(1000);
            block_in_place(|| running.until("the stream lags", late));
            paused.take().expect("a chunk").go();
            block_in_place(|| running.until_phase("catch-up"));
        }
        _ => {}
    }
    running.signal("-TERM");
    let signalled = Instant::now();
    if let Some(paused) = paused {
        paused.go();
    }
    let report = block_in_place(|| running.wait()).exited(5);
    let took = signalled.elapsed();
    admin.query_drop("UNLOCK TABLES").await.expect("the marks are free");
    (report, took)
}

/// SIGTERM, exit 5 in bounded time, and the same command goes on.
async fn stopped(kind: Kind) {
    let server = Server::own(kind, "stopped", &[]);
    let mut times = Vec::new();
    for at in STOPS {
        let mut db = shop(&server, "stopped", 3000).await;
        let traffic = writers(&db).await;
        more_rows(&traffic, 50).await;
        let (report, took) = stop_at(&db, at).await;
        times.push(format!("{at:?} {took:?}"));
        assert!(took < Duration::from_secs(3), "{at:?}: {took:?} to the end");
        assert_eq!(has_extra(&mut db).await, Some(false), "{at:?}");
        let first = report.event("summary").clone();
        assert_eq!(first["outcome"], "stopped", "{first}");

        let again = slow(&db);
        let report = block_in_place(|| again.run()).exited(0);
        traffic.stamp("swapped");
        let second = report.event("summary");
        let count = |summary: &serde_json::Value, name: &str| summary[name].as_u64().expect("counted");
        assert_eq!(second["resumed"], true, "{at:?}: {second}");
        let (done, now) = (count(&first, "rows_copied"), count(second, "rows_copied_now"));
        assert_eq!(done + now, count(second, "rows_copied"), "{at:?}: {first} {second}");
        match at {
            At::Copy | At::Keys => {}
            At::Chunk => assert!(done > 0, "{first}"),
            _ => assert_eq!(now, 0, "{at:?}: all was copied: {second}"),
        }
        let rows: u64 = db.one("SELECT COUNT(*) FROM orders").await;
        assert!(done + now < rows + 1000, "{at:?}: {done} + {now} of about {rows} rows: copied twice");
        clean(&mut db, traffic).await;
    }
    println!("{} SIGTERM to the end: {}", kind.name(), times.join(", "));
}

/// SIGTERM when nothing but the swap is left: it is carried out, and the run ends well.
async fn stopped_in_the_swap(kind: Kind) {
    let server = Server::own(kind, "stopped-swap", &[]);
    let places: &[&str] = match kind.is_mariadb() {
        true => &["synced", "rename-queued", "sentry-dropped", "renamed"],
        false => &["synced", "renamed"],
    };
    for place in places {
        let mut db = shop(&server, "stopped_swap", 1000).await;
        let traffic = writers(&db).await;
        more_rows(&traffic, 50).await;
        let mut running = Osc::alter(&db, "orders", ADD).pause_at(place).start();
        let paused = block_in_place(|| running.until_paused(place));
        running.signal("-TERM");
        tokio::time::sleep(Duration::from_millis(100)).await;
        paused.go();
        let report = block_in_place(|| running.wait()).exited(0);
        traffic.stamp("swapped");
        let (heard, went_on) = (report.stderr.find("stopping:"), report.stderr.find("going on"));
        assert!(heard.is_some() && heard < went_on, "{place}: heard too late: {}", report.stderr);
        assert_eq!(report.event("summary")["outcome"], "swapped", "{place}");
        clean(&mut db, traffic).await;
    }
}

macro_rules! on_both {
    ($($mysql:ident, $mariadb:ident: $test:ident($($argument:expr),*);)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
        async fn $mysql() {
            $test(Kind::MySql, $($argument),*).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
        async fn $mariadb() {
            $test(Kind::MariaDb, $($argument),*).await;
        }
    )*};
}

on_both! {
    an_open_transaction_delays_the_cutover_on_mysql, an_open_transaction_delays_the_cutover_on_mariadb:
        blocked(Blocker::Transaction);
    a_long_select_delays_the_cutover_on_mysql, a_long_select_delays_the_cutover_on_mariadb:
        blocked(Blocker::Select);
    a_prepared_xa_transaction_delays_the_cutover_on_mysql, a_prepared_xa_transaction_delays_the_cutover_on_mariadb:
        blocked(Blocker::Xa);
    a_frozen_osc_gives_the_lock_back_on_mysql, a_frozen_osc_gives_the_lock_back_on_mariadb: frozen();
    a_postponed_run_goes_on_applying_on_mysql, a_postponed_run_goes_on_applying_on_mariadb: postponed();
    no_cut_over_leaves_nothing_on_mysql, no_cut_over_leaves_nothing_on_mariadb: no_cut_over();
    a_stopped_run_goes_on_where_it_was_on_mysql, a_stopped_run_goes_on_where_it_was_on_mariadb: stopped();
    a_swap_is_finished_despite_a_stop_on_mysql, a_swap_is_finished_despite_a_stop_on_mariadb: stopped_in_the_swap();
}
