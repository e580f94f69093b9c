//! The simulation: the real core on a simulated server, many seeds, with teeth.

use osc::engine::sim::{Bug, Bugs, Counts, Plan, Verdict, simulate};
use osc::pipeline::Planted;

fn run(plan: Plan, bugs: Bugs, traced: bool) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, simulate(plan, bugs, traced))
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|s| s.parse().ok())
}

#[test]
fn batch() {
    let from: u64 = env("OSC_SIM_FROM").unwrap_or(1);
    let seeds: u64 = env("OSC_SIM_SEEDS").unwrap_or(300);
    let mut all = Counts::default();
    let began = std::time::Instant::now();
    let mut bad = 0;
    for seed in from..from + seeds {
        let t = std::time::Instant::now();
        let verdict = run(Plan::new(seed), Bugs::NONE, false);
        if t.elapsed().as_millis() > 300 {
            println!("slow {seed} {:?} {} ms", t.elapsed(), verdict.counts.simulated_ms);
        }
        if let Some(failure) = &verdict.failure {
            println!("seed {seed}: {failure}");
            bad += 1;
            if bad > 10 {
                break;
            }
        }
        all.add(&verdict.counts);
    }
    println!("{:?}: {} seeds/s", all.each(), seeds as f64 / began.elapsed().as_secs_f64());
    assert_eq!(bad, 0);
}

fn hunt(name: &str, most: u64, run: impl Fn(u64) -> Verdict) {
    if std::env::var("OSC_SIM_BUG").is_ok_and(|o| o != name) {
        return;
    }
    let first = env("OSC_SIM_FROM").unwrap_or(1);
    let mut found = Vec::new();
    let mut why = String::new();
    for seed in first..first + most {
        if let Some(failure) = run(seed).failure {
            found.push(seed);
            if why.is_empty() {
                why = failure;
            }
            if found.len() >= 3 {
                break;
            }
        }
    }
    println!("{name}: {found:?} of {most}: {}", why.chars().take(110).collect::<String>());
}

fn planted(seed: u64, planted: Planted) -> Plan {
    let mut plan = Plan::new(seed);
    plan.settings.planted = planted;
    plan
}

#[test]
fn teeth() {
    let most: u64 = env("OSC_SIM_SEEDS").unwrap_or(300);
    for bug in Bug::ALL {
        hunt(&format!("{bug:?}"), most, |seed| run(Plan::new(seed), Bugs::one(*bug), false));
    }
}

#[test]
fn core_teeth() {
    let most: u64 = env("OSC_SIM_SEEDS").unwrap_or(300);
    for rule in Planted::ALL {
        hunt(&format!("{rule:?}"), most, |seed| run(planted(seed, *rule), Bugs::NONE, false));
    }
}

#[test]
fn replay() {
    let Some(seed) = env("OSC_SIM_SEED") else { return };
    let bug = std::env::var("OSC_SIM_BUG").ok();
    let bugs = Bug::ALL.iter().find(|b| bug.as_ref().is_some_and(|n| *n == format!("{b:?}")));
    let rule = Planted::ALL.iter().find(|b| bug.as_ref().is_some_and(|n| *n == format!("{b:?}")));
    let plan = planted(seed, rule.copied().unwrap_or_default());
    let verdict = run(plan, bugs.map_or(Bugs::NONE, |b| Bugs::one(*b)), true);
    for line in &verdict.trace {
        println!("{line}");
    }
    println!("{:?}", verdict.counts.each());
    println!("{:?}", verdict.failure);
}
