//! The simulation: the real core on a simulated server, many seeds, with teeth.

use osc::engine::sim::{Bugs, Counts, Plan, Verdict, simulate};

fn run(plan: Plan, bugs: Bugs, traced: bool) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, simulate(plan, bugs, traced))
}

#[test]
fn batch() {
    let from: u64 = std::env::var("OSC_SIM_FROM").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let seeds: u64 = std::env::var("OSC_SIM_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(300);
    let mut all = Counts::default();
    let began = std::time::Instant::now();
    let mut bad = 0;
    for seed in from..from + seeds {
        let t = std::time::Instant::now(); let verdict = run(Plan::new(seed), Bugs::NONE, false); if t.elapsed().as_millis() > 300 { println!("slow {seed} {:?} {} ms", t.elapsed(), verdict.counts.simulated_ms); }
        if let Some(failure) = &verdict.failure {
            println!("seed {seed}: {failure}");
            bad += 1;
            if bad > 10 { break }
        }
        all.add(&verdict.counts);
    }
    println!("{:?}: {} seeds/s", all.each(), seeds as f64 / began.elapsed().as_secs_f64());
    assert_eq!(bad, 0);
}

#[test]
fn replay() {
    let Some(seed) = std::env::var("OSC_SIM_SEED").ok().and_then(|s| s.parse().ok()) else { return };
    let verdict = run(Plan::new(seed), Bugs::NONE, true);
    for line in &verdict.trace { println!("{line}"); }
    println!("{:?}", verdict.counts.each());
    println!("{:?}", verdict.failure);
}
