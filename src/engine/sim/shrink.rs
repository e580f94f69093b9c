//! Smaller worlds of the same seed, to make a failing one short enough to read.
//!
//! Each step takes one thing away from a plan. A failing seed tries them one after the other and keeps
//! those with which it still fails; their names replay the small world.

use std::time::Duration;

use super::dice::Span;
use super::plan::Plan;

pub struct Step {
    pub name: &'static str,
    pub take: fn(&mut Plan),
}

const fn step(name: &'static str, take: fn(&mut Plan)) -> Step {
    Step { name, take }
}

fn halve(plan: &mut Plan) {
    plan.rows = (plan.rows / 2).max(2);
    plan.room = (plan.room / 2).max(plan.rows + 4);
}

pub const STEPS: &[Step] = &[
    step("half-rows", halve),
    step("quarter-rows", |plan| {
        halve(plan);
        halve(plan);
    }),
    step("one-writer", |plan| plan.writers = 1),
    step("two-writers", |plan| plan.writers = plan.writers.min(2)),
    step("short-rush", |plan| plan.rush /= 4),
    step("no-crashes", |plan| plan.crashes = 0),
    step("one-crash", |plan| plan.crashes = plan.crashes.min(1)),
    step("no-freezes", |plan| plan.freeze_pm = 0),
    step("no-cuts", |plan| (plan.cut_pm, plan.swap_cut_pm) = (0, 0)),
    step("no-lost-replies", |plan| plan.reply_pm = 0),
    step("no-zombies", |plan| plan.zombie_pm = 0),
    step("no-reconnects", |plan| (plan.reconnect_pm, plan.stream_end_pm) = (0, 0)),
    step("no-fence-deaths", |plan| plan.fence_dies_pm = 0),
    step("no-hiccups", |plan| (plan.hiccup_pm, plan.loaded_pm) = (0, 0)),
    step("no-xa", |plan| plan.xa_pm = 0),
    step("no-rollbacks", |plan| plan.rollback_pm = 0),
    step("no-moves", |plan| (plan.move_pm, plan.exchange_pm, plan.queue_pm) = (0, 0, 0)),
    step("no-large", |plan| (plan.large_pm, plan.long_pm, plan.lock_table_pm) = (0, 0, 0)),
    step("no-stalls", |plan| (plan.stall_pm, plan.hang_pm, plan.stream_lag_pm) = (0, 0, 0)),
    step("no-pauses", |plan| (plan.flush, plan.reply, plan.stream) = (Span(0, 0), Span(0, 0), Span(0, 0))),
    step("one-lane", |plan| (plan.settings.copiers, plan.settings.appliers) = (1, 1)),
    step("no-limit", |plan| plan.settings.pending_limit_bytes = 64 << 20),
    step("rare-stores", |plan| plan.settings.store_every = Duration::from_secs(1)),
];

/// Takes away what these names say, separated by commas. False: a name is not known.
pub fn less(plan: &mut Plan, names: &str) -> bool {
    names.split(',').filter(|name| !name.is_empty()).all(|name| {
        let step = STEPS.iter().find(|step| step.name == name);
        if let Some(step) = step {
            (step.take)(plan);
        }
        step.is_some()
    })
}
