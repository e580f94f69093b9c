//! Telling a true duplicate from a unique value that is moving between rows.
//!
//! As in `engine::mysql::conflict`: the rows of the shadow that hold a value of the rows to sync are candidates,
//! and are locked; both are read again from one snapshot of the source. A value that stands there twice is a
//! true duplicate. Otherwise candidates that are not as they are there are stale and go, and rows to sync that
//! are not as they are there are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::bugs::Bug;
use super::dice::Span;
use super::keys::Set;
use super::locks::{LockId, Mode};
use super::session::{Failure, Line};
use super::sync::snapshot;
use super::table::{Row, TableId};
use super::transaction::Tx;

type Rows = BTreeMap<u32, Row>;

/// What is to be inserted of the rows of a set, which were deleted and then read.
pub async fn settle(
    tx: &mut Tx,
    line: &Line,
    [source, shadow]: [TableId; 2],
    set: &Set,
    mut rows: Vec<(u32, Row)>,
) -> Result<Vec<(u32, Row)>, Failure> {
    let (server, bugs) = (tx.server.clone(), tx.server.bugs);
    server.dice.pause(server.plan.read).await;
    line.step().await?;
    let candidates: BTreeSet<u32> = {
        let catalog = server.catalog.borrow();
        let holders = rows.iter().filter(|(_, row)| row.unique != 0);
        holders
            .filter_map(|(_, row)| catalog.table(shadow).holder(row.unique))
            .filter(|id| !set.contains(*id))
            .collect()
    };
    line.step().await?;
    let mut now = Rows::new();
    if bugs.has(Bug::LookBeforeLock) {
        now = look(tx, source, set, &candidates)?;
        // As long as another lane may need for the row.
        server.dice.pause(Span(0, 400)).await;
        line.step().await?;
    }
    for id in &candidates {
        let new = tx.lock(LockId::Row(shadow, *id), Mode::Exclusive).await?;
        if new && tx.get(shadow, *id).is_none() {
            tx.unlock(LockId::Row(shadow, *id));
        }
    }
    line.step().await?;
    if !bugs.has(Bug::LookBeforeLock) {
        now = look(tx, source, set, &candidates)?;
    }
    let moved = |id: u32, row: &Row| now.get(&id).is_none_or(|now| now.unique != row.unique);
    line.step().await?;
    for id in candidates {
        let Some(row) = tx.get(shadow, id) else { continue };
        if moved(id, &row) || bugs.has(Bug::DisplaceByKey) {
            server.count(|c| c.displaced += 1);
            server.trace.say(|| format!("{}: displaces row {id}", tx.id));
            tx.put(shadow, id, None).await?;
        }
    }
    let all = rows.len();
    rows.retain(|(id, row)| !moved(*id, row));
    server.count(|c| c.left_out += (all - rows.len()) as u64);
    Ok(rows)
}

/// The rows and the candidates at this moment.
fn look(tx: &Tx, source: TableId, set: &Set, candidates: &BTreeSet<u32>) -> Result<Rows, Failure> {
    let others = Set::Ids(candidates.iter().copied().collect());
    let now: Rows = [set, &others].into_iter().flat_map(|set| snapshot(&tx.server, source, set)).collect();
    let mut values = BTreeSet::new();
    match now.values().find(|row| row.unique != 0 && !values.insert(row.unique)) {
        Some(twice) => Err(Failure::TrueDuplicate(twice.unique)),
        None => Ok(now),
    }
}
