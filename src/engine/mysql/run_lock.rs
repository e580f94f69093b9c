//! One run per table: a user-level lock on a connection of its own, which is watched.
//!
//! GET_LOCK belongs to its connection. When that connection is lost the lock is taken again; another
//! process that was faster has taken the run over, and this one stops in order. In the moment between,
//! the epoch (see [`super::state`]) keeps two lives from writing at the same time.

use std::time::Duration;

use super::connect::Address;
use super::names::lock_name;
use super::session::Session;
use super::sql::{Table, text};
use crate::error::{Error, Kind, Result};
use crate::operate::control::Control;

/// From one look at the lock to the next.
const EVERY: Duration = Duration::from_secs(1);
/// How many looks in a row may fail for want of a connection before the run stops.
const MOST_FAILURES: u32 = 60;

/// Seconds that a dead process's connection may take to be noticed by the server.
const DYING: u32 = 2;

pub struct RunLock {
    session: Session,
    address: Address,
    table: Table,
}

impl RunLock {
    /// Takes the lock, or says who has it.
    pub async fn take(address: &Address, table: &Table) -> Result<RunLock> {
        let mut session = Session::open(address).await?;
        let name = text(&lock_name(table));
        let got: Option<Option<i64>> = session.first(&format!("SELECT GET_LOCK({name}, {DYING})")).await?;
        if got.flatten() == Some(1) {
            return Ok(RunLock { session, address: address.clone(), table: table.clone() });
        }
        let holder: Option<Option<u64>> = session.first(&format!("SELECT IS_USED_LOCK({name})")).await?;
        let who = holder.flatten().map(|id| format!(" (connection {id})")).unwrap_or_default();
        Err(Error::refused(format!("Another osc run is at work on {}{who}.", table.bare()))
            .table("It is that run's to change.")
            .todo("Wait for it to end, or stop it first."))
    }

    /// Watches the lock for as long as it's polled; asks the run to stop when it's lost for good.
    pub async fn watch(&mut self, control: &Control) -> Error {
        let mut failures = 0;
        loop {
            tokio::time::sleep(EVERY).await;
            let error = match self.look().await {
                Ok(()) => {
                    failures = 0;
                    continue;
                }
                Err(error) if error.kind().retry() && failures < MOST_FAILURES => {
                    failures += 1;
                    tracing::debug!(%error, "looking at the run's lock");
                    continue;
                }
                Err(error) => error.with_kind(Kind::Stopped).context("The run's lock was lost"),
            };
            tracing::warn!(%error, "stopping");
            control.ask_to_stop();
            return error;
        }
    }

    /// Sees whether the lock is still ours; takes it again if its connection was lost.
    async fn look(&mut self) -> Result<()> {
        let sql = format!("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", text(&lock_name(&self.table)));
        match self.session.first::<Option<bool>>(&sql).await {
            Ok(Some(Some(true))) => Ok(()),
            Ok(_) => self.again().await,
            Err(error) if error.kind().retry() => {
                tracing::warn!(%error, "the connection that holds the run's lock was lost; taking the lock again");
                self.again().await
            }
            Err(error) => Err(error),
        }
    }

    async fn again(&mut self) -> Result<()> {
        *self = RunLock::take(&self.address, &self.table).await?;
        Ok(())
    }
}
