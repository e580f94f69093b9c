//! All chance in a simulation: generators that follow from the seed.
//!
//! Each part has its own, forked by a number, so that a change in one part does not reshuffle all the
//! others. Times are whole simulated milliseconds, the grain of tokio's clock; no time at all still
//! gives the other tasks a turn.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// An inclusive range of milliseconds, or of anything else that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64, pub u64);

#[derive(Debug, Clone)]
pub struct Dice(Rc<RefCell<SmallRng>>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(Rc::new(RefCell::new(SmallRng::seed_from_u64(seed))))
    }

    /// A generator of its own for a part.
    pub fn fork(&self) -> Dice {
        let seed = self.0.borrow_mut().random();
        Dice::new(seed)
    }

    pub fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }

    pub fn below(&self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.borrow_mut().random_range(0..end) }
    }

    pub fn of(&self, span: Span) -> u64 {
        self.0.borrow_mut().random_range(span.0..=span.1.max(span.0))
    }

    /// Small numbers as likely as large ones: even over the orders of magnitude.
    pub fn skewed(&self, span: Span) -> u64 {
        let (low, high) = ((span.0.max(1)) as f64, (span.1.max(span.0).max(1)) as f64);
        let exponent = self.0.borrow_mut().random_range(low.ln()..=high.ln());
        (exponent.exp().round() as u64).clamp(span.0, span.1.max(span.0))
    }

    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Lets so much simulated time pass.
    pub async fn pause(&self, span: Span) {
        let ms = self.of(span);
        sleep_ms(ms).await;
    }
}

pub async fn sleep_ms(ms: u64) {
    if ms == 0 {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
