//! One run of the world: the application, the lives of the process, the end, the checks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bugs::Bugs;
use super::dice::{Dice, Span, sleep_ms};
use super::disturb;
use super::faults::{Faults, Moment};
use super::open::{Opened, open};
use super::plan::Plan;
use super::report::Counts;
use super::server::Server;
use super::source::{GAUGE, LOADED};
use super::state;
use super::table::{Name, Row, Write};
use super::trace::Trace;
use super::writer::{Orders, Writer};
use crate::error::{Error, Kind, Result};
use crate::operate::control::Control;
use crate::operate::stats::Stats;
use crate::operate::throttle::{Limit, Settings as ThrottleSettings, Throttle};
use crate::pipeline::{self, Outcome};

/// A run that takes longer in simulated time, or more lives, does not end.
const LONGEST: Duration = Duration::from_secs(900);
const MOST_LIVES: u64 = 80;
/// How long after the last rush hour the application is all but asleep.
const NIGHT: Duration = Duration::from_secs(60);

/// What a run of the world came to.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub counts: Counts,
    /// What was wrong.
    pub failure: Option<String>,
    pub trace: Vec<String>,
}

struct World {
    server: Rc<Server>,
    faults: Rc<Faults>,
    dice: Dice,
    orders: Rc<Orders>,
    began: Instant,
    lives: Cell<u64>,
    /// Those that stood still.
    slept: RefCell<Vec<u64>>,
}

/// A task that ends with whatever it watches.
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The numbers of a life, which are added up however it ends.
struct Tally {
    server: Rc<Server>,
    stats: Stats,
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.server.count(|c| {
            c.overlaps += self.stats.changes_overlapping;
            c.rows_copied += self.stats.rows_copied_now();
        });
    }
}

/// How one life ended.
enum Life {
    Swapped,
    Refused(Error),
    /// Another life is to go on.
    Over,
    Broken(String),
}

/// How the last of them ended.
enum End {
    Swapped,
    /// For good, and for a reason that the plan gave: this life did not swap.
    Refused(u64),
}

/// Runs a world from a plan. To be called inside a `LocalSet` on a paused clock.
pub async fn simulate(plan: Plan, bugs: Bugs, traced: bool) -> Verdict {
    let dice = Dice::new(plan.seed);
    let plan = Rc::new(plan);
    let trace = Trace::new(traced);
    let server = Server::new(plan.clone(), bugs, dice.fork(), trace.clone());
    let faults = Faults::new(plan.clone(), dice.fork());
    let orders = Rc::new(Orders::default());
    let began = Instant::now();
    let world = Rc::new(World {
        server: server.clone(),
        faults,
        dice: dice.fork(),
        orders,
        began,
        lives: Cell::new(1),
        slept: RefCell::default(),
    });
    trace.say(|| format!("{plan:?}"));
    world.fill();
    let writers: Vec<JoinHandle<()>> = (0..plan.writers).map(|_| world.hire(dice.fork())).collect();
    world.calm_down();
    disturb::begin(&server, &dice.fork());
    let run = tokio::time::timeout(LONGEST, world.lives()).await;
    let failure = match run {
        Err(_) => Some("the run did not come to an end".to_owned()),
        Ok(Err(failure)) => Some(failure),
        Ok(Ok(end)) => world.end(end, writers).await.err(),
    };
    // A violation is the root of what else went wrong.
    let failure = failure.map(|failure| server.violation().unwrap_or(failure));
    let mut counts = server.counts();
    counts.runs = 1;
    counts.collated = u64::from(plan.order == crate::model::KeyOrder::Unknown);
    counts.simulated_ms = world.began.elapsed().as_millis() as u64;
    Verdict { counts, failure, trace: trace.lines() }
}

impl World {
    fn fill(&self) {
        let plan = &self.server.plan;
        let Some(table) = self.server.catalog.borrow().named(Name::Original) else { return };
        let mut writes = Vec::new();
        for id in 0..plan.room.saturating_sub(3) {
            if self.dice.below(u64::from(plan.room)) < u64::from(plan.rows) {
                let unique = if plan.unique { self.server.next_value() as u32 } else { 0 };
                let row = Row { value: self.server.next_value(), unique, spelling: 0, unfit: false };
                writes.push(Write { table, id, row: Some(row) });
            }
        }
        self.server.catalog.borrow_mut().apply(&writes);
        self.server.ledger.borrow_mut().committed(0, &writes);
    }

    fn hire(&self, dice: Dice) -> JoinHandle<()> {
        let writer = Writer { server: self.server.clone(), dice, orders: self.orders.clone(), queued: Cell::new(None) };
        tokio::task::spawn_local(writer.run())
    }

    /// Every rush hour ends, so every run can. Late at night next to nothing changes: a world whose keys are
    /// synced one by one, in tens of milliseconds, would else never get to the end of its stream.
    fn calm_down(&self) {
        let (orders, after) = (self.orders.clone(), self.server.plan.rush);
        tokio::task::spawn_local(async move {
            for slower in [4, 20, 100, 1000] {
                tokio::time::sleep(after).await;
                orders.slower.set(slower);
            }
            tokio::time::sleep(NIGHT).await;
            orders.slower.set(20_000);
        });
    }

    /// Lives follow one another until the tables are swapped, or can't be.
    async fn lives(self: &Rc<Self>) -> Result<End, String> {
        sleep_ms(self.dice.skewed(Span(1, 60))).await;
        let mut early = self.server.plan.crashes;
        for _ in 0..MOST_LIVES {
            self.server.count(|c| c.lives += 1);
            let number = self.lives.replace(self.lives.get() + 1);
            match self.life(number, &mut early).await {
                Life::Swapped => return Ok(End::Swapped),
                Life::Broken(failure) => return Err(failure),
                Life::Over => {
                    self.dice.pause(Span(0, 30)).await;
                    if self.faults.on() && self.dice.chance(self.server.plan.cleanup_pm) {
                        state::clean_up(&self.server).await;
                    }
                }
                Life::Refused(_) if self.sleeper_swapped(number) => return Ok(End::Swapped),
                Life::Refused(error) if disturb::explains(&self.server, &error) => return Ok(End::Refused(number)),
                Life::Refused(error) => return Err(format!("the run was refused: {error}")),
            }
            if let Some(violation) = self.server.violation() {
                return Err(violation);
            }
        }
        Err("the run took too many lives".into())
    }

    /// One life of the process, which may end early.
    async fn life(self: &Rc<Self>, number: u64, early: &mut u64) -> Life {
        let plan = &self.server.plan;
        let mut timed = None;
        let mut stop = None;
        self.faults.crash_after(None);
        if *early > 0 && self.faults.on() {
            *early -= 1;
            if self.dice.chance(plan.stop_pm) {
                stop = Some(self.dice.skewed(Span(1, 600)));
            } else if self.dice.chance(plan.moment_pm) {
                let moment = plan.moment.unwrap_or_else(|| self.dice.pick(Moment::ALL));
                let many = match moment {
                    Moment::Anew | Moment::Fence => 1,
                    Moment::Swap => 2,
                    _ => 12,
                };
                self.faults.crash_at(moment, self.dice.skewed(Span(1, many)));
            } else if self.dice.chance(300) {
                timed = Some(self.dice.skewed(Span(1, 600)));
            } else {
                self.faults.crash_after(Some(self.dice.skewed(Span(1, 3000))));
            }
        }
        let control = Control::new(None);
        let stopping = async {
            if let Some(ms) = stop {
                sleep_ms(ms).await;
                self.server.count(|c| c.stops += 1);
                control.ask_to_stop();
            }
            std::future::pending::<()>().await
        };
        let dying = async {
            match timed {
                Some(ms) => sleep_ms(ms).await,
                None => self.faults.crash.notified().await,
            }
        };
        let mut work: LocalBoxFuture<'static, Life> = Box::pin(self.clone().work(number, control.clone()));
        tokio::select! {
            biased;
            () = dying => {
                self.server.count(|c| c.crashes += 1);
                self.server.trace.say(|| "CRASH".to_owned());
                if self.dice.chance(plan.freeze_pm) {
                    self.freeze(number, work);
                }
                Life::Over
            }
            () = stopping => Life::Over,
            ended = &mut work => ended,
        }
    }

    /// The process did not die, it only stood still; it wakes while its successor is at work, and goes on
    /// for a while until it notices.
    fn freeze(&self, number: u64, work: LocalBoxFuture<'static, Life>) {
        let (server, dice) = (self.server.clone(), self.dice.fork());
        server.count(|c| c.frozen += 1);
        self.slept.borrow_mut().push(number);
        tokio::task::spawn_local(async move {
            dice.pause(Span(5, 200)).await;
            server.trace.say(|| "a frozen process wakes".to_owned());
            let _ = tokio::time::timeout(Duration::from_millis(dice.of(Span(1, 400))), work).await;
        });
    }

    /// A process that stood still goes on with the run when it wakes, while its successor is at work or after
    /// that has failed for good. It has the same request and resumes what it finds; when by then nothing is in
    /// the way any more (the row that did not fit is gone) it rightly swaps. A life that failed has not.
    fn sleeper_swapped(&self, failed: u64) -> bool {
        let by = self.server.swapped_by.get();
        by.is_some_and(|life| life != failed && self.slept.borrow().contains(&life))
    }

    async fn work(self: Rc<Self>, number: u64, control: Control) -> Life {
        let mut stats = Tally { server: self.server.clone(), stats: Stats::new() };
        let ended = self.run(number, &control, &mut stats.stats).await;
        self.server.trace.say(|| format!("life {number} ended: {ended:?}"));
        match ended {
            Ok(Some(Outcome::Swapped(_)) | None) => Life::Swapped,
            Ok(Some(Outcome::Ready)) => Life::Broken("ready, without having been asked to wait".into()),
            Err(error) => match error.kind() {
                Kind::Transient | Kind::Stopped | Kind::Ambiguous => Life::Over,
                _ => Life::Refused(error),
            },
        }
    }

    async fn run(&self, number: u64, control: &Control, stats: &mut Stats) -> Result<Option<Outcome>> {
        let Some(Opened { source, feed, mirror, start }) = open(&self.server, &self.faults, number).await? else {
            return Ok(None);
        };
        let max_load = vec![Limit { name: GAUGE.to_owned(), at: LOADED }];
        let max_load = if self.server.plan.loaded_pm > 0 { max_load } else { Vec::new() };
        let mut throttle = Throttle::new(ThrottleSettings { max_load, ..ThrottleSettings::default() });
        let _watch = self.watch_pending(stats);
        let settings = &self.server.plan.settings;
        pipeline::run(&source, feed, &mirror, start, settings, control, &mut throttle, stats).await.map(Some)
    }

    /// What waits in the books stays below its limit, but for the delivery that reached it.
    fn watch_pending(&self, stats: &Stats) -> Watch {
        let mut snapshots = stats.watch();
        let server = self.server.clone();
        Watch(tokio::task::spawn_local(async move {
            let plan = &server.plan;
            let cost = if plan.order == crate::model::KeyOrder::Unknown { 141 } else { 140 };
            let limit = plan.settings.pending_limit_bytes as u64 / cost;
            while snapshots.changed().await.is_ok() {
                let pending = snapshots.borrow_and_update().pending_keys;
                if pending >= limit {
                    server.count(|c| c.pending_at_limit += 1);
                }
                if pending >= limit + server.largest_delivery.get().max(1) {
                    server.violated(format!("{pending} keys are pending, the limit is {limit}"));
                }
            }
        }))
    }

    /// The application goes on for a while on whatever table it has, and ends; then all is compared.
    async fn end(&self, end: End, writers: Vec<JoinHandle<()>>) -> Result<(), String> {
        self.orders.slower.set(1);
        self.dice.pause(Span(1, 60)).await;
        self.orders.stop.set(true);
        for writer in writers {
            let ended = tokio::time::timeout(Duration::from_secs(60), writer).await;
            ended.map_err(|_| "a writer waits for ever")?.map_err(|e| format!("a writer failed: {e}"))?;
        }
        // Whatever is still under way on the server (zombies, sessions that nobody has noticed) ends.
        sleep_ms(10_000).await;
        let swapped = match end {
            End::Swapped => true,
            End::Refused(number) => self.sleeper_swapped(number),
        };
        self.server.count(|c| {
            c.swapped += u64::from(swapped);
            c.refused += u64::from(!swapped);
        });
        self.server.check_end(swapped)
    }
}
