//! The cutover, step by step, and why it loses nothing (I5).
//!
//! prepare ► quiet ► lock ► drain ► final sync and swap. *Quiet*: no chunk or batch is in flight, so
//! the lock doesn't wait for osc itself, and no earlier sync can write after the final one. *Lock*: from
//! the grant on no write of the application can commit, and all that did are visible. *Drain*: a mark
//! is **sent after the grant**; when it comes out of the stream every change that committed before the
//! grant has been delivered, so `pending` holds every key that may differ. *Final sync*: all of them, on
//! the session that holds the lock. *Swap*: consumes the fence; a fence that was lost can't swap.
//! Any step that takes too long gives the lock back, and the run goes on applying until the next
//! attempt, whose pause grows and has jitter so that it doesn't meet the same traffic pattern again.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::pending::Batch;
use super::planted::Planted;
use super::run::{Done, Run};
use super::settings::Settings;
use crate::engine::{Fence, Mirror, Source, Swapped};
use crate::error::{Error, Kind, Result};
use crate::model::Token;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

enum State<F> {
    Idle,
    /// Statistics and checks, while applies go on.
    Preparing,
    /// No new chunk or batch; waiting for those in flight.
    Quiet {
        since: Instant,
    },
    Locking,
    Draining {
        fence: F,
        mark: Token,
        since: Instant,
    },
    Swapping,
    Releasing,
}

/// Where the cutover is.
pub struct Cutover<F> {
    state: State<F>,
    not_before: Instant,
    attempts: u32,
    /// The run is winding down: a fence that comes is given back.
    given_up: bool,
}

/// What the phase does.
pub(super) enum Step {
    Stay,
    /// Back to waiting for a good moment.
    Back,
}

impl<F> Cutover<F> {
    pub fn idle(now: Instant) -> Self {
        Cutover { state: State::Idle, not_before: now, attempts: 0, given_up: false }
    }

    pub fn due(&self, now: Instant) -> bool {
        now >= self.not_before && !self.given_up
    }

    /// No chunk or batch may begin.
    pub fn quiet(&self) -> bool {
        !matches!(self.state, State::Idle | State::Preparing)
    }

    /// A lock is held or asked for.
    pub fn busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Preparing | State::Quiet { .. })
    }

    /// The swap is under way: nothing may interrupt it.
    pub fn swapping(&self) -> bool {
        matches!(self.state, State::Swapping)
    }

    pub fn give_up(&mut self) {
        self.given_up = true;
        if matches!(self.state, State::Quiet { .. } | State::Preparing) {
            self.state = State::Idle;
        }
    }

    pub fn take_fence(&mut self) -> Option<F> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Draining { fence, .. } => Some(fence),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The lock is gone; the next attempt waits for longer than this one did.
    pub fn released(&mut self, now: Instant, settings: &Settings) {
        self.state = State::Idle;
        let grown = settings.cutover_pause.saturating_mul(1 << self.attempts.min(6)).min(LONGEST_PAUSE);
        let mut jitter = SmallRng::seed_from_u64(settings.seed ^ u64::from(self.attempts));
        self.not_before = now + grown.mul_f64(jitter.random_range(0.5..1.5));
    }
}

impl<'a, S: Source, M: Mirror> Run<'a, S, M> {
    pub(super) fn begin_prepare(&mut self) {
        self.cutover.state = State::Preparing;
        let source = self.source;
        self.operations.push(Box::pin(async move { Done::Prepared(source.before_fence().await) }));
    }

    pub(super) fn prepared(&mut self, result: Result<()>) -> Result<()> {
        let now = Instant::now();
        match result {
            Ok(()) if matches!(self.cutover.state, State::Preparing) => {
                self.cutover.state = State::Quiet { since: now }
            }
            Ok(()) => {}
            Err(error) => self.attempt_failed(error, now)?,
        }
        Ok(())
    }

    /// One look at where the cutover is; begins what comes next.
    pub(super) fn cutover_step(&mut self, now: Instant, caught_up: bool) -> Result<Step> {
        match std::mem::replace(&mut self.cutover.state, State::Idle) {
            State::Idle => return Ok(Step::Back),
            State::Quiet { since } if now - since > self.settings.patience.hold || !caught_up => {
                // A chunk that waits for a lock, or a stream that fell behind: not a good moment.
                self.cutover.released(now, self.settings);
                return Ok(Step::Back);
            }
            State::Quiet { .. } if self.syncs == 0 || self.settings.planted.is(Planted::NotQuiet) => self.begin_lock(),
            State::Draining { fence, mark, since } => self.drain(fence, mark, since, now),
            other => self.cutover.state = other,
        }
        Ok(Step::Stay)
    }

    fn begin_lock(&mut self) {
        self.cutover.state = State::Locking;
        self.cutover.attempts += 1;
        self.stats.cutover_attempts = self.cutover.attempts.into();
        let (source, patience) = (self.source, self.settings.patience);
        self.operations.push(Box::pin(async move { Done::Fenced(source.fence(patience).await) }));
    }

    pub(super) fn fenced(&mut self, result: Result<S::Fence>, now: Instant) -> Result<()> {
        match result {
            Ok(fence) if self.cutover.given_up => self.release(fence),
            Ok(fence) => {
                let mark = match self.settings.planted {
                    planted if planted.is(Planted::DrainByOldMark) => self.marks.last_sent(),
                    _ => self.marks.hurry(now),
                };
                self.cutover.state = State::Draining { fence, mark, since: now };
            }
            Err(error) => self.attempt_failed(error, now)?,
        }
        Ok(())
    }

    fn drain(&mut self, fence: S::Fence, mark: Token, since: Instant, now: Instant) {
        // The other half is for the final sync and the swap: a drain that takes longer would hold the application up for nothing.
        if self.cutover.given_up || now - since > self.settings.patience.hold / 2 {
            tracing::info!("the stream was not drained in time; the lock is given back");
            return self.release(fence);
        }
        if !self.marks.passed(mark) && !self.settings.planted.is(Planted::SkipDrain) {
            self.cutover.state = State::Draining { fence, mark, since };
            return;
        }
        self.cutover.state = State::Swapping;
        let batch = self.pending.take_all();
        let skip = self.settings.planted.is(Planted::SkipFinalSync);
        self.operations.push(Box::pin(async move {
            let mut fence = fence;
            let result = match fence.sync(if skip { &[] } else { &batch.keys }).await {
                Ok(()) => fence.swap().await,
                Err(error) => {
                    fence.release().await;
                    Err(error)
                }
            };
            Done::Swapped { batch, result }
        }));
    }

    pub(super) fn release(&mut self, fence: S::Fence) {
        self.cutover.state = State::Releasing;
        self.operations.push(Box::pin(async move {
            fence.release().await;
            Done::Released
        }));
    }

    pub(super) fn swap_ended(
        &mut self,
        batch: Batch,
        result: Result<Swapped>,
        now: Instant,
    ) -> Result<Option<Swapped>> {
        match result {
            Ok(swapped) => {
                self.pending.finish(&batch);
                self.stats.lock_held(swapped.held);
                Ok(Some(swapped))
            }
            Err(error) => {
                match self.settings.planted {
                    planted if planted.is(Planted::ForgetAfterFailedSwap) => self.pending.finish(&batch),
                    _ => self.pending.put_back(batch),
                }
                self.attempt_failed(error, now)?;
                Ok(None)
            }
        }
    }

    /// A transient failure waits for the next attempt; any other ends the run, and so does one too many.
    fn attempt_failed(&mut self, error: Error, now: Instant) -> Result<()> {
        if !error.kind().retry() {
            return Err(error);
        }
        tracing::info!(%error, attempt = self.cutover.attempts, "the cutover did not succeed this time");
        if self.cutover.attempts >= self.settings.cutover_attempts {
            return Err(error.with_kind(Kind::Stopped).context("The cutover was given up for now"));
        }
        self.cutover.released(now, self.settings);
        Ok(())
    }
}
