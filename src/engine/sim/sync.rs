//! What one sync does on the server: one transaction that makes the shadow's rows equal to the source's.
//!
//! Epoch, DELETE, INSERT … SELECT, the lane's note, COMMIT. The DELETE is a locking read: it sees the
//! newest rows, waits for those that others have written, and keeps no lock on a row that is not there
//! (READ COMMITTED). The INSERT … SELECT reads the source from one snapshot that it takes **after** the
//! DELETE, and then takes its time.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::bugs::Bug;
use super::conflict;
use super::keys::Set;
use super::locks::{LockId, Mode};
use super::server::Server;
use super::session::{Failure, Line};
use super::state::{self, Effect};
use super::table::{Name, Row, TableId};
use super::transaction::{Origin, Tx};
use crate::engine::{Lane, Synced};
use crate::model::LaneNote;

pub struct Sync {
    pub epoch: u64,
    pub lane: Lane,
    pub set: Set,
    pub note: Option<LaneNote>,
    /// Unique values were in the way.
    pub conflicts: bool,
}

/// All rows of a set at this moment.
pub fn snapshot(server: &Server, table: TableId, set: &Set) -> Vec<(u32, Row)> {
    let catalog = server.catalog.borrow();
    let rows = &catalog.table(table).rows;
    match set {
        Set::Range { .. } => rows.iter().filter(|(id, _)| set.contains(**id)).map(|(id, row)| (*id, *row)).collect(),
        Set::Ids(ids) => ids.iter().filter_map(|id| rows.get(id).map(|row| (*id, *row))).collect(),
    }
}

/// DELETE of a set.
pub async fn delete(tx: &mut Tx, table: TableId, set: &Set) -> Result<(), Failure> {
    let server = tx.server.clone();
    let mut from = 0;
    loop {
        let next = {
            let catalog = server.catalog.borrow();
            let there = catalog.table(table).rows.range(from..).map(|(id, _)| *id).find(|id| set.contains(*id));
            let locked = server.locks.locked_rows(table).into_iter().find(|id| *id >= from && set.contains(*id));
            there.into_iter().chain(locked).min()
        };
        let Some(id) = next else { return Ok(()) };
        let lock = LockId::Row(table, id);
        let new = tx.lock(lock, Mode::Exclusive).await?;
        if tx.get(table, id).is_some() {
            tx.put(table, id, None).await?;
        } else if new {
            tx.unlock(lock);
        }
        from = id + 1;
    }
}

/// INSERT of rows that were read.
pub async fn insert(tx: &mut Tx, table: TableId, rows: &[(u32, Row)]) -> Result<u64, Failure> {
    let bugs = tx.server.bugs;
    for (id, row) in rows {
        if row.unfit {
            if bugs.has(Bug::SkipUnfit) {
                continue;
            }
            return Err(Failure::Unfit(*id));
        }
        tx.lock(LockId::Row(table, *id), Mode::Exclusive).await?;
        if tx.get(table, *id).is_some() {
            return Err(Failure::Duplicate { value: 0, holder: *id });
        }
        match tx.put(table, *id, Some(*row)).await {
            Err(Failure::Duplicate { .. }) if bugs.has(Bug::IgnoreConflicts) => {}
            other => other?,
        }
    }
    Ok(rows.len() as u64)
}

pub async fn run(server: Rc<Server>, line: Rc<Line>, job: Sync) -> Result<Synced, Failure> {
    let bugs = server.bugs;
    let mut tx = Tx::begin(&server, Origin::Osc);
    state::check(&mut tx, job.epoch).await?;
    line.step().await?;
    if let Some(note) = job.note.as_ref().filter(|_| bugs.has(Bug::NoteBeforeData)) {
        let mut early = Tx::begin(&server, Origin::Osc);
        early.effect(Effect::Note(job.lane.0, note.clone()));
        early.commit().await;
        line.step().await?;
    }
    let shadow = tx.open(Name::Shadow).await?;
    let insert_only = bugs.has(Bug::CopyOnlyInserts) && matches!(job.set, Set::Range { .. });
    if !insert_only {
        delete(&mut tx, shadow, &job.set).await?;
    }
    line.step().await?;
    let source = tx.open(Name::Original).await?;
    let mut rows = snapshot(&server, source, &job.set);
    if insert_only {
        rows.retain(|(id, _)| tx.get(shadow, *id).is_none());
    }
    server.trace.say(|| format!("{}: lane {} reads {:?}: {:?}", tx.id, job.lane.0, job.set, ids(&rows)));
    let count = rows.len() as u64;
    if job.conflicts {
        rows = conflict::settle(&mut tx, &line, [source, shadow], &job.set, rows).await?;
    }
    // The statement reads and inserts as it goes, from the snapshot that it began with.
    let half = rows.len() / 2;
    line.busy().await;
    insert(&mut tx, shadow, &rows[..half]).await?;
    line.busy().await;
    insert(&mut tx, shadow, &rows[half..]).await?;
    if let Some(mut note) = job.note {
        if let Some(newest) = note.done.last_mut() {
            newest.rows = count;
        }
        tx.lock(LockId::Slot(job.lane.0), Mode::Exclusive).await?;
        if !bugs.has(Bug::NoteBeforeData) {
            tx.effect(Effect::Note(job.lane.0, note));
        }
    }
    line.step().await?;
    let zombie = line.is_zombie();
    let id = tx.id;
    tx.commit().await;
    server.trace.say(|| format!("{id}: lane {} committed{}", job.lane.0, if zombie { " as a zombie" } else { "" }));
    server.count(|c| c.zombie_commits += u64::from(zombie));
    Ok(Synced { rows: count })
}

fn ids(rows: &[(u32, Row)]) -> BTreeSet<u32> {
    rows.iter().map(|(id, _)| *id).collect()
}
