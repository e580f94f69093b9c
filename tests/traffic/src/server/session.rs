//! One connection to the server.

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Value};

use super::cell::{self, Cell};
use crate::error::Error;
use crate::model::row::Seen;

/// What the server acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub affected: u64,
    pub last_insert_id: Option<u64>,
}

/// When another connection may finish a prepared XA transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handover {
    /// At once: MySQL since 8.0.29, by default.
    AtPrepare,
    /// When the connection that prepared it has ended, down to InnoDB, which this account can see.
    Seen,
    /// The same, but the account lacks PROCESS to see it.
    Unseen,
}

/// Which connection, on which life of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Connection {
    pub id: u32,
    /// When the server began, by its own clock in seconds: two lives of one server never begin in the same second.
    /// Not by ours: where an answer takes seconds, that took one life for two, and a transaction for one whose
    /// connection was gone.
    server_started: u64,
}

/// Whether a connection has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    NotYet,
    Alone,
    /// With its server, which may have given its number to another one since.
    Restarted,
}

/// A connection, in UTC and READ COMMITTED, over TCP even when the server is on this machine: what an application has.
pub(crate) struct Session {
    conn: Conn,
    connection: Connection,
}

/// Server errors that end the session: shutdown, KILL (MySQL, MariaDB), idle timeout.
const SESSION_ENDS: [u16; 4] = [1053, 1927, 3169, 4031];

fn error(e: mysql_async::Error) -> Error {
    match e {
        mysql_async::Error::Server(s) if SESSION_ENDS.contains(&s.code) => Error::Lost(s.to_string()),
        mysql_async::Error::Server(s) => Error::Server { code: s.code, text: s.message },
        mysql_async::Error::Url(e) => Error::Usage(e.to_string()),
        other => Error::Lost(other.to_string()),
    }
}

fn params(args: Vec<Cell>) -> Params {
    if args.is_empty() { Params::Empty } else { Params::Positional(args.into_iter().map(Value::from).collect()) }
}

/// How often the server is asked before it counts as lost.
const ASKED: u32 = 50;

/// When the server began. Asked for between two looks at its clock: within one second of it the difference is exact.
async fn started(conn: &mut Conn) -> Result<u64, Error> {
    for _ in 0..ASKED {
        let before = clock(conn).await?;
        let row: Option<(String, u64)> = conn.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'").await.map_err(error)?;
        let (_, uptime) = row.ok_or_else(|| Error::Usage("the server has no Uptime".into()))?;
        if clock(conn).await? == before {
            return Ok(before.saturating_sub(uptime));
        }
    }
    Err(Error::Lost("every answer of the server takes a second".into()))
}

async fn clock(conn: &mut Conn) -> Result<u64, Error> {
    let row: Option<u64> = conn.query_first("SELECT UNIX_TIMESTAMP()").await.map_err(error)?;
    row.ok_or_else(|| Error::Usage("the server has no clock".into()))
}

impl Session {
    pub async fn open(url: &str) -> Result<Session, Error> {
        let opts = Opts::from_url(url).map_err(|e| Error::Usage(format!("{url}: {e}")))?;
        let opts = OptsBuilder::from_opts(opts)
            .prefer_socket(false)
            .stmt_cache_size(64)
            // REPEATABLE READ takes gap locks, over which writers with keys of their own can deadlock:
            // here a failed statement must mean that the schema change made it fail.
            .init(vec!["SET time_zone = '+00:00'", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"]);
        let mut conn = Conn::new(opts).await.map_err(error)?;
        let server_started = started(&mut conn).await?;
        let connection = Connection { id: conn.id(), server_started };
        Ok(Session { conn, connection })
    }

    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// Runs a prepared statement.
    pub async fn execute(&mut self, sql: &str, args: Vec<Cell>) -> Result<Done, Error> {
        self.conn.exec_drop(sql, params(args)).await.map_err(error)?;
        Ok(Done { affected: self.conn.affected_rows(), last_insert_id: self.conn.last_insert_id() })
    }

    /// Runs a statement as text: transaction control, DDL, and what can't be prepared.
    pub async fn command(&mut self, sql: &str) -> Result<Done, Error> {
        self.conn.query_drop(sql).await.map_err(error)?;
        Ok(Done { affected: self.conn.affected_rows(), last_insert_id: self.conn.last_insert_id() })
    }

    /// The rows of a query whose columns are those of the table, in their order.
    pub async fn rows(&mut self, sql: &str, args: Vec<Cell>) -> Result<Vec<Seen>, Error> {
        let mut rows = Vec::new();
        self.scan(sql, args, |seen| rows.push(seen)).await?;
        Ok(rows)
    }

    /// The same, one row after the other, for a table that is larger than memory.
    pub async fn scan(&mut self, sql: &str, args: Vec<Cell>, mut each: impl FnMut(Seen) + Send) -> Result<(), Error> {
        let mut stream = self.conn.exec_stream::<mysql_async::Row, _, _>(sql, params(args)).await.map_err(error)?;
        while let Some(row) = stream.next().await {
            let row = row.map_err(error)?;
            each(cell::row(row.unwrap()).map_err(Error::Usage)?);
        }
        Ok(())
    }

    /// The one number of a query's one row.
    pub async fn number(&mut self, sql: &str) -> Result<Option<u64>, Error> {
        let row: Option<Option<u64>> = self.conn.query_first(sql).await.map_err(error)?;
        Ok(row.flatten())
    }

    /// Whether the server has ended a connection of our own user.
    pub async fn ended(&mut self, which: Connection) -> Result<Ended, Error> {
        if self.connection.server_started != which.server_started {
            return Ok(Ended::Restarted);
        }
        let rows: Vec<mysql_async::Row> = self.conn.query("SHOW PROCESSLIST").await.map_err(error)?;
        let there = rows.iter().any(|row| row.get::<u64, _>(0) == Some(u64::from(which.id)));
        Ok(if there { Ended::NotYet } else { Ended::Alone })
    }

    /// Whether the server still has a transaction as prepared; none where the account may not ask.
    pub async fn recovers(&mut self, xid: &str) -> Result<Option<bool>, Error> {
        let listed: Vec<mysql_async::Row> = match self.conn.query("XA RECOVER").await.map_err(error) {
            Err(Error::Server { .. }) => return Ok(None),
            other => other?,
        };
        let name = |row: &mysql_async::Row| row.get::<Vec<u8>, _>(3).unwrap_or_default();
        Ok(Some(listed.iter().any(|row| name(row) == xid.trim_matches('\'').as_bytes())))
    }

    /// When a prepared transaction leaves the connection that prepared it.
    pub async fn handover(&mut self) -> Result<Handover, Error> {
        match self.number("SELECT @@xa_detach_on_prepare").await {
            Ok(Some(1)) => return Ok(Handover::AtPrepare),
            Ok(_) | Err(Error::Server { .. }) => {}
            Err(lost) => return Err(lost),
        }
        match self.innodb_transactions().await {
            Ok(_) => Ok(Handover::Seen),
            Err(Error::Server { .. }) => Ok(Handover::Unseen),
            Err(lost) => Err(lost),
        }
    }

    /// Whether InnoDB holds no transaction of this connection any more.
    pub async fn holds_no_transaction(&mut self, id: u32) -> Result<bool, Error> {
        // Not information_schema.innodb_trx: it is cached, and may be older than the transaction.
        Ok(!self.innodb_transactions().await?.contains(&format!("thread id {id},")))
    }

    async fn innodb_transactions(&mut self) -> Result<String, Error> {
        let status: Option<(String, String, String)> =
            self.conn.query_first("SHOW ENGINE INNODB STATUS").await.map_err(error)?;
        let text = status.map(|(_, _, text)| text).unwrap_or_default();
        // What is before this names connections of past deadlocks.
        Ok(text.rsplit("LIST OF TRANSACTIONS").next().unwrap_or_default().to_owned())
    }

    /// Says goodbye; the server ends the session and gives up what it held.
    pub async fn close(self) -> Result<(), Error> {
        self.conn.disconnect().await.map_err(error)
    }
}
