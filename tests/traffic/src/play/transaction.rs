//! Transactions of several statements: committed, rolled back, or in part rolled back.

use std::sync::Arc;

use rand::Rng;

use super::lane::{Answer, Lane};
use super::plan::Planned;
use crate::config::{Dml, Ending};
use crate::kind::Kind;
use crate::record::book::Known;
use crate::record::draft::Draft;

const STEPS: [Dml; 9] = [
    Dml::Insert,
    Dml::Update,
    Dml::Update,
    Dml::Delete,
    Dml::InsertExplicit,
    Dml::UpdateSecondary,
    Dml::UpdateKeyAndEmail,
    Dml::Upsert,
    Dml::UpdateMany,
];

impl Lane {
    pub async fn transaction(&mut self, ending: Ending) {
        if !self.begin().await {
            return;
        }
        let mut draft = Draft::default();
        let steps = self.rng.random_range(1..=3);
        if !self.steps(steps, &mut draft).await {
            return;
        }
        if ending == Ending::Savepoint && !self.detour(&mut draft).await {
            return;
        }
        let steps = self.rng.random_range(1..=3);
        if !self.steps(steps, &mut draft).await {
            return;
        }
        if ending == Ending::Rollback {
            self.tally.rolled_back_rows += draft.changes().len() as u64;
            self.roll_back().await;
        } else {
            self.commit(&draft).await;
        }
    }

    /// Two rows exchange their e-mail addresses.
    pub async fn swap(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(_permit) = shared.courtesy.reuse() else {
            return self.write(Dml::UpdateSecondary).await;
        };
        let mut draft = Draft::default();
        let Some([a, b]) = self.planner(&draft).swap() else { return self.write(Dml::Insert).await };
        let (Known::Present(row_a), Known::Present(row_b)) = (self.book.look(&draft, a), self.book.look(&draft, b))
        else {
            return;
        };
        if !self.begin().await {
            return;
        }
        for (key, email) in [(a, None), (b, Some(row_a.email)), (a, Some(row_b.email))] {
            let Some(planned) = self.planner(&draft).set_email(key, email) else {
                return self.roll_back().await;
            };
            if !self.step(&planned, &mut draft).await {
                return;
            }
        }
        self.commit(&draft).await;
    }

    async fn begin(&mut self) -> bool {
        match self.command(Kind::Begin, "START TRANSACTION").await {
            Answer::Done(_) => true,
            // With an error the session's state is unknown: never build on it.
            _ => {
                self.drop_session();
                false
            }
        }
    }

    pub async fn steps(&mut self, count: u32, draft: &mut Draft) -> bool {
        for _ in 0..count {
            let dml = STEPS[self.rng.random_range(0..STEPS.len())];
            let Some((planned, _permit)) = self.planned(dml, draft).await else { continue };
            if !self.step(&planned, draft).await {
                return false;
            }
        }
        true
    }

    /// One statement of a transaction; if it does not go as planned, the transaction is over.
    async fn step(&mut self, planned: &Planned, draft: &mut Draft) -> bool {
        match self.execute(planned.kind, planned.sql, planned.args.clone()).await {
            Answer::Done(done) => {
                if self.note(planned, done, draft) {
                    return true;
                }
                self.retire(planned);
                self.roll_back().await;
            }
            Answer::Refused | Answer::Doubtful => self.roll_back().await,
            // COMMIT was never sent: the server rolls back when it notices.
            Answer::Lost => {}
        }
        false
    }

    /// Changes that are taken back to a savepoint.
    async fn detour(&mut self, draft: &mut Draft) -> bool {
        if !self.control(Kind::Savepoint, "SAVEPOINT detour").await {
            return false;
        }
        let before = draft.clone();
        let steps = self.rng.random_range(1..=2);
        if !self.steps(steps, draft).await {
            return false;
        }
        self.tally.rolled_back_rows += (draft.changes().len() - before.changes().len()) as u64;
        *draft = before;
        self.control(Kind::RollbackToSavepoint, "ROLLBACK TO SAVEPOINT detour").await
    }

    async fn control(&mut self, kind: Kind, sql: &str) -> bool {
        let done = matches!(self.command(kind, sql).await, Answer::Done(_));
        if !done {
            self.roll_back().await;
        }
        done
    }

    async fn commit(&mut self, draft: &Draft) {
        match self.command(Kind::Commit, "COMMIT").await {
            Answer::Done(_) => self.committed(draft),
            // Even an error may come after the commit took effect.
            Answer::Refused | Answer::Doubtful => {
                self.book.doubt(draft, None);
                self.roll_back().await;
            }
            Answer::Lost => self.book.doubt(draft, None),
        }
    }

    /// Nothing was committed, so nothing is noted. If the rollback fails, the connection goes: its
    /// open transaction must not leak into the next operation.
    pub async fn roll_back(&mut self) {
        if self.session.is_some() && !matches!(self.command(Kind::Rollback, "ROLLBACK").await, Answer::Done(_)) {
            self.drop_session();
        }
    }
}
