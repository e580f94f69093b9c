//! One connection's part of the ledger: the last acknowledged state of each key it owns.
//!
//! A key belongs to the connection `key % connections`; keys above the census' highest belong to
//! whoever's INSERT generated them. So each key has one writer, its writes have one order, and the
//! last acknowledged state is exact. Where an answer was lost, the key is retired with both
//! possible states: nobody writes it again, and the check at the end accepts either.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::census::Census;
use super::draft::{Draft, Entry};
use crate::model::state::State;

/// How many keys count as recent. They are written again and again: an old state of such a key is
/// what a lost or reordered change leaves behind.
const RECENT: usize = 48;

/// What this connection may assume about a key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Known {
    Present(State),
    Absent,
    /// Another's, left by an earlier run, or retired.
    OffLimits,
}

/// Changes whose COMMIT was sent, but not answered: all of them are there or none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt {
    pub changes: Vec<Maybe>,
    /// Rows whose generated key never came back.
    pub keyless: Vec<State>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Maybe {
    pub key: i64,
    pub before: Option<State>,
    pub after: Entry,
}

pub(crate) struct Book {
    lane: u64,
    lanes: u64,
    pub census: Arc<Census>,
    pub entries: HashMap<i64, Entry>,
    retired: HashSet<i64>,
    pub doubts: Vec<Doubt>,
    /// Generated keys that had been used before: AUTO_INCREMENT went back.
    pub reused: Vec<i64>,
    pub created: Vec<i64>,
    pub freed: Vec<i64>,
    pub recent: VecDeque<i64>,
    /// When the last change of a key was acknowledged.
    changed_at: HashMap<i64, Instant>,
}

impl Book {
    pub fn new(lane: u64, lanes: u64, census: Arc<Census>) -> Book {
        Book {
            lane,
            lanes,
            census,
            entries: HashMap::new(),
            retired: HashSet::new(),
            doubts: Vec::new(),
            reused: Vec::new(),
            created: Vec::new(),
            freed: Vec::new(),
            recent: VecDeque::new(),
            changed_at: HashMap::new(),
        }
    }

    /// The key of this connection that is next to `key`.
    pub fn own(&self, key: i64) -> i64 {
        let lanes = self.lanes as i64;
        key - key.rem_euclid(lanes) + self.lane as i64
    }

    pub fn look(&self, draft: &Draft, key: i64) -> Known {
        if self.retired.contains(&key) {
            return Known::OffLimits;
        }
        match draft.get(key).or_else(|| self.entries.get(&key).copied()) {
            Some(Entry::Present(state)) => return Known::Present(state),
            Some(Entry::Deleted(_)) => return Known::Absent,
            None => {}
        }
        let mine = self.own(key) == key && key >= 1 && key <= self.census.max;
        if !mine || self.census.found.contains_key(&key) {
            Known::OffLimits
        } else if self.census.pristine.contains(key) {
            Known::Present(State::filled(key))
        } else {
            Known::Absent
        }
    }

    /// The server acknowledged these changes as committed.
    pub fn apply(&mut self, draft: &Draft) {
        for &(key, entry) in draft.changes() {
            if draft.is_generated(key) && !self.is_new(key) {
                self.reused.push(key);
            }
            match entry {
                Entry::Present(_) => {
                    if !self.census.contains(key) && !self.entries.contains_key(&key) {
                        self.created.push(key);
                    }
                    self.recent.push_back(key);
                    if self.recent.len() > RECENT {
                        self.recent.pop_front();
                    }
                }
                Entry::Deleted(_) => self.freed.push(key),
            }
            self.entries.insert(key, entry);
            self.changed_at.insert(key, Instant::now());
        }
    }

    /// Whether its last change was acknowledged less than this time before that moment.
    pub fn changed_shortly_before(&self, key: i64, moment: Instant, time: Duration) -> bool {
        self.changed_at.get(&key).is_some_and(|at| moment.saturating_duration_since(*at) < time)
    }

    /// A generated key must be above all that were there and never used before. (Keys that another
    /// connection used are compared when the books are put together.)
    fn is_new(&self, key: i64) -> bool {
        key > self.census.max.max(0) && !self.entries.contains_key(&key) && !self.retired.contains(&key)
    }

    /// COMMIT was sent and not answered: remember both outcomes.
    pub fn doubt(&mut self, draft: &Draft, keyless: Option<State>) {
        let changes = draft.changes().iter().map(|&(key, after)| {
            let before = match self.look(&Draft::default(), key) {
                Known::Present(state) => Some(state),
                Known::Absent | Known::OffLimits => None,
            };
            Maybe { key, before, after }
        });
        let changes: Vec<Maybe> = changes.collect();
        for maybe in &changes {
            if draft.is_generated(maybe.key) && !self.is_new(maybe.key) {
                self.reused.push(maybe.key);
            }
            self.entries.remove(&maybe.key);
            self.retired.insert(maybe.key);
        }
        self.doubts.push(Doubt { changes, keyless: keyless.into_iter().collect() });
    }

    /// Leaves a key as it is known and never writes it again: the server's answer about it made no
    /// sense, which has been reported, and what follows from it shall not drown that report.
    pub fn retire(&mut self, key: i64) {
        self.retired.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::token::Token;

    fn book() -> Book {
        Book::new(1, 4, Arc::new(Census::of([1, 2, 5, 9])))
    }

    fn one(key: i64, entry: Entry) -> Draft {
        let mut draft = Draft::default();
        draft.set(key, entry);
        draft
    }

    #[test]
    fn owns_its_class_up_to_the_census() {
        let book = book();
        let none = Draft::default();
        assert_eq!(book.look(&none, 5), Known::Present(State::filled(5)));
        assert_eq!(book.look(&none, 2), Known::OffLimits);
        assert_eq!(book.look(&none, 13), Known::OffLimits, "may be generated for another");
        assert_eq!(book.look(&none, -3), Known::OffLimits);
        assert_eq!((book.own(6), book.own(4), book.own(5)), (5, 5, 5));
    }

    #[test]
    fn drafts_are_seen_only_through_themselves() {
        let mut book = book();
        let draft = one(5, Entry::Deleted(Token(7)));
        assert_eq!(book.look(&draft, 5), Known::Absent);
        assert_eq!(book.look(&Draft::default(), 5), Known::Present(State::filled(5)));
        book.apply(&draft);
        assert_eq!(book.look(&Draft::default(), 5), Known::Absent);
        assert_eq!(book.freed, [5]);
    }

    #[test]
    fn a_doubt_keeps_both_states_and_retires_the_key() {
        let mut book = book();
        let first = State::filled(5).touched(Token(7));
        book.apply(&one(5, Entry::Present(first)));
        let second = Entry::Present(first.touched(Token(8)));
        book.doubt(&one(5, second), None);
        assert_eq!(book.look(&Draft::default(), 5), Known::OffLimits);
        assert!(book.entries.is_empty());
        let maybe = book.doubts[0].changes[0];
        assert_eq!((maybe.before, maybe.after), (Some(first), second));
    }

    #[test]
    fn a_generated_key_that_was_used_is_reported() {
        let mut book = book();
        let state = State::inserted(Token(7), 1);
        for key in [10, 10, 9] {
            let mut draft = Draft::default();
            draft.set_generated(key, state);
            book.apply(&draft);
        }
        assert_eq!(book.reused, [10, 9]);
    }
}
