//! A transaction of the server: its locks, its writes until they are visible, its part of the stream.
//!
//! Reads of its own writes come first; a row is read and written under its lock. Rolling back to a
//! savepoint takes the writes and their row events back and keeps the locks. Dropping a transaction
//! rolls it back.

use std::rc::Rc;
use std::time::Duration;

use super::binlog::{Image, What};
use super::locks::{Holder, LockId, Mode, Refusal};
use super::server::Server;
use super::session::Failure;
use super::state::Effect;
use super::table::{Name, Row, TableId, Write};

/// Whose transaction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Application,
    Osc,
}

pub struct Tx {
    pub server: Rc<Server>,
    pub id: Holder,
    pub origin: Origin,
    /// How long it waits for the lock of a row, and of a name.
    row_patience: Duration,
    name_patience: Duration,
    held: Vec<LockId>,
    writes: Vec<Write>,
    images: Vec<Image>,
    effects: Vec<Effect>,
    /// The table whose changes the stream shows as the original's.
    original: Option<TableId>,
    /// The names are locked by the session for longer than this transaction.
    names_locked: bool,
}

/// What is left of a transaction once it only has to become visible.
#[derive(Debug)]
pub struct Parts {
    pub id: Holder,
    pub origin: Origin,
    pub held: Vec<LockId>,
    pub writes: Vec<Write>,
    pub effects: Vec<Effect>,
}

#[derive(Debug, Clone, Copy)]
pub struct Savepoint {
    writes: usize,
    images: usize,
}

impl Tx {
    pub fn begin(server: &Rc<Server>, origin: Origin) -> Tx {
        let (row_patience, name_patience) = match origin {
            Origin::Application => (server.plan.app_lock_wait, Duration::from_secs(3600)),
            Origin::Osc => (server.plan.osc_lock_wait, server.plan.osc_lock_wait * 4),
        };
        Tx {
            server: server.clone(),
            id: server.next_holder(),
            origin,
            row_patience,
            name_patience,
            held: Vec::new(),
            writes: Vec::new(),
            images: Vec::new(),
            effects: Vec::new(),
            original: None,
            names_locked: false,
        }
    }

    /// A transaction of a session that holds the names' locks itself.
    pub fn under_fence(server: &Rc<Server>) -> Tx {
        let mut tx = Tx::begin(server, Origin::Osc);
        tx.names_locked = true;
        tx
    }

    /// LOCK TABLES … WRITE: nobody else uses the table until the end.
    pub async fn lock_table(&mut self, name: Name) -> Result<TableId, Failure> {
        self.lock(LockId::Name(name), Mode::Exclusive).await?;
        self.open(name).await
    }

    /// Uses a table by name: holds the name until the end, and finds the table once it has it.
    pub async fn open(&mut self, name: Name) -> Result<TableId, Failure> {
        if !self.names_locked {
            self.lock(LockId::Name(name), Mode::Shared).await?;
        }
        let table = self.server.catalog.borrow().named(name).ok_or(Failure::NoTable(name))?;
        if name == Name::Original {
            self.original = Some(table);
        }
        Ok(table)
    }

    pub async fn lock(&mut self, id: LockId, mode: Mode) -> Result<bool, Failure> {
        let patience = if matches!(id, LockId::Name(_)) { self.name_patience } else { self.row_patience };
        match self.server.locks.acquire(self.id, id, mode, patience).await {
            Ok(new) => {
                if new {
                    self.held.push(id);
                }
                Ok(new)
            }
            Err(Refusal::Deadlock) => Err(Failure::Deadlock),
            Err(Refusal::Timeout) => Err(Failure::LockTimeout),
        }
    }

    pub async fn lock_row(&mut self, table: TableId, id: u32) -> Result<bool, Failure> {
        self.lock(LockId::Row(table, id), Mode::Exclusive).await
    }

    /// Gives a lock back that turned out not to be needed (a row that is not there, READ COMMITTED).
    pub fn unlock(&mut self, id: LockId) {
        self.held.retain(|h| *h != id);
        self.server.locks.release(self.id, id);
    }

    /// The names' locks go; a prepared transaction whose connection is gone keeps only its rows locked.
    pub fn unlock_names(&mut self) {
        let (names, rest) = std::mem::take(&mut self.held).into_iter().partition(|h| matches!(h, LockId::Name(_)));
        self.held = rest;
        let names: Vec<LockId> = names;
        for name in names {
            self.server.locks.release(self.id, name);
        }
    }

    fn own(&self, table: TableId, id: u32) -> Option<Option<Row>> {
        self.writes.iter().rev().find(|w| w.table == table && w.id == id).map(|w| w.row)
    }

    /// The newest version of a row; to be asked under its lock.
    pub fn get(&self, table: TableId, id: u32) -> Option<Row> {
        match self.own(table, id) {
            Some(row) => row,
            None => self.server.catalog.borrow().table(table).rows.get(&id).copied(),
        }
    }

    /// Another row that holds a unique value; to be asked under the value's lock.
    fn conflict(&self, table: TableId, id: u32, value: u32) -> Option<u32> {
        let own = self.writes.iter().filter(|w| w.table == table && w.id != id).find(|w| {
            w.row.is_some_and(|r| r.unique == value) && self.get(table, w.id).is_some_and(|r| r.unique == value)
        });
        if let Some(write) = own {
            return Some(write.id);
        }
        let holder = self.server.catalog.borrow().table(table).holder(value)?;
        (holder != id && self.get(table, holder).is_some_and(|r| r.unique == value)).then_some(holder)
    }

    /// Writes a row, or deletes it, under the locks of the row and of the unique values that change.
    pub async fn put(&mut self, table: TableId, id: u32, row: Option<Row>) -> Result<(), Failure> {
        self.lock(LockId::Row(table, id), Mode::Exclusive).await?;
        let old = self.get(table, id);
        let (had, has) = (old.map_or(0, |r| r.unique), row.map_or(0, |r| r.unique));
        let keyed = self.server.catalog.borrow().table(table).unique.is_some();
        if keyed && had != has {
            for value in [had, has] {
                if value != 0 {
                    self.lock(LockId::Unique(table, value), Mode::Exclusive).await?;
                }
            }
            if has != 0
                && let Some(holder) = self.conflict(table, id, has)
            {
                return Err(Failure::Duplicate { value: has, holder });
            }
        }
        self.writes.push(Write { table, id, row });
        if self.original == Some(table) {
            let spellings = [old, row].into_iter().flatten().map(|r| Image { id, spelling: r.spelling });
            self.images.extend(spellings);
        }
        Ok(())
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn savepoint(&self) -> Savepoint {
        Savepoint { writes: self.writes.len(), images: self.images.len() }
    }

    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        self.writes.truncate(savepoint.writes);
        self.images.truncate(savepoint.images);
    }

    /// The row events, for the stream.
    pub fn take_images(&mut self) -> Vec<Image> {
        std::mem::take(&mut self.images)
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Commits; returns when the commit is visible.
    pub async fn commit(mut self) {
        let rows = self.take_images();
        self.commit_as(What::Rows(rows)).await;
    }

    /// Commits under another entry of the stream.
    pub async fn commit_as(mut self, what: What) {
        let server = self.server.clone();
        let parts = Parts {
            id: self.id,
            origin: self.origin,
            held: std::mem::take(&mut self.held),
            writes: std::mem::take(&mut self.writes),
            effects: std::mem::take(&mut self.effects),
        };
        server.commit(what, parts).await;
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        for id in std::mem::take(&mut self.held) {
            self.server.locks.release(self.id, id);
        }
    }
}
