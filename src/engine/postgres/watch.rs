//! What the stream does not tell: DDL on the table, a replica identity that changes, a slot that is about to go.
//!
//! A changed identity is the one that can't wait: from that moment the application's UPDATE and DELETE fail because
//! of our publication. So the table is looked at ten times a second, and when it was altered the publication is
//! dropped first, and then the run ends. The rest is looked at once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::connect::Address;
use super::feed::Followed;
use super::identity;
use super::names::Names;
use super::publication;
use super::session::{Session, is_lost, text_at};
use super::slot;
use super::sql::text;
use super::stream::{Shared, names_us};
use crate::engine::disturbed;
use crate::error::Result;

/// The slot and the publication are looked at once in so many looks.
const REST_EVERY: u64 = 10;

/// Looks until it is dropped or has found something.
pub struct Watch {
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    pub fn start(address: &Address, names: &Names, followed: &Followed, every: Duration, shared: Arc<Shared>) -> Watch {
        let mut looker = Looker {
            address: address.clone(),
            names: names.clone(),
            followed: followed.clone(),
            session: None,
            warned: false,
            looks: 0,
        };
        let task = tokio::spawn(async move {
            loop {
                match looker.look().await {
                    Ok(None) => {}
                    Ok(Some(error)) => return shared.fail(error),
                    // The stream's own connection decides how long a server may be away.
                    Err(error) => tracing::debug!(%error, "the table can't be looked at"),
                }
                tokio::time::sleep(every).await;
            }
        });
        Watch { task }
    }
}

struct Looker {
    address: Address,
    names: Names,
    followed: Followed,
    session: Option<Session>,
    warned: bool,
    looks: u64,
}

impl Looker {
    async fn look(&mut self) -> Result<Option<crate::error::Error>> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.address).await?,
        };
        let result = self.look_with(&mut session).await;
        if !result.as_ref().is_err_and(is_lost) {
            self.session = Some(session);
        }
        result
    }

    async fn look_with(&mut self, session: &mut Session) -> Result<Option<crate::error::Error>> {
        let table = self.names.original.bare();
        let row = session.first(&identity::watch_sql(self.followed.found.oid)).await?;
        let now = row.as_ref().and_then(|row| text_at(row, 1)).unwrap_or_default();
        if now != self.followed.found.fingerprint {
            publication::drop(session, &self.names.publication).await?;
            let what = if row.is_none() { "was dropped" } else { "was altered" };
            return Ok(Some(
                disturbed(format!("The table {table} {what} while the run was on."))
                    .todo("Remove the run with `osc cleanup` and begin anew."),
            ));
        }
        self.looks += 1;
        if self.looks % REST_EVERY == 1 { self.rest(session, &table).await } else { Ok(None) }
    }

    async fn rest(&mut self, session: &mut Session, table: &str) -> Result<Option<crate::error::Error>> {
        if publication::fingerprint(session, &self.names.publication).await? != self.followed.publication {
            return Ok(Some(
                disturbed(format!(
                    "Somebody changed or dropped osc's publication of {table}: its changes can't be followed any more."
                ))
                .todo("Remove the run with `osc cleanup` and begin anew."),
            ));
        }
        let sql = format!(
            "SELECT {}, {}, current_setting('synchronous_standby_names') FROM pg_replication_slots s WHERE slot_name = {}",
            slot::GIVEN_UP,
            slot::danger_sql(&self.names.slot),
            text(&self.names.slot)
        );
        let Some(row) = session.first(&sql).await? else {
            return Ok(Some(
                disturbed(
                    "Somebody dropped osc's replication slot: the changes of the table can't be followed any more.",
                )
                .todo("Remove the run with `osc cleanup` and begin anew."),
            ));
        };
        let standbys = text_at(&row, 2).unwrap_or_default();
        if names_us(&standbys) {
            return Ok(Some(
                disturbed(format!(
                    "synchronous_standby_names is '{standbys}' now: the server would take osc for a standby that commits wait for."
                ))
                .todo("Name the standbys instead of '*'; then run the same command again."),
            ));
        }
        if let Some(why) = text_at(&row, 0) {
            return Ok(Some(slot::given_up(&why)));
        }
        let danger = text_at(&row, 1);
        if let Some(danger) = danger.as_ref().filter(|_| !self.warned) {
            tracing::warn!(
                "osc's replication slot: {danger}, slow the writers, or end the transactions that have been open for long"
            );
        }
        self.warned = danger.is_some();
        Ok(None)
    }
}
