//! Whether the tables were swapped, after a COMMIT whose answer never came.
//!
//! The swap's own transaction writes the row `swapped` into the run's state: it is there if and only if the swap is. What
//! has to be made sure is that the transaction has ended. By its own process: its session is ended and waited for. By
//! the next process: the transaction holds the life's row FOR SHARE, so whoever gets that row FOR UPDATE comes after it;
//! and once a new life has begun, no older process can swap (see `state`). So look before a new life begins, to
//! know what to do, and again after it has begun, to be sure.

use std::time::Duration;

use tokio::time::Instant;

use super::super::connect::Address;
use super::super::names::Names;
use super::super::session::{Session, text_at};
use super::super::sql::text;
use super::super::state;
use crate::error::{Error, Result};

/// How long to go on asking a server that doesn't answer.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// The slot of the state that only a swap writes.
pub const SWAPPED: &str = "swapped";

/// A session of the server's, told from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub pid: i32,
    began: String,
}

impl Backend {
    pub async fn of(session: &mut Session) -> Result<Backend> {
        let sql = "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        Ok(Backend { pid: session.pid, began: session.value(sql).await?.unwrap_or_default() })
    }

    /// Ends it; osc's own account may do that without further privileges. Whether it was still there.
    pub async fn end(&self, session: &mut Session) -> Result<bool> {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {} AND backend_start = {}::timestamptz",
            self.pid,
            text(&self.began)
        );
        Ok(session.first(&sql).await?.is_some())
    }
}

/// Ends the session that was committing, waits until it is gone, and reads what it has done.
pub async fn swapped(address: &Address, names: &Names, holder: &Backend) -> Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        match look(address, names, holder).await {
            Ok(Some(swapped)) => return Ok(swapped),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "asking for the outcome of the swap"),
        }
        if Instant::now() > until {
            return Err(Error::ambiguous(
                "The connection broke while the tables were being swapped, and the server can't be asked.",
            )
            .table(format!(
                "Either {} has the new definition, or it is unchanged; no row is lost in either case.",
                names.original.bare()
            ))
            .todo(
                "Run the same command again when the server answers: it finds out and goes on, or says that it's done.",
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(address: &Address, names: &Names, holder: &Backend) -> Result<Option<bool>> {
    let mut session = Session::open(address).await?;
    match holder.end(&mut session).await? {
        true => Ok(None),
        false => is_swapped(&mut session, names).await.map(Some),
    }
}

/// Whether the run whose state is there has swapped the tables. Waits for a swap that is being committed.
pub async fn is_swapped(session: &mut Session, names: &Names) -> Result<bool> {
    if !state::exists(session, names).await? {
        return Ok(false);
    }
    session.rows(&format!("SELECT 1 FROM {} WHERE slot = 'life' FOR UPDATE", names.state)).await?;
    let row = session.first(&format!("SELECT body FROM {} WHERE slot = {}", names.state, text(SWAPPED))).await?;
    Ok(row.and_then(|row| text_at(&row, 0)).is_some())
}
