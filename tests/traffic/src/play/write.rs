//! Single statements that change rows, each its own transaction.

use super::lane::{Answer, Lane};
use super::plan::{Planned, Planner};
use crate::config::Dml;
use crate::record::draft::Draft;
use crate::server::Done;

impl Lane {
    pub fn planner<'a>(&'a mut self, draft: &'a Draft) -> Planner<'a> {
        let dialect = self.shared.dialect;
        Planner { book: &mut self.book, rng: &mut self.rng, mint: &self.mint, draft, dialect }
    }

    pub async fn write(&mut self, dml: Dml) {
        let Some((planned, _permit)) = self.planned(dml, &Draft::default()).await else { return };
        match self.execute(planned.kind, planned.sql, planned.args.clone()).await {
            Answer::Done(done) => {
                let mut draft = Draft::default();
                if self.note(&planned, done, &mut draft) {
                    self.committed(&draft);
                } else {
                    self.unclear(&planned, done);
                }
            }
            Answer::Refused => {}
            Answer::Doubtful | Answer::Lost => self.book.doubt(&expected(&planned), planned.generated),
        }
    }

    /// The changes are durable, the server says.
    pub fn committed(&mut self, draft: &Draft) {
        let rows = draft.changes().len() as u64;
        self.tally.committed_rows += rows;
        self.shared.pulse.committed(rows);
        self.book.apply(draft);
    }

    /// Takes an acknowledged statement's changes into the draft; false if the number of rows that it
    /// changed contradicts the ledger: a row was missing, or there was one too many.
    pub fn note(&mut self, planned: &Planned, done: Done, draft: &mut Draft) -> bool {
        let generated = planned.generated.map(|state| (done.last_insert_id.filter(|id| *id > 0), state));
        let key_is_missing = matches!(generated, Some((None, _)));
        if done.affected != planned.affected || key_is_missing {
            let key = planned.changes.first().map_or(0, |(key, _)| *key);
            let what = format!(
                "{} changed {} rows, expected {}{} (at {:.0} ms)",
                planned.kind,
                done.affected,
                planned.affected,
                if key_is_missing { ", and gave no key" } else { "" },
                self.now_ms()
            );
            self.tally.surprised.add(key, what, None);
            return false;
        }
        for (key, entry) in &planned.changes {
            draft.set(*key, *entry);
        }
        if let Some((Some(key), state)) = generated {
            draft.set_generated(key as i64, state);
        }
        true
    }

    /// What a single statement did is not clear: each of its rows may be as before or as after.
    fn unclear(&mut self, planned: &Planned, done: Done) {
        if done.affected == 0 {
            return self.retire(planned);
        }
        for (key, entry) in &planned.changes {
            let mut draft = Draft::default();
            draft.set(*key, *entry);
            self.book.doubt(&draft, None);
        }
        if planned.generated.is_some() {
            self.book.doubt(&Draft::default(), planned.generated);
        }
    }

    /// None of the statement's changes happened, or they were rolled back; leave its keys alone.
    pub fn retire(&mut self, planned: &Planned) {
        for (key, _) in &planned.changes {
            self.book.retire(*key);
        }
    }
}

/// The changes that a statement was sent for.
fn expected(planned: &Planned) -> Draft {
    let mut draft = Draft::default();
    for (key, entry) in &planned.changes {
        draft.set(*key, *entry);
    }
    draft
}
