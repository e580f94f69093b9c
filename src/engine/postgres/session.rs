//! One connection to the server, set up as osc needs it, with its errors sorted into kinds.
//!
//! Whatever ALTER ROLE or ALTER DATABASE may have set is overridden, and in the startup message, because
//! only there it also holds for the change stream (seen on 15 and 18: with the role's
//! `extra_float_digits = 0` a key arrived as 0.3 that was 0.30000000000000004). Statements go over the
//! simple protocol, built by `sql`: values travel as text in both directions, under the same pinned
//! settings as the keys of the stream.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::connect::{self, Address};
use crate::error::{Error, Kind, Result};

/// The oldest server that osc works with.
pub const OLDEST: u32 = 15;

/// How long a statement that should be quick may take before its connection is taken for dead.
const QUICK: Duration = Duration::from_secs(60);

/// What every connection of osc's runs under, whatever the role's or the database's defaults are.
pub const PINNED: &[(&str, &str)] = &[
    // Who we are: ALTER ROLE … SET role would change it.
    ("role", "none"),
    // A policy that would filter the copy is an error instead (seen: 5 of 10 rows copied).
    ("row_security", "off"),
    // Names are always written with their schema, and format_type then prints them so.
    ("search_path", "pg_catalog"),
    // Time: no statement of ours is cut short by a default. Dead clients of ours are noticed.
    ("statement_timeout", "0"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("idle_session_timeout", "0"),
    ("client_connection_check_interval", "500ms"),
    // Durable here; what waits for a standby says so itself.
    ("synchronous_commit", "local"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    // Values as text.
    ("extra_float_digits", "3"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    ("quote_all_identifiers", "off"),
    // Values and statements as they are read.
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("check_function_bodies", "on"),
];

pub struct Session {
    client: Client,
    driver: JoinHandle<()>,
    /// The server's number for this connection.
    pub pid: i32,
    /// The major version.
    pub version: u32,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Else a statement that is under way would go on until it is done; so the server sees the
        // connection closed, within client_connection_check_interval.
        self.driver.abort();
    }
}

impl Session {
    /// Connects and sets the session up.
    pub async fn open(address: &Address) -> Result<Session> {
        Session::open_under(address, PINNED).await
    }

    /// Connects under these settings, and otherwise those that anybody has.
    pub async fn open_under(address: &Address, settings: &[(&str, &str)]) -> Result<Session> {
        let (client, connection, told) = address.connect_under(settings).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a session ended");
            }
        });
        let mut session = Session { client, driver, pid: 0, version: 0 };
        let facts = session
            .row(
                "SELECT current_setting('server_version_num'), pg_backend_pid(), pg_is_in_recovery(), \
                 (SELECT system_identifier FROM pg_control_system())",
            )
            .await?;
        session.version = number::<u32>(&facts, 0)? / 10000;
        session.pid = number(&facts, 1)?;
        if told != session.pid {
            return Err(connect::pooler(address.describe()));
        }
        if session.version < OLDEST {
            return Err(Error::refused(format!(
                "The server is PostgreSQL {}; osc works with {OLDEST} and later.",
                session.version
            )));
        }
        if facts.get(2) == Some("t") {
            return Err(Error::refused(format!(
                "The server at {} is a standby; osc needs the primary.",
                address.describe()
            )));
        }
        let server = facts.get(3).unwrap_or_default();
        if let Some(pin) = address.pin().filter(|pin| *pin != server) {
            return Err(Error::stopped(format!(
                "Another server answers at {} now ({server} instead of {pin}).",
                address.describe()
            )));
        }
        if session.version >= 17 {
            session.exec("SET transaction_timeout = 0").await?;
        }
        Ok(session)
    }

    /// Runs a statement; returns the number of affected rows.
    pub async fn exec(&mut self, sql: &str) -> Result<u64> {
        deadline(QUICK, self.exec_long(sql)).await
    }

    /// Runs a statement that may take as long as it needs (a chunk, an index).
    pub async fn exec_long(&mut self, sql: &str) -> Result<u64> {
        tracing::trace!(target: "osc::sql", connection = self.pid, "{sql}");
        let messages = self.client.simple_query(sql).await.map_err(sort)?;
        let mut affected = 0;
        for message in messages {
            if let SimpleQueryMessage::CommandComplete(rows) = message {
                affected = rows;
            }
        }
        Ok(affected)
    }

    /// Runs statements one after the other, sent in one message: no way to and fro between them. An error names the
    /// statement that failed; those after it were not run.
    pub async fn exec_all(&mut self, statements: &[String]) -> Result<()> {
        if statements.is_empty() {
            return Ok(());
        }
        let text = statements.join(";\n");
        tracing::trace!(target: "osc::sql", connection = self.pid, "{text}");
        let mut done = 0;
        let ended = deadline(QUICK, async {
            let mut messages = std::pin::pin!(self.client.simple_query_raw(&text).await.map_err(sort)?);
            while let Some(message) = messages.next().await {
                if let SimpleQueryMessage::CommandComplete(_) = message.map_err(sort)? {
                    done += 1;
                }
            }
            Ok(())
        });
        let ended = ended.await;
        ended.map_err(|error| match statements.get(done) {
            Some(statement) if code(&error).is_some() => error.context(&format!("At the statement {statement}")),
            _ => error,
        })
    }

    /// Runs `work` as one transaction; when it fails the session is none the worse.
    pub async fn transaction<T>(&mut self, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        self.exec("BEGIN").await?;
        let done = async {
            let value = work(self).await?;
            self.exec("COMMIT").await?;
            Ok(value)
        };
        let done = done.await;
        if done.as_ref().is_err_and(|error| !is_lost(error)) {
            self.exec("ROLLBACK").await?;
        }
        done
    }

    /// Runs a text from outside: the extended protocol takes one statement and no more.
    pub async fn exec_single(&mut self, sql: &str) -> Result<()> {
        tracing::trace!(target: "osc::sql", connection = self.pid, "{sql}");
        deadline(QUICK, async { self.client.execute(sql, &[]).await.map_err(sort) }).await.map(std::mem::drop)
    }

    /// All rows of a query, as text.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>> {
        deadline(QUICK, self.rows_long(sql)).await
    }

    /// All rows of a query that may take as long as it needs.
    pub async fn rows_long(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>> {
        tracing::trace!(target: "osc::sql", connection = self.pid, "{sql}");
        let messages = self.client.simple_query(sql).await.map_err(sort)?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    /// The first row of a query, if it has one.
    pub async fn first(&mut self, sql: &str) -> Result<Option<SimpleQueryRow>> {
        Ok(self.rows(sql).await?.into_iter().next())
    }

    /// The row of a query that always has one.
    pub async fn row(&mut self, sql: &str) -> Result<SimpleQueryRow> {
        self.first(sql).await?.ok_or_else(|| Error::definite("The server answered a question with no row."))
    }

    /// The first column of the first row.
    pub async fn value(&mut self, sql: &str) -> Result<Option<String>> {
        Ok(self.first(sql).await?.and_then(|row| text_at(&row, 0)))
    }

    /// What can cancel the statement that this session is at, from another task.
    pub fn canceller(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// What tells this server's data from every other's.
    pub async fn identity(&mut self) -> Result<String> {
        Ok(self.value("SELECT system_identifier FROM pg_control_system()").await?.unwrap_or_default())
    }
}

/// Cancels what the session of this token is at; it may be done already.
pub async fn cancel(address: &Address, token: CancelToken) -> Result<()> {
    let stream = address.dial().await?;
    token.cancel_query_raw(stream, NoTls).await.map_err(sort)
}

/// A column of a row as text; none when it is NULL.
pub fn text_at(row: &SimpleQueryRow, at: usize) -> Option<String> {
    row.try_get(at).ok().flatten().map(str::to_string)
}

/// A column of a row as a number.
pub fn number<T: std::str::FromStr>(row: &SimpleQueryRow, at: usize) -> Result<T> {
    let text = row.try_get(at).ok().flatten().unwrap_or_default();
    text.parse().map_err(|_| Error::definite(format!("The server answered '{text}' where a number was expected.")))
}

async fn deadline<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::transient(format!("The server did not answer within {} s.", limit.as_secs()))),
    }
}

/// The server's error code, when the server said no (not the network).
pub fn code(error: &Error) -> Option<&SqlState> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<tokio_postgres::Error>() {
            return found.code();
        }
        next = cause.source();
    }
    None
}

/// Whether the connection is no longer of use after this error.
pub fn is_lost(error: &Error) -> bool {
    error.kind() == Kind::Transient && !code(error).is_some_and(|code| STAYS.contains(&code.code()))
}

/// Serialization failure, deadlock, lock not available, cancelled: the session lives on.
const STAYS: [&str; 4] = ["40001", "40P01", "55P03", "57014"];

/// The kind of an error with this code.
pub fn kind_of(code: &str) -> Kind {
    match code {
        _ if STAYS.contains(&code) => Kind::Transient,
        // Shut down, crashed, starting; idle too long; no connection free.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" | "53300" => Kind::Transient,
        _ if code.starts_with("08") => Kind::Transient,
        // Signing in, no such database, no privilege.
        "28000" | "28P01" | "3D000" | "42501" => Kind::Refused,
        _ => Kind::Definite,
    }
}

/// Sorts a driver error into a kind, by the server's error code.
pub fn sort(error: tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        let mut what = format!("{} (error {})", db.message(), db.code().code());
        if let Some(detail) = db.detail() {
            what.push_str(&format!(" {detail}"));
        }
        return Error::new(kind_of(db.code().code()), what).caused_by(error);
    }
    let broken = std::error::Error::source(&error).is_some_and(|cause| cause.is::<std::io::Error>());
    let kind = if broken || error.is_closed() { Kind::Transient } else { Kind::Definite };
    Error::new(kind, error.to_string()).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds() {
        assert_eq!(kind_of("55P03"), Kind::Transient);
        assert_eq!(kind_of("08006"), Kind::Transient);
        assert_eq!(kind_of("42501"), Kind::Refused);
        assert_eq!(kind_of("23505"), Kind::Definite);
    }
}
