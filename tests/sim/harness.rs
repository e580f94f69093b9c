//! Runs one world, or many on some threads, and says how a failing one is run again.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use osc::engine::sim::{Bug, Bugs, Focus, Plan, Verdict, shrink, simulate};
use osc::pipeline::Planted;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|s| s.parse().unwrap_or_else(|_| panic!("{name} is a number, not '{s}'")))
}

pub fn jobs() -> u64 {
    number("OSC_SIM_JOBS").unwrap_or(2).max(1)
}

/// What is left out in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Nothing,
    Engine(Bug),
    Core(Planted),
}

impl Left {
    pub fn name(self) -> String {
        match self {
            Left::Nothing => String::new(),
            Left::Engine(bug) => format!("{bug:?}"),
            Left::Core(rule) => format!("{rule:?}"),
        }
    }
}

/// The world of a seed, perhaps bent.
pub fn world(seed: u64, focus: Option<Focus>) -> Plan {
    focus.map_or_else(|| Plan::new(seed), |focus| Plan::bent(seed, Some(focus)))
}

/// Runs a world, without what `less` names. A panic anywhere in it is a failure.
pub fn run(mut plan: Plan, left: Left, less: &str, traced: bool) -> Verdict {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string()));
            usual(info);
        }));
    });
    assert!(shrink::less(&mut plan, less), "'{less}': a name is not known");
    let bugs = match left {
        Left::Engine(bug) => Bugs::one(bug),
        _ => Bugs::NONE,
    };
    if let Left::Core(rule) = left {
        plan.settings.planted = rule;
    }
    PANIC.take();
    let ran = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, simulate(plan, bugs, traced))
    }));
    let mut verdict = ran.unwrap_or_else(|_| Verdict { counts: Default::default(), failure: None, trace: Vec::new() });
    verdict.failure = PANIC.take().or(verdict.failure);
    verdict
}

/// What is left of the seed's world when everything is taken away without which it fails, too.
pub fn shrunk(seed: u64, left: Left) -> String {
    let mut names = String::new();
    for step in shrink::STEPS {
        let fewer = if names.is_empty() { step.name.to_owned() } else { format!("{names},{}", step.name) };
        if run(Plan::new(seed), left, &fewer, false).failure.is_some() {
            names = fewer;
        }
    }
    names
}

/// The command that runs a seed again.
pub fn command(seed: u64, left: Left, less: &str) -> String {
    let bug = if left == Left::Nothing { String::new() } else { format!("OSC_SIM_BUG={} ", left.name()) };
    let less = if less.is_empty() { String::new() } else { format!("OSC_SIM_LESS={less} ") };
    format!("{bug}{less}OSC_SIM_SEED={seed} cargo test --test sim replay -- --nocapture")
}

/// Calls `work` with the numbers from 0 on, on so many threads, until it says that it's enough.
pub fn spread(jobs: u64, count: u64, work: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || !work(at) {
                        next.store(count, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
}
