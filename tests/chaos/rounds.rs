//! So many rounds, as `scripts/chaos` or the tests' short form ask for them.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;

use crate::harness::{Kind, Server};
use crate::plan::Plan;
use crate::round;
use crate::tally::Tally;

/// From so many rounds on every failpoint of the engine must have fired: three of five rounds begin with one, each
/// in its turn.
pub const COMPLETE: u64 = 30;

/// Rounds of the short form: each kind of disturbance once, and two failpoints more.
pub const SHORT: u64 = 5;

async fn rounds(name: &str, kind: Kind, seed: u64, first: u64, count: u64) {
    let server = Server::own(kind, name, &[]);
    let mut tally = Tally::new(kind);
    for number in first..first + count {
        let plan = Plan::new(kind, seed, number);
        println!("{} round {number} of seed {seed}: {plan}", kind.name());
        let began = Instant::now();
        // One that fails is reported with its number, and the rest goes on.
        match AssertUnwindSafe(round::run(&server, &plan)).catch_unwind().await {
            Ok(done) => {
                println!("{} round {number}: {done}; {:.1} s", kind.name(), began.elapsed().as_secs_f64());
                tally.add(done);
            }
            Err(_) => {
                println!("{} round {number} FAILED", kind.name());
                tally.failed(number);
            }
        }
    }
    println!("{tally}");
    tally.judge();
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// The short form, unless `scripts/chaos` says otherwise.
pub async fn as_asked(kind: Kind) {
    let (count, seed, first) =
        (number("OSC_CHAOS_ROUNDS", SHORT), number("OSC_CHAOS_SEED", 1), number("OSC_CHAOS_FIRST", 0));
    // Both forms may run on one machine at a time.
    let name = std::env::var("OSC_CHAOS_SERVER").unwrap_or_else(|_| "chaos".to_owned());
    rounds(&name, kind, seed, first, count).await;
}
