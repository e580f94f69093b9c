//! osc's own rows on the server: the epoch, the checkpoint, a note per lane.
//!
//! They are written by the same transactions, under the same locks and through the same commit
//! stages as everything else. The epoch keeps zombies out as in `engine::mysql::state`: every
//! transaction that writes to the shadow holds the epoch row shared and has checked it; a raise takes
//! it exclusively, so it waits for all that passed and none of an older epoch passes afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bugs::{Bug, Bugs};
use super::dice::Dice;
use super::locks::{LockId, Mode};
use super::server::Server;
use super::session::{Failure, Line};
use super::table::Name;
use super::transaction::Tx;
use crate::model::{Checkpoint, LaneNote, Range};

/// The slot of the checkpoint; a lane's note has the lane's number.
pub const CHECKPOINT: u16 = u16::MAX;

#[derive(Debug, Clone, Default)]
pub struct Store {
    pub epoch: u64,
    /// Whose life it is.
    pub life: u64,
    pub checkpoint: Option<Checkpoint>,
    pub notes: BTreeMap<u16, LaneNote>,
    /// The ranges that were committed in this life.
    pub committed: Vec<Range>,
}

/// A change of the store, made when its transaction becomes visible.
#[derive(Debug, Clone)]
pub enum Effect {
    Epoch(u64),
    Life(u64),
    Checkpoint(Box<Checkpoint>),
    Note(u16, LaneNote),
    NoNotes,
}

impl Store {
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Epoch(epoch) => self.epoch = epoch,
            Effect::Life(life) => {
                self.life = life;
                self.committed.clear();
            }
            Effect::Checkpoint(checkpoint) => self.checkpoint = Some(*checkpoint),
            Effect::Note(lane, note) => {
                let newest = note.done.last().map(|newest| &newest.range);
                self.committed.extend(newest.filter(|range| !self.committed.contains(range)).cloned());
                self.notes.insert(lane, note);
            }
            Effect::NoNotes => self.notes.clear(),
        }
    }

    /// What a life that began now would begin from.
    pub fn folded(&self) -> Option<Checkpoint> {
        let mut checkpoint = self.checkpoint.clone()?;
        checkpoint.absorb(&self.notes.values().cloned().collect::<Vec<_>>());
        Some(checkpoint)
    }
}

/// What a new run stores first. Its epochs are its own: a process that has slept through the removal of
/// its run must not take the next one's for one of its own.
pub fn blank(bugs: Bugs, dice: &Dice) -> Store {
    let epoch = if bugs.has(Bug::EpochFromNothing) { 0 } else { dice.below(1 << 40) };
    Store { epoch, ..Store::default() }
}

/// Somebody removes the run (`osc cleanup`). Like any DDL it waits for those who use the tables.
pub async fn clean_up(server: &Server) {
    let holder = server.next_holder();
    let ids = [LockId::Epoch, LockId::Name(Name::Shadow)];
    let mut granted = 0;
    for id in ids {
        if server.locks.acquire(holder, id, Mode::Exclusive, Duration::from_secs(5)).await.is_err() {
            break;
        }
        granted += 1;
    }
    if granted == ids.len() && !server.catalog.borrow().swapped() {
        let mut catalog = server.catalog.borrow_mut();
        catalog.drop_name(Name::Shadow);
        catalog.drop_sentry();
        *server.store.borrow_mut() = blank(server.bugs, &server.dice);
        server.count(|c| c.cleanups += 1);
        server.trace.say(|| "the run is removed".to_owned());
    }
    for id in &ids[..granted] {
        server.locks.release(holder, *id);
    }
}

/// Takes the shared lock on the epoch for the rest of the transaction and checks it.
pub async fn check(tx: &mut Tx, epoch: u64) -> Result<(), Failure> {
    let bugs = tx.server.bugs;
    if bugs.has(Bug::ZombiesWithoutEpoch) {
        return Ok(());
    }
    if !bugs.has(Bug::EpochReadUnlocked) {
        tx.lock(LockId::Epoch, Mode::Shared).await?;
    }
    let now = tx.server.store.borrow().epoch;
    if now == epoch { Ok(()) } else { Err(Failure::Epoch(now)) }
}

async fn bump(tx: &mut Tx) -> Result<u64, Failure> {
    tx.lock(LockId::Epoch, Mode::Exclusive).await?;
    let epoch = tx.server.store.borrow().epoch + 1;
    tx.effect(Effect::Epoch(epoch));
    Ok(epoch)
}

/// Raises the epoch: when this returns no transaction of an earlier one can commit any more. A process
/// whose life is over, because another one took the run over, raises nothing.
pub async fn raise(tx: &mut Tx, life: u64) -> Result<u64, Failure> {
    let epoch = bump(tx).await?;
    let now = tx.server.store.borrow().life;
    if now != life && !tx.server.bugs.has(Bug::AnyoneRaises) {
        return Err(Failure::TakenOver);
    }
    Ok(epoch)
}

/// Begins a life: raises the epoch, folds the notes into the checkpoint, deletes them.
pub async fn begin_life(mut tx: Tx, life: u64, line: &Line) -> Result<(u64, Option<Checkpoint>), Failure> {
    let epoch = bump(&mut tx).await?;
    tx.effect(Effect::Life(life));
    line.step().await?;
    let checkpoint = tx.server.store.borrow().folded();
    tx.server.check_copied_twice();
    if let Some(checkpoint) = &checkpoint {
        tx.lock(LockId::Slot(CHECKPOINT), Mode::Exclusive).await?;
        tx.effect(Effect::Checkpoint(Box::new(checkpoint.clone())));
    }
    if !tx.server.bugs.has(Bug::NotesKept) {
        tx.effect(Effect::NoNotes);
    }
    line.step().await?;
    tx.commit().await;
    Ok((epoch, checkpoint))
}
