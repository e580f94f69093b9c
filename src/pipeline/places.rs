//! Which place of the stream may be stored (I4).
//!
//! A mark that the feed delivers carries a place from which nothing that came after it would be
//! missed. Everything that came before it is durable, or lies beyond the frontier, exactly when no key
//! of an earlier delivery is still unsynced. So a place may be stored once [`super::pending::Pending::oldest`]
//! is later than the place's own number.

use std::collections::VecDeque;

use crate::model::{Position, Seq};

/// More places than this are thinned out: only resuming from an older place is lost by it.
const MOST: usize = 1024;

#[derive(Debug)]
pub struct Places {
    /// The latest place that may be stored.
    safe: Position,
    later: VecDeque<(Seq, Position)>,
}

impl Places {
    pub fn new(start: Position) -> Self {
        Places { safe: start, later: VecDeque::new() }
    }

    /// A mark was delivered as event `seq`.
    pub fn pass(&mut self, seq: Seq, position: Position) {
        self.later.push_back((seq, position));
        if self.later.len() > MOST {
            let mut odd = false;
            self.later.retain(|_| {
                odd = !odd;
                !odd
            });
        }
    }

    /// The latest place before which nothing is unsynced, given the oldest unsynced delivery.
    pub fn safe(&mut self, oldest: Option<Seq>) -> &Position {
        while let Some((seq, _)) = self.later.front() {
            if oldest.is_some_and(|o| o < *seq) {
                break;
            }
            if let Some((_, position)) = self.later.pop_front() {
                self.safe = position;
            }
        }
        &self.safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_safe_once_nothing_before_it_waits() {
        let at = |p: &str| Position(p.into());
        let mut clock = Seq::FIRST;
        let mut places = Places::new(at("start"));
        let key = clock.take();
        places.pass(clock.take(), at("a"));
        assert_eq!(places.safe(Some(key)), &at("start"));
        let later = clock.take();
        places.pass(clock.take(), at("b"));
        assert_eq!(places.safe(Some(later)), &at("a"));
        assert_eq!(places.safe(None), &at("b"));
    }

    #[test]
    fn thinning_keeps_the_latest() {
        let mut clock = Seq::FIRST;
        let mut places = Places::new(Position("start".into()));
        for i in 0..10_000 {
            places.pass(clock.take(), Position(i.to_string()));
        }
        assert!(places.later.len() <= MOST);
        assert_eq!(places.safe(None), &Position("9999".into()));
    }
}
