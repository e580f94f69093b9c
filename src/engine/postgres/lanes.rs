//! The sessions that write to the shadow, one a lane, and what happens when one of them is lost.
//!
//! A lane's session is taken out for an operation and put back only when it ended cleanly. So a
//! session that failed, or whose future was dropped in the middle, is closed and never used again,
//! and the next operation of any lane first raises the epoch (see [`super::state`]): the lost
//! session's transaction can then no longer commit. A lane that finds the epoch raised by another lane
//! raises it once more, which costs a round trip and is right whoever raised it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::connect::Address;
use super::mirror::Rewrite;
use super::session::{Session, is_lost};
use super::state;
use crate::engine::Lane;
use crate::error::{Error, Result};

pub struct Lanes {
    address: Address,
    rewrite: Rc<Rewrite>,
    sessions: RefCell<Vec<Option<Session>>>,
    life: u64,
    epoch: Cell<u64>,
    /// A session was taken and did not come back, or the epoch is no longer ours.
    lost: Cell<bool>,
}

impl Lanes {
    pub fn new(address: Address, rewrite: Rc<Rewrite>, count: u16, life: u64, epoch: u64) -> Self {
        let sessions = RefCell::new((0..count).map(|_| None).collect());
        Lanes { address, rewrite, sessions, life, epoch: Cell::new(epoch), lost: Cell::new(false) }
    }

    /// Runs `work` as one transaction of the current epoch on the lane's session.
    pub async fn transaction<T>(&self, lane: Lane, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let mut session = self.take(lane).await?;
        if self.lost.get() {
            let raised = state::raise(&mut session, &self.rewrite.names.state, self.life).await?;
            // Two lanes may raise at a time, and hear of it in any order.
            self.epoch.set(raised.max(self.epoch.get()));
            self.lost.set(false);
        }
        let guard = Guard(&self.lost);
        match self.attempt(&mut session, work).await {
            Ok(value) => {
                guard.disarm();
                self.keep(lane, session);
                Ok(value)
            }
            Err(error) if is_lost(&error) => Err(error),
            Err(error) => {
                if session.exec("ROLLBACK").await.is_ok() {
                    guard.disarm();
                    self.keep(lane, session);
                }
                Err(error)
            }
        }
    }

    async fn attempt<T>(&self, session: &mut Session, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        session.exec("BEGIN").await?;
        if !state::is_current(session, &self.rewrite.names.state, self.epoch.get()).await? {
            // Raised by another lane just now, or by a raise of ours whose answer was lost.
            self.lost.set(true);
            return Err(Error::transient("The run's epoch was raised."));
        }
        let value = work(session).await?;
        session.exec_long("COMMIT").await?;
        Ok(value)
    }

    /// Lends the lane's session for work outside of a transaction of ours (scratch tables).
    pub async fn aside<T>(&self, lane: Lane, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let mut session = self.take(lane).await?;
        let value = work(&mut session).await?;
        self.keep(lane, session);
        Ok(value)
    }

    async fn take(&self, lane: Lane) -> Result<Session> {
        let kept = self.sessions.borrow_mut().get_mut(usize::from(lane.0)).and_then(Option::take);
        match kept {
            Some(session) => Ok(session),
            None => self.rewrite.session(&self.address).await,
        }
    }

    fn keep(&self, lane: Lane, session: Session) {
        if let Some(place) = self.sessions.borrow_mut().get_mut(usize::from(lane.0)) {
            *place = Some(session);
        }
    }
}

/// Notes a lost session unless disarmed, also when the future that holds it is dropped.
struct Guard<'a>(&'a Cell<bool>);

impl Guard<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}
