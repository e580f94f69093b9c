//! Memory of `osc` stays under 256 MiB however many distinct keys change, and however long they are,
//! while it may not work on them.
//!
//! What bounds it are constants (`pipeline::Settings::pending_limit_bytes`, the feed's limits), not the
//! number of keys. So the quick tier changes some times as many keys as the books may hold, and asserts
//! that they did not hold them all; with `OSC_TEST_FULL=1` it is the 20 million of the promise.
//!
//! All keys change twice: once before anything is copied, when they can be dropped because the copy will
//! read them, and once when all is copied and each has to be kept. Both times the run is held by
//! `--throttle-flag-file`, and the second time it is released only when it has stopped reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Database, Kind, Osc, Running, Server, on_both};

on_both!(many_keys, long_keys_that_compare, long_keys_that_do_not);

const LIMIT_KIB: u64 = 256 << 10;
const ALTER: &str = "ADD COLUMN x TINYINT NOT NULL DEFAULT 1";

fn full() -> bool {
    std::env::var_os("OSC_TEST_FULL").is_some()
}

struct Load {
    name: &'static str,
    /// The key's column, and its value made of the number `n`.
    column: &'static str,
    value: &'static str,
    /// The column by which ranges of rows are changed.
    by: &'static str,
    rows: u64,
    /// Rows of one statement that changes them.
    step: u64,
}

async fn many_keys(kind: Kind) {
    let rows = if full() { 20_000_000 } else { 800_000 };
    let column = "k BIGINT NOT NULL";
    held(kind, Load { name: "mem_many", column, value: "n", by: "k", rows, step: 200_000 }).await;
}

async fn long_keys_that_compare(kind: Kind) {
    let rows = if full() { 200_000 } else { 24_000 };
    let (column, value) = ("k VARBINARY(3000) NOT NULL", "CONCAT(LPAD(n, 9, '0'), REPEAT('k', 2991))");
    held(kind, Load { name: "mem_bin", column, value, by: "n", rows, step: 5_000 }).await;
}

async fn long_keys_that_do_not(kind: Kind) {
    let rows = if full() { 200_000 } else { 24_000 };
    let column = "k VARCHAR(3000) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL";
    let value = "CONCAT(LPAD(n, 9, '0'), REPEAT('k', 2991))";
    held(kind, Load { name: "mem_text", column, value, by: "n", rows, step: 5_000 }).await;
}

async fn held(kind: Kind, load: Load) {
    // Nothing here is about durability.
    let server = Server::own(kind, load.name, &["--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0"]);
    let mut db = Database::create(&server, load.name).await;
    fill(&mut db, &load).await;
    let patience = Duration::from_secs(if full() { 4 * 3600 } else { 300 });
    let mut run = Osc::alter(&db, "big", ALTER).throttled().postponed().start().patient(patience);
    let peak = Peak::watch(run.pid());

    run.until("a hold", |e| e["held"].is_string());
    change_all(&mut db, &load).await;
    run.unthrottle();
    let ready = run.until_phase("ready");
    assert!(ready["rows_copied"].as_u64() >= Some(load.rows), "{ready}");

    std::fs::write(&run.throttle, "").expect("the flag file is written");
    run.until("a hold", |e| e["held"].as_str().is_some_and(|held| held.starts_with("throttle flag file")));
    let before = peak.now();
    change_all(&mut db, &load).await;
    let waiting = full_books(&mut run);
    let while_held = peak.now();
    assert!(waiting > load.rows / 100 && waiting < load.rows, "{waiting} keys of {} wait", load.rows);
    run.unthrottle();
    run.until("the keys to be synced", |e| e["keys_synced"].as_u64() >= Some(load.rows) && e["pending_keys"] == 0);
    run.go();
    let report = run.wait().exited(0);
    let peak = peak.end();

    let summary = report.event("summary");
    assert!(summary["changes_seen"].as_u64() >= Some(2 * load.rows), "{summary}");
    let of = |table: &str| format!("SELECT COUNT(*), SUM(c), BIT_XOR(CRC32(CONCAT(k, c))) FROM {table}");
    let old: (u64, u64, u64) = db.one(&of("big_osc_old")).await;
    assert_eq!(db.one::<(u64, u64, u64)>(&of("big")).await, old);
    assert_eq!((old.0, old.1), (load.rows, 2 * load.rows));
    println!(
        "{} on {}: {} keys, {waiting} held in the books; MiB: {} before, {} while held, {} at most; {} ms",
        load.name,
        kind.name(),
        load.rows,
        before >> 10,
        while_held >> 10,
        peak >> 10,
        summary["elapsed_ms"]
    );
    assert!(peak < LIMIT_KIB, "{} MiB", peak >> 10);
}

async fn fill(db: &mut Database, load: &Load) {
    let index = if load.by == "k" { "" } else { ", KEY (n)" };
    db.run(&[&format!("CREATE TABLE big ({}, c INT NOT NULL, n INT NOT NULL, PRIMARY KEY (k){index})", load.column)])
        .await;
    let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
                  SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    for from in (0..load.rows).step_by(100_000) {
        let sql = format!(
            "INSERT INTO big SELECT {}, 0, n FROM (SELECT {from} + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d n \
             FROM {digits} f, {digits} e, {digits} c, {digits} b, {digits} a) numbers WHERE n < {} ORDER BY n",
            load.value,
            load.rows.min(from + 100_000)
        );
        db.run(&[&sql]).await;
    }
}

/// Every key changes, inside the server.
async fn change_all(db: &mut Database, load: &Load) {
    for from in (0..load.rows).step_by(load.step as usize) {
        let sql = format!("UPDATE big SET c = c + 1 WHERE {0} >= {from} AND {0} < {1}", load.by, from + load.step);
        db.run(&[&sql]).await;
    }
}

/// Waits until the run takes no more keys in; returns how many it holds.
fn full_books(run: &mut Running) -> u64 {
    let pending = |e: &Value| e["pending_keys"].as_u64().filter(|n| *n > 0);
    let (mut last, mut same) = (None, 0);
    run.pass_over();
    // Reports come once a second.
    let full = run.until("full books", |event| {
        let now = pending(event);
        same = if now.is_some() && now == last { same + 1 } else { 0 };
        last = now;
        same == 3
    });
    pending(&full).unwrap_or(0)
}

/// The most memory that a process ever had, looked at until it ends.
struct Peak {
    kib: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Peak {
    fn watch(pid: u32) -> Peak {
        let (kib, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (kib.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
                if let Some(value) = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()) {
                    // While the process is being started it is still this test.
                    if begun.elapsed() > Duration::from_secs(1) {
                        seen.fetch_max(value, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Peak { kib, stop, thread }
    }

    fn now(&self) -> u64 {
        self.kib.load(Ordering::Relaxed)
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch ends");
        let kib = self.kib.load(Ordering::Relaxed);
        assert!(kib > 1024, "the memory was not measured");
        kib
    }
}
