//! Stub; the real one comes with the command line.
use crate::model::Phase;
use std::time::Duration;
#[derive(Debug)]
pub struct Stats {
    pub phase: Phase,
    pub rows_copied: u64,
    pub keys_synced: u64,
    pub changes_seen: u64,
    pub changes_overlapping: u64,
    pub retries: u64,
    pub pending_keys: u64,
    pub chunk_rows: u64,
    pub cutover_attempts: u64,
}
impl Default for Stats {
    fn default() -> Self {
        Stats {
            phase: Phase::Copy,
            rows_copied: 0,
            keys_synced: 0,
            changes_seen: 0,
            changes_overlapping: 0,
            retries: 0,
            pending_keys: 0,
            chunk_rows: 0,
            cutover_attempts: 0,
        }
    }
}
impl Stats {
    pub fn chunk(&mut self, _rows: u64, _took: Duration) {}
    pub fn mark_commit(&mut self, _took: Duration) {}
    pub fn lock_held(&mut self, _held: Duration) {}
    pub fn lag(&mut self, _lag: Duration) {}
    pub fn hold(&mut self, _reason: Option<String>) {}
    pub fn publish(&mut self) {}
}
