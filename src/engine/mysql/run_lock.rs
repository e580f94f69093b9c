//! One run per table: a user-level lock on a connection of its own, which is watched.
//!
//! GET_LOCK belongs to its connection. When that connection is lost another process could take the run
//! over, so the run is asked to stop in order; until it has, the epoch (see [`super::state`]) keeps two
//! lives from writing at the same time.

use std::time::Duration;

use super::connect::Address;
use super::names::lock_name;
use super::session::Session;
use super::sql::{Table, text};
use crate::error::{Error, Kind, Result};
use crate::operate::control::Control;

/// From one look at the lock to the next.
const EVERY: Duration = Duration::from_secs(1);

pub struct RunLock {
    session: Session,
    table: Table,
}

impl RunLock {
    /// Takes the lock, or says who has it.
    pub async fn take(address: &Address, table: &Table) -> Result<RunLock> {
        let mut session = Session::open(address).await?;
        let name = text(&lock_name(table));
        let got: Option<Option<i64>> = session.first(&format!("SELECT GET_LOCK({name}, 0)")).await?;
        if got.flatten() == Some(1) {
            return Ok(RunLock { session, table: table.clone() });
        }
        let holder: Option<Option<u64>> = session.first(&format!("SELECT IS_USED_LOCK({name})")).await?;
        let who = holder.flatten().map(|id| format!(" (connection {id})")).unwrap_or_default();
        Err(Error::refused(format!("Another osc run is at work on {}{who}.", table.bare()))
            .table("It is that run's to change.")
            .todo("Wait for it to end, or stop it first."))
    }

    /// Watches the lock for as long as it's polled; asks the run to stop when it's lost.
    pub async fn watch(&mut self, control: &Control) -> Error {
        let name = text(&lock_name(&self.table));
        loop {
            tokio::time::sleep(EVERY).await;
            let ours: Result<Option<Option<bool>>> =
                self.session.first(&format!("SELECT IS_USED_LOCK({name}) = CONNECTION_ID()")).await;
            let error = match ours {
                Ok(Some(Some(true))) => continue,
                Ok(_) => Error::stopped("The lock that keeps other osc runs away from the table was lost."),
                Err(error) => error.with_kind(Kind::Stopped).context("The run's lock could not be looked at"),
            };
            tracing::warn!(%error, "stopping");
            control.ask_to_stop();
            return error;
        }
    }
}
