//! Holds each row of the final table against the ledger. No server here: rows go in, findings come
//! out, so that every sort of damage can be tried in a unit test.

use std::collections::{HashMap, HashSet};

use crate::model::keyset::KeySet;
use crate::model::row::Seen;
use crate::model::state::State;
use crate::model::token::Token;
use crate::record::book::Maybe;
use crate::record::draft::Entry;
use crate::record::ledger::Ledger;
use crate::record::tally::{EXAMPLES, Findings};

/// What is wrong with the table.
#[derive(Default)]
pub(crate) struct Damage {
    /// Rows that must be there and are not.
    pub lost: Findings,
    /// Rows that are not in the last acknowledged state.
    pub stale: Findings,
    /// Rows that must not be there.
    pub phantom: Findings,
    /// Rows that the traffic never touched and that are not as they were.
    pub changed: Findings,
    /// Operations without an answer that turned out to be there.
    pub unknown_applied: u64,
    pub rows: u64,
}

pub(crate) struct Judge<'a> {
    ledger: &'a Ledger,
    /// Untouched rows as filled that have not come by yet.
    unseen: KeySet,
    /// Other keys that have come by.
    seen: HashSet<i64>,
    /// Keys in doubt: of which doubt, and what was seen of them.
    maybes: HashMap<i64, Sighting>,
    keyless: HashMap<Token, State>,
    last: Option<i64>,
    damage: Damage,
}

/// What a key in doubt looks like; before it comes by, as if it had no row.
struct Sighting {
    doubt: usize,
    before: bool,
    after: bool,
    row: Option<String>,
}

impl<'a> Judge<'a> {
    pub fn new(ledger: &'a Ledger) -> Judge<'a> {
        let mut unseen = ledger.census.pristine.clone();
        let mut maybes = HashMap::new();
        let mut keyless = HashMap::new();
        for key in ledger.entries.keys().chain(ledger.contested.keys()) {
            unseen.remove(*key);
        }
        for (doubt, content) in ledger.doubts.iter().enumerate() {
            for Maybe { key, before, after } in &content.changes {
                unseen.remove(*key);
                let sighting = Sighting { doubt, before: before.is_none(), after: after.state().is_none(), row: None };
                maybes.insert(*key, sighting);
            }
            keyless.extend(content.keyless.iter().map(|state| (state.token, *state)));
        }
        let damage = Damage::default();
        Judge { ledger, unseen, seen: HashSet::new(), maybes, keyless, last: None, damage }
    }

    /// The next row, in the order of the key.
    pub fn row(&mut self, seen: &Seen) {
        let key = seen.key;
        self.damage.rows += 1;
        if self.last.is_some_and(|last| last >= key) {
            return self.phantom(seen, "a second row of this key, or one out of order");
        }
        self.last = Some(key);
        if let Some(entries) = self.ledger.contested.get(&key) {
            self.seen.insert(key);
            if !entries.iter().any(|entry| entry.state().is_some_and(|state| differs(&state, seen).is_none())) {
                self.stale(seen, "none of the states that two connections gave it".into());
            }
        } else if self.maybes.contains_key(&key) {
            self.maybe(seen);
        } else if let Some(entry) = self.ledger.entries.get(&key) {
            self.seen.insert(key);
            match entry {
                Entry::Present(state) => {
                    if let Some(difference) = differs(state, seen) {
                        self.stale(seen, difference);
                    }
                }
                Entry::Deleted(_) => self.phantom(seen, "acknowledged as deleted"),
            }
        } else if let Some(digest) = self.ledger.census.found.get(&key) {
            self.seen.insert(key);
            if seen.row.as_ref().map(|row| row.digest()).ok() != Some(*digest) {
                self.changed(seen, "not as it was before the traffic".into());
            }
        } else if self.unseen.remove(key) {
            if let Some(difference) = differs(&State::filled(key), seen) {
                self.changed(seen, difference);
            }
        } else {
            self.stranger(seen);
        }
    }

    /// A key that nobody wrote as far as we know: it may be of an INSERT whose answer was lost.
    fn stranger(&mut self, seen: &Seen) {
        let state = seen.token().and_then(|token| self.keyless.remove(&token));
        match state.map(|state| differs(&state, seen)) {
            Some(None) => self.damage.unknown_applied += 1,
            Some(Some(difference)) => self.stale(seen, difference),
            None => self.phantom(seen, "no acknowledged write made this row"),
        }
    }

    fn maybe(&mut self, seen: &Seen) {
        let Some(sighting) = self.maybes.get_mut(&seen.key) else { return };
        let Some(doubt) = self.ledger.doubts.get(sighting.doubt) else { return };
        let Some(maybe) = doubt.changes.iter().find(|maybe| maybe.key == seen.key) else { return };
        let is = |state: Option<State>| state.is_some_and(|state| differs(&state, seen).is_none());
        sighting.before = is(maybe.before);
        sighting.after = is(maybe.after.state());
        sighting.row = Some(seen.describe());
    }

    fn stale(&mut self, seen: &Seen, what: String) {
        self.damage.stale.add(seen.key, what, Some(seen.describe()));
    }

    fn phantom(&mut self, seen: &Seen, what: &str) {
        self.damage.phantom.add(seen.key, what, Some(seen.describe()));
    }

    fn changed(&mut self, seen: &Seen, what: String) {
        self.damage.changed.add(seen.key, what, Some(seen.describe()));
    }

    /// All rows have come by: what has not is lost.
    pub fn finish(mut self) -> Damage {
        let ledger = self.ledger;
        let lost = &mut self.damage.lost;
        for (key, entry) in &ledger.entries {
            if let Entry::Present(state) = entry
                && !self.seen.contains(key)
                && !self.maybes.contains_key(key)
            {
                lost.add(*key, format!("acknowledged write {} has no row", state.token), None);
            }
        }
        for (key, entries) in &ledger.contested {
            if !self.seen.contains(key) && entries.iter().all(|entry| entry.state().is_some()) {
                lost.add(*key, "written by two connections, and no row", None);
            }
        }
        for key in ledger.census.found.keys().filter(|key| !self.seen.contains(*key)) {
            lost.add(*key, "there before the traffic, never touched, and gone", None);
        }
        for key in self.unseen.iter().take(EXAMPLES) {
            lost.add(key, "filled, never touched, and gone", None);
        }
        lost.count += self.unseen.len().saturating_sub(EXAMPLES as u64);
        self.settle_doubts();
        self.damage
    }

    /// Each doubt must have turned out one way for all of its rows.
    fn settle_doubts(&mut self) {
        for doubt in self.ledger.doubts.iter().filter(|doubt| !doubt.changes.is_empty()) {
            let sightings = || doubt.changes.iter().filter_map(|maybe| Some((maybe, self.maybes.get(&maybe.key)?)));
            let damage = &mut self.damage;
            let mut sane = true;
            for (maybe, sighting) in sightings().filter(|(_, s)| !s.before && !s.after) {
                sane = false;
                let (before, after) = (maybe.before.map(|state| state.token), maybe.after.token());
                let what = format!("neither as before ({before:?}) nor as after ({after}) an unanswered write");
                let findings = if sighting.row.is_some() { &mut damage.stale } else { &mut damage.lost };
                findings.add(maybe.key, what, sighting.row.clone());
            }
            if sightings().all(|(_, s)| s.before) {
                continue;
            }
            if sightings().all(|(_, s)| s.after) {
                damage.unknown_applied += 1;
            } else if sane && let Some((maybe, sighting)) = sightings().next() {
                damage.stale.add(maybe.key, "half of an unanswered transaction is there", sighting.row.clone());
            }
        }
    }
}

fn differs(state: &State, seen: &Seen) -> Option<String> {
    match &seen.row {
        Ok(row) => state.difference(row),
        Err(why) => Some(format!("unreadable: {why}")),
    }
}
