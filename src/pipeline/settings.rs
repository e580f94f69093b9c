//! What a run is told before it starts, beyond the engine's own business.

use std::time::Duration;

use super::planted::Planted;
use crate::engine::Patience;

/// Sizes, paces and limits of a run. Every field has a default that suits a production server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Copy lanes, each with a session of its own.
    pub copiers: u16,
    /// Apply lanes. More than one only has an effect where keys can be compared.
    pub appliers: u16,
    /// Rows of a chunk, fixed; none: sized by `chunk_time`.
    pub chunk_rows: Option<u64>,
    /// The most rows of a chunk that is sized by time: bounds what one transaction writes.
    pub chunk_rows_most: u64,
    /// Compare both sides before the cutover.
    pub verify: bool,
    /// Sync rows again that were found to differ.
    pub repair: bool,
    /// The most rows of a range that is compared: bounds what one statement reads.
    pub compare_rows_most: u64,
    /// How long a chunk should take.
    pub chunk_time: Duration,
    /// The most keys that one apply syncs.
    pub batch_keys: usize,
    /// The most bytes of keys that one apply syncs: bounds the length of a statement, which is some times
    /// as long, and which every buffer that a driver keeps can come to hold.
    pub batch_bytes: usize,
    /// What the keys that wait for a sync may cost; at the limit the copy pauses and the feed is not read.
    pub pending_limit_bytes: usize,
    /// From one mark's return to the next mark.
    pub mark_every: Duration,
    /// From one stored checkpoint to the next.
    pub store_every: Duration,
    /// How often an operation is tried again after a transient error.
    pub retries: u32,
    /// What a commit may take before the copy slows down; none: whatever it takes.
    pub commit_limit: Option<Duration>,
    /// From one look at the server's load to the next.
    pub pressure_every: Duration,
    /// What the cutover may make the application wait.
    pub patience: Patience,
    /// The cutover is tried when at most this many keys wait, and the last mark took at most `calm`
    /// to come back out of the stream.
    pub ready_keys: usize,
    pub calm: Duration,
    /// Pause after a failed cutover attempt; grows with the attempts and gets jitter.
    pub cutover_pause: Duration,
    /// How many cutover attempts are made before the run stops where it can be resumed.
    pub cutover_attempts: u32,
    /// Do everything but the swap.
    pub no_cutover: bool,
    /// Seed for jitter.
    pub seed: u64,
    /// A rule that a test leaves out.
    pub planted: Planted,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            copiers: 2,
            appliers: 1,
            chunk_rows: None,
            chunk_rows_most: 20_000,
            verify: true,
            repair: true,
            compare_rows_most: 200_000,
            chunk_time: Duration::from_millis(500),
            batch_keys: 1000,
            batch_bytes: 256 << 10,
            pending_limit_bytes: 64 << 20,
            mark_every: Duration::from_millis(100),
            store_every: Duration::from_secs(1),
            retries: 60,
            commit_limit: Some(Duration::from_millis(100)),
            pressure_every: Duration::from_millis(500),
            patience: Patience { lock_wait: Duration::from_millis(200), hold: Duration::from_secs(2) },
            ready_keys: 1000,
            calm: Duration::from_millis(500),
            cutover_pause: Duration::from_millis(500),
            cutover_attempts: 600,
            no_cutover: false,
            seed: 1,
            planted: Planted::Nothing,
        }
    }
}
