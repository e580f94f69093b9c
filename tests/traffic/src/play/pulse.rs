//! Counters that can be read while the traffic runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const SECONDS: usize = 8;

/// Shared by all connections; nothing here is part of the ledger.
#[derive(Default)]
pub(crate) struct Pulse {
    operations: AtomicU64,
    committed_rows: AtomicU64,
    failed: AtomicU64,
    connections_lost: AtomicU64,
    seconds: [Second; SECONDS],
}

#[derive(Default)]
struct Second {
    number: AtomicU64,
    operations: AtomicU64,
    worst_us: AtomicU64,
}

/// How the traffic is doing at this moment.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    pub elapsed_s: f64,
    pub operations: u64,
    pub committed_rows: u64,
    pub failed: u64,
    pub connections_lost: u64,
    /// Operations in the last full second.
    pub rate_per_s: u64,
    /// The slowest operation that ended in the last full second, measured from the schedule.
    pub worst_ms: f64,
}

impl Pulse {
    pub fn operation(&self, ended: Duration, latency: Duration) {
        self.operations.fetch_add(1, Relaxed);
        let second = ended.as_secs();
        let slot = &self.seconds[second as usize % SECONDS];
        // Slots are used again every few seconds; the first to come empties it. Two at once may lose
        // a count of a display; the timeline has them all.
        if slot.number.swap(second, Relaxed) != second {
            slot.operations.store(0, Relaxed);
            slot.worst_us.store(0, Relaxed);
        }
        slot.operations.fetch_add(1, Relaxed);
        slot.worst_us.fetch_max(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub fn committed(&self, rows: u64) {
        self.committed_rows.fetch_add(rows, Relaxed);
    }

    pub fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub fn lost(&self) {
        self.connections_lost.fetch_add(1, Relaxed);
    }

    pub fn progress(&self, elapsed: Duration) -> Progress {
        let (mut rate_per_s, mut worst_ms) = (0, 0.0);
        if let Some(last) = elapsed.as_secs().checked_sub(1) {
            let slot = &self.seconds[last as usize % SECONDS];
            if slot.number.load(Relaxed) == last {
                rate_per_s = slot.operations.load(Relaxed);
                worst_ms = slot.worst_us.load(Relaxed) as f64 / 1e3;
            }
        }
        Progress {
            elapsed_s: elapsed.as_secs_f64(),
            operations: self.operations.load(Relaxed),
            committed_rows: self.committed_rows.load(Relaxed),
            failed: self.failed.load(Relaxed),
            connections_lost: self.connections_lost.load(Relaxed),
            rate_per_s,
            worst_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_last_full_second() {
        let pulse = Pulse::default();
        let at = Duration::from_millis;
        for ms in [1000, 1500, 1999, 2100] {
            pulse.operation(at(ms), at(ms / 100));
        }
        let progress = pulse.progress(at(2500));
        assert_eq!((progress.rate_per_s, progress.worst_ms, progress.operations), (3, 19.0, 4));
        assert_eq!(pulse.progress(at(9500)).rate_per_s, 0);
    }
}
