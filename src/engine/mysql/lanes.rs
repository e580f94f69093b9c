//! The sessions that write to the shadow, one a lane, and what happens when one of them is lost.
//!
//! A lane's session is taken out for an operation and put back only when it ended cleanly. So a
//! session that failed, or whose future was dropped in the middle, is closed and never used again,
//! and the next operation of any lane first raises the epoch (see [`super::state`]): the lost
//! session's transaction can then no longer commit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::connect::Address;
use super::names::Names;
use super::session::{Session, is_lost};
use super::state;
use crate::engine::Lane;
use crate::error::Result;

pub struct Lanes {
    address: Address,
    names: Rc<Names>,
    sessions: RefCell<Vec<Option<Session>>>,
    epoch: Cell<u64>,
    /// A session was taken and did not come back.
    lost: Cell<bool>,
}

impl Lanes {
    pub fn new(address: Address, names: Rc<Names>, count: u16, epoch: u64) -> Self {
        let sessions = (0..count).map(|_| None).collect();
        Lanes { address, names, sessions: RefCell::new(sessions), epoch: Cell::new(epoch), lost: Cell::new(false) }
    }

    /// Runs `work` as one transaction of the current epoch on the lane's session.
    pub async fn transaction<T>(&self, lane: Lane, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let kept = self.sessions.borrow_mut().get_mut(usize::from(lane.0)).and_then(Option::take);
        let mut session = match kept {
            Some(session) => session,
            None => Session::open(&self.address).await?,
        };
        if self.lost.get() {
            self.epoch.set(state::raise(&mut session, &self.names.state).await?);
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
        session.exec("START TRANSACTION").await?;
        state::check(session, &self.names.state, self.epoch.get()).await?;
        let value = work(session).await?;
        session.exec_long("COMMIT").await?;
        Ok(value)
    }

    /// A session for work outside of a transaction of ours (scratch tables), of the same lane.
    pub async fn aside<T>(&self, lane: Lane, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let kept = self.sessions.borrow_mut().get_mut(usize::from(lane.0)).and_then(Option::take);
        let mut session = match kept {
            Some(session) => session,
            None => Session::open(&self.address).await?,
        };
        let value = work(&mut session).await?;
        self.keep(lane, session);
        Ok(value)
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
