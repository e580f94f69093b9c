//! Many seeds: none fails, and together they went through enough.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use osc::engine::sim::{Counts, Plan, below_minimum};

use crate::harness::{Left, command, jobs, number, run, shrunk, spread};

/// How often a long batch says where it is.
const TELL: Duration = Duration::from_secs(10);
/// A batch that fails so often tells nothing new.
const ENOUGH: usize = 5;

struct Totals {
    counts: Counts,
    failed: Vec<(u64, String)>,
    told: Instant,
}

#[test]
fn batch() {
    let first = number("OSC_SIM_FROM").unwrap_or(1);
    let full = std::env::var_os("OSC_TEST_FULL").is_some();
    let seeds = number("OSC_SIM_SEEDS").unwrap_or(if full { 20_000 } else { 1500 });
    let began = Instant::now();
    let totals = Mutex::new(Totals { counts: Counts::default(), failed: Vec::new(), told: began });
    let rate = |runs: u64| runs as f64 / began.elapsed().as_secs_f64();
    spread(jobs(), seeds, |at| {
        let verdict = run(Plan::new(first + at), Left::Nothing, "", false);
        let mut totals = totals.lock().unwrap();
        totals.counts.add(&verdict.counts);
        if let Some(failure) = verdict.failure {
            println!("seed {} failed: {failure}", first + at);
            totals.failed.push((first + at, failure));
        }
        if totals.told.elapsed() >= TELL {
            totals.told = Instant::now();
            let (runs, failed) = (totals.counts.runs, totals.failed.len());
            println!("{runs} of {seeds} seeds, {failed} failed, {:.0} seeds/s", rate(runs));
        }
        totals.failed.len() < ENOUGH
    });
    let Totals { counts, failed, .. } = totals.into_inner().unwrap();
    for (what, how_many) in counts.each() {
        println!("{how_many:>12}  {what}");
    }
    println!("{} seeds from {first} on {} threads: {:.0} seeds/s", counts.runs, jobs(), rate(counts.runs));
    for (at, (seed, failure)) in failed.iter().enumerate() {
        let less = if at == 0 { shrunk(*seed, Left::Nothing) } else { String::new() };
        println!("seed {seed}: {failure}\n  again: {}", command(*seed, Left::Nothing, ""));
        if !less.is_empty() {
            println!("  smaller: {}", command(*seed, Left::Nothing, &less));
        }
    }
    assert!(failed.is_empty(), "{} seeds failed; see above for the commands that run them again", failed.len());
    let missed = below_minimum(&counts);
    assert!(missed.is_empty(), "the worlds were too easy:\n  {}", missed.join("\n  "));
}
