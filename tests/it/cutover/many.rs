//! Cutover after cutover, under the same writers.

use std::time::Duration;

use super::{ADD, DROP, more_rows, shop, writers};
use crate::harness::{Kind, Osc, Server};

/// What a statement around a cutover may take beyond the slowest one while no osc runs.
const ALLOWED_MS: f64 = 250.0;

async fn cutovers(kind: Kind) {
    let count = if std::env::var_os("OSC_TEST_FULL").is_some() { 50 } else { 15 };
    let server = Server::own(kind, "cutovers", &[]);
    let mut db = shop(&server, "cutovers", 3000).await;
    let traffic = writers(&db).await;
    more_rows(&traffic, 600).await;
    let mut quiet = vec![(Duration::ZERO, traffic.elapsed())];
    more_rows(&traffic, 30).await;
    let (mut runs, mut held, mut attempts) = (Vec::new(), Vec::new(), 0);
    for n in 0..count {
        let osc = Osc::alter(&db, "orders", if n % 2 == 0 { ADD } else { DROP });
        let from = traffic.elapsed();
        let report = tokio::task::spawn_blocking(move || osc.run()).await.expect("osc ran").exited(0);
        traffic.stamp(&format!("swapped {n}"));
        runs.push((from, traffic.elapsed()));
        let summary = report.event("summary");
        assert_eq!(summary["strategy"], "shadow");
        assert!(summary["changes_seen"].as_u64() > Some(0), "no change came by the stream: {summary}");
        held.push(summary["lock_held_ms"].as_f64().expect("the lock was held"));
        attempts += summary["cutover_attempts"].as_u64().expect("attempts are counted");

        assert_eq!(db.tables().await.iter().filter(|t| t.contains("osc")).collect::<Vec<_>>(), ["orders_osc_old"]);
        let sum = "CHECKSUM TABLE orders_osc_old EXTENDED";
        let (_, first): (String, u64) = db.one(sum).await;
        // Apart from the runs on both sides, so that no statement counts here that waited for one of them.
        more_rows(&traffic, 30).await;
        let from = traffic.elapsed();
        more_rows(&traffic, 100).await;
        quiet.push((from, traffic.elapsed()));
        more_rows(&traffic, 30).await;
        let (_, second): (String, u64) = db.one(sum).await;
        assert_eq!(first, second, "the old table changed after swap {n}");
        db.run(&[&format!("RENAME TABLE orders_osc_old TO kept_{n}")]).await;
    }
    let ledger = traffic.stop().await;
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read");
    assert!(verdict.is_clean(), "{verdict}");
    for n in 0..count {
        let old = ledger.verify_old(&db.app_url(), &format!("kept_{n}"), &format!("swapped {n}")).await;
        let old = old.expect("the old table is read");
        assert!(old.is_clean(), "swap {n}: {old:?}");
    }
    let worst = |windows: &[(Duration, Duration)]| {
        let max = windows.iter().map(|(from, to)| ledger.window("", *from, *to).from_send.max_ms);
        max.fold(0.0, f64::max)
    };
    let (base, around) = (worst(&quiet), worst(&runs));
    held.sort_by(f64::total_cmp);
    println!(
        "{}: {count} cutovers in {attempts} attempts, {} rows committed, lock held {:.1} ms median, {:.1} ms at most; \
         slowest statement {around:.1} ms in runs, {base:.1} ms between; a run {:.1} s on average",
        kind.name(),
        verdict.committed_rows,
        held[held.len() / 2],
        held[held.len() - 1],
        runs.iter().map(|(from, to)| (*to - *from).as_secs_f64()).sum::<f64>() / count as f64
    );
    assert!(around < base + ALLOWED_MS, "a statement took {around} ms in a run; {base} ms without");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn many_cutovers_lose_nothing_on_mysql() {
    cutovers(Kind::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn many_cutovers_lose_nothing_on_mariadb() {
    cutovers(Kind::MariaDb).await;
}
