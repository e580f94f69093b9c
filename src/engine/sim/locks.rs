//! Who holds which lock, who waits for it, and deadlocks.
//!
//! Models row locks, unique entries, the rows of osc's own tables, and the lock on a table's name
//! (metadata lock): shared for whoever uses the table until its transaction ends, exclusive for the
//! fence. Waiters are served in order, except that an exclusive wait for a name goes before shared
//! ones, as the server does it. Deadlocks are found among row locks only; a wait for a name ends by
//! its time limit. Not modelled: gap locks (osc reads under READ COMMITTED), lock escalation.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;

use super::table::{Name, TableId};

/// Whoever holds locks: a transaction, or the session of a fence.
pub type Holder = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockId {
    Name(Name),
    Row(TableId, u32),
    Unique(TableId, u32),
    /// osc's epoch row.
    Epoch,
    /// A lane's note, or the checkpoint.
    Slot(u16),
    /// The one row of the marks' table.
    Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Shared,
    Exclusive,
}

/// Why a lock was not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Timeout,
    Deadlock,
}

#[derive(Debug)]
struct Waiter {
    holder: Holder,
    mode: Mode,
    wake: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Lock {
    holders: Vec<(Holder, Mode)>,
    queue: VecDeque<Waiter>,
}

#[derive(Debug, Default)]
struct Inner {
    locks: BTreeMap<LockId, Lock>,
    waits: BTreeMap<Holder, LockId>,
}

#[derive(Debug, Default)]
pub struct Locks(RefCell<Inner>);

fn compatible(a: Mode, b: Mode) -> bool {
    a == Mode::Shared && b == Mode::Shared
}

impl Lock {
    fn admits(&self, holder: Holder, mode: Mode) -> bool {
        self.holders.iter().all(|(h, m)| *h == holder || compatible(*m, mode))
    }

    fn has(&self, holder: Holder, mode: Mode) -> bool {
        self.holders.iter().any(|(h, m)| *h == holder && (*m == mode || *m == Mode::Exclusive))
    }

    fn enqueue(&mut self, waiter: Waiter, first: bool) {
        let at = self.queue.iter().position(|w| first && w.mode == Mode::Shared).unwrap_or(self.queue.len());
        self.queue.insert(at, waiter);
    }
}

impl Inner {
    /// Everyone that this waiting holder waits for.
    fn blockers(&self, holder: Holder) -> Vec<Holder> {
        let Some(lock) = self.waits.get(&holder).and_then(|id| self.locks.get(id)) else { return Vec::new() };
        let Some(at) = lock.queue.iter().position(|w| w.holder == holder) else { return Vec::new() };
        let mode = lock.queue[at].mode;
        let held = lock.holders.iter().filter(|(h, m)| *h != holder && !compatible(*m, mode)).map(|(h, _)| *h);
        let before = lock.queue.iter().take(at).filter(|w| !compatible(w.mode, mode)).map(|w| w.holder);
        held.chain(before).collect()
    }

    fn deadlocked(&self, start: Holder) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = self.blockers(start);
        while let Some(holder) = next.pop() {
            if holder == start {
                return true;
            }
            if seen.insert(holder) && !matches!(self.waits.get(&holder), Some(LockId::Name(_))) {
                next.extend(self.blockers(holder));
            }
        }
        false
    }

    fn forget(&mut self, holder: Holder, id: LockId) {
        self.waits.remove(&holder);
        if let Some(lock) = self.locks.get_mut(&id) {
            lock.queue.retain(|w| w.holder != holder);
        }
        self.serve(id);
    }

    fn release(&mut self, holder: Holder, id: LockId) {
        if let Some(lock) = self.locks.get_mut(&id) {
            lock.holders.retain(|(h, _)| *h != holder);
        }
        self.serve(id);
    }

    /// Grants what can be granted, in order.
    fn serve(&mut self, id: LockId) {
        let Some(lock) = self.locks.get_mut(&id) else { return };
        while let Some(first) = lock.queue.front() {
            if !lock.admits(first.holder, first.mode) {
                break;
            }
            if let Some(waiter) = lock.queue.pop_front() {
                lock.holders.push((waiter.holder, waiter.mode));
                self.waits.remove(&waiter.holder);
                let _ = waiter.wake.send(());
            }
        }
        if lock.holders.is_empty() && lock.queue.is_empty() {
            self.locks.remove(&id);
        }
    }
}

/// A wait that ends when it is dropped, also when the lock was granted in the same moment.
struct Waiting<'a> {
    locks: &'a Locks,
    holder: Holder,
    id: LockId,
    granted: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.granted {
            let mut inner = self.locks.0.borrow_mut();
            inner.forget(self.holder, self.id);
            inner.release(self.holder, self.id);
        }
    }
}

impl Locks {
    /// Takes a lock, waiting at most so long. `Ok(false)`: it was held already.
    pub async fn acquire(&self, holder: Holder, id: LockId, mode: Mode, patience: Duration) -> Result<bool, Refusal> {
        let granted = {
            let mut inner = self.0.borrow_mut();
            let lock = inner.locks.entry(id).or_default();
            if lock.has(holder, mode) {
                return Ok(false);
            }
            if lock.queue.is_empty() && lock.admits(holder, mode) {
                lock.holders.push((holder, mode));
                return Ok(true);
            }
            let (wake, granted) = oneshot::channel();
            let name = matches!(id, LockId::Name(_));
            lock.enqueue(Waiter { holder, mode, wake }, name && mode == Mode::Exclusive);
            inner.waits.insert(holder, id);
            if !name && inner.deadlocked(holder) {
                inner.forget(holder, id);
                return Err(Refusal::Deadlock);
            }
            granted
        };
        let mut waiting = Waiting { locks: self, holder, id, granted: false };
        match tokio::time::timeout(patience, granted).await {
            Ok(Ok(())) => {
                waiting.granted = true;
                Ok(true)
            }
            _ => Err(Refusal::Timeout),
        }
    }

    pub fn release(&self, holder: Holder, id: LockId) {
        self.0.borrow_mut().release(holder, id);
    }

    pub fn holds(&self, holder: Holder, id: LockId) -> bool {
        self.0.borrow().locks.get(&id).is_some_and(|l| l.holders.iter().any(|(h, _)| *h == holder))
    }

    pub fn waits(&self, holder: Holder) -> Option<LockId> {
        self.0.borrow().waits.get(&holder).copied()
    }

    /// Whether somebody else waits for the same lock and is served before this waiter.
    pub fn others_first(&self, holder: Holder) -> bool {
        let inner = self.0.borrow();
        let lock = inner.waits.get(&holder).and_then(|id| inner.locks.get(id));
        lock.and_then(|l| l.queue.front()).is_some_and(|first| first.holder != holder)
    }

    /// Rows of a table that somebody has locked: a locking read meets them even if they are not there yet.
    pub fn locked_rows(&self, table: TableId) -> Vec<u32> {
        let inner = self.0.borrow();
        let range = LockId::Row(table, 0)..=LockId::Row(table, u32::MAX);
        inner.locks.range(range).map(|(id, _)| if let LockId::Row(_, row) = id { *row } else { 0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1);
    const ROW: LockId = LockId::Row(TableId(0), 1);
    const OTHER: LockId = LockId::Row(TableId(0), 2);

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_by_grant_timeout_or_deadlock() {
        let locks = Locks::default();
        assert_eq!(locks.acquire(1, ROW, Mode::Exclusive, LONG).await, Ok(true));
        assert_eq!(locks.acquire(1, ROW, Mode::Shared, LONG).await, Ok(false));
        assert_eq!(locks.acquire(2, ROW, Mode::Shared, LONG).await, Err(Refusal::Timeout));
        assert_eq!(locks.acquire(2, OTHER, Mode::Exclusive, LONG).await, Ok(true));
        let (first, second) = tokio::join!(locks.acquire(1, OTHER, Mode::Exclusive, LONG), async {
            let refused = locks.acquire(2, ROW, Mode::Exclusive, LONG).await;
            locks.release(2, OTHER);
            refused
        });
        assert_eq!((first, second), (Ok(true), Err(Refusal::Deadlock)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_exclusive_wait_for_a_name_goes_first() {
        let locks = Locks::default();
        let id = LockId::Name(Name::Original);
        locks.acquire(1, id, Mode::Exclusive, LONG).await.unwrap();
        let order = RefCell::new(Vec::new());
        tokio::join!(
            async {
                locks.acquire(2, id, Mode::Shared, LONG).await.unwrap();
                order.borrow_mut().push(2);
            },
            async {
                locks.acquire(3, id, Mode::Exclusive, LONG).await.unwrap();
                order.borrow_mut().push(3);
                locks.release(3, id);
            },
            async { locks.release(1, id) }
        );
        assert_eq!(*order.borrow(), [3, 2]);
    }
}
