//! How the writers keep out of each other's way, so that a statement that fails was made to fail by
//! the schema change.
//!
//! Writers own their rows, and READ COMMITTED takes no gap locks for those. Two kinds of locks are
//! left over which InnoDB deadlocks under a unique index (both seen on MariaDB, on small tables):
//! - A unique value that returns to a place where it has been (a key update that keeps it, rows that
//!   exchange theirs) is checked under gap locks; two such next to each other wait for each other.
//! - An INSERT may hold the table's AUTO-INC lock while it waits for such a gap, and the key update
//!   that holds the gap then waits for AUTO-INC.
//!
//! So the first are done one at a time, and a key update of that kind never while another statement
//! may hold AUTO-INC. Nobody waits for a turn but inserts, and those for one statement at most, and never
//! in a transaction that has changed a row already: whom it would wait for may wait, behind a LOCK TABLES,
//! for the end of that transaction.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::lane::Lane;
use super::plan::Planned;
use crate::config::Dml;
use crate::kind::Kind;
use crate::record::draft::Draft;

#[derive(Default)]
pub(crate) struct Courtesy {
    gaps: Arc<Mutex<()>>,
    auto_increment: Arc<RwLock<()>>,
}

/// Leave to send a statement, until it is dropped.
#[derive(Default)]
pub(crate) struct Permit {
    _gaps: Option<OwnedMutexGuard<()>>,
    _alone: Option<OwnedRwLockWriteGuard<()>>,
    _shared: Option<OwnedRwLockReadGuard<()>>,
}

impl Courtesy {
    /// To put unique values where they have been, in any number of statements.
    pub fn reuse(&self) -> Option<Permit> {
        let gaps = Arc::clone(&self.gaps).try_lock_owned().ok()?;
        Some(Permit { _gaps: Some(gaps), ..Permit::default() })
    }

    /// The same, in a statement that may take AUTO-INC.
    fn move_key(&self) -> Option<Permit> {
        let permit = self.reuse()?;
        let alone = Arc::clone(&self.auto_increment).try_write_owned().ok()?;
        Some(Permit { _alone: Some(alone), ..permit })
    }

    /// To send a statement that may take AUTO-INC.
    async fn generate(&self) -> Permit {
        let shared = Arc::clone(&self.auto_increment).read_owned().await;
        Permit { _shared: Some(shared), ..Permit::default() }
    }

    /// The same at once, or not at all.
    fn try_generate(&self) -> Option<Permit> {
        let shared = Arc::clone(&self.auto_increment).try_read_owned().ok()?;
        Some(Permit { _shared: Some(shared), ..Permit::default() })
    }
}

/// Whether a statement may take AUTO-INC.
fn generates(kind: Kind) -> bool {
    matches!(kind, Kind::Insert | Kind::InsertExplicit | Kind::Upsert | Kind::Replace | Kind::UpdateKey)
}

impl Lane {
    /// Plans a statement and waits until it may be sent. Keep the permit until the answer is there. Within a
    /// transaction that has changed something it never waits: another statement takes its place, or none.
    pub async fn planned(&mut self, dml: Dml, draft: &Draft) -> Option<(Planned, Permit)> {
        let shared = Arc::clone(&self.shared);
        let (dml, permit) = match dml {
            Dml::UpdateKey => match shared.courtesy.move_key() {
                Some(permit) => (Dml::UpdateKey, Some(permit)),
                None => (Dml::UpdateKeyAndEmail, None),
            },
            other => (other, None),
        };
        let planned = self.planner(draft).plan(dml);
        if let Some(permit) = permit {
            return Some((planned, permit));
        }
        if !generates(planned.kind) {
            return Some((planned, Permit::default()));
        }
        if draft.changes().is_empty() {
            return Some((planned, shared.courtesy.generate().await));
        }
        if let Some(permit) = shared.courtesy.try_generate() {
            return Some((planned, permit));
        }
        let instead = self.planner(draft).plan(Dml::Update);
        (!generates(instead.kind)).then(|| (instead, Permit::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn key_moves_are_alone_and_exchanges_only_among_themselves() {
        let courtesy = Courtesy::default();
        let insert = courtesy.generate().await;
        assert!(courtesy.move_key().is_none());
        let swap = courtesy.reuse();
        assert!(swap.is_some() && courtesy.reuse().is_none());
        drop((insert, swap));
        let moving = courtesy.move_key();
        assert!(moving.is_some() && courtesy.reuse().is_none());
        assert!(courtesy.try_generate().is_none());
        drop(moving);
        assert!(courtesy.reuse().is_some() && courtesy.try_generate().is_some());
    }
}
