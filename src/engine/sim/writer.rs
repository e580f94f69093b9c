//! The application: transactions of all kinds, with pauses from the seed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::dice::{Dice, Span};
use super::plan::Plan;
use super::prepared;
use super::server::Server;
use super::session::Failure;
use super::table::{Name, Row, TableId};
use super::transaction::{Origin, Tx};
use crate::model::KeyOrder;

/// Milliseconds; the end of a run waits for longer.
const LONGEST_PAUSE: u64 = 55_000;

/// How the application is told to slow down and to end.
#[derive(Debug, Default)]
pub struct Orders {
    /// Pauses become this many times longer.
    pub slower: Cell<u64>,
    pub stop: Cell<bool>,
}

pub struct Writer {
    pub server: Rc<Server>,
    pub dice: Dice,
    pub orders: Rc<Orders>,
    /// A row that the next transaction deletes.
    pub queued: Cell<Option<u32>>,
}

impl Writer {
    pub async fn run(self) {
        while !self.orders.stop.get() {
            let Span(low, high) = self.plan().write_pause;
            self.dice.pause(Span(low, (high * self.orders.slower.get().max(1)).min(LONGEST_PAUSE))).await;
            match self.transaction().await {
                Ok(()) => {}
                Err(Failure::Deadlock) => self.server.count(|c| c.deadlocks += 1),
                Err(Failure::LockTimeout) => self.server.count(|c| c.lock_timeouts += 1),
                // Under the new unique key, when the old table had none.
                Err(Failure::Duplicate { .. }) if !self.plan().source_unique() => {}
                Err(failure) => self.server.violated(format!("a statement of the application failed: {failure:?}")),
            }
        }
    }

    fn plan(&self) -> &Plan {
        &self.server.plan
    }

    async fn transaction(&self) -> Result<(), Failure> {
        let mut tx = Tx::begin(&self.server, Origin::Application);
        let table = self.open(&mut tx).await?;
        let long = self.dice.chance(self.plan().long_pm);
        if let Some(id) = self.queued.take() {
            self.serve(&mut tx, table, id).await?;
        }
        let statements = if long { self.dice.of(Span(3, 8)) } else { self.dice.skewed(Span(1, 4)) };
        for _ in 0..statements {
            let before = tx.savepoint();
            self.statement(&mut tx, table).await?;
            if self.dice.chance(self.plan().rollback_pm / 2) {
                self.server.count(|c| c.rollbacks += 1);
                tx.rollback_to(before);
            }
            self.dice.pause(if long { Span(0, 40) } else { self.plan().statement }).await;
        }
        if self.dice.chance(self.plan().rollback_pm / 2) {
            self.server.count(|c| c.rollbacks += 1);
            return Ok(());
        }
        if !tx.is_empty() {
            self.commit(tx).await;
        }
        Ok(())
    }

    /// Waits for the table's name; osc may make it wait for no longer than was promised.
    async fn open(&self, tx: &mut Tx) -> Result<TableId, Failure> {
        let began = Instant::now();
        let whole = self.dice.chance(self.plan().lock_table_pm);
        let table = if whole { tx.lock_table(Name::Original).await? } else { tx.open(Name::Original).await? };
        if began.elapsed() > Duration::ZERO {
            self.server.count(|c| c.waited_at_fence += 1);
        }
        Ok(table)
    }

    async fn commit(&self, tx: Tx) {
        let id = tx.id;
        if self.dice.chance(self.plan().xa_pm) {
            let xid = prepared::prepare(&self.server, tx, self.plan().xa_detached).await;
            self.dice.pause(self.plan().xa_hold).await;
            let commit = self.dice.chance(850);
            prepared::end(&self.server, xid, commit).await;
            if !commit {
                return;
            }
        } else {
            tx.commit().await;
        }
        self.dice.pause(self.plan().reply).await;
        self.server.count(|c| c.transactions += 1);
        self.server.ledger.borrow_mut().acknowledged(id);
    }

    async fn statement(&self, tx: &mut Tx, table: TableId) -> Result<(), Failure> {
        let plan = self.plan();
        if plan.fixed {
            return self.update(tx, table).await;
        }
        if self.dice.chance(plan.exchange_pm) {
            return self.exchange(tx, table).await;
        }
        if self.dice.chance(plan.move_pm) {
            return self.move_key(tx, table).await;
        }
        if self.dice.chance(plan.append_pm) {
            let last = self.server.catalog.borrow().table(table).rows.keys().last().copied();
            return self.write(tx, table, last.map_or(0, |id| id + 1)).await;
        }
        if self.dice.chance(plan.large_pm) {
            let first = self.any_id();
            for id in first..first + self.dice.of(plan.large) as u32 {
                self.write(tx, table, id).await?;
            }
            return Ok(());
        }
        self.write(tx, table, self.any_id()).await
    }

    fn any_id(&self) -> u32 {
        let room = u64::from(self.plan().room);
        let id = self.dice.below(room);
        let hot = self.dice.chance(self.plan().hot_pm);
        (if hot { id % 3 * room / 3 } else { id }) as u32
    }

    /// A row that is there, if one is found soon.
    fn existing(&self, table: TableId) -> Option<u32> {
        let from = self.any_id();
        let catalog = self.server.catalog.borrow();
        let rows = &catalog.table(table).rows;
        rows.range(from..).next().or_else(|| rows.iter().next()).map(|(id, _)| *id)
    }

    fn fresh(&self) -> Row {
        let plan = self.plan();
        let unique = if plan.unique && !self.dice.chance(100) { self.server.next_value() as u32 } else { 0 };
        Row { value: self.server.next_value(), unique, spelling: self.spelling(), unfit: false }
    }

    fn spelling(&self) -> u8 {
        if self.plan().order == KeyOrder::Unknown { self.dice.below(2) as u8 } else { 0 }
    }

    /// Inserts where there is no row, updates or deletes where there is one.
    async fn write(&self, tx: &mut Tx, table: TableId, id: u32) -> Result<(), Failure> {
        tx.lock_row(table, id).await?;
        let row = match tx.get(table, id) {
            None => {
                if self.dice.chance(self.plan().queue_pm) {
                    self.queued.set(Some(id));
                }
                Some(self.fresh())
            }
            Some(_) if self.dice.chance(250) => None,
            Some(row) => {
                let fresh = self.fresh();
                let unique = if self.dice.chance(200) { fresh.unique } else { row.unique };
                let spelling = if self.dice.chance(300) { fresh.spelling } else { row.spelling };
                Some(Row { unique, spelling, ..fresh })
            }
        };
        tx.put(table, id, row).await
    }

    /// Takes a row out of the queue; where a key has several spellings, perhaps writes another one first.
    async fn serve(&self, tx: &mut Tx, table: TableId, id: u32) -> Result<(), Failure> {
        tx.lock_row(table, id).await?;
        let Some(row) = tx.get(table, id) else { return Ok(()) };
        if self.plan().order == KeyOrder::Unknown && self.dice.chance(400) {
            self.queued.set(Some(id));
            return tx.put(table, id, Some(Row { spelling: 1 - row.spelling, ..row })).await;
        }
        tx.put(table, id, None).await
    }

    async fn update(&self, tx: &mut Tx, table: TableId) -> Result<(), Failure> {
        let Some(id) = self.existing(table) else { return Ok(()) };
        tx.lock_row(table, id).await?;
        let Some(row) = tx.get(table, id) else { return Ok(()) };
        tx.put(table, id, Some(Row { value: self.server.next_value(), ..row })).await
    }

    /// The key of a row changes.
    async fn move_key(&self, tx: &mut Tx, table: TableId) -> Result<(), Failure> {
        let Some(from) = self.existing(table) else { return Ok(()) };
        let to = self.any_id();
        tx.lock_row(table, from).await?;
        tx.lock_row(table, to).await?;
        let Some(row) = tx.get(table, from).filter(|_| tx.get(table, to).is_none()) else { return Ok(()) };
        tx.put(table, from, None).await?;
        let value = self.server.next_value();
        tx.put(table, to, Some(Row { value, ..row })).await?;
        self.server.count(|c| c.key_moves += 1);
        Ok(())
    }

    /// Unique values change places between rows, or go from one that is deleted to another.
    async fn exchange(&self, tx: &mut Tx, table: TableId) -> Result<(), Failure> {
        let (Some(a), Some(b)) = (self.existing(table), self.existing(table)) else { return Ok(()) };
        tx.lock_row(table, a).await?;
        tx.lock_row(table, b).await?;
        let (Some(first), Some(second)) = (tx.get(table, a), tx.get(table, b)) else { return Ok(()) };
        if a == b {
            return Ok(());
        }
        let next = || self.server.next_value();
        if self.dice.chance(300) {
            tx.put(table, b, None).await?;
            tx.put(table, a, Some(Row { value: next(), unique: second.unique, ..first })).await?;
        } else {
            tx.put(table, a, Some(Row { unique: 0, ..first })).await?;
            tx.put(table, b, Some(Row { value: next(), unique: first.unique, ..second })).await?;
            tx.put(table, a, Some(Row { value: next(), unique: second.unique, ..first })).await?;
        }
        self.server.count(|c| c.exchanges += 1);
        Ok(())
    }
}
