//! One connection to the server, set up as osc needs it, with its errors sorted into kinds.
//!
//! Statements go over the text protocol, built by `sql`. READ COMMITTED is what makes
//! `INSERT … SELECT` read the source without locking its rows; the time zone pins TIMESTAMP
//! literals; the sql_mode is the server's own global one plus NO_AUTO_VALUE_ON_ZERO, so that a
//! conversion fails exactly where a native ALTER of a fresh session would.

use std::time::Duration;

use std::future::Future;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Row};

use super::connect::Address;
use super::flavor::Flavor;
use crate::error::{Error, Kind, Result};

/// How long a statement that should be quick may take before its connection is taken for dead.
const QUICK: Duration = Duration::from_secs(60);

pub struct Session {
    conn: Conn,
    /// The server's number for this connection, for KILL.
    pub id: u32,
    pub flavor: Flavor,
}

impl Session {
    /// Connects and sets the session up.
    pub async fn open(address: &Address) -> Result<Session> {
        let mut conn = address.connect().await?;
        let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(sort)?;
        let version = version.unwrap_or_default();
        let flavor = Flavor::parse(&version).ok_or_else(|| {
            Error::refused(format!("The server says that its version is '{version}', which osc can't read."))
        })?;
        let id = conn.id();
        let mut session = Session { conn, id, flavor };
        if let Some(pin) = address.pin() {
            let server = session.identity().await?;
            if server != pin {
                return Err(Error::stopped(format!(
                    "Another server answers at {} now ({server} instead of {pin}).",
                    address.describe()
                )));
            }
        }
        // Not by the variable: before MariaDB 11.1 it has another name there.
        session.exec("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        // What a server's global settings may have made of a new session.
        session
            .exec(
                "SET SESSION autocommit = 1, completion_type = 0, sql_safe_updates = 0, unique_checks = 1, \
                 sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_auto_is_null = 0, \
                 foreign_key_checks = 1",
            )
            .await?;
        session
            .exec(
                "SET SESSION time_zone = '+00:00', \
                 sql_mode = CONCAT(@@GLOBAL.sql_mode, ',NO_AUTO_VALUE_ON_ZERO'), \
                 innodb_lock_wait_timeout = 10, lock_wait_timeout = 30, net_write_timeout = 600",
            )
            .await?;
        let extra = if flavor.is_mariadb() {
            // Above this many values MariaDB turns IN into a subquery over a temporary table, which has no range access.
            "SET SESSION in_predicate_conversion_threshold = 0, max_statement_time = 0"
        } else {
            // Above the limit MySQL silently falls back from a range scan to a full scan.
            "SET SESSION range_optimizer_max_mem_size = 0, max_execution_time = 0"
        };
        session.exec(extra).await?;
        if !flavor.is_mariadb() && flavor.version >= (8, 0, 30) {
            // Else a primary key that the server made itself is not in the catalog.
            session.exec("SET SESSION show_gipk_in_create_table_and_information_schema = ON").await?;
        }
        Ok(session)
    }

    /// Lets values that are no dates, or zero dates, through as they are: for sessions that copy a table
    /// whose ALTER makes no dates out of other values.
    pub async fn allow_any_date(&mut self) -> Result<()> {
        self.exec(
            "SET SESSION sql_mode = CONCAT(REPLACE(REPLACE(@@SESSION.sql_mode, 'NO_ZERO_DATE', ''), \
             'NO_ZERO_IN_DATE', ''), ',ALLOW_INVALID_DATES')",
        )
        .await
        .map(drop)
    }

    /// Runs a statement; returns the number of affected rows.
    pub async fn exec(&mut self, sql: &str) -> Result<u64> {
        deadline(QUICK, self.exec_long(sql)).await
    }

    /// Runs a statement that may take as long as it needs (a chunk, an ALTER).
    pub async fn exec_long(&mut self, sql: &str) -> Result<u64> {
        tracing::trace!(target: "osc::sql", connection = self.id, "{sql}");
        let mut result = self.conn.query_iter(sql).await.map_err(sort)?;
        let affected = result.affected_rows();
        // Drain: a result set that is left unread would block the next statement.
        result.for_each(drop).await.map_err(sort)?;
        Ok(affected)
    }

    /// All rows of a query.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>> {
        tracing::trace!(target: "osc::sql", connection = self.id, "{sql}");
        deadline(QUICK, async { self.conn.query(sql).await.map_err(sort) }).await
    }

    /// The first row of a query.
    pub async fn first<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Option<T>> {
        tracing::trace!(target: "osc::sql", connection = self.id, "{sql}");
        deadline(QUICK, async { self.conn.query_first(sql).await.map_err(sort) }).await
    }

    /// All rows of a query, as values.
    pub async fn all<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>> {
        tracing::trace!(target: "osc::sql", connection = self.id, "{sql}");
        deadline(QUICK, async { self.conn.query(sql).await.map_err(sort) }).await
    }

    /// The connections that there are. By SHOW: MySQL's information_schema.PROCESSLIST fails as a whole
    /// (error 3854) while any session runs a statement with a character of four bytes in it.
    pub async fn connections(&mut self) -> Result<Vec<Connection>> {
        let rows = self.rows("SHOW PROCESSLIST").await?;
        let text = |row: &Row, at: usize| row.get_opt::<String, _>(at).and_then(|v| v.ok()).unwrap_or_default();
        let one = |row: &Row| {
            let id = row.get_opt::<u64, _>(0)?.ok()?;
            Some(Connection { id, user: text(row, 1), command: text(row, 4), statement: text(row, 7) })
        };
        Ok(rows.iter().filter_map(one).collect())
    }

    /// What tells this server from every other, as far as it has such a thing.
    pub async fn identity(&mut self) -> Result<String> {
        let found: Vec<(String, String)> =
            self.all("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')").await?;
        if let Some((_, value)) = found.into_iter().find(|(_, value)| !value.is_empty()) {
            return Ok(value);
        }
        let named: Option<(String, u64, u64)> = self.first("SELECT @@hostname, @@port, @@server_id").await?;
        Ok(named.map(|(host, port, id)| format!("{host}:{port}/{id}")).unwrap_or_default())
    }

    /// The raw connection, to turn into a binlog stream.
    pub fn into_conn(self) -> Conn {
        self.conn
    }
}

async fn deadline<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::transient(format!("The server did not answer within {} s.", limit.as_secs()))),
    }
}

/// One line of SHOW PROCESSLIST.
pub struct Connection {
    pub id: u64,
    pub user: String,
    pub command: String,
    /// The beginning of the statement it is at.
    pub statement: String,
}

/// The server's error number, when the server said no (not the network).
pub fn code(error: &Error) -> Option<u16> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(mysql_async::Error::Server(server)) = cause.downcast_ref::<mysql_async::Error>() {
            return Some(server.code);
        }
        next = cause.source();
    }
    None
}

/// Whether the connection is no longer of use after this error.
pub fn is_lost(error: &Error) -> bool {
    error.kind() == Kind::Transient && !matches!(code(error), Some(1205 | 1213 | 1317 | 1969 | 3024))
}

/// Sorts a driver error into a kind, by the server's error number.
pub fn sort(error: mysql_async::Error) -> Error {
    let kind = match &error {
        mysql_async::Error::Server(server) => match server.code {
            // Lock wait timeout, deadlock, interrupted (MySQL, MariaDB's max_statement_time, MySQL's max_execution_time).
            1205 | 1213 | 1317 | 1969 | 3024 => Kind::Transient,
            // Too many connections, shutdown, killed, gone; MySQL's "disconnected for inactivity".
            1040 | 1053 | 1077 | 1079 | 1152 | 1158 | 1159 | 1160 | 1161 | 1203 | 1927 | 3169 | 4031 => Kind::Transient,
            1044 | 1045 | 1142 | 1143 | 1227 | 1370 => Kind::Refused,
            _ => Kind::Definite,
        },
        mysql_async::Error::Io(_) => Kind::Transient,
        mysql_async::Error::Driver(driver) => match driver {
            mysql_async::DriverError::ConnectionClosed | mysql_async::DriverError::PoolDisconnected => Kind::Transient,
            _ => Kind::Definite,
        },
        mysql_async::Error::Url(_) => Kind::Usage,
        mysql_async::Error::Other(_) => Kind::Definite,
    };
    let what = match &error {
        mysql_async::Error::Server(server) => format!("{} (error {})", server.message, server.code),
        other => other.to_string(),
    };
    Error::new(kind, what).caused_by(error)
}
