//! The shadow, kept equal: lanes with sessions of their own, and the epoch.
//!
//! As in `engine::mysql::lanes`: a lane whose session was lost, or whose future was dropped in the
//! middle, leaves a flag behind, and the next operation of any lane first raises the epoch.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use super::binlog::Image;
use super::bugs::{Bug, Peek};
use super::faults::{Faults, Moment};
use super::keys::{Set, encode};
use super::ledger::differences;
use super::locks::{LockId, Mode};
use super::server::Server;
use super::session::{Failure, Line, call};
use super::state::{self, CHECKPOINT, Effect};
use super::sync::{self, Sync};
use super::table::{Name, Row};
use super::transaction::{Origin, Tx};
use crate::engine::{Compared, Lane, Mirror, Synced};
use crate::error::{Error, Kind, Result};
use crate::model::{Checkpoint, Key, LaneNote, Rows};

pub struct SimMirror {
    server: Rc<Server>,
    faults: Rc<Faults>,
    life: u64,
    epoch: Cell<u64>,
    lost: Cell<bool>,
    peek: Rc<Peek>,
}

/// Notes a lost session unless disarmed, also when the future that holds it is dropped.
struct Guard<'a>(&'a Cell<bool>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

impl SimMirror {
    pub fn new(server: Rc<Server>, faults: Rc<Faults>, life: u64, epoch: u64, peek: Rc<Peek>) -> Self {
        SimMirror { server, faults, life, epoch: Cell::new(epoch), lost: Cell::new(false), peek }
    }

    async fn raise(&self) -> Result<(), Failure> {
        self.faults.moment(Moment::Raise);
        let (server, life) = (self.server.clone(), self.life);
        let epoch = call(&self.server, &self.faults, |line| async move {
            line.step().await?;
            let mut tx = Tx::begin(&server, Origin::Osc);
            let epoch = state::raise(&mut tx, life).await?;
            line.step().await?;
            tx.commit().await;
            Ok(epoch)
        })
        .await?;
        // Two lanes may raise at once, and their answers may come in another order.
        self.epoch.set(self.epoch.get().max(epoch));
        self.lost.set(false);
        Ok(())
    }

    /// Runs a program of the current epoch.
    async fn transaction<T: 'static, F>(&self, program: impl FnOnce(Rc<Line>, u64) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + 'static,
    {
        let bugs = self.server.bugs;
        if self.lost.get() && !bugs.has(Bug::ZombiesWithoutEpoch) && !bugs.has(Bug::EpochOnlyNewLife) {
            self.raise().await?;
        }
        let guard = Guard(&self.lost);
        let epoch = self.epoch.get();
        let result = call(&self.server, &self.faults, |line| program(line, epoch)).await;
        match &result {
            Err(Failure::Lost) => drop(guard),
            // Raised by another lane just now, or by a raise of ours whose answer was lost.
            Err(Failure::Epoch(_)) => {
                self.server.count(|c| c.epochs_refused += 1);
                drop(guard);
            }
            _ => std::mem::forget(guard),
        }
        result
    }

    async fn write(&self, lane: Lane, set: &Set, note: Option<&LaneNote>, conflicts: bool) -> Result<Synced, Failure> {
        let (server, set, note) = (self.server.clone(), set.clone(), note.cloned());
        self.transaction(|line, epoch| sync::run(server, line, Sync { epoch, lane, set, note, conflicts })).await
    }
}

impl Mirror for SimMirror {
    async fn sync(&self, lane: Lane, rows: Rows<'_>, note: Option<&LaneNote>) -> Result<Synced> {
        self.faults.moment(if note.is_some() { Moment::Chunk } else { Moment::Batch });
        let mut set = Set::decode(self.server.plan.order, rows)?;
        if let Set::Range { upto, .. } = &mut set {
            self.peek.reach.set(self.peek.reach.get().max(Some(upto.unwrap_or(u32::MAX))));
            if self.server.bugs.has(Bug::LastRangeClosed) {
                *upto = upto.or(self.peek.last_key.get());
            }
        }
        let first = self.write(lane, &set, note, false).await;
        let Err(Failure::Duplicate { .. }) = first else { return first.map_err(Error::from) };
        self.server.count(|c| c.conflicts += 1);
        match self.write(lane, &set, note, true).await {
            // Another lane wrote one of the values meanwhile.
            Err(failure @ Failure::Duplicate { .. }) => Err(Error::from(failure).with_kind(Kind::Transient)),
            other => other.map_err(Error::from),
        }
    }

    /// One index, like any DDL behind those who use the shadow, and only for whose life it still is.
    async fn build(&self) -> Result<bool> {
        self.faults.moment(Moment::Build);
        let server = self.server.clone();
        let built = self.transaction(|line, epoch| async move {
            let mut tx = Tx::begin(&server, Origin::Osc);
            state::check(&mut tx, epoch).await?;
            line.step().await?;
            tx.lock(LockId::Name(Name::Shadow), Mode::Exclusive).await?;
            let shadow = tx.open(Name::Shadow).await?;
            line.busy().await;
            let more = server.catalog.borrow_mut().build(shadow);
            server.count(|c| c.built += 1);
            tx.commit().await;
            line.step().await?;
            Ok(more)
        });
        built.await.map_err(Error::from)
    }

    /// Both sides in one snapshot, which is taken when the statement begins; then it takes its time.
    async fn compare(&self, _lane: Lane, rows: Rows<'_>, most: usize) -> Result<Compared> {
        let order = self.server.plan.order;
        let (server, set) = (self.server.clone(), Set::decode(order, rows)?);
        let (source, shadow) = call(&self.server, &self.faults, |line| async move {
            line.step().await?;
            let read = |name| {
                let id = server.catalog.borrow().named(name).ok_or(Failure::NoTable(name))?;
                Ok(sync::snapshot(&server, id, &set).into_iter().collect::<BTreeMap<u32, Row>>())
            };
            let both = (read(Name::Original)?, read(Name::Shadow)?);
            server.dice.pause(server.plan.read).await;
            line.step().await?;
            Ok(both)
        })
        .await?;
        let spelled = |id: &u32| source.get(id).or(shadow.get(id)).map_or(0, |row| row.spelling);
        let found = differences(&shadow, &source);
        let keys = found.iter().map(|d| encode(order, Image { id: d.id, spelling: spelled(&d.id) }));
        Ok(Compared { rows: source.len() as u64, differing: keys.take(most).collect(), more: found.len() > most })
    }

    async fn show(&self, _lane: Lane, keys: &[Key]) -> Result<Vec<String>> {
        Ok(keys.iter().map(|key| format!("{key:?}")).collect())
    }

    async fn store(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.faults.moment(Moment::Store);
        let (server, checkpoint) = (self.server.clone(), Box::new(checkpoint.clone()));
        let stored = self.transaction(|line, epoch| async move {
            let mut tx = Tx::begin(&server, Origin::Osc);
            state::check(&mut tx, epoch).await?;
            line.step().await?;
            tx.lock(LockId::Slot(CHECKPOINT), Mode::Exclusive).await?;
            tx.effect(Effect::Checkpoint(checkpoint));
            line.step().await?;
            tx.commit().await;
            Ok(())
        });
        stored.await.map_err(Error::from)
    }
}
