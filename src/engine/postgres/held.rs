//! A lock that was not granted while a run begins: who holds it, and what to do.
//!
//! The server's own words name neither the table nor the holder ("canceling statement due to lock timeout"). A prepared
//! transaction is the one that stays: no session has it, and it outlives a restart of the server.

use super::connect::Address;
use super::names::Names;
use super::session::{Session, code, text_at};
use super::slot::{PREPARED, SESSION, wraparound};
use super::sql::Table;
use crate::error::{Error, Kind, Result};

/// Puts a sentence in the place of the server's, where the error is a lock that was waited for in vain.
pub async fn explain(address: &Address, names: &Names, error: Error) -> Error {
    if code(&error).is_none_or(|code| code.code() != "55P03") {
        return error;
    }
    explain_of(address, &names.original, error).await
}

/// Puts who holds the shadow into an error of the way to the swap, which is tried again.
pub async fn explain_shadow(address: &Address, names: &Names, error: Error) -> Error {
    match code(&error).is_some_and(|code| code.code() == "55P03") {
        true => explain_of(address, &names.shadow, error).await.with_kind(Kind::Transient),
        false => error,
    }
}

/// The same for a table of the run's, and an error that is known to be of that kind.
async fn explain_of(address: &Address, table: &Table, error: Error) -> Error {
    let who = holders(address, table).await.unwrap_or_else(|trouble| {
        tracing::debug!(error = %trouble, "looking for who holds the lock");
        Vec::new()
    });
    if who.is_empty() {
        // Gone by now, or a lock of the run's own: the kind stays, so the same command is worth another try.
        return error.context("A lock was not granted in time");
    }
    let (table, hint) = (table.bare(), wraparound(&who));
    Error::refused(format!("{table} can't be worked on: a lock that osc needs is held by {}.{hint}", who.join("; ")))
        .table("The table is unchanged.")
        .todo(
            "End it (COMMIT, ROLLBACK; COMMIT PREPARED or ROLLBACK PREPARED with its name), or wait until it has ended, and \
             run the same command again.",
        )
        .caused_by(error)
}

/// Those with a lock on the table that a reader waits for, or the making of a publication.
async fn holders(address: &Address, table: &Table) -> Result<Vec<String>> {
    let mut session = Session::open(address).await?;
    // No session has the locks of a prepared transaction. Its number is told by the lock that it has on itself, listed
    // under the same virtual number as the others: that of the session that prepared it (seen on 15.18 and 18.6).
    let sql = format!(
        "SELECT DISTINCT CASE WHEN p.gid IS NULL THEN {SESSION} ELSE {PREPARED} END \
         FROM pg_locks l LEFT JOIN pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid' \
           AND own.granted AND own.virtualtransaction = l.virtualtransaction \
         LEFT JOIN pg_prepared_xacts p ON p.transaction = own.transactionid \
         LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND l.relation = {} AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.mode IN \
           ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
        table.regclass()
    );
    Ok(session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect())
}
