//! Taking every lock of the swap, in one order, in one transaction, or none.
//!
//! **First the shadow.** An autovacuum of the new table, which has just been filled, would hold its lock against the swap's last
//! statements, when the application waits already (seen). Nobody else reads it, so it is locked for good, and patiently.
//!
//! **Then the weak lock.** SHARE UPDATE EXCLUSIVE keeps no statement of the application's waiting, but makes an autovacuum
//! that works on the table give way, after the server's `deadlock_timeout`; asked for the strong lock at once, it would
//! outlast every attempt (seen: 15 of 15). One against wraparound does not give way, and is named. The tables above it get it too: one
//! that analyzes a parent of plain inheritance holds its children.
//!
//! **At last the strong ones, quickly.** From the first of them on the application's statements queue behind us. All of them
//! together may take `lock_wait`, and never as long as `deadlock_timeout`: the server looks for deadlocks only among those
//! that have waited for as long, so an application that locks in another order than we do meets a short wait, never an
//! error (with 200 ms none of its transactions failed, with 2.5 s and the worst order 8 did). What is not had in time
//! is given back, all of it.
//!
//! **Whatever becomes of this process, the server ends it.** A wait: by `lock_timeout`. The transaction of a process that
//! stands still: by `idle_in_transaction_session_timeout`, and from 17 on by `transaction_timeout`. A statement whose client is gone:
//! by `client_connection_check_interval`.

use std::time::Duration;

use tokio::time::Instant;

use super::super::names::Names;
use super::super::session::{Session, code, number};
use super::super::slot;
use super::super::sql::Table;
use super::super::swap::Swap;
use crate::engine::Patience;
use crate::error::{Error, Result};

/// What the weak lock's wait has beyond the time after which the server makes an autovacuum give way.
const BEYOND: Duration = Duration::from_secs(1);
/// What the server's own limits have beyond ours, so that ours act first where they can.
const SLACK: Duration = Duration::from_millis(500);
/// The shortest wait that is worth asking for.
const LEAST: Duration = Duration::from_millis(1);

/// Takes them all; returns when the first strong one was granted. An error leaves no lock.
pub async fn take(
    session: &mut Session,
    other: &mut Session,
    names: &Names,
    swap: &Swap,
    patience: Patience,
) -> Result<Instant> {
    match attempt(session, other, names, swap, patience).await {
        Ok(granted) => Ok(granted),
        Err(error) => {
            // A transaction that failed holds no lock any more; one whose client gave up does.
            if let Err(again) = session.exec("ROLLBACK").await {
                tracing::debug!(error = %again, "the locks' transaction could not be rolled back");
            }
            Err(error)
        }
    }
}

/// Those that are asked for before the application has to wait, each with its table: the shadow's, and the weak ones.
pub fn patient<'a>(names: &'a Names, swap: &'a Swap) -> Vec<(&'a Table, String)> {
    let weak = swap.above.iter().chain([&names.original]);
    let weak = weak.map(|table| (table, "SHARE UPDATE EXCLUSIVE"));
    let all = [(&names.shadow, "ACCESS EXCLUSIVE")].into_iter().chain(weak);
    all.map(|(table, mode)| (table, format!("LOCK TABLE ONLY {table} IN {mode} MODE"))).collect()
}

async fn attempt(
    session: &mut Session,
    other: &mut Session,
    names: &Names,
    swap: &Swap,
    patience: Patience,
) -> Result<Instant> {
    let deadlock = millis(other, "deadlock_timeout").await?;
    let limit = patience.lock_wait.min(deadlock.mul_f64(0.8));
    let (hold, weak) = (patience.hold + SLACK, deadlock + BEYOND);
    session
        .exec(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = local; SET LOCAL row_security = off; \
             SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL statement_timeout = {}",
            hold.as_millis(),
            (weak + hold).as_millis()
        ))
        .await?;
    let table = &names.original;
    for (one_of, lock) in patient(names, swap) {
        one(session, other, &lock, weak, one_of).await?;
    }
    let begun = Instant::now();
    let mut granted = None;
    for statement in swap.first.iter().chain(&swap.tables) {
        let left = limit.saturating_sub(begun.elapsed());
        if left < LEAST {
            return Err(too_long(table, limit, &[]));
        }
        one(session, other, statement, left, table).await?;
        granted.get_or_insert_with(Instant::now);
    }
    let mut settings = format!(
        "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
        limit.as_millis().max(1),
        hold.as_millis()
    );
    if session.version >= 17 {
        settings.push_str(&format!("; SET LOCAL transaction_timeout = {}", (hold + SLACK).as_millis()));
    }
    session.exec(&settings).await?;
    Ok(granted.unwrap_or(begun))
}

/// One lock, within this time. While it is waited for, who is in the way is found out.
async fn one(session: &mut Session, other: &mut Session, lock: &str, limit: Duration, table: &Table) -> Result<()> {
    let pid = session.pid;
    let statement = format!("SET LOCAL lock_timeout = {}; {lock}", limit.as_millis().max(1));
    let mut who = Vec::new();
    let waiting = session.exec(&statement);
    tokio::pin!(waiting);
    let answer = match tokio::time::timeout(limit / 2, &mut waiting).await {
        Ok(answer) => answer,
        Err(_) => {
            who = slot::blockers(other, pid).await.unwrap_or_default();
            // The server ends the wait; the rest is for its answer to come.
            match tokio::time::timeout(limit + SLACK, &mut waiting).await {
                Ok(answer) => answer,
                Err(_) => {
                    other.exec(&format!("SELECT pg_terminate_backend({pid})")).await?;
                    return Err(too_long(table, limit, &who));
                }
            }
        }
    };
    match answer {
        Ok(_) => Ok(()),
        // Lock not available, statement cancelled, deadlock.
        Err(error) if code(&error).is_some_and(|c| ["55P03", "57014", "40P01"].contains(&c.code())) => {
            Err(too_long(table, limit, &who).caused_by(error))
        }
        Err(error) => Err(error),
    }
}

fn too_long(table: &Table, limit: Duration, who: &[String]) -> Error {
    let held = if who.is_empty() { String::new() } else { format!(" (held by {})", who.join("; ")) };
    let hint = slot::wraparound(who);
    Error::transient(format!(
        "{} and what hangs on it could not be locked within {} ms{held}.{hint}",
        table.bare(),
        limit.as_millis()
    ))
}

/// A setting of the server's that is a time.
async fn millis(session: &mut Session, name: &str) -> Result<Duration> {
    let row = session.row(&format!("SELECT setting::bigint FROM pg_settings WHERE name = '{name}'")).await?;
    Ok(Duration::from_millis(number(&row, 0)?))
}
