//! What kind of world a seed makes: sizes, paces, features, faults, the core's settings.
//!
//! Features are switched on and off by the seed instead of being a little on in every run, so that
//! some runs have nothing but, say, two-phase transactions and crashes.

use std::time::Duration;

use super::dice::{Dice, Span};
use super::faults::Moment;
use super::focus::Focus;
use crate::engine::Patience;
use crate::model::KeyOrder;
use crate::pipeline::Settings;

/// What the application does that a migration must not survive, or the definition can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Somebody empties the table.
    Truncate,
    /// A row that the new definition can't hold, and stays.
    Unfit,
    /// Two rows with one value under the new unique key.
    Duplicate,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub rows: u32,
    /// Keys are below this; the last ones are for inserts at the end.
    pub room: u32,
    /// The new table has a unique key.
    pub unique: bool,
    pub order: KeyOrder,
    pub disturbance: Option<Disturbance>,

    pub writers: u32,
    pub write_pause: Span,
    /// After this long the application slows down, and again.
    pub rush: Duration,
    /// Between two statements of a transaction.
    pub statement: Span,
    pub long_pm: u64,
    pub xa_pm: u64,
    pub xa_hold: Span,
    pub xa_detached: bool,
    /// The end of a prepared transaction becomes visible in its own time.
    pub xa_loose: bool,
    /// A crashed process may only have been frozen, and wake while its successor is at work.
    pub freeze_pm: u64,
    /// Between two lives somebody removes the run, so that the next one begins anew.
    pub cleanup_pm: u64,
    pub rollback_pm: u64,
    /// Keys are taken from a few hot ones.
    pub hot_pm: u64,
    pub append_pm: u64,
    /// Rows are only updated: no key comes or goes.
    pub fixed: bool,
    /// Rows that are deleted by the next transaction of who put them in, as in a queue.
    pub queue_pm: u64,
    pub move_pm: u64,
    pub exchange_pm: u64,
    /// How many rows a large transaction changes.
    pub large: Span,
    pub large_pm: u64,
    /// Transactions under LOCK TABLES … WRITE.
    pub lock_table_pm: u64,

    pub app_lock_wait: Duration,
    pub osc_lock_wait: Duration,
    pub flush: Span,
    pub commit: Span,
    pub stall_pm: u64,
    pub stall: Span,
    /// The swap needs a second session (MariaDB).
    pub two_sessions: bool,
    /// osc's own writes don't stand in the application's stream and keep no order with it, as those on
    /// another server.
    pub apart: bool,

    /// Between two statements of osc's; in a zombie; from an answer to its arrival.
    pub step: Span,
    pub zombie_step: Span,
    pub reply: Span,
    /// How long a read takes.
    pub read: Span,
    /// Now and then a statement stands still in its middle, for so long.
    pub hang_pm: u64,
    pub hang: Span,
    pub stream: Span,
    pub stream_lag_pm: u64,
    pub stream_lag: Span,
    /// The most rows that the reader takes at a time.
    pub stream_rows: u64,
    /// The most pieces that it keeps undelivered, and the most keys of one delivery.
    pub inbox: usize,
    pub event_keys: u64,
    /// How long the server takes to notice that the fence's client is gone.
    pub notice: Span,
    /// Keys of one statement of the final sync.
    pub fence_keys: usize,
    /// Indexes of the shadow that are built after the copy.
    pub later: u8,

    pub faults_for: Duration,
    pub cut_pm: u64,
    /// The same for the statements of the swap.
    pub swap_cut_pm: u64,
    pub cut_after: Span,
    pub reply_pm: u64,
    pub zombie_pm: u64,
    pub hiccup_pm: u64,
    pub reconnect_pm: u64,
    pub stream_end_pm: u64,
    pub fence_dies_pm: u64,
    pub fence_dies_after: Span,
    /// How many lives end early, at the most.
    pub crashes: u64,
    /// Of these, so many by an orderly stop, and so many at a certain moment.
    pub stop_pm: u64,
    pub moment_pm: u64,
    /// The world's own moment; none: another one for each crash.
    pub moment: Option<Moment>,
    pub loaded_pm: u64,

    pub settings: Settings,
}

fn per_mille(dice: &Dice, on: u64, span: Span) -> u64 {
    if dice.chance(on) { dice.of(span) } else { 0 }
}

fn duration(dice: &Dice, span: Span) -> Duration {
    Duration::from_millis(dice.skewed(span))
}

impl Plan {
    /// The world of a seed.
    pub fn new(seed: u64) -> Plan {
        let dice = Dice::new(seed ^ 0x6f73_635f_666f_6375);
        let focus = dice.chance(400).then(|| dice.pick(Focus::ALL));
        Plan::bent(seed, focus)
    }

    /// The world of a seed as it would be with this focus.
    pub fn bent(seed: u64, focus: Option<Focus>) -> Plan {
        let mut plan = Plan::even(seed);
        if let Some(focus) = focus {
            focus.bend(&mut plan, &Dice::new(seed ^ 0x6f73_635f_6265_6e64));
        }
        plan
    }

    fn even(seed: u64) -> Plan {
        let dice = Dice::new(seed ^ 0x6f73_635f_7369_6d21);
        let collated = dice.chance(300);
        let rows = dice.skewed(Span(4, 160)) as u32;
        let disturbance =
            dice.chance(90).then(|| dice.pick(&[Disturbance::Truncate, Disturbance::Unfit, Disturbance::Duplicate]));
        let unique = disturbance == Some(Disturbance::Duplicate) || dice.chance(500);
        let faulty = dice.chance(700);
        let fault = |on, span| if faulty { per_mille(&dice, on, span) } else { 0 };
        let slow = dice.skewed(Span(1, 12));
        let mut plan = Plan {
            seed,
            rows,
            room: rows + rows / 2 + dice.of(Span(2, 24)) as u32,
            unique,
            order: if collated { KeyOrder::Unknown } else { KeyOrder::Bytes },
            disturbance,
            writers: dice.of(Span(1, 4)) as u32,
            write_pause: Span(0, dice.skewed(Span(4, 60))),
            rush: duration(&dice, Span(300, 2000)),
            statement: Span(0, dice.of(Span(0, 4))),
            long_pm: per_mille(&dice, 300, Span(10, 150)),
            xa_pm: per_mille(&dice, 350, Span(20, 400)),
            xa_hold: Span(0, dice.skewed(Span(5, 250))),
            xa_detached: dice.chance(500),
            xa_loose: dice.chance(500),
            freeze_pm: per_mille(&dice, 500, Span(100, 1000)),
            cleanup_pm: per_mille(&dice, 150, Span(50, 400)),
            rollback_pm: per_mille(&dice, 500, Span(20, 200)),
            hot_pm: per_mille(&dice, 500, Span(200, 900)),
            fixed: dice.chance(150),
            queue_pm: per_mille(&dice, 400, Span(100, 900)),
            append_pm: per_mille(&dice, 500, Span(20, 300)),
            move_pm: per_mille(&dice, 500, Span(20, 300)),
            exchange_pm: if unique { per_mille(&dice, 800, Span(50, 500)) } else { 0 },
            large: Span(3, 3 + rows as u64 / 4),
            large_pm: per_mille(&dice, 400, Span(10, 150)),
            lock_table_pm: per_mille(&dice, 150, Span(5, 100)),
            app_lock_wait: Duration::from_millis(dice.of(Span(50, 400))),
            osc_lock_wait: Duration::from_millis(dice.of(Span(40, 400))),
            flush: Span(0, dice.of(Span(0, 2))),
            commit: Span(0, dice.skewed(Span(1, 20))),
            stall_pm: per_mille(&dice, 500, Span(5, 60)),
            stall: Span(20, dice.skewed(Span(40, 300))),
            two_sessions: dice.chance(400),
            apart: dice.chance(250),
            step: Span(0, slow / 2),
            zombie_step: Span(slow, dice.skewed(Span(10 * slow, 600))),
            reply: Span(0, dice.of(Span(0, 3))),
            read: Span(0, dice.skewed(Span(1, 30))),
            hang_pm: per_mille(&dice, 500, Span(10, 200)),
            hang: Span(10, dice.skewed(Span(20, 400))),
            stream: Span(0, dice.of(Span(0, 5))),
            stream_lag_pm: per_mille(&dice, 400, Span(5, 50)),
            stream_lag: Span(10, 150),
            stream_rows: dice.skewed(Span(1, 100)),
            inbox: if dice.chance(300) { dice.skewed(Span(8, 60)) as usize } else { 10_000 },
            event_keys: dice.skewed(Span(1, 50)),
            notice: Span(0, 30),
            fence_keys: dice.skewed(Span(1, 60)) as usize,
            faults_for: Duration::from_millis(dice.skewed(Span(300, 3000))),
            cut_pm: fault(500, Span(5, 80)),
            swap_cut_pm: fault(500, Span(50, 500)),
            cut_after: Span(0, dice.skewed(Span(3, 60))),
            reply_pm: fault(500, Span(5, 60)),
            zombie_pm: dice.of(Span(0, 1000)),
            hiccup_pm: fault(400, Span(5, 100)),
            reconnect_pm: fault(400, Span(5, 60)),
            stream_end_pm: fault(100, Span(1, 4)),
            fence_dies_pm: fault(400, Span(50, 500)),
            fence_dies_after: Span(0, dice.skewed(Span(5, 60))),
            crashes: if faulty { dice.below(5) } else { 0 },
            stop_pm: dice.of(Span(0, 400)),
            moment_pm: dice.of(Span(0, 1000)),
            moment: dice.chance(500).then(|| dice.pick(Moment::ALL)),
            loaded_pm: per_mille(&dice, 250, Span(50, 500)),
            settings: settings(&dice, seed, rows, collated),
            // Last, so that the seeds of before have the worlds of before.
            later: if dice.chance(300) { dice.of(Span(1, 3)) as u8 } else { 0 },
        };
        if plan.later > 0 && dice.chance(300) {
            plan.moment = Some(Moment::Build);
        }
        plan
    }

    /// The source has the unique key too, unless duplicates are to be possible.
    pub fn source_unique(&self) -> bool {
        self.unique && self.disturbance != Some(Disturbance::Duplicate)
    }
}

fn settings(dice: &Dice, seed: u64, rows: u32, collated: bool) -> Settings {
    let key = if collated { 141 } else { 140 };
    let tiny = dice.chance(300);
    Settings {
        copiers: dice.of(Span(1, 4)) as u16,
        appliers: dice.of(Span(1, 3)) as u16,
        chunk_rows: Some(dice.skewed(Span(1, 1 + u64::from(rows) / 3))),
        chunk_time: Duration::from_millis(20),
        batch_keys: dice.skewed(Span(1, 40)) as usize,
        batch_bytes: if dice.chance(100) { 10 } else { 1 << 20 },
        pending_limit_bytes: if tiny { key * dice.skewed(Span(2, 30)) as usize } else { 64 << 20 },
        mark_every: duration(dice, Span(1, 60)),
        store_every: duration(dice, Span(2, 200)),
        // Not 0, which the command line refuses: two appliers that deadlock would do so in every life.
        retries: if dice.chance(850) { 60 } else { dice.of(Span(1, 4)) as u32 },
        commit_limit: dice.chance(500).then(|| duration(dice, Span(10, 200))),
        pressure_every: duration(dice, Span(5, 60)),
        patience: Patience { lock_wait: duration(dice, Span(5, 120)), hold: duration(dice, Span(30, 600)) },
        ready_keys: dice.skewed(Span(1, 200)) as usize,
        calm: duration(dice, Span(40, 500)),
        cutover_pause: duration(dice, Span(5, 100)),
        cutover_attempts: 600,
        no_cutover: false,
        seed,
        verify: dice.chance(700),
        // A difference that no traffic explains is to end the run, whoever made it.
        repair: false,
        ..Settings::default()
    }
}
