//! The simulation: the real core on a simulated server, many seeds, with teeth.

use osc::engine::sim::{Bug, Bugs, Counts, Plan, Verdict, simulate};

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

#[test]
fn teeth() {
    let most: u64 = env("OSC_SIM_SEEDS").unwrap_or(300);
    let only = std::env::var("OSC_SIM_BUG").ok();
    for bug in Bug::ALL {
        if only.as_ref().is_some_and(|o| *o != format!("{bug:?}")) {
            continue;
        }
        let mut found = Vec::new();
        let mut why = String::new();
        for seed in 1..=most {
            if let Some(failure) = run(Plan::new(seed), Bugs::one(*bug), false).failure {
                found.push(seed);
                if why.is_empty() {
                    why = failure;
                }
                if found.len() >= 3 {
                    break;
                }
            }
        }
        println!("{bug:?}: {found:?} of {most}: {}", why.chars().take(150).collect::<String>());
    }
}

#[test]
fn replay() {
    let Some(seed) = env("OSC_SIM_SEED") else { return };
    let bug = std::env::var("OSC_SIM_BUG").ok();
    let bugs = Bug::ALL.iter().find(|b| bug.as_ref().is_some_and(|n| *n == format!("{b:?}")));
    let verdict = run(Plan::new(seed), bugs.map_or(Bugs::NONE, |b| Bugs::one(*b)), true);
    for line in &verdict.trace {
        println!("{line}");
    }
    println!("{:?}", verdict.counts.each());
    println!("{:?}", verdict.failure);
}
