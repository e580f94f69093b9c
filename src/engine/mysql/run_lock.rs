//! One run per table: a user-level lock on a connection of its own, which is watched.
//!
//! GET_LOCK belongs to its connection. When that connection is lost the lock is taken again on a new one.
//! Meanwhile another process could have taken the run over: then either it holds the lock, or the life that
//! is stored (see [`super::state`]) is no longer ours. In both cases, and when the server stays away, the
//! run is asked to stop in order; until it has, the epoch keeps two lives from writing at the same time.

use std::time::Duration;

use tokio::time::Instant;

use super::connect::Address;
use super::names::lock_name;
use super::session::Session;
use super::sql::{Table, text};
use super::state;
use crate::engine::opening::Lock;
use crate::error::{Error, Kind, Result};
use crate::operate::control::Control;

/// From one look at the lock to the next.
const EVERY: Duration = Duration::from_secs(1);
/// For how long a lost lock is tried for, and from one try to the next.
const RETAKE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// Seconds that a dead process's connection may take to be noticed by the server.
const DYING: u32 = 2;

pub struct RunLock {
    address: Address,
    session: Session,
    table: Table,
    /// The run's state table and this process's life in it, once they are known.
    life: Option<(Table, u64)>,
}

impl RunLock {
    /// Takes the lock, or says who has it.
    pub async fn take(address: &Address, table: &Table) -> Result<RunLock> {
        let mut session = Session::open(address).await?;
        let name = text(&lock_name(table));
        let got: Option<Option<i64>> = session.first(&format!("SELECT GET_LOCK({name}, {DYING})")).await?;
        if got.flatten() == Some(1) {
            return Ok(RunLock { address: address.clone(), session, table: table.clone(), life: None });
        }
        let holder: Option<Option<u64>> = session.first(&format!("SELECT IS_USED_LOCK({name})")).await?;
        let who = holder.flatten().map(|id| format!(" (connection {id})")).unwrap_or_default();
        Err(Error::refused(format!("Another osc run is at work on {}{who}.", table.bare()))
            .table("It is that run's to change.")
            .todo("Wait for it to end, or stop it first."))
    }

    /// Says whose lock it is, so that it's taken again only for the same life.
    pub fn of_life(&mut self, state: &Table, life: u64) {
        self.life = Some((state.clone(), life));
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
        let name = text(&lock_name(&self.table));
        let mut session = Session::open(&self.address).await?;
        let got: Option<Option<i64>> = session.first(&format!("SELECT GET_LOCK({name}, 0)")).await?;
        if got.flatten() != Some(1) {
            let holder: Option<Option<u32>> = session.first(&format!("SELECT IS_USED_LOCK({name})")).await?;
            let holder = holder.flatten();
            if holder == Some(self.session.id) {
                // The server has not noticed yet that the connection is dead.
                session.exec(&format!("KILL CONNECTION {}", self.session.id)).await?;
            }
            return Err(match holder.filter(|id| *id != self.session.id) {
                Some(id) => Error::stopped(format!("Another osc run has it (connection {id}).")),
                None => Error::transient("It is still held by the lost connection."),
            });
        }
        if let Some((table, life)) = &self.life
            && state::life(&mut session, table).await? != Some(*life)
        {
            return Err(Error::stopped("Another osc process went on with this run meanwhile."));
        }
        self.session = session;
        Ok(())
    }
}

impl Lock for RunLock {
    async fn watch(&mut self, control: &Control) -> Error {
        let name = text(&lock_name(&self.table));
        loop {
            tokio::time::sleep(EVERY).await;
            let ours: Result<Option<Option<bool>>> =
                self.session.first(&format!("SELECT IS_USED_LOCK({name}) = CONNECTION_ID()")).await;
            let error = match ours {
                Ok(Some(Some(true))) => continue,
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
