//! More than fits into memory.

use std::time::{Duration, Instant};

use osc::engine::mysql::binlog::Options;
use osc::engine::{Event, Feed};

use super::connection::kill_dumps;
use super::world::*;

/// This process's memory in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

const ROWS: i64 = 1 << 20;

/// One transaction with 2^20 rows.
async fn giant(w: &mut World) {
    w.run("SET SESSION sql_log_bin = 0").await;
    w.run("CREATE TABLE s (id INT PRIMARY KEY AUTO_INCREMENT, v CHAR(60))").await;
    w.run("INSERT INTO s (v) VALUES (REPEAT('x', 60))").await;
    for _ in 0..20 {
        w.run("INSERT INTO s (v) SELECT v FROM s").await;
    }
    w.run("SET SESSION sql_log_bin = 1").await;
    if !w.flavor.is_mariadb() {
        // The driver unpacks a compressed transaction as a whole.
        w.run("SET SESSION binlog_transaction_compression = OFF").await;
    }
    w.run("INSERT INTO t SELECT (@n := COALESCE(@n, 0) + 1), v FROM s").await;
}

#[tokio::test]
async fn a_giant_transaction_passes_through_little_memory() {
    let _alone = alone().await;
    on_both(|address| async move {
        let options = Options { unsettled_bytes: 1 << 20, ..Options::default() };
        let mut w = World::with(&address, "id INT PRIMARY KEY, v CHAR(60)", options).await;
        giant(&mut w).await;
        let before = resident();
        // Nobody reads for a while: the thread must stop reading, and the server wait.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let stopped_at = w.feed.bytes();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(w.feed.bytes(), stopped_at, "the thread goes on reading though nobody takes");
        let blocked = resident();
        let (begin, mut seen, mut peak, mut marks) = (Instant::now(), vec![false; ROWS as usize + 1], 0, 0);
        let mut left = ROWS;
        while left > 0 {
            w.mark().await;
            marks += 1;
            // What one mark has settled; the queue is far smaller than the transaction.
            while let Ok(event) = tokio::time::timeout(Duration::from_millis(20), w.feed.next()).await {
                if let Event::Keys(keys) = event.unwrap() {
                    for key in keys.iter().map(int) {
                        left -= i64::from(!std::mem::replace(&mut seen[key as usize], true));
                    }
                }
            }
            peak = peak.max(resident());
        }
        eprintln!(
            "{ROWS} rows in {:?} with {marks} marks; {} MiB of stream, {} when blocked; memory {before} MiB, blocked {blocked}, peak {peak}",
            begin.elapsed(),
            w.feed.bytes() >> 20,
            stopped_at >> 20
        );
        assert_eq!(w.feed.changes(), ROWS as u64);
        assert!(peak < before + 64, "{before} MiB became {peak} MiB");
        assert!(marks > 10, "the transaction did not exceed the queue");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_lost_inside_a_giant_transaction_loses_nothing() {
    let _alone = alone().await;
    on_both(|address| async move {
        let options = Options { unsettled_bytes: 1 << 20, ..Options::default() };
        let mut w = World::with(&address, "id INT PRIMARY KEY, v CHAR(60)", options).await;
        giant(&mut w).await;
        let mut seen = vec![false; ROWS as usize + 1];
        let mut left = ROWS;
        let mut kills = 0;
        while left > 0 {
            w.mark().await;
            while let Ok(event) = tokio::time::timeout(Duration::from_millis(20), w.feed.next()).await {
                if let Event::Keys(keys) = event.unwrap() {
                    for key in keys.iter().map(int) {
                        left -= i64::from(!std::mem::replace(&mut seen[key as usize], true));
                    }
                }
            }
            if kills < 3 && left < ROWS - ROWS / 4 * i64::from(kills + 1) {
                kills += 1;
                kill_dumps(&mut w).await;
            }
        }
        assert_eq!(kills, 3);
        w.run("DELETE FROM t WHERE id = 7").await;
        w.drain().await;
        w.done().await;
    })
    .await;
}
