//! The ledger's mark: every write of the traffic carries a number that no other write carries.
//!
//! All values of a row are functions of tokens (see [`super::values`]), so the ledger keeps seven
//! small numbers for a row instead of its text. Fill rows have the top bit set, which also makes the
//! `BIGINT UNSIGNED` column hold values that no signed integer can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FILL: u64 = 1 << 63;
const RUN_SHIFT: u32 = 47;
const LANE_SHIFT: u32 = 37;
const LANE_MASK: u64 = (1 << (RUN_SHIFT - LANE_SHIFT)) - 1;
const SEQ_MASK: u64 = (1 << LANE_SHIFT) - 1;

/// The most connections one run can have: what fits into a token.
pub(crate) const MAX_LANES: u64 = LANE_MASK;

/// A write's unique mark: either "filled, key n" or "run r, connection l, write number s".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Token(pub u64);

impl Token {
    /// The token that `fill` gives to the row of this key.
    pub fn fill(key: i64) -> Token {
        Token(FILL | key.unsigned_abs())
    }

    fn live(run: u16, lane: u64, seq: u64) -> Token {
        let run = (u64::from(run) << RUN_SHIFT) & !FILL;
        Token(run | ((lane & LANE_MASK) << LANE_SHIFT) | (seq & SEQ_MASK))
    }

    /// The key, if this is a fill token.
    pub fn fill_key(self) -> Option<i64> {
        (self.0 & FILL != 0).then_some((self.0 & !FILL) as i64)
    }

    /// The run that drew this token; 0 for fill tokens (runs count from 1).
    pub(crate) fn run(self) -> u16 {
        if self.0 & FILL != 0 { 0 } else { (self.0 >> RUN_SHIFT) as u16 }
    }

    pub(crate) fn lane(self) -> u64 {
        (self.0 >> LANE_SHIFT) & LANE_MASK
    }

    pub(crate) fn seq(self) -> u64 {
        self.0 & SEQ_MASK
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.fill_key() {
            Some(key) => write!(f, "fill({key})"),
            None => write!(f, "r{}.c{}.{}", self.run(), self.lane(), self.seq()),
        }
    }
}

/// Draws the tokens of one connection, in rising order. The counter is shared, so that a stamp can
/// note how far every connection had come: a later token was drawn, and sent, after that stamp.
pub(crate) struct Mint {
    run: u16,
    lane: u64,
    next: Arc<AtomicU64>,
}

impl Mint {
    pub fn new(run: u16, lane: u64) -> Mint {
        Mint { run, lane, next: Arc::new(AtomicU64::new(1)) }
    }

    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.next)
    }

    pub fn draw(&self) -> Token {
        let seq = self.next.fetch_add(1, Ordering::SeqCst);
        Token::live(self.run, self.lane, seq)
    }

    /// `n` tokens in a row, for a statement that marks several rows; gives the first.
    pub fn draw_run(&self, n: u64) -> Token {
        let seq = self.next.fetch_add(n, Ordering::SeqCst);
        Token::live(self.run, self.lane, seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let t = Token::live(513, 17, 123_456);
        assert_eq!((t.run(), t.lane(), t.seq()), (513, 17, 123_456));
        assert_eq!(t.fill_key(), None);
        assert_eq!(Token::fill(99).fill_key(), Some(99));
        assert_eq!(Token::fill(99).run(), 0);
    }

    #[test]
    fn tokens_never_repeat() {
        let a = Mint::new(1, 0);
        let b = Mint::new(1, 1);
        let run = a.draw_run(3);
        let next = a.draw();
        assert_eq!(next.0, run.0 + 3);
        assert_ne!(b.draw(), run);
        assert_ne!(Mint::new(2, 0).draw(), run);
    }
}
