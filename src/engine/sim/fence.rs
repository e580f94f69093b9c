//! The lock under which the tables are swapped, and the session that holds it.
//!
//! The session is the server's: it dies when it is killed (by its watchdog, by a fault, by osc), or some
//! time after its client is gone; a statement that it is running ends first, unless it was killed and
//! looks in time. When it dies its locks go. Two names are locked, the original's first, so the
//! application's statements queue on the original and find the new table when they wake.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::bugs::Bug;
use super::dice::sleep_ms;
use super::faults::{Faults, Moment};
use super::feed::Inbox;
use super::keys::Set;
use super::locks::{Holder, LockId, Mode};
use super::server::Server;
use super::session::{Failure, Line, call};
use super::source::SimSource;
use super::swap;
use super::sync::{delete, insert, snapshot};
use super::table::Name;
use super::transaction::Tx;
use crate::engine::{Fence, Patience, Swapped};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder};

/// Both names, in the order in which they are locked.
const NAMES: [Name; 2] = [Name::Original, Name::Shadow];

/// A session with locks on names.
pub struct Session {
    pub id: Holder,
    server: Rc<Server>,
    held: RefCell<Vec<LockId>>,
    alive: Cell<bool>,
    /// Its client is gone; it ends with the statement that it runs.
    abandoned: Cell<bool>,
    running: Cell<u32>,
    granted: Cell<Option<Instant>>,
}

impl Session {
    pub fn new(server: &Rc<Server>) -> Rc<Session> {
        Rc::new(Session {
            id: server.next_holder(),
            server: server.clone(),
            held: RefCell::default(),
            alive: Cell::new(true),
            abandoned: Cell::new(false),
            running: Cell::new(0),
            granted: Cell::new(None),
        })
    }

    /// Ends it; a statement that it runs may go on until it next looks.
    pub fn kill(&self) {
        self.alive.set(false);
        self.end_if_idle();
    }

    /// It dies in so many milliseconds, if it is still there.
    pub fn dies(self: &Rc<Self>, after: u64) {
        let victim = self.clone();
        tokio::task::spawn_local(async move {
            sleep_ms(after).await;
            if !victim.gone() {
                victim.server.count(|c| c.fences_lost += 1);
                victim.server.trace.say(|| format!("fence {} dies", victim.id));
                victim.kill();
            }
        });
    }

    pub fn abandon(&self) {
        self.abandoned.set(true);
        self.end_if_idle();
    }

    fn end_if_idle(&self) {
        if self.running.get() == 0 && (!self.alive.get() || self.abandoned.get()) {
            self.alive.set(false);
            self.unlock();
        }
    }

    pub fn unlock(&self) {
        for id in self.held.take() {
            self.server.locks.release(self.id, id);
        }
    }

    /// Nothing of it runs any more and nothing is locked.
    pub fn gone(&self) -> bool {
        self.running.get() == 0 && !self.alive.get()
    }

    pub fn holds_locks(&self) -> bool {
        self.alive.get() && NAMES.iter().all(|name| self.server.locks.holds(self.id, LockId::Name(*name)))
    }

    pub fn look(&self) -> Result<(), Failure> {
        if self.alive.get() { Ok(()) } else { Err(Failure::Killed) }
    }

    pub async fn lock(&self, name: Name, patience: Duration) -> Result<(), Failure> {
        let id = LockId::Name(name);
        let granted = self.server.locks.acquire(self.id, id, Mode::Exclusive, patience).await;
        granted.map_err(|_| Failure::LockTimeout)?;
        self.held.borrow_mut().push(id);
        Ok(())
    }

    /// Runs a statement of this session.
    pub fn running(self: &Rc<Self>) -> Running {
        self.running.set(self.running.get() + 1);
        Running(self.clone())
    }
}

/// While it lives its session is in a statement.
pub struct Running(Rc<Session>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.end_if_idle();
    }
}

pub struct SimFence {
    pub(super) server: Rc<Server>,
    pub(super) faults: Rc<Faults>,
    pub(super) session: Rc<Session>,
    inbox: Rc<Inbox>,
    pub(super) patience: Patience,
    pub(super) life: u64,
}

/// The client is gone: the server notices some time later.
impl Drop for SimFence {
    fn drop(&mut self) {
        let session = self.session.clone();
        if session.gone() {
            return;
        }
        let notice = self.server.dice.of(self.server.plan.notice);
        tokio::task::spawn_local(async move {
            sleep_ms(notice).await;
            session.abandon();
        });
    }
}

/// Takes the lock.
pub async fn lock(source: &SimSource, patience: Patience) -> Result<SimFence> {
    let (server, faults) = (source.server.clone(), source.faults.clone());
    server.count(|c| c.fences += 1);
    faults.moment(Moment::Fence);
    if faults.hiccup() {
        server.count(|c| c.fence_retries += 1);
        return Err(Error::transient("No session for the lock."));
    }
    let session = Session::new(&server);
    let inbox = source.inbox.clone();
    let life = source.life;
    let fence =
        SimFence { server: server.clone(), faults: faults.clone(), session: session.clone(), inbox, patience, life };
    let dies = faults.fence_dies();
    let granted = call(&server, &faults, |line| take(session, line, patience, dies)).await;
    if let Err(failure) = granted {
        fence.server.count(|c| c.fence_retries += 1);
        fence.session.kill();
        return Err(failure.into());
    }
    Ok(fence)
}

async fn take(session: Rc<Session>, line: Rc<Line>, patience: Patience, dies: Option<u64>) -> Result<(), Failure> {
    let _running = session.running();
    let server = session.server.clone();
    line.step().await?;
    if server.plan.two_sessions && !server.bugs.has(Bug::NoSentry) {
        server.catalog.borrow_mut().put_sentry();
    }
    let until = Instant::now() + patience.lock_wait;
    for name in NAMES {
        session.lock(name, until.saturating_duration_since(Instant::now())).await?;
        session.look()?;
    }
    session.granted.set(Some(Instant::now()));
    server.trace.say(|| format!("fence {} granted", session.id));
    let watchdog = session.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(patience.hold).await;
        watchdog.kill();
    });
    if let Some(after) = dies {
        session.dies(after);
    }
    line.step().await
}

impl SimFence {
    pub(super) fn held(&self) -> Duration {
        self.session.granted.get().map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Whose life it is.
    async fn whose(&self) -> Result<u64, Failure> {
        let server = self.server.clone();
        call(&self.server, &self.faults, |line| async move {
            line.step().await?;
            let life = server.store.borrow().life;
            Ok(life)
        })
        .await
    }

    /// A statement of the final sync, a transaction of its own.
    async fn statement(&self, set: Set, inserts: bool) -> Result<(), Failure> {
        let (server, session) = (self.server.clone(), self.session.clone());
        let outside = server.bugs.has(Bug::FinalSyncOutside);
        let done = call(&self.server, &self.faults, |line| async move {
            let _running = session.running();
            session.look()?;
            line.step().await?;
            session.look()?;
            let mut tx =
                if outside { Tx::begin(&server, super::transaction::Origin::Osc) } else { Tx::under_fence(&server) };
            let shadow = tx.open(Name::Shadow).await?;
            if inserts {
                let source = tx.open(Name::Original).await?;
                let rows = snapshot(&server, source, &set);
                line.step().await?;
                insert(&mut tx, shadow, &rows).await?;
            } else {
                delete(&mut tx, shadow, &set).await?;
            }
            line.step().await?;
            session.look()?;
            tx.commit().await;
            Ok(())
        })
        .await;
        if done == Err(Failure::Lost) {
            self.session.abandon();
        }
        done
    }

    async fn sync_all(&self, keys: &[Key]) -> Result<()> {
        let order = self.server.plan.order;
        let most = self.server.plan.fence_keys;
        for keys in keys.chunks(most) {
            self.statement(Set::of(order, keys)?, false).await?;
        }
        for keys in keys.chunks(most) {
            let set = Set::of(order, keys)?;
            // Another spelling of a key may have brought its row already.
            if order == KeyOrder::Unknown && !self.server.bugs.has(Bug::SpellingsApart) {
                self.statement(set.clone(), false).await?;
            }
            self.statement(set, true).await?;
        }
        Ok(())
    }

    /// For a planted bug: the lock is given back for the sync and taken again.
    async fn sync_outside(&self, keys: &[Key]) -> Result<()> {
        self.session.unlock();
        self.sync_all(keys).await?;
        for name in NAMES {
            self.session.lock(name, self.patience.lock_wait).await?;
        }
        Ok(())
    }
}

impl Fence for SimFence {
    async fn sync(&mut self, keys: &[Key]) -> Result<()> {
        // Another process may have taken the run over, and written to the shadow what this one knows nothing of.
        if !self.server.bugs.has(Bug::FenceOfThePast) && self.whose().await? != self.life {
            return Err(Failure::TakenOver.into());
        }
        let open = self.inbox.settle.borrow().prepared();
        if open > 0 {
            self.server.count(|c| c.xa_at_fence += 1);
            if !self.server.bugs.has(Bug::FencePastPrepared) {
                return Err(Failure::Refused("prepared transactions hold changes of the table").into());
            }
        }
        self.server.trace.say(|| format!("fence {} syncs {keys:?}", self.session.id));
        if self.server.bugs.has(Bug::FinalSyncOutside) {
            self.sync_outside(keys).await
        } else {
            self.sync_all(keys).await
        }
    }

    async fn swap(self) -> Result<Swapped> {
        swap::swap(self).await
    }

    async fn release(self) {
        let session = self.session.clone();
        let released = call(&self.server, &self.faults, |line| async move {
            let _running = session.running();
            line.step().await?;
            session.kill();
            Ok::<(), Failure>(())
        });
        if released.await.is_err() {
            self.session.abandon();
        }
        self.server.count(|c| c.fence_retries += 1);
    }
}
