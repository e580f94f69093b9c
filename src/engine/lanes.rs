//! The sessions that write to the shadow, one a lane, and what happens when one of them is lost.
//!
//! A lane's session is taken out for an operation and put back only when it ended cleanly. So a
//! session that failed, or whose future was dropped in the middle, is closed and never used again,
//! and the next operation of any lane first raises the epoch (see each engine's `state`): the lost
//! session's transaction can then no longer commit. A lane that finds the epoch raised by another lane
//! raises it once more, which costs a round trip and is right whoever raised it.

use std::cell::{Cell, RefCell};

use super::Lane;
use crate::error::{Error, Result};

/// What an engine's sessions can do, for one process's life in a run.
#[allow(async_fn_in_trait)]
pub trait Desk {
    type Session;

    /// A session that may read the source and write to the shadow.
    async fn open(&self) -> Result<Self::Session>;

    /// Begins a transaction and takes hold of the epoch until its end. False: another one is in force.
    async fn begin(&self, session: &mut Self::Session, epoch: u64) -> Result<bool>;

    async fn commit(&self, session: &mut Self::Session) -> Result<()>;

    async fn roll_back(&self, session: &mut Self::Session) -> Result<()>;

    /// Raises the epoch: when this returns no transaction of an earlier one can commit any more.
    async fn raise(&self, session: &mut Self::Session) -> Result<u64>;

    /// Whether the session is no longer of use after this error.
    fn is_lost(error: &Error) -> bool;
}

pub struct Lanes<D: Desk> {
    desk: D,
    sessions: RefCell<Vec<Option<D::Session>>>,
    epoch: Cell<u64>,
    /// A session was taken and did not come back, or the epoch is no longer ours.
    lost: Cell<bool>,
}

impl<D: Desk> Lanes<D> {
    pub fn new(desk: D, count: u16, epoch: u64) -> Self {
        let sessions = RefCell::new((0..count).map(|_| None).collect());
        Lanes { desk, sessions, epoch: Cell::new(epoch), lost: Cell::new(false) }
    }

    /// Runs `work` as one transaction of the current epoch on the lane's session.
    pub async fn transaction<T>(&self, lane: Lane, work: impl AsyncFnOnce(&mut D::Session) -> Result<T>) -> Result<T> {
        let mut session = self.take(lane).await?;
        if self.lost.get() {
            let raised = self.desk.raise(&mut session).await?;
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
            Err(error) if D::is_lost(&error) => Err(error),
            Err(error) => {
                if self.desk.roll_back(&mut session).await.is_ok() {
                    guard.disarm();
                    self.keep(lane, session);
                }
                Err(error)
            }
        }
    }

    async fn attempt<T>(
        &self,
        session: &mut D::Session,
        work: impl AsyncFnOnce(&mut D::Session) -> Result<T>,
    ) -> Result<T> {
        if !self.desk.begin(session, self.epoch.get()).await? {
            // Raised by another lane just now, or by a raise of ours whose answer was lost.
            self.lost.set(true);
            return Err(Error::transient("The run's epoch was raised."));
        }
        let value = work(session).await?;
        self.desk.commit(session).await?;
        Ok(value)
    }

    /// Lends the lane's session for work outside of a transaction of ours (scratch tables).
    pub async fn aside<T>(&self, lane: Lane, work: impl AsyncFnOnce(&mut D::Session) -> Result<T>) -> Result<T> {
        let mut session = self.take(lane).await?;
        let value = work(&mut session).await?;
        self.keep(lane, session);
        Ok(value)
    }

    async fn take(&self, lane: Lane) -> Result<D::Session> {
        let kept = self.sessions.borrow_mut().get_mut(usize::from(lane.0)).and_then(Option::take);
        match kept {
            Some(session) => Ok(session),
            None => self.desk.open().await,
        }
    }

    fn keep(&self, lane: Lane, session: D::Session) {
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
