//! What goes wrong, and when: drawn from the seed.
//!
//! Faults end after a while, so that every run can come to its end. A crash is planned as a number of
//! the process's own steps (its await points in the engine), perhaps counted from a certain moment, or as
//! a time; then the step never returns and the world drops the whole run.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::dice::{Dice, Span};
use super::plan::Plan;

/// More steps than this in one run of the world is a loop without end.
const ENDLESS: u64 = 3_000_000;

/// What a call does, as far as its dangers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    Usual,
    Swap,
}

/// Moments of a life at which a crash is worth more than at others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Anew,
    Chunk,
    Batch,
    Store,
    Raise,
    /// Not in `ALL`: worlds that have something to build choose it.
    Build,
    Fence,
    Swap,
}

impl Moment {
    pub const ALL: &[Moment] = &[
        Moment::Anew,
        Moment::Chunk,
        Moment::Chunk,
        Moment::Batch,
        Moment::Store,
        Moment::Raise,
        Moment::Fence,
        Moment::Swap,
    ];
}

pub struct Faults {
    dice: Dice,
    plan: Rc<Plan>,
    until: Instant,
    countdown: Cell<Option<u64>>,
    /// The crash is counted from this moment on, once it was there so often.
    moment: Cell<Option<(Moment, u64)>>,
    steps: Cell<u64>,
    pub crash: Notify,
}

impl Faults {
    pub fn new(plan: Rc<Plan>, dice: Dice) -> Rc<Faults> {
        let until = Instant::now() + plan.faults_for;
        Rc::new(Faults {
            dice,
            plan,
            until,
            countdown: Cell::new(None),
            moment: Cell::new(None),
            steps: Cell::new(0),
            crash: Notify::new(),
        })
    }

    pub fn on(&self) -> bool {
        Instant::now() < self.until
    }

    fn happens(&self, per_mille: u64) -> bool {
        self.on() && self.dice.chance(per_mille)
    }

    /// The process dies after so many more of its steps.
    pub fn crash_after(&self, steps: Option<u64>) {
        self.countdown.set(steps);
        self.moment.set(None);
    }

    /// The process dies a few steps after this moment was there for the n-th time.
    pub fn crash_at(&self, moment: Moment, nth: u64) {
        self.countdown.set(None);
        self.moment.set(Some((moment, nth)));
    }

    pub fn moment(&self, now: Moment) {
        match self.moment.get() {
            Some((moment, nth)) if moment == now && nth <= 1 => {
                let few = if self.dice.chance(500) { Span(0, 3) } else { Span(0, 60) };
                self.crash_after(Some(self.dice.of(few)));
            }
            Some((moment, nth)) if moment == now => self.moment.set(Some((moment, nth - 1))),
            _ => {}
        }
    }

    /// An await point of the process.
    pub async fn step(&self) {
        self.steps.set(self.steps.get() + 1);
        assert!(self.steps.get() < ENDLESS, "a run without end");
        if let Some(left) = self.countdown.get() {
            if left == 0 {
                self.countdown.set(None);
                self.crash.notify_one();
                std::future::pending::<()>().await;
            }
            self.countdown.set(Some(left - 1));
        }
    }

    /// Whether, and after how many milliseconds, a call's connection breaks.
    pub fn cut(&self, risk: Risk) -> Option<u64> {
        let per_mille = match risk {
            Risk::Usual => self.plan.cut_pm,
            Risk::Swap => self.plan.swap_cut_pm,
        };
        self.happens(per_mille).then(|| self.dice.of(self.plan.cut_after))
    }

    pub fn lose_reply(&self) -> bool {
        self.happens(self.plan.reply_pm)
    }

    /// A small refusal that goes away by itself.
    pub fn hiccup(&self) -> bool {
        self.happens(self.plan.hiccup_pm)
    }

    pub fn reconnect(&self) -> bool {
        self.happens(self.plan.reconnect_pm)
    }

    /// The stream's connection is lost and stays lost: the run has to stop.
    pub fn stream_ends(&self) -> bool {
        self.happens(self.plan.stream_end_pm)
    }

    /// Whether, and after how many milliseconds, the session that holds the fence dies.
    pub fn fence_dies(&self) -> Option<u64> {
        self.happens(self.plan.fence_dies_pm).then(|| self.dice.of(self.plan.fence_dies_after))
    }
}
