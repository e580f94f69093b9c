//! One run per table: an advisory lock on a session of its own, which is watched.
//!
//! A session's advisory lock belongs to its connection. When that is lost the lock is taken again on a new one.
//! Meanwhile another process could have taken the run over: then either it holds the lock, or the life that
//! is stored (see [`super::state`]) is no longer ours. In both cases, and when the server stays away, the
//! run is asked to stop in order; until it has, the epoch keeps two lives from writing at the same time.

use std::time::Duration;

use tokio::time::Instant;

use super::connect::Address;
use super::names::Names;
use super::session::{Session, number};
use super::state;
use crate::engine::opening::Lock;
use crate::error::{Error, Kind, Result};
use crate::operate::control::Control;

/// From one look at the lock to the next.
const EVERY: Duration = Duration::from_secs(1);
/// For how long a lost lock is tried for, and from one try to the next.
const RETAKE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);
/// How long a dead process's connection may take to be noticed by the server.
const DYING: Duration = Duration::from_secs(2);

pub struct RunLock {
    address: Address,
    session: Session,
    names: Names,
    /// This process's life in the run's state, once it is known.
    life: Option<u64>,
}

impl RunLock {
    /// Takes the lock, or says who has it.
    pub async fn take(address: &Address, names: &Names) -> Result<RunLock> {
        let mut session = Session::open(address).await?;
        let until = Instant::now() + DYING;
        loop {
            if attempt(&mut session, names).await? {
                return Ok(RunLock { address: address.clone(), session, names: names.clone(), life: None });
            }
            if Instant::now() > until {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let who = holder(&mut session, names).await?.map(|pid| format!(" (session {pid})")).unwrap_or_default();
        Err(Error::refused(format!("Another osc run is at work on {}{who}.", names.original.bare()))
            .table("It is that run's to change.")
            .todo("Wait for it to end, or stop it first."))
    }

    /// Says whose lock it is, so that it's taken again only for the same life.
    pub fn of_life(&mut self, life: u64) {
        self.life = Some(life);
    }

    async fn retake(&mut self) -> Result<()> {
        let until = Instant::now() + RETAKE;
        loop {
            match self.again().await {
                Err(error) if error.kind().retry() && Instant::now() < until => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    async fn again(&mut self) -> Result<()> {
        let mut session = Session::open(&self.address).await?;
        if !attempt(&mut session, &self.names).await? {
            let holder = holder(&mut session, &self.names).await?;
            if holder == Some(self.session.pid) {
                // The server has not noticed yet that the connection is dead.
                session.exec(&format!("SELECT pg_terminate_backend({})", self.session.pid)).await?;
            }
            return Err(match holder.filter(|pid| *pid != self.session.pid) {
                Some(pid) => Error::stopped(format!("Another osc run has it (session {pid}).")),
                None => Error::transient("It is still held by the lost connection."),
            });
        }
        if let Some(life) = self.life
            && state::life(&mut session, &self.names.state).await? != Some(life)
        {
            return Err(Error::stopped("Another osc process went on with this run meanwhile."));
        }
        self.session = session;
        Ok(())
    }
}

async fn attempt(session: &mut Session, names: &Names) -> Result<bool> {
    let got = session.value(&format!("SELECT pg_try_advisory_lock({})", names.lock())).await?;
    Ok(got.as_deref() == Some("t"))
}

/// The session that holds the lock.
pub(super) async fn holder(session: &mut Session, names: &Names) -> Result<Option<i32>> {
    session.first(&holder_sql(names)).await?.map(|row| number(&row, 0)).transpose()
}

fn holder_sql(names: &Names) -> String {
    let lock = names.lock() as u64;
    format!(
        "SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
         AND l.classid = {} AND l.objid = {} \
         AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
        lock >> 32,
        lock & 0xffff_ffff
    )
}

impl Lock for RunLock {
    async fn watch(&mut self, control: &Control) -> Error {
        loop {
            tokio::time::sleep(EVERY).await;
            let error = match holder(&mut self.session, &self.names).await {
                Ok(Some(pid)) if pid == self.session.pid => continue,
                Ok(_) => Error::stopped("The lock that keeps other osc runs away from the table was lost."),
                Err(error) => match self.retake().await {
                    Ok(()) => {
                        tracing::info!(%error, "the run's lock was lost with its connection, and taken again");
                        continue;
                    }
                    Err(error) => error.with_kind(Kind::Stopped).context("The run's lock was lost"),
                },
            };
            tracing::warn!(%error, "stopping");
            control.ask_to_stop();
            return error;
        }
    }
}
