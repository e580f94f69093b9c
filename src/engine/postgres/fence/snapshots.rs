//! Snapshots of the application that are older than the copy, and would miss its rows.
//!
//! A row of the shadow is new: a snapshot that was taken before it was written doesn't see it, although the row that it
//! was copied from is old. A transaction under REPEATABLE READ that took its snapshot before the copy and looks at the
//! table for the first time after the swap would see none of it, without an error. A native ALTER has the same hole (the
//! manual calls it not MVCC-safe), but a run of hours is more likely to meet such a transaction. So the cutover waits for
//! all that are older than the moment at which it was first thought of ([`Since`]), when the copy was complete, and
//! looks again under the lock. A snapshot that was taken later misses what was synced after it at most, where a
//! native ALTER would show it an empty table.
//!
//! **Which ones.** A session tells when its transaction began, whether it holds a snapshot, and the oldest transaction
//! that this does not see. READ COMMITTED holds one only while a statement runs, so who is idle in a transaction and holds
//! one will use it again. Of one that is at a statement nobody knows under which level it runs; it counts when
//! its snapshot is old too, not just its transaction. A statement that is a transaction of its own ends with it and doesn't count.
//!
//! **On a standby** they have the same effect, as soon as the swap is replayed there (seen on 15.18 and 18.6: not one row, no
//! error, as after a native ALTER that rewrites the table). A standby with `hot_standby_feedback` tells the oldest transaction
//! that its snapshots do not see, within ten seconds; not of which kind they are, so all of them are waited for. Of one
//! without it nothing is known here, and the plan says so (`preflight/others`).

use std::time::{Duration, Instant};

use super::super::session::{Session, text_at};
use super::super::sql::text;
use crate::error::{Error, Kind, Result};

const LOOK_EVERY: Duration = Duration::from_millis(500);
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A moment on the server, by its clock and by its counter of transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    at: String,
    /// A transaction that has ended at this moment; every later snapshot sees it.
    xid: String,
}

impl Since {
    pub async fn now(session: &mut Session) -> Result<Since> {
        let row = session.row("SELECT pg_current_xact_id()::xid, clock_timestamp()").await?;
        let part = |at| text_at(&row, at).ok_or_else(|| Error::definite("The server did not say what time it is."));
        Ok(Since { xid: part(0)?, at: part(1)? })
    }
}

/// Who holds an older snapshot, in words.
pub async fn older(session: &mut Session, since: &Since) -> Result<Vec<String>> {
    let (at, xid) = (text(&since.at), text(&since.xid));
    let sql = format!(
        "SELECT concat('session ', a.pid, ' of ', coalesce(a.usename, '?'), ', ', a.state, ', in a transaction for ', \
           extract(epoch FROM clock_timestamp() - a.xact_start)::int, ' s: ', \
           left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80)) \
         FROM pg_stat_activity a \
         WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() \
           AND a.backend_xmin IS NOT NULL AND a.xact_start < {at}::timestamptz \
           AND (a.state = 'idle in transaction' \
             OR (a.xact_start < a.query_start AND age(a.backend_xmin) >= age({xid}::xid))) \
         ORDER BY a.xact_start"
    );
    let standbys = format!(
        "SELECT concat('a snapshot on the standby ', coalesce(nullif(r.application_name, ''), host(r.client_addr), r.pid::text), \
           ', which tells of it by hot_standby_feedback') \
         FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid \
         WHERE s.slot_type IS DISTINCT FROM 'logical' AND age(coalesce(s.xmin, r.backend_xmin)) >= age({xid}::xid) ORDER BY 1"
    );
    let mut who = session.rows(&sql).await?;
    who.extend(session.rows(&standbys).await?);
    Ok(who.iter().filter_map(|row| text_at(row, 0)).collect())
}

/// Waits until nobody holds a snapshot that is older, for at most `patience`.
pub async fn wait(session: &mut Session, since: &Since, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        let who = older(session, since).await?;
        if who.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= patience {
            return Err(older_error(&who)
                .with_kind(Kind::Stopped)
                .context(&format!("The cutover waited for {} s (--wait-snapshots)", patience.as_secs()))
                .todo("End these transactions, or wait until they have; then run the same command again."));
        }
        if said.is_none_or(|at| at.elapsed() > SAY_EVERY) {
            said = Some(Instant::now());
            tracing::warn!(
                "the cutover waits for transactions whose snapshot is older than the copy: {}",
                who.join("; ")
            );
        }
        tokio::time::sleep(LOOK_EVERY.min(patience)).await;
    }
}

/// For the look under the lock: it is given back.
pub fn older_error(who: &[String]) -> Error {
    Error::transient(format!(
        "A transaction with a snapshot that is older than the copy would miss its rows after the swap: {}.",
        who.join("; ")
    ))
}
