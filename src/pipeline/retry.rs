//! Trying again, as a function of the error's kind and nothing else.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::error::Result;

/// The pause before the second try; it doubles from try to try up to `LONGEST`.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(5);

/// Runs an operation until it succeeds, fails for good, or was tried `retries` times more.
pub async fn retrying<T, F: Future<Output = Result<T>>>(
    retries: u32,
    seed: u64,
    counter: &Cell<u64>,
    mut operation: impl FnMut() -> F,
) -> Result<T> {
    let mut jitter = SmallRng::seed_from_u64(seed);
    let mut pause = FIRST;
    let mut left = retries;
    loop {
        match operation().await {
            Err(error) if error.kind().retry() && left > 0 => {
                left -= 1;
                counter.set(counter.get() + 1);
                tracing::debug!(error = %error, left, "trying again");
                tokio::time::sleep(pause.mul_f64(jitter.random_range(0.5..1.0))).await;
                pause = (pause * 2).min(LONGEST);
            }
            outcome => return outcome,
        }
    }
}
