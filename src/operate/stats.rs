//! What a run counts and measures, in bounded memory.
//!
//! The pipeline owns the one [`Stats`] and writes to it; the progress display gets a [`Snapshot`]
//! through a watch channel whenever the pipeline publishes; the summary reads all of it at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::latency::Latency;
use crate::model::{Checkpoint, Phase};

/// Kinds of holds that are counted apart; more than these are not expected, and share one entry.
const HOLD_KINDS: usize = 16;

/// What the verification compared, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Verified {
    pub ranges: u64,
    pub rows: u64,
    /// Rows that were wrong in the shadow, and those of them that are right now.
    pub differing: u64,
    pub repaired: u64,
    /// Rows that differed because they were being changed.
    pub in_motion: u64,
}

/// What the progress display needs, cheap to copy.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub phase: Phase,
    /// The server's own estimate of the table's rows; none while it isn't known.
    pub estimated_rows: Option<u64>,
    /// Over all lives of the run, as are the keys and the changes.
    pub rows_copied: u64,
    pub keys_synced: u64,
    pub changes_seen: u64,
    pub rows_compared: u64,
    pub pending_keys: u64,
    pub chunk_rows: u64,
    pub lag: Duration,
    /// What holds the run, in the throttle's words.
    pub held: Option<String>,
    pub cutover_attempts: u64,
    pub retries: u64,
    pub elapsed: Duration,
}

#[derive(Debug)]
pub struct Stats {
    pub phase: Phase,
    pub estimated_rows: Option<u64>,
    pub rows_copied: u64,
    pub keys_synced: u64,
    pub changes_seen: u64,
    /// Changes whose key lay in a range that was being copied when they arrived.
    pub changes_overlapping: u64,
    pub pending_keys: u64,
    /// Rows of the chunks as they are sized now.
    pub chunk_rows: u64,
    pub retries: u64,
    pub cutover_attempts: u64,
    /// Where the stream stood when the run began, in the engine's words.
    pub position_at_start: Option<String>,
    pub position_at_swap: Option<String>,
    /// Whether this life goes on with an earlier one's work.
    pub resumed: bool,
    pub verified: Verified,
    rows_now: u64,
    /// How long each phase took that has ended, in this life, and since when the present one lasts.
    phases: BTreeMap<&'static str, Duration>,
    phase_since: Instant,
    chunks: Latency,
    marks: Latency,
    lag_now: Duration,
    lag_max: Duration,
    lock_held: Option<Duration>,
    began: Instant,
    held: Option<(String, Instant)>,
    holds: BTreeMap<String, Duration>,
    out: watch::Sender<Snapshot>,
}

impl Stats {
    pub fn new() -> Self {
        let (out, _) = watch::channel(Snapshot {
            phase: Phase::Copy,
            estimated_rows: None,
            rows_copied: 0,
            keys_synced: 0,
            changes_seen: 0,
            rows_compared: 0,
            pending_keys: 0,
            chunk_rows: 0,
            lag: Duration::ZERO,
            held: None,
            cutover_attempts: 0,
            retries: 0,
            elapsed: Duration::ZERO,
        });
        Stats {
            phase: Phase::Copy,
            estimated_rows: None,
            rows_copied: 0,
            keys_synced: 0,
            changes_seen: 0,
            changes_overlapping: 0,
            pending_keys: 0,
            chunk_rows: 0,
            retries: 0,
            cutover_attempts: 0,
            position_at_start: None,
            position_at_swap: None,
            resumed: false,
            verified: Verified::default(),
            rows_now: 0,
            phases: BTreeMap::new(),
            phase_since: Instant::now(),
            chunks: Latency::new(),
            marks: Latency::new(),
            lag_now: Duration::ZERO,
            lag_max: Duration::ZERO,
            lock_held: None,
            began: Instant::now(),
            held: None,
            holds: BTreeMap::new(),
            out,
        }
    }

    /// Takes over what earlier lives of the run had counted.
    pub fn resume(&mut self, before: &Checkpoint) {
        self.resumed = true;
        self.rows_copied = before.rows_copied;
        self.keys_synced = before.keys_synced;
        self.changes_seen = before.changes_seen;
        // Before a display takes its first look: else the first rate would count the earlier lives' rows.
        self.publish();
    }

    /// The run goes on to another phase.
    pub fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        *self.phases.entry(self.phase.name()).or_default() += now - self.phase_since;
        self.phase_since = now;
        self.phase = phase;
    }

    /// How long each phase took, the present one included.
    pub fn phases(&self) -> BTreeMap<&'static str, Duration> {
        let mut phases = self.phases.clone();
        *phases.entry(self.phase.name()).or_default() += self.phase_since.elapsed();
        phases
    }

    /// A chunk was committed. `rows_copied` is set by the pipeline, which knows the total of all lives.
    pub fn chunk(&mut self, rows: u64, took: Duration) {
        self.rows_now += rows;
        self.chunks.record(took);
    }

    /// A mark's commit returned: what a small write of the application costs right now.
    pub fn mark_commit(&mut self, took: Duration) {
        self.marks.record(took);
    }

    /// How far the delivered stream is behind the server.
    pub fn lag(&mut self, lag: Duration) {
        self.lag_now = lag;
        self.lag_max = self.lag_max.max(lag);
    }

    /// What holds the run from now on, if anything; the time is counted by what stands before the colon.
    pub fn hold(&mut self, reason: Option<String>) {
        let now = Instant::now();
        if let Some((was, since)) = self.held.take() {
            self.count_hold(&was, now.duration_since(since));
        }
        self.held = reason.map(|reason| (reason, now));
    }

    fn count_hold(&mut self, reason: &str, time: Duration) {
        let kind = reason.split(':').next().unwrap_or(reason);
        let full = self.holds.len() >= HOLD_KINDS && !self.holds.contains_key(kind);
        *self.holds.entry(if full { "other" } else { kind }.to_owned()).or_default() += time;
    }

    pub fn lock_held(&mut self, held: Duration) {
        self.lock_held = Some(held);
    }

    /// A receiver of the snapshots that [`Stats::publish`] sends.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.out.subscribe()
    }

    pub fn publish(&mut self) {
        self.out.send_replace(Snapshot {
            phase: self.phase,
            estimated_rows: self.estimated_rows,
            rows_copied: self.rows_copied,
            keys_synced: self.keys_synced,
            changes_seen: self.changes_seen,
            rows_compared: self.verified.rows,
            pending_keys: self.pending_keys,
            chunk_rows: self.chunk_rows,
            lag: self.lag_now,
            held: self.held.as_ref().map(|(reason, _)| reason.clone()),
            cutover_attempts: self.cutover_attempts,
            retries: self.retries,
            elapsed: self.began.elapsed(),
        });
    }

    /// Rows copied in this life of the run alone.
    pub fn rows_copied_now(&self) -> u64 {
        self.rows_now
    }

    pub fn chunk_latency(&self) -> &Latency {
        &self.chunks
    }

    pub fn mark_latency(&self) -> &Latency {
        &self.marks
    }

    pub fn lag_max(&self) -> Duration {
        self.lag_max
    }

    /// From the grant of the lock to its release; none when nothing was swapped.
    pub fn lock_held_for(&self) -> Option<Duration> {
        self.lock_held
    }

    /// How long the run was held by each kind of reason, the current hold included.
    pub fn holds(&self) -> BTreeMap<String, Duration> {
        let mut holds = self.holds.clone();
        if let Some((reason, since)) = &self.held {
            let kind = reason.split(':').next().unwrap_or(reason);
            *holds.entry(kind.to_owned()).or_default() += since.elapsed();
        }
        holds
    }

    /// How long this life of the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Default for Stats {
    fn default() -> Self {
        Stats::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_are_counted_by_kind() {
        let mut stats = Stats::new();
        for value in 26..60 {
            stats.hold(Some(format!("load: Threads_running is {value}, the limit 25")));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        stats.hold(None);
        tokio::time::advance(Duration::from_secs(1)).await;
        stats.hold(Some("throttle flag file: /tmp/x exists".into()));
        tokio::time::advance(Duration::from_millis(7)).await;
        let holds = stats.holds();
        assert_eq!(holds.len(), 2);
        assert_eq!(holds["load"], Duration::from_millis(340));
        assert_eq!(holds["throttle flag file"], Duration::from_millis(7));
    }

    #[tokio::test(start_paused = true)]
    async fn kinds_of_holds_are_bounded() {
        let mut stats = Stats::new();
        for n in 0..100 {
            stats.hold(Some(format!("reason {n}")));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        stats.hold(None);
        let holds = stats.holds();
        assert_eq!(holds.len(), HOLD_KINDS + 1);
        assert_eq!(holds.values().sum::<Duration>(), Duration::from_millis(100));
    }

    #[tokio::test]
    async fn a_watcher_gets_what_was_published_last() {
        let mut stats = Stats::new();
        let mut watch = stats.watch();
        stats.rows_copied = 7;
        stats.lag(Duration::from_millis(3));
        stats.lag(Duration::from_millis(1));
        stats.publish();
        watch.changed().await.unwrap();
        let seen = watch.borrow_and_update().clone();
        assert_eq!(
            (seen.rows_copied, seen.lag, stats.lag_max()),
            (7, Duration::from_millis(1), Duration::from_millis(3))
        );
    }
}
