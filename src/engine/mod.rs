//! The seams between the core and the engines.
//!
//! The core (`plan`, `pipeline`, `operate`) knows these traits and `model`, never an engine. Each
//! engine implements them in files of the same names, so that two engines can be read side by side:
//! `feed.rs`, `source.rs`, `mirror.rs`, `fence.rs`.
//!
//! All of the core runs on one thread, so nothing here asks for `Send`. Every future may be dropped
//! at any await point; what a dropped future leaves behind is the engine's to bound (see `fence`).

pub mod lanes;
pub mod mysql;
pub mod opening;
pub mod postgres;
pub mod problems;
#[cfg(feature = "sim")]
pub mod sim;

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::{Checkpoint, Key, KeyOrder, LaneNote, Position, Range, Rows, Token};

/// What the feed delivers, in the order of the stream.
#[derive(Debug)]
pub enum Event {
    /// Keys of changed rows, **settled**: every read of the source that begins after this delivery
    /// sees these changes.
    Keys(Vec<Key>),
    /// A mark of this life came out of the stream: everything before it has been delivered. The
    /// stream can be read again from `position` without missing anything that was not delivered yet.
    Mark { token: Token, position: Position },
}

/// The source's change stream.
#[allow(async_fn_in_trait)]
pub trait Feed {
    /// The next event; waits for as long as there is none. Cancel-safe. A reconnect is the feed's own
    /// business and may deliver keys again. An error ends the run: a disturbance of the source
    /// (`Definite`: DDL, TRUNCATE, a statement without rows), a stream that is gone, or a connection
    /// that stayed lost (`Stopped`).
    async fn next(&mut self) -> Result<Event>;
}

/// How the source feels, for the throttle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pressure {
    /// The lag of the slowest watched replica.
    pub replica_lag_ms: Option<u64>,
    /// The server's own gauges by name, as asked for (`Threads_running`).
    pub load: Vec<(String, f64)>,
    /// Why the copy has to hold whatever the limits are, as a verdict says it: `replication slot: …`.
    pub hold: Option<String>,
}

/// How long the cutover may make the application wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the lock to be granted, while the application's new statements queue behind us.
    pub lock_wait: Duration,
    /// From the grant of the lock to the end of the swap; half of it for the drain.
    pub hold: Duration,
}

/// The table that is changed, where it is.
#[allow(async_fn_in_trait)]
pub trait Source {
    type Fence: Fence;

    /// What the order of keys means to the core.
    fn key_order(&self) -> KeyOrder;

    /// Puts a mark into the stream; returns when its commit has returned.
    async fn mark(&self, token: Token) -> Result<()>;

    /// The key that lies `rows` rows after `after`, as the end of the next range; none when fewer
    /// rows are left, and the range is then the last one, open above.
    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>>;

    /// Reads what the throttle watches.
    async fn pressure(&self) -> Result<Pressure>;

    /// What has to be done shortly before the fence, without any lock on the source that the
    /// application would notice: fresh statistics for the shadow, checks that would make the cutover
    /// fail. Repeated before each attempt.
    async fn before_fence(&self) -> Result<()>;

    /// Locks the table: no write of the application can commit from the return on, and all that
    /// committed before are visible. `Transient` when the lock was not to be had in time; then the
    /// application's statements no longer queue behind it. The engine sees to it that the lock is
    /// gone after `patience.hold` whatever happens to the guard.
    async fn fence(&self, patience: Patience) -> Result<Self::Fence>;
}

/// The locked table. Dropping it releases the lock without a swap, if need be by killing its session.
#[allow(async_fn_in_trait)]
pub trait Fence {
    /// Makes the shadow's rows of these keys equal to the source's, on the session that holds the
    /// lock. Called at most once. All keys are deleted before any is inserted, so a unique conflict
    /// here is a true duplicate (`Definite`).
    async fn sync(&mut self, keys: &[Key]) -> Result<()>;

    /// Swaps the tables. `Ok` means swapped. `Transient`: surely not swapped, and the lock is gone.
    /// `Ambiguous`: the catalog could not be asked any more.
    async fn swap(self) -> Result<Swapped>;

    /// Gives the lock back at once, without a swap.
    async fn release(self);
}

/// What is known about a swap that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// From the grant of the lock to its release.
    pub held: Duration,
    /// Where the stream stood at the swap, for a point-in-time restore; in the engine's words.
    pub position: String,
}

/// One of the sessions that write to the target. Two operations never use one lane at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u16);

/// What a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced {
    /// Rows that the set has in the target now.
    pub rows: u64,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// Rows of the source that were compared.
    pub rows: u64,
    /// The keys of the rows in which the two sides differ, or that one side alone has.
    pub differing: Vec<Key>,
    /// There are more of them than were asked for.
    pub more: bool,
}

/// The shadow, kept equal to the source.
#[allow(async_fn_in_trait)]
pub trait Mirror {
    /// Makes the shadow's rows for this set equal to the source's current rows, in one transaction
    /// that also stores `note` as the lane's (with the rows of its newest range filled in), when there
    /// is one. Idempotent. The read of the source begins after the call. `Transient` also when the outcome is unknown: then the engine has made
    /// sure that the earlier attempt can no longer commit before the next one begins.
    async fn sync(&self, lane: Lane, rows: Rows<'_>, note: Option<&LaneNote>) -> Result<Synced>;

    /// Builds one of what is better built once the rows are there (an index). No sync begins meanwhile. True:
    /// there is more to build. May be called again after any end, also in a later life.
    async fn build(&self) -> Result<bool> {
        Ok(false)
    }

    /// Compares the shadow's rows of this set with what a sync would put there now: every column, by
    /// its bytes. Both sides are read after the call and before its return, in one snapshot where the
    /// engine can. Writes nothing to the shadow and locks nothing. Returns at most `most` keys.
    async fn compare(&self, lane: Lane, rows: Rows<'_>, most: usize) -> Result<Compared>;

    /// The rows of these keys as they are on both sides, in words, for the message that names them.
    async fn show(&self, lane: Lane, keys: &[Key]) -> Result<Vec<String>>;

    /// Stores the checkpoint durably.
    async fn store(&self, checkpoint: &Checkpoint) -> Result<()>;
}

/// Two tables that are compared on their own, without a run.
#[allow(async_fn_in_trait)]
pub trait Pair {
    /// As [`Source::next_range`], of the first table.
    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>>;

    /// As [`Mirror::compare`].
    async fn compare(&self, rows: Rows<'_>, most: usize) -> Result<Compared>;

    /// As [`Mirror::show`].
    async fn show(&self, keys: &[Key]) -> Result<Vec<String>>;
}

/// Every possible key.
pub fn whole() -> Range {
    Range { after: None, upto: None }
}

/// A run's error, when the feed or a lane met something that makes going on unsafe.
pub fn disturbed(what: impl Into<String>) -> Error {
    Error::definite(what)
        .table("The table was not swapped and is as the application left it; the copy beside it is incomplete.")
}
