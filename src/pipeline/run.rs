//! The loop of a run.
//!
//! One loop owns all state. It starts operations (a chunk, a batch of keys, a mark, a stored
//! checkpoint), each a future that owns what it needs, and takes three kinds of news: an operation
//! ended, the feed delivered, the clock ticked. After each it asks every part whether something may
//! begin ([`Run::schedule`]). There are no locks and no shared state, so what may run at the same time
//! is decided in one place.
//!
//! Backpressure: when the pending keys reach their limit the feed isn't polled and no range begins;
//! the stream keeps its place on the server, and the applies in flight make room.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};

use super::copy::{Copy, Job};
use super::cutover::{Cutover, Step};
use super::marks::Marks;
use super::pace::Pace;
use super::pending::{Batch, Pending};
use super::places::Places;
use super::planted::Planted;
use super::retry::retrying;
use super::settings::Settings;
use super::verify::{Look, Verify};
use crate::engine::{Compared, Event, Feed, Fence, Lane, Mirror, Pressure, Source, Swapped, Synced};
use crate::error::{Error, Result};
use crate::model::{Checkpoint, Key, KeyOrder, Phase, Position, Rows, Token};
use crate::operate::control::Control;
use crate::operate::stats::Stats;
use crate::operate::throttle::{Throttle, Verdict};

/// How often the parts are asked even if nothing happened: flag files, due times.
const TICK: Duration = Duration::from_millis(20);

/// Where a run begins.
#[derive(Debug)]
pub struct Start {
    /// Where the feed begins to read.
    pub position: Position,
    /// What an earlier life of this run stored; none: a new run.
    pub resume: Option<Checkpoint>,
}

/// How a run ended, when it ended well.
#[derive(Debug)]
pub enum Outcome {
    /// The tables are swapped.
    Swapped(Swapped),
    /// Everything but the swap was done, as asked for.
    Ready,
}

/// What ended.
pub(super) enum Done<F> {
    Found(Result<Option<Key>>),
    Chunk {
        job: Job,
        id: u64,
        took: Duration,
        result: Result<Synced>,
    },
    Batch {
        batch: Batch,
        lane: Lane,
        result: Result<Synced>,
    },
    Mark {
        took: Duration,
        result: Result<()>,
    },
    Stored {
        passed: u64,
        result: Result<()>,
    },
    Pressure(Result<Pressure>),
    Built(Result<bool>),
    /// The end of a range to compare.
    Bound(Result<Option<Key>>),
    Looked {
        lane: Lane,
        look: Look,
        took: Duration,
        result: Result<Compared>,
    },
    Shown(Result<Vec<String>>),
    Prepared(Result<()>),
    Fenced(Result<F>),
    Swapped {
        batch: Batch,
        result: Result<Swapped>,
    },
    Released,
}

pub(super) type Operations<'a, F> = FuturesUnordered<LocalBoxFuture<'a, Done<F>>>;

pub(super) struct Run<'a, S: Source, M: Mirror> {
    pub(super) source: &'a S,
    pub(super) mirror: &'a M,
    pub(super) settings: &'a Settings,
    pub(super) control: &'a Control,
    pub(super) throttle: &'a mut Throttle,
    pub(super) stats: &'a mut Stats,
    pub(super) operations: Operations<'a, S::Fence>,
    pub(super) phase: Phase,
    pub(super) pending: Pending,
    copy: Copy,
    pub(super) verify: Verify,
    places: Places,
    pace: Pace,
    pub(super) marks: Marks,
    pub(super) cutover: Cutover<S::Fence>,
    idle_appliers: Vec<Lane>,
    /// Chunks and batches in flight.
    pub(super) syncs: usize,
    /// The mirror builds something, and no sync may begin.
    building: bool,
    storing: bool,
    store_due: Instant,
    pressing: bool,
    pressure_due: Instant,
    /// As long as nothing was copied nothing is read before a first mark came back: a change that was
    /// committed but not yet visible when the stream began would be in neither. A run of which something
    /// is copied has met its first mark in an earlier life.
    gate: bool,
    pub(super) held: Option<String>,
    /// What holds the copy alone, and of the comparison or the indexes what it says so of: keys that changed are synced.
    pub(super) paced: Option<String>,
    before: Checkpoint,
    changes: u64,
    keys_synced: u64,
    pub(super) retried: Rc<Cell<u64>>,
    outcome: Option<Outcome>,
    wound_down: bool,
    seeds: u64,
}

/// Runs the pipeline from `start` to the swap.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a run are what its caller has; a struct would only rename them"
)]
pub async fn run<S: Source, F: Feed, M: Mirror>(
    source: &S,
    mut feed: F,
    mirror: &M,
    start: Start,
    settings: &Settings,
    control: &Control,
    throttle: &mut Throttle,
    stats: &mut Stats,
) -> Result<Outcome> {
    let before = start.resume.unwrap_or_else(|| Checkpoint::new(start.position));
    let gate = before.frontier.is_none() && !before.copied && !settings.planted.is(Planted::NoGate);
    let now = Instant::now();
    let mut run = Run {
        source,
        mirror,
        settings,
        control,
        throttle,
        stats,
        operations: FuturesUnordered::new(),
        phase: Phase::Copy,
        pending: Pending::new(source.key_order(), before.frontier.clone(), before.copied).with(settings.planted),
        copy: Copy::new(&before, settings),
        verify: Verify::new(settings),
        places: Places::new(before.position.clone()),
        pace: Pace::new(settings.commit_limit, now),
        marks: Marks::new(settings.mark_every),
        cutover: Cutover::idle(now),
        idle_appliers: (0..settings.appliers).rev().map(|n| Lane(settings.copiers + n)).collect(),
        syncs: 0,
        building: false,
        storing: false,
        store_due: now,
        pressing: false,
        pressure_due: now,
        gate,
        held: None,
        paced: None,
        before,
        changes: 0,
        keys_synced: 0,
        retried: Rc::new(Cell::new(0)),
        outcome: None,
        wound_down: false,
        seeds: settings.seed,
    };
    let result = run.main(&mut feed).await;
    run.report();
    result
}

impl<'a, S: Source, M: Mirror> Run<'a, S, M> {
    async fn main(&mut self, feed: &mut impl Feed) -> Result<Outcome> {
        // Before anything is copied there is something to resume from.
        let first = self.checkpoint();
        retrying(self.settings.retries, self.seed(), &self.retried.clone(), || self.mirror.store(&first)).await?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.schedule()?;
            if let Some(outcome) = self.outcome.take() {
                return Ok(outcome);
            }
            if self.wound_down || self.control.stop_now() && !self.cutover.swapping() {
                return self.stopped().await;
            }
            tokio::select! {
                biased;
                Some(done) = self.operations.next(), if !self.operations.is_empty() => self.ended(done)?,
                event = feed.next(), if self.has_room() => match event {
                    Ok(event) => self.delivered(event),
                    Err(error) => return self.failed(error).await,
                },
                _ = ticks.tick() => self.report(),
            }
        }
    }

    /// While the swap is under way its outcome comes first: the feed may then fail as it likes.
    fn has_room(&self) -> bool {
        let full = self.pending.cost_bytes() >= self.settings.pending_limit_bytes;
        !self.cutover.swapping() && (!full || self.settings.planted.is(Planted::NoLimit))
    }

    fn delivered(&mut self, event: Event) {
        match event {
            Event::Keys(keys) => {
                self.changes += keys.len() as u64;
                let mut overlaps = 0;
                for key in keys {
                    self.verify.suspects.delivered(&key);
                    overlaps += u64::from(self.pending.deliver(key));
                }
                self.stats.changes_overlapping += overlaps;
            }
            Event::Mark { token, position } => {
                self.marks.came(token, Instant::now());
                let seq = self.pending.tick();
                self.places.pass(seq, position);
                self.gate = false;
            }
        }
    }

    fn ended(&mut self, done: Done<S::Fence>) -> Result<()> {
        let now = Instant::now();
        match done {
            Done::Found(result) => self.copy.found(result?),
            Done::Chunk { job, id, took, result } => {
                let rows = result?.rows;
                self.syncs -= 1;
                self.pace.chunk(took, self.settings.copiers, now);
                self.copy.aim(self.pace.part());
                self.copy.committed(job, rows, took);
                self.pending.finish_range(id);
                self.stats.chunk(rows, took);
            }
            Done::Batch { batch, lane, result } => {
                result?;
                self.syncs -= 1;
                self.keys_synced += batch.keys.len() as u64;
                self.pending.finish(&batch);
                self.idle_appliers.push(lane);
            }
            Done::Mark { took, result } => {
                self.marks.returned(now);
                match result {
                    Ok(()) => {
                        if self.copy.in_flight() > 0 {
                            self.pace.busy(now);
                        }
                        self.pace.returned(took, now);
                        self.stats.mark_commit(took);
                    }
                    Err(error) if error.kind().retry() => tracing::debug!(%error, "a mark failed"),
                    Err(error) => return Err(error),
                }
            }
            Done::Stored { passed, result } => {
                result?;
                self.storing = false;
                self.store_due = now + self.settings.store_every;
                self.copy.stored(passed);
            }
            Done::Pressure(result) => {
                self.pressing = false;
                self.pressure_due = now + self.settings.pressure_every;
                match result {
                    Ok(pressure) => self.throttle.observe(pressure),
                    Err(error) if error.kind().retry() => tracing::warn!(%error, "the load could not be read"),
                    Err(error) => return Err(error),
                }
            }
            Done::Built(result) => {
                self.building = false;
                if !result? || self.settings.planted.is(Planted::BuildOnce) {
                    self.become_(Phase::CatchUp);
                }
            }
            Done::Bound(result) => self.verify.found(result?),
            Done::Looked { lane, look, took, result } => self.looked(lane, look, took, result?)?,
            Done::Shown(result) => return Err(self.different(result)),
            Done::Prepared(result) => self.prepared(result)?,
            Done::Fenced(result) => self.fenced(result, now)?,
            Done::Swapped { batch, result } => {
                if let Some(swapped) = self.swap_ended(batch, result, now)? {
                    self.become_(Phase::Swapped);
                    self.outcome = Some(Outcome::Swapped(swapped));
                }
            }
            Done::Released => self.cutover.released(now, self.settings),
        }
        Ok(())
    }

    /// Begins everything that may begin now.
    fn schedule(&mut self) -> Result<()> {
        let now = Instant::now();
        if let Some(token) = self.marks.send(now) {
            self.begin_mark(token);
        }
        self.begin_pressure(now);
        let copy_held;
        (self.held, copy_held) = match self.throttle.verdict() {
            Verdict::Go => (None, None),
            Verdict::Hold(reason) => (Some(reason), None),
            Verdict::HoldCopy(reason) => (None, Some(reason)),
            Verdict::Abort(reason) if self.cutover.swapping() => (Some(reason), None),
            Verdict::Abort(reason) => return Err(Error::aborted(reason)),
        };
        if self.control.stop_requested() && !self.cutover.swapping() {
            self.wind_down();
            return Ok(());
        }
        let paced = self.pace.holds(self.marks.waiting(now), now);
        self.paced = match self.phase {
            Phase::Copy => copy_held.or(paced),
            Phase::Index => copy_held,
            Phase::Verify => paced,
            _ => None,
        };
        if self.held.is_none() && !self.building && !self.cutover.quiet() {
            self.begin_batches();
            self.begin_ranges();
        }
        if now >= self.store_due && !self.storing && !self.cutover.busy() {
            self.begin_store();
        }
        self.advance(now)
    }

    /// Moves on from phase to phase.
    fn advance(&mut self, now: Instant) -> Result<()> {
        if self.phase == Phase::Copy && self.copy.copied() {
            self.become_(Phase::Index);
        }
        // A mark may come out of the stream while its commit waits for a standby: no other can be sent then, and a lock would be
        // held in vain for as long as it may be (seen).
        let late = self.marks.lag(now).max(self.marks.waiting(now));
        let caught_up = self.pending.len() <= self.settings.ready_keys && late <= self.settings.calm;
        if self.phase == Phase::Index
            && !self.building
            && self.held.is_none()
            && self.paced.is_none()
            && self.pending.len() <= self.settings.ready_keys
        {
            self.begin_build();
        }
        if self.phase == Phase::CatchUp && caught_up && self.marks.any_passed() {
            self.become_(if self.settings.verify { Phase::Verify } else { Phase::Ready });
        }
        if self.phase == Phase::Verify && self.verify_step(now) {
            self.become_(Phase::Ready);
        }
        if self.phase == Phase::Ready && self.settings.no_cutover {
            self.outcome = Some(Outcome::Ready);
            return Ok(());
        }
        let go = caught_up && self.held.is_none() && !self.control.postponed();
        if self.phase == Phase::Ready && go && self.cutover.due(now) {
            self.become_(Phase::Cutover);
            self.begin_prepare();
        }
        if self.phase == Phase::Cutover {
            match self.cutover_step(now, caught_up)? {
                Step::Stay => {}
                Step::Back => self.become_(Phase::Ready),
            }
        }
        Ok(())
    }

    fn become_(&mut self, next: Phase) {
        debug_assert!(self.phase.may_become(next), "{:?} may not become {next:?}", self.phase);
        tracing::info!(from = self.phase.name(), to = next.name(), "phase");
        self.phase = next;
        self.stats.enter(next);
    }

    fn begin_mark(&mut self, token: Token) {
        let source = self.source;
        self.operations.push(Box::pin(async move {
            let began = Instant::now();
            let result = source.mark(token).await;
            Done::Mark { took: began.elapsed(), result }
        }));
    }

    fn begin_pressure(&mut self, now: Instant) {
        if self.pressing || now < self.pressure_due || !self.throttle.wants_pressure() {
            return;
        }
        self.pressing = true;
        let source = self.source;
        self.operations.push(Box::pin(async move { Done::Pressure(source.pressure().await) }));
    }

    fn begin_batches(&mut self) {
        while !self.idle_appliers.is_empty() {
            let Some(batch) = self.pending.take(self.settings.batch_keys, self.settings.batch_bytes) else { return };
            let Some(lane) = self.idle_appliers.pop() else { return };
            self.syncs += 1;
            let (mirror, retries, seed, retried) =
                (self.mirror, self.settings.retries, self.seed(), self.retried.clone());
            self.operations.push(Box::pin(async move {
                let result =
                    retrying(retries, seed, &retried, || mirror.sync(lane, Rows::Keys(&batch.keys), None)).await;
                Done::Batch { batch, lane, result }
            }));
        }
    }

    fn begin_ranges(&mut self) {
        let full = self.pending.cost_bytes() >= self.settings.pending_limit_bytes;
        if self.gate || full || self.breathe() || self.paced.is_some() {
            return;
        }
        while let Some(job) = self.copy.begin() {
            // The number is taken before the read begins: what is delivered from now on is held.
            let id = self.pending.start_range(job.range.clone());
            self.syncs += 1;
            let (mirror, retries, seed, retried) =
                (self.mirror, self.settings.retries, self.seed(), self.retried.clone());
            self.operations.push(Box::pin(async move {
                let began = Instant::now();
                let sync = || mirror.sync(job.lane, Rows::Range(&job.range), Some(&job.note));
                let result = retrying(retries, seed, &retried, sync).await;
                Done::Chunk { job, id, took: began.elapsed(), result }
            }));
        }
        if let Some((after, rows)) = self.copy.look() {
            let (source, retries, seed, retried) =
                (self.source, self.settings.retries, self.seed(), self.retried.clone());
            self.operations.push(Box::pin(async move {
                Done::Found(retrying(retries, seed, &retried, || source.next_range(after.as_ref(), rows)).await)
            }));
        }
    }

    /// Syncs that are in flight just make it wait for a lock on the target.
    fn begin_build(&mut self) {
        self.building = true;
        let (mirror, retries, seed, retried) = (self.mirror, self.settings.retries, self.seed(), self.retried.clone());
        self.operations
            .push(Box::pin(async move { Done::Built(retrying(retries, seed, &retried, || mirror.build()).await) }));
    }

    /// Where keys can't be compared, a key that changes all the time is never older than the oldest
    /// range in flight while ranges follow one another. The copy then pauses until it was synced.
    fn breathe(&self) -> bool {
        self.source.key_order() == KeyOrder::Unknown && self.pending.starved()
    }

    fn begin_store(&mut self) {
        self.storing = true;
        let checkpoint = self.checkpoint();
        let passed = self.copy.passed();
        if self.settings.planted.is(Planted::NotesForgetEarly) {
            self.copy.stored(passed);
        }
        let (mirror, retries, seed, retried) = (self.mirror, self.settings.retries, self.seed(), self.retried.clone());
        self.operations.push(Box::pin(async move {
            let result = retrying(retries, seed, &retried, || mirror.store(&checkpoint)).await;
            Done::Stored { passed, result }
        }));
    }

    fn checkpoint(&mut self) -> Checkpoint {
        let oldest = self.pending.oldest();
        Checkpoint {
            phase: self.phase,
            position: self.places.safe(oldest).clone(),
            frontier: self.copy.frontier().cloned(),
            copied: self.copy.copied(),
            rows_copied: self.copy.rows_copied,
            keys_synced: self.before.keys_synced + self.keys_synced,
            changes_seen: self.before.changes_seen + self.changes,
            ..self.before.clone()
        }
    }

    /// A stop was asked for: begins nothing, and ends once the chunks in flight are committed.
    fn wind_down(&mut self) {
        self.cutover.give_up();
        if let Some(fence) = self.cutover.take_fence() {
            self.release(fence);
        }
        self.wound_down = self.syncs == 0 && !self.storing && !self.cutover.busy();
    }

    /// Stores the place and ends.
    async fn stopped(&mut self) -> Result<Outcome> {
        if self.syncs == 0 {
            let checkpoint = self.checkpoint();
            retrying(3, self.seed(), &self.retried.clone(), || self.mirror.store(&checkpoint)).await?;
        }
        Err(Error::stopped("The run was stopped as asked for; its place is stored.")
            .table("The table is unchanged; the shadow table and the run's state are kept.")
            .todo("Run the same command again to go on, or `osc cleanup` to remove what is left."))
    }

    /// The feed failed. A fence that is held is given back first.
    async fn failed(&mut self, error: Error) -> Result<Outcome> {
        if let Some(fence) = self.cutover.take_fence() {
            fence.release().await;
        }
        Err(error)
    }

    pub(super) fn seed(&mut self) -> u64 {
        self.seeds = self.seeds.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.seeds
    }

    fn report(&mut self) {
        let now = Instant::now();
        self.stats.verified = self.verify.verified();
        self.stats.rows_copied = self.copy.rows_copied;
        self.stats.keys_synced = self.before.keys_synced + self.keys_synced;
        self.stats.changes_seen = self.before.changes_seen + self.changes;
        self.stats.retries = self.retried.get();
        self.stats.pending_keys = self.pending.len() as u64;
        self.stats.chunk_rows = self.copy.chunk_rows();
        self.stats.lag(self.marks.lag(now));
        let reason = self.held.clone().or_else(|| self.paced.clone()).or_else(|| self.waiting_for());
        self.stats.hold(reason);
        self.stats.publish();
    }

    /// What a run that is ready waits for.
    fn waiting_for(&self) -> Option<String> {
        (self.phase == Phase::Ready && self.control.postponed()).then(|| "the postpone flag file exists".to_owned())
    }
}
