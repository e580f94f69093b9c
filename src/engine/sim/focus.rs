//! Worlds that are bent towards one kind of trouble.
//!
//! What needs three rare things at once hardly ever happens in a world that is drawn evenly. Two of five
//! seeds make a world of one of these kinds; and a planted bug that lives in one kind is looked for there.

use std::time::Duration;

use super::dice::{Dice, Span};
use super::faults::Moment;
use super::plan::{Disturbance, Plan};
use crate::model::KeyOrder;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// Rows come and go while statements that have read them stand still.
    Queue,
    /// The same, with keys that can't be compared and have several spellings.
    Spellings,
    /// Connections break in the middle of a sync, and nobody tells the server.
    Zombies,
    /// One crash after the other during the copy.
    Resumes,
    /// Processes that were taken for dead.
    Frozen,
    /// The same before the lock, and their run is removed and begun anew meanwhile.
    Removed,
    /// Answers and sessions that are lost in the swap, and others that want the whole table.
    Swaps,
    /// Two-phase transactions.
    TwoPhase,
    /// The stream is read again and again, and the fence dies over its final sync.
    Reconnects,
    /// What a run must not survive.
    Disturbed,
}

use Focus::*;

impl Focus {
    pub const ALL: &[Focus] =
        &[Queue, Spellings, Zombies, Resumes, Frozen, Removed, Swaps, TwoPhase, Reconnects, Disturbed];

    pub fn bend(self, plan: &mut Plan, dice: &Dice) {
        plan.disturbance = None;
        plan.faults_for = plan.faults_for.max(Duration::from_millis(1500));
        match self {
            Queue => come_and_go(plan, dice, KeyOrder::Bytes),
            Spellings => come_and_go(plan, dice, KeyOrder::Unknown),
            Zombies => {
                come_and_go(plan, dice, plan.order);
                plan.cut_pm = dice.of(Span(50, 150));
                plan.cut_after = Span(1, 15);
                plan.zombie_pm = 1000;
                plan.zombie_step = Span(10, 150);
                plan.settings.retries = 60;
            }
            Resumes => {
                plan.rows = plan.rows.max(50);
                plan.room = plan.room.max(plan.rows + 10);
                plan.fixed = dice.chance(700);
                plan.crashes = 6;
                plan.stop_pm = 50;
                (plan.moment_pm, plan.moment) = (900, Some(dice.pick(&[Moment::Chunk, Moment::Store])));
                plan.freeze_pm = 0;
                hang(plan, dice);
                plan.settings.copiers = dice.of(Span(2, 4)) as u16;
                plan.settings.chunk_rows = Some(dice.of(Span(4, 12)));
                plan.settings.mark_every = Duration::from_millis(dice.of(Span(1, 6)));
                plan.settings.store_every = Duration::from_millis(dice.of(Span(2, 12)));
            }
            Frozen => {
                plan.crashes = 5;
                plan.stop_pm = 0;
                plan.freeze_pm = 1000;
                plan.cleanup_pm = if dice.chance(500) { dice.of(Span(200, 600)) } else { 0 };
                plan.moment =
                    dice.chance(500).then(|| dice.pick(&[Moment::Anew, Moment::Batch, Moment::Chunk, Moment::Fence]));
                hang(plan, dice);
            }
            Removed => {
                plan.faults_for = Duration::from_millis(4000);
                plan.rush = Duration::from_millis(300);
                (plan.crashes, plan.stop_pm) = (5, 0);
                (plan.freeze_pm, plan.cleanup_pm) = (1000, 800);
                (plan.moment_pm, plan.moment) = (900, Some(Moment::Fence));
            }
            Swaps => {
                plan.two_sessions = dice.chance(700);
                plan.swap_cut_pm = dice.of(Span(200, 700));
                plan.fence_dies_pm = dice.of(Span(100, 600));
                plan.lock_table_pm = dice.of(Span(0, 150));
                plan.settings.cutover_pause = Duration::from_millis(5);
                plan.faults_for = Duration::from_millis(3000);
            }
            TwoPhase => {
                plan.xa_pm = dice.of(Span(200, 900));
                plan.xa_hold = Span(0, dice.skewed(Span(20, 200)));
                plan.xa_loose = dice.chance(800);
                plan.stall_pm = dice.of(Span(20, 100));
                plan.settings.mark_every = Duration::from_millis(dice.of(Span(1, 10)));
            }
            Reconnects => {
                plan.reconnect_pm = dice.of(Span(50, 300));
                plan.fence_dies_pm = dice.of(Span(200, 800));
                plan.fence_dies_after = Span(0, 20);
                plan.fence_keys = dice.of(Span(1, 4)) as usize;
                plan.crashes = 4;
                (plan.moment_pm, plan.moment) = (700, Some(Moment::Fence));
            }
            // A duplicate needs a table without the unique key from the beginning.
            Disturbed => plan.disturbance = Some(dice.pick(&[Disturbance::Truncate, Disturbance::Unfit])),
        }
    }
}

fn hang(plan: &mut Plan, dice: &Dice) {
    plan.hang_pm = dice.of(Span(100, 400));
    plan.hang = Span(10, dice.skewed(Span(40, 250)));
}

fn come_and_go(plan: &mut Plan, dice: &Dice, order: KeyOrder) {
    plan.order = order;
    plan.rows = plan.rows.min(40);
    plan.room = plan.rows + dice.of(Span(4, 24)) as u32;
    plan.fixed = false;
    plan.queue_pm = dice.of(Span(500, 1000));
    plan.writers = dice.of(Span(2, 4)) as u32;
    plan.write_pause = Span(0, dice.skewed(Span(4, 30)));
    plan.statement = Span(0, 0);
    (plan.long_pm, plan.large_pm, plan.stall_pm) = (0, 0, 0);
    plan.commit = Span(0, 2);
    (plan.stream, plan.stream_lag_pm) = (Span(0, 1), 0);
    hang(plan, dice);
    plan.settings.appliers = dice.of(Span(2, 3)) as u16;
    plan.settings.copiers = dice.of(Span(1, 3)) as u16;
    plan.settings.chunk_rows = Some(dice.of(Span(1, 6)));
    plan.settings.batch_keys = dice.of(Span(1, 4)) as usize;
    plan.settings.mark_every = Duration::from_millis(dice.of(Span(1, 4)));
    plan.settings.pending_limit_bytes = 64 << 20;
}
