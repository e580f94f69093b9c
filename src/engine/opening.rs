//! The way into a run and out of it, the same for every engine: look, plan, begin; then tidy up.
//!
//! Each engine's `open.rs` implements these beside the four traits of the run itself, so that a verb is
//! written once and takes the engine as a type.

use std::future::Future;

use super::{Feed, Mirror, Source};
use crate::error::{Error, Kind, Result};
use crate::operate::control::Control;
use crate::pipeline::{Settings, Start};
use crate::plan::Plan;

/// What a look at the table found.
pub enum Look<P: Prepared> {
    Prepared(Box<P>),
    /// An earlier life was cut off between the swap and the tidying.
    SwappedBefore(Box<P::Finish>),
    /// An earlier run has made this change and ended; the table as it was is kept.
    DoneBefore(Box<P::Finish>),
}

/// A change that was looked at: it can run.
#[allow(async_fn_in_trait)]
pub trait Prepared: Sized {
    type Source: Source;
    type Feed: Feed;
    type Mirror: Mirror;
    type Finish: Finish;
    type Lock: Lock;

    /// What the run is going to do, for people.
    fn plan(&self) -> Result<Plan>;

    /// Begins the run, or its next life. Settings that the engine knows better are changed.
    async fn begin(self, settings: &mut Settings) -> Result<Begun<Self>>;
}

/// The parts of a run.
pub struct Begun<P: Prepared> {
    pub source: P::Source,
    pub feed: P::Feed,
    pub mirror: P::Mirror,
    pub start: Start,
    pub finish: P::Finish,
    pub lock: P::Lock,
    /// The server's own estimate.
    pub rows: u64,
    /// Where the stream stood when the run began, in the engine's words.
    pub started_at: String,
}

/// What is left to do after a run.
#[allow(async_fn_in_trait)]
pub trait Finish {
    /// The name that the old table has after the swap.
    fn old_table(&self) -> String;

    /// The statement that drops the old table.
    fn drop_old_statement(&self) -> String;

    /// After the swap: does what is left of it, removes the run's own things, and the old table if asked to. May
    /// be called again.
    async fn swapped(&self, drop_old: bool) -> Result<()>;

    /// Drops the old table of a run that ended before.
    async fn drop_old(&self) -> Result<()>;

    /// Removes everything of a run that was not to be swapped.
    async fn unswapped(&self) -> Result<()>;
}

/// What keeps other runs away from the table.
#[allow(async_fn_in_trait)]
pub trait Lock {
    /// Watches the lock for as long as it's polled; asks the run to stop when it's lost for good.
    async fn watch(&mut self, control: &Control) -> Error;
}

/// Watches the run's lock beside the pipeline.
pub async fn watched<T>(lock: &mut impl Lock, control: &Control, run: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::pin!(run);
    tokio::select! {
        biased;
        result = &mut run => result,
        lost = lock.watch(control) => match run.await {
            Err(error) if error.kind() == Kind::Stopped => Err(lost),
            other => other,
        },
    }
}
