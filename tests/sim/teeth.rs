//! Planted bugs: each is found within so many seeds, or the simulation is blind there.

use std::sync::Mutex;

use osc::engine::sim::Bug;
use osc::pipeline::Planted;

use crate::harness::{Left, jobs, number, run, spread};

struct Tooth {
    left: Left,
    /// The most seeds that it may take, some ten times what it takes on the average.
    within: u64,
}

const fn engine(bug: Bug, within: u64) -> Tooth {
    Tooth { left: Left::Engine(bug), within }
}

const fn core(rule: Planted, within: u64) -> Tooth {
    Tooth { left: Left::Core(rule), within }
}

fn teeth() -> Vec<Tooth> {
    let mut all: Vec<Tooth> = Vec::new();
    all.extend(Bug::ALL.iter().map(|b| engine(*b, 3000)));
    all.extend(Planted::ALL.iter().map(|b| core(*b, 3000)));
    all
}

#[test]
fn teeth_all() {
    let teeth = teeth();
    let want = number("OSC_SIM_FIND").unwrap_or(1);
    let only = std::env::var("OSC_SIM_BUG").ok();
    let missed = Mutex::new(Vec::new());
    spread(jobs(), teeth.len() as u64, |at| {
        let tooth = &teeth[at as usize];
        if only.as_ref().is_some_and(|o| *o != tooth.left.name()) {
            return true;
        }
        let most = number("OSC_SIM_SEEDS").unwrap_or(tooth.within);
        let first = number("OSC_SIM_FROM").unwrap_or(1);
        let (mut found, mut why, mut looked) = (0, String::new(), 0);
        for seed in first..first + most {
            looked += 1;
            if let Some(failure) = run(seed, tooth.left, "", false).failure {
                found += 1;
                why = failure;
                if found == want {
                    break;
                }
            }
        }
        println!(
            "{:>24}  {found} in {looked:>6}  {:>5} {}",
            tooth.left.name(),
            looked / found.max(1),
            why.lines().next().unwrap_or_default().chars().take(100).collect::<String>()
        );
        if found == 0 {
            missed.lock().unwrap().push(tooth.left.name());
        }
        true
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{missed:?}");
}
