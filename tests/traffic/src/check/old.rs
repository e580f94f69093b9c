//! Holds the table that was kept as it was at the swap against the ledger: no write may have reached
//! it after the swap, and what it holds must be what the traffic once wrote.

use serde::{Deserialize, Serialize};

use crate::model::row::{Row, Seen};
use crate::model::state::State;
use crate::record::draft::Entry;
use crate::record::ledger::Ledger;
use crate::record::stamp::Stamp;
use crate::record::tally::Findings;

/// What the old table says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OldVerdict {
    pub table: String,
    pub rows: u64,
    /// Rows whose last write was sent after the swap.
    pub newer: Findings,
    /// Rows that no acknowledged write and no fill explains.
    pub unexplained: Findings,
    /// Keys whose last acknowledged write was sent after the swap. Without any, the check says nothing.
    pub keys_written_after: u64,
}

impl OldVerdict {
    /// The old table was written by nobody after the swap, and the check could have seen it.
    pub fn is_clean(&self) -> bool {
        self.newer.count == 0 && self.unexplained.count == 0 && self.rows > 0 && self.keys_written_after > 0
    }
}

pub(crate) struct OldJudge<'a> {
    ledger: &'a Ledger,
    swapped: &'a Stamp,
    verdict: OldVerdict,
}

impl<'a> OldJudge<'a> {
    pub fn new(ledger: &'a Ledger, swapped: &'a Stamp, table: &str) -> OldJudge<'a> {
        let after = |entry: &&Entry| swapped.is_before(ledger.run, entry.token());
        let keys_written_after = ledger.entries.values().filter(after).count() as u64;
        let verdict = OldVerdict { table: table.to_owned(), keys_written_after, ..OldVerdict::default() };
        OldJudge { ledger, swapped, verdict }
    }

    pub fn row(&mut self, seen: &Seen) {
        self.verdict.rows += 1;
        let row = match &seen.row {
            Ok(row) => row,
            Err(why) => return self.unexplained(seen, format!("unreadable: {why}")),
        };
        if self.swapped.is_before(self.ledger.run, row.token) {
            let what = format!("{} was sent after the swap", row.token);
            self.verdict.newer.add(seen.key, what, Some(seen.describe()));
        } else if let Err(why) = self.explain(row) {
            self.unexplained(seen, why);
        }
    }

    fn unexplained(&mut self, seen: &Seen, what: String) {
        self.verdict.unexplained.add(seen.key, what, Some(seen.describe()));
    }

    /// The row must be one that this key had by the swap: as before the traffic, or an acknowledged
    /// write's. A key's writes have the order of their tokens, so one later than the last
    /// acknowledged was rolled back or never answered.
    fn explain(&self, row: &Row) -> Result<(), String> {
        let key = row.key;
        if let Some(digest) = self.ledger.census.found.get(&key) {
            return if row.digest() == *digest { Ok(()) } else { Err("not as before the traffic".into()) };
        }
        if row.token.fill_key() == Some(key) && self.ledger.census.pristine.contains(key) {
            return match State::filled(key).difference(row) {
                None => Ok(()),
                Some(difference) => Err(difference),
            };
        }
        if self.ledger.contested.contains_key(&key) {
            return Ok(());
        }
        let maybes = self.ledger.doubts.iter().flat_map(|doubt| &doubt.changes);
        let maybe = maybes.filter(|maybe| maybe.key == key).map(|maybe| maybe.after);
        let keyless = self.ledger.doubts.iter().flat_map(|doubt| &doubt.keyless);
        let keyless = keyless.filter(|state| state.token == row.token).map(|state| Entry::Present(*state));
        let Some(last) = self.ledger.entries.get(&key).copied().or_else(|| maybe.chain(keyless).next()) else {
            return Err("no acknowledged write made this row".into());
        };
        if row.token == last.token() {
            return match last.state().map(|state| state.difference(row)) {
                Some(None) => Ok(()),
                Some(Some(difference)) => Err(difference),
                None => Err("acknowledged as deleted by this very write".into()),
            };
        }
        let (seen, last) = (row.token, last.token());
        if seen.run() == self.ledger.run && seen.lane() == last.lane() && seen.seq() < last.seq() {
            Ok(())
        } else {
            Err(format!("{seen} is no acknowledged write of this key, whose last is {last}"))
        }
    }

    pub fn finish(self) -> OldVerdict {
        self.verdict
    }
}
