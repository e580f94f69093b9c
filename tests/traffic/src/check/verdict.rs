//! The result: what was done, what went wrong, how long it took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::judge::Damage;
use super::old::OldVerdict;
use crate::config::{Dml, Operation};
use crate::kind::Kind;
use crate::record::draft::Entry;
use crate::record::ledger::Ledger;
use crate::record::tally::{Failure, Findings, Slow};
use crate::record::timeline::Window;

/// What became of the traffic's writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// [`Verdict::is_clean`], for readers of the JSON.
    pub clean: bool,
    /// [`Verdict::is_lossless`], for readers of the JSON.
    pub lossless: bool,
    /// Why the check proves less than it seems to; empty if it does not.
    pub vacuous: Vec<String>,

    pub elapsed_s: f64,
    pub target_rate_per_s: f64,
    pub rate_per_s: f64,
    pub operations: u64,
    /// Operations that were due and not begun when the traffic was stopped.
    pub unserved: u64,

    /// Acknowledged statements.
    pub acknowledged: BTreeMap<Kind, u64>,
    /// Row changes acknowledged as committed.
    pub committed_rows: u64,
    /// Row changes that were rolled back on purpose.
    pub rolled_back_rows: u64,
    pub reads_compared: u64,

    pub failed: u64,
    /// By the server's error number.
    pub failed_by_code: BTreeMap<String, u64>,
    pub failures: Vec<Failure>,
    pub connections_lost: u64,
    pub breaks: Vec<Failure>,

    pub rows_read: u64,
    pub rows_counted: u64,
    pub keys_touched: u64,
    /// Acknowledged rows, or rows never touched, that are not there.
    pub lost: Findings,
    /// Rows that are there, but not in the last acknowledged state.
    pub stale: Findings,
    /// Rows that are there and must not be.
    pub phantom: Findings,
    /// Rows that the traffic never touched and that are not as they were.
    pub changed: Findings,
    /// Reads that contradicted the ledger while the traffic ran.
    pub misread: Findings,
    /// Reads of a transaction whose snapshot was from before a swap, and that missed what was changed in the second before
    /// that. No damage: after a native ALTER such a transaction finds no row at all.
    pub behind: Findings,
    /// Statements that changed more or fewer rows than there were.
    pub surprised: Findings,
    /// Generated keys that were given twice.
    pub reused: Findings,
    /// Operations whose COMMIT was not answered: either outcome is accepted.
    pub unknown: u64,
    pub unknown_applied: u64,
    pub old: Option<OldVerdict>,

    pub windows: Vec<Window>,
    pub slowest: Vec<Slow>,
}

impl Verdict {
    pub(crate) fn new(ledger: &Ledger, damage: Damage, rows_counted: u64) -> Verdict {
        let tally = &ledger.tally;
        let elapsed_s = ledger.elapsed.as_secs_f64();
        let in_doubt: usize = ledger.doubts.iter().map(|doubt| doubt.changes.len()).sum();
        let mut verdict = Verdict {
            clean: false,
            lossless: false,
            vacuous: Vec::new(),
            elapsed_s,
            target_rate_per_s: ledger.config.rate_per_s,
            rate_per_s: tally.operations as f64 / elapsed_s.max(1e-9),
            operations: tally.operations,
            unserved: tally.unserved,
            acknowledged: tally.acknowledged.clone(),
            committed_rows: tally.committed_rows,
            rolled_back_rows: tally.rolled_back_rows,
            reads_compared: tally.reads_compared,
            failed: tally.failed,
            failed_by_code: tally.by_code.clone(),
            failures: tally.failures.clone(),
            connections_lost: tally.connections_lost,
            breaks: tally.breaks.clone(),
            rows_read: damage.rows,
            rows_counted,
            keys_touched: (ledger.entries.len() + ledger.contested.len() + in_doubt) as u64,
            lost: damage.lost,
            stale: damage.stale,
            phantom: damage.phantom,
            changed: damage.changed,
            misread: tally.misread.clone(),
            behind: tally.behind.clone(),
            surprised: tally.surprised.clone(),
            reused: ledger.reused.clone(),
            unknown: ledger.doubts.len() as u64,
            unknown_applied: damage.unknown_applied,
            old: None,
            windows: ledger.windows(),
            slowest: tally.slowest(),
        };
        verdict.vacuous = verdict.gaps(ledger);
        verdict.settle();
        verdict
    }

    /// The verdict with the old table's in it.
    pub fn with_old(mut self, old: OldVerdict) -> Verdict {
        self.old = Some(old);
        self.settle();
        self
    }

    fn settle(&mut self) {
        self.clean = self.is_clean();
        self.lossless = self.is_lossless();
    }

    /// The table holds all that was acknowledged and nothing else, no read ever said otherwise, and
    /// the check had something to check. Statements may have failed and connections may have broken.
    pub fn is_lossless(&self) -> bool {
        let findings =
            [&self.lost, &self.stale, &self.phantom, &self.changed, &self.misread, &self.surprised, &self.reused];
        findings.iter().all(|findings| findings.count == 0)
            && self.rows_read == self.rows_counted
            && self.vacuous.is_empty()
            && self.old.as_ref().is_none_or(OldVerdict::is_clean)
    }

    /// Lossless, and the application noticed nothing: no statement failed, no connection broke.
    pub fn is_clean(&self) -> bool {
        self.is_lossless() && self.failed == 0 && self.connections_lost == 0 && self.unknown == 0
    }

    /// What a run must have done before its verdict means anything.
    fn gaps(&self, ledger: &Ledger) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut need = |fulfilled: bool, text: &str| {
            if !fulfilled {
                gaps.push(text.to_owned());
            }
        };
        let done = |kind: Kind| self.acknowledged.get(&kind).copied().unwrap_or(0);
        need(self.rows_read > 0, "the table is empty");
        need(self.committed_rows > 0, "no write was acknowledged");
        let present = ledger.entries.values().filter(|entry| matches!(entry, Entry::Present(_))).count();
        need(present > 0, "no acknowledged row is left to compare");
        let total = f64::from(ledger.config.mix.total());
        for (operation, weight) in ledger.config.mix.weights() {
            // Rare ones may be missing by chance; with 20 expected, that is one run in 10^8.
            if self.operations as f64 * f64::from(weight) / total < 20.0 {
                continue;
            }
            if operation == Operation::ReadSnapshot && !ledger.reads_snapshots {
                continue;
            }
            let kind = needed(operation);
            need(done(kind) > 0, &format!("no {kind} was acknowledged"));
            need(operation != Operation::Read || self.reads_compared > 0, "no read was compared");
        }
        if ledger.config.xa && self.elapsed_s > 10.0 {
            need(done(Kind::XaCommit) + done(Kind::XaCommitElsewhere) > 0, "no XA transaction was committed");
        }
        gaps
    }
}

/// The statement without which an operation was never done.
fn needed(operation: Operation) -> Kind {
    match operation {
        Operation::Read => Kind::Read,
        Operation::ReadSecondary => Kind::ReadSecondary,
        Operation::ReadSnapshot => Kind::ReadSnapshot,
        Operation::Write(dml) => match dml {
            Dml::Insert => Kind::Insert,
            Dml::InsertExplicit => Kind::InsertExplicit,
            Dml::Update => Kind::Update,
            Dml::UpdateSecondary => Kind::UpdateSecondary,
            Dml::UpdateKey | Dml::UpdateKeyAndEmail => Kind::UpdateKey,
            Dml::UpdateMany => Kind::UpdateMany,
            Dml::Upsert => Kind::Upsert,
            Dml::Replace => Kind::Replace,
            Dml::Delete => Kind::Delete,
        },
        Operation::Transaction(crate::config::Ending::Rollback) => Kind::Rollback,
        Operation::Transaction(crate::config::Ending::Savepoint) => Kind::RollbackToSavepoint,
        Operation::Transaction(crate::config::Ending::Commit) | Operation::Swap => Kind::Commit,
    }
}
