//! Counts, and the texts of what went wrong.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// How many texts of each sort are kept; all are counted.
pub(crate) const EXAMPLES: usize = 20;

/// A statement that the server refused, or a connection that broke.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub at_ms: f64,
    pub writer: u64,
    /// `None` when it was not a statement's (connecting, a task that ended).
    pub kind: Option<Kind>,
    /// The server's error number, or its SQLSTATE.
    pub code: Option<String>,
    pub text: String,
}

/// A row, and what is wrong with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Example {
    pub key: i64,
    pub what: String,
    pub seen: Option<String>,
}

/// One of the slowest statements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    pub took_ms: f64,
    pub sent_at_ms: f64,
    pub kind: Kind,
    pub writer: u64,
}

/// Findings of one sort: all counted, the first kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    pub count: u64,
    pub examples: Vec<Example>,
}

impl Findings {
    pub(crate) fn add(&mut self, key: i64, what: impl Into<String>, seen: Option<String>) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(Example { key, what: what.into(), seen });
        }
    }

    fn absorb(&mut self, other: Findings) {
        self.count += other.count;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// What a connection counts.
#[derive(Default)]
pub(crate) struct Tally {
    pub operations: u64,
    pub acknowledged: BTreeMap<Kind, u64>,
    pub committed_rows: u64,
    pub rolled_back_rows: u64,
    pub reads_compared: u64,
    pub failed: u64,
    pub by_code: BTreeMap<String, u64>,
    pub failures: Vec<Failure>,
    pub connections_lost: u64,
    pub breaks: Vec<Failure>,
    /// Reads that contradict the ledger.
    pub misread: Findings,
    /// Reads with a snapshot from before a swap that missed what was changed shortly before that.
    pub behind: Findings,
    /// Statements that changed more or fewer rows than there must have been.
    pub surprised: Findings,
    /// Operations that were due and not begun when the traffic was stopped.
    pub unserved: u64,
    slowest: BinaryHeap<Reverse<(u64, u64, Kind, u64)>>,
}

impl Tally {
    pub fn acknowledge(&mut self, kind: Kind) {
        *self.acknowledged.entry(kind).or_default() += 1;
    }

    pub fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        let code = failure.code.clone().unwrap_or_else(|| "none".to_owned());
        *self.by_code.entry(code).or_default() += 1;
        if self.failures.len() < EXAMPLES {
            self.failures.push(failure);
        }
    }

    pub fn lose(&mut self, failure: Failure) {
        self.connections_lost += 1;
        if self.breaks.len() < EXAMPLES {
            self.breaks.push(failure);
        }
    }

    pub fn time(&mut self, kind: Kind, writer: u64, sent_us: u64, took_us: u64) {
        self.slowest.push(Reverse((took_us, sent_us, kind, writer)));
        if self.slowest.len() > EXAMPLES {
            self.slowest.pop();
        }
    }

    pub fn slowest(&self) -> Vec<Slow> {
        let mut all: Vec<_> = self.slowest.iter().map(|Reverse(slow)| *slow).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let ms = |us: u64| us as f64 / 1e3;
        all.into_iter()
            .map(|(took, sent, kind, writer)| Slow { took_ms: ms(took), sent_at_ms: ms(sent), kind, writer })
            .collect()
    }

    pub fn absorb(&mut self, other: Tally) {
        self.operations += other.operations;
        for (kind, n) in other.acknowledged {
            *self.acknowledged.entry(kind).or_default() += n;
        }
        self.committed_rows += other.committed_rows;
        self.rolled_back_rows += other.rolled_back_rows;
        self.reads_compared += other.reads_compared;
        self.failed += other.failed;
        for (code, n) in other.by_code {
            *self.by_code.entry(code).or_default() += n;
        }
        keep_first(&mut self.failures, other.failures);
        self.connections_lost += other.connections_lost;
        keep_first(&mut self.breaks, other.breaks);
        self.misread.absorb(other.misread);
        self.behind.absorb(other.behind);
        self.surprised.absorb(other.surprised);
        self.unserved += other.unserved;
        for Reverse((took, sent, kind, writer)) in other.slowest {
            self.time(kind, writer, sent, took);
        }
    }
}

/// The earliest texts say most about a cause.
fn keep_first(all: &mut Vec<Failure>, more: Vec<Failure>) {
    all.extend(more);
    all.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    all.truncate(EXAMPLES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_slowest_and_counts_all() {
        let (mut a, mut b) = (Tally::default(), Tally::default());
        for n in 0..100 {
            a.time(Kind::Read, 0, n, n);
            b.time(Kind::Commit, 1, n, n * 2);
            b.acknowledge(Kind::Commit);
        }
        a.absorb(b);
        let slowest = a.slowest();
        assert_eq!(slowest.len(), EXAMPLES);
        assert_eq!((slowest[0].took_ms, slowest[0].kind), (0.198, Kind::Commit));
        assert_eq!(a.acknowledged[&Kind::Commit], 100);
    }

    #[test]
    fn failures_are_counted_by_code() {
        let mut tally = Tally::default();
        for n in 0..50 {
            let code = (n % 2 == 0).then(|| "1213".to_owned());
            tally.fail(Failure { at_ms: 1.0, writer: 0, kind: None, code, text: "x".into() });
        }
        assert_eq!((tally.failed, tally.failures.len()), (50, EXAMPLES));
        assert_eq!((tally.by_code["1213"], tally.by_code["none"]), (25, 25));
    }
}
