//! Reads, compared with the ledger at once: a connection must see what it has been told is there.

use std::time::{Duration, Instant};

use rand::Rng;

use super::lane::{Answer, Lane};
use super::pick;
use crate::config::Dml;
use crate::kind::Kind;
use crate::model::row::Seen;
use crate::model::state::State;
use crate::model::values;
use crate::record::book::Known;
use crate::record::draft::Draft;
use crate::server::Cell;

/// By how much the new table may be behind for a snapshot that is older than the swap: the lag at which a tool may lock, and
/// the time of the lock itself.
const BEHIND: Duration = Duration::from_secs(1);

impl Lane {
    /// By key: mostly a row that is there, sometimes one that was deleted.
    pub async fn read(&mut self) {
        let Some((key, expected)) = self.key_to_read() else { return self.write(Dml::Insert).await };
        if let Answer::Done(rows) = self.rows(Kind::Read, |s| &s.read, vec![Cell::Int(key)]).await {
            self.compare(Kind::Read, key, expected, rows.first(), None);
        }
    }

    fn key_to_read(&mut self) -> Option<(i64, Option<State>)> {
        let none = Draft::default();
        if !self.book.freed.is_empty() && self.rng.random_bool(0.15) {
            let key = self.book.freed[self.rng.random_range(0..self.book.freed.len())];
            match self.book.look(&none, key) {
                Known::Present(state) => return Some((key, Some(state))),
                Known::Absent => return Some((key, None)),
                Known::OffLimits => {}
            }
        }
        let (key, state) = pick::present(&mut self.book, &mut self.rng, &none, &[])?;
        Some((key, Some(state)))
    }

    /// By the secondary index: the row must be among its customer's.
    pub async fn read_secondary(&mut self) {
        let none = Draft::default();
        let Some((key, state)) = pick::present(&mut self.book, &mut self.rng, &none, &[]) else {
            return self.write(Dml::Insert).await;
        };
        let customer = Cell::Int(values::customer(state.customer));
        if let Answer::Done(rows) = self.rows(Kind::ReadSecondary, |s| &s.read_customer, vec![customer]).await {
            self.compare(Kind::ReadSecondary, key, Some(state), rows.iter().find(|seen| seen.key == key), None);
        }
    }

    /// By key and by the secondary index, with a snapshot that was there before the transaction came to the table: a
    /// tool that swaps tables in between must not let it find another table's rows, or none. What was changed shortly before
    /// that snapshot it may miss, for the new table got it later than the old one; that is counted apart.
    pub async fn read_snapshot(&mut self) {
        if !self.shared.dialect.reads_snapshots() {
            return self.read().await;
        }
        let Some((key, expected)) = self.key_to_read() else { return self.write(Dml::Insert).await };
        let Some((other, state)) = pick::present(&mut self.book, &mut self.rng, &Draft::default(), &[key]) else {
            return self.write(Dml::Insert).await;
        };
        for sql in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"] {
            if !matches!(self.command(Kind::Begin, sql).await, Answer::Done(_)) {
                return self.drop_session();
            }
        }
        let taken = Instant::now();
        let age = Duration::from_millis(self.rng.random_range(0..10));
        self.pause(age).await;
        if let Answer::Done(rows) = self.rows(Kind::ReadSnapshot, |s| &s.read, vec![Cell::Int(key)]).await {
            self.compare(Kind::ReadSnapshot, key, expected, rows.first(), Some(taken));
            let customer = vec![Cell::Int(values::customer(state.customer))];
            if let Answer::Done(rows) = self.rows(Kind::ReadSnapshot, |s| &s.read_customer, customer).await {
                self.compare(
                    Kind::ReadSnapshot,
                    other,
                    Some(state),
                    rows.iter().find(|seen| seen.key == other),
                    Some(taken),
                );
            }
        }
        // Nothing was changed; this says so, and is sure to end it.
        self.roll_back().await;
    }

    fn compare(
        &mut self,
        kind: Kind,
        key: i64,
        expected: Option<State>,
        seen: Option<&Seen>,
        snapshot: Option<Instant>,
    ) {
        self.tally.reads_compared += 1;
        let wrong = match (expected, seen) {
            (None, None) => None,
            (Some(state), None) => Some(format!("no row; expected token {}", state.token)),
            (None, Some(_)) => Some("a row that was deleted".to_owned()),
            (Some(state), Some(seen)) => match &seen.row {
                Ok(row) => state.difference(row),
                Err(why) => Some(format!("unreadable: {why}")),
            },
        };
        if let Some(wrong) = wrong {
            let what = format!("{wrong} ({kind} at {:.0} ms)", self.now_ms());
            if snapshot.is_some_and(|taken| self.book.changed_shortly_before(key, taken, BEHIND)) {
                self.tally.behind.add(key, what, seen.map(Seen::describe));
                return;
            }
            self.tally.misread.add(key, what, seen.map(Seen::describe));
            // Reported; the check at the end looks at it once more.
            self.book.retire(key);
        }
    }
}
