//! The books of all connections, put together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::book::Doubt;
use super::census::Census;
use super::draft::Entry;
use super::stamp::Stamp;
use super::tally::{Failure, Findings, Tally};
use super::timeline::{Sample, Window, window};
use crate::config::Config;
use crate::play::lane::LaneRecord;
use crate::server::Dialect;

/// All that the server acknowledged, and when. Compare it with a table: [`Ledger::verify`].
pub struct Ledger {
    pub(crate) config: Config,
    pub(crate) run: u16,
    pub(crate) census: Arc<Census>,
    pub(crate) entries: HashMap<i64, Entry>,
    /// Keys that two connections wrote, which can only be if AUTO_INCREMENT gave one twice.
    pub(crate) contested: HashMap<i64, Vec<Entry>>,
    pub(crate) reused: Findings,
    pub(crate) doubts: Vec<Doubt>,
    pub(crate) tally: Tally,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) elapsed: Duration,
    /// The server can have snapshots older than a swap.
    pub(crate) reads_snapshots: bool,
    samples: Vec<Sample>,
}

/// How far around the cutover its window reaches.
const AROUND: Duration = Duration::from_secs(1);

impl Ledger {
    pub(crate) fn new(
        config: &Config,
        run: u16,
        census: Arc<Census>,
        stamps: Vec<Stamp>,
        elapsed: Duration,
        records: Vec<Result<LaneRecord, String>>,
    ) -> Ledger {
        let mut ledger = Ledger {
            config: config.clone(),
            run,
            census,
            entries: HashMap::new(),
            contested: HashMap::new(),
            reused: Findings::default(),
            doubts: Vec::new(),
            tally: Tally::default(),
            stamps,
            elapsed,
            reads_snapshots: Dialect::of(&config.url).is_ok_and(Dialect::reads_snapshots),
            samples: Vec::new(),
        };
        for (writer, record) in (0..).zip(records) {
            match record {
                Ok(record) => ledger.add(record),
                // Its book is gone with it: never let that pass for a clean run.
                Err(text) => ledger.tally.fail(Failure { at_ms: 0.0, writer, kind: None, code: None, text }),
            }
        }
        for maybe in ledger.doubts.iter().flat_map(|doubt| &doubt.changes) {
            if ledger.entries.contains_key(&maybe.key) {
                ledger.reused.add(maybe.key, "AUTO_INCREMENT gave a key that may have been used", None);
            }
        }
        ledger
    }

    fn add(&mut self, record: LaneRecord) {
        for key in record.book.reused {
            self.reused.add(key, "AUTO_INCREMENT gave a key that had been used", None);
        }
        for (key, entry) in record.book.entries {
            if let Some(others) = self.contested.get_mut(&key) {
                others.push(entry);
            } else if let Some(other) = self.entries.remove(&key) {
                self.reused.add(key, "AUTO_INCREMENT gave a key that another connection had used", None);
                self.contested.insert(key, vec![other, entry]);
            } else {
                self.entries.insert(key, entry);
            }
        }
        self.doubts.extend(record.book.doubts);
        self.tally.absorb(record.tally);
        self.samples.extend(record.samples);
    }

    /// Latencies of the operations that overlap a part of the run.
    pub fn window(&self, name: &str, from: Duration, to: Duration) -> Window {
        window(&self.samples, name, from, to)
    }

    /// When a phase was stamped, for the first time, since the start of the traffic.
    pub fn stamped_at(&self, name: &str) -> Option<Duration> {
        self.stamps.iter().find(|stamp| stamp.name == name).map(|stamp| stamp.at)
    }

    /// How long the traffic ran.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// "baseline" up to the first stamp, one from each stamp to the next, a second before to a second
    /// after the cutover, and all of it.
    pub fn windows(&self) -> Vec<Window> {
        let mut stamps: Vec<(&str, Duration)> = vec![("baseline", Duration::ZERO)];
        stamps.extend(self.stamps.iter().map(|stamp| (stamp.name.as_str(), stamp.at)));
        let ends = stamps.iter().skip(1).map(|(_, at)| *at).chain([self.elapsed]);
        let mut windows: Vec<Window> =
            stamps.iter().zip(ends).map(|((name, from), to)| self.window(name, *from, to)).collect();
        if let Some(cutover) = self.stamped_at("cutover").or(self.stamped_at("swapped")) {
            let end = self.stamped_at("swapped").unwrap_or(cutover).max(cutover);
            windows.push(self.window("around cutover", cutover.saturating_sub(AROUND), end + AROUND));
        }
        windows.push(self.window("all", Duration::ZERO, self.elapsed));
        windows
    }
}
