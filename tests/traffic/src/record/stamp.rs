//! Moments that the caller marked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::token::Token;

/// A marked moment: its name, when, and how many tokens each connection had drawn by then.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub name: String,
    pub at: Duration,
    drawn: Vec<u64>,
}

impl Stamp {
    /// Whether the token was drawn after the stamp, and so was sent after it. Never true for a
    /// statement that was on its way at that moment.
    pub fn is_before(&self, run: u16, token: Token) -> bool {
        let drawn = usize::try_from(token.lane()).ok().and_then(|lane| self.drawn.get(lane));
        token.run() == run && drawn.is_some_and(|drawn| token.seq() >= *drawn)
    }
}

/// Takes stamps; clones take them for the same run.
#[derive(Clone)]
pub struct Stamper {
    epoch: Instant,
    counters: Arc<Vec<Arc<AtomicU64>>>,
    stamps: Arc<Mutex<Vec<Stamp>>>,
}

impl Stamper {
    pub(crate) fn new(epoch: Instant, counters: Vec<Arc<AtomicU64>>) -> Stamper {
        Stamper { epoch, counters: Arc::new(counters), stamps: Arc::default() }
    }

    /// Marks this moment. `"swapped"` and `"cutover"` have a meaning to the checks.
    pub fn stamp(&self, name: &str) {
        let drawn = self.counters.iter().map(|counter| counter.load(Ordering::SeqCst)).collect();
        let stamp = Stamp { name: name.to_owned(), at: self.epoch.elapsed(), drawn };
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).push(stamp);
    }

    pub(crate) fn taken(&self) -> Vec<Stamp> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::token::Mint;

    #[test]
    fn tells_tokens_before_from_after() {
        let (a, b) = (Mint::new(3, 0), Mint::new(3, 1));
        let stamper = Stamper::new(Instant::now(), vec![a.counter(), b.counter()]);
        let before = a.draw();
        stamper.stamp("swapped");
        let after = [a.draw(), b.draw()];
        let stamp = &stamper.taken()[0];
        assert!(!stamp.is_before(3, before));
        assert!(after.iter().all(|token| stamp.is_before(3, *token)));
        assert!(!stamp.is_before(4, after[0]), "another run's token");
        assert!(!stamp.is_before(3, Token::fill(9)));
    }
}
