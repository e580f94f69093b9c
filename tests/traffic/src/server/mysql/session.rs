//! One connection to MySQL or MariaDB.

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Value};

use super::values;
use crate::error::Error;
use crate::model::row::Seen;
use crate::server::cell::Cell;
use crate::server::{Done, Handover};

/// A connection, in UTC and READ COMMITTED, over TCP even when the server is on this machine: what an application has.
pub(crate) struct Session {
    conn: Conn,
}

/// How often the server is asked before it counts as lost.
const ASKED: u32 = 50;

/// Server errors that end the session: shutdown, KILL (MySQL, MariaDB), idle timeout.
const SESSION_ENDS: [u16; 4] = [1053, 1927, 3169, 4031];

fn error(e: mysql_async::Error) -> Error {
    match e {
        mysql_async::Error::Server(s) if SESSION_ENDS.contains(&s.code) => Error::Lost(s.to_string()),
        mysql_async::Error::Server(s) => Error::Server { code: s.code.to_string(), text: s.message },
        mysql_async::Error::Url(e) => Error::Usage(e.to_string()),
        other => Error::Lost(other.to_string()),
    }
}

fn params(args: Vec<Cell>) -> Params {
    if args.is_empty() { Params::Empty } else { Params::Positional(args.into_iter().map(Value::from).collect()) }
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
        Ok(Session { conn: Conn::new(opts).await.map_err(error)? })
    }

    /// The server's number of this connection.
    pub fn id(&self) -> u32 {
        self.conn.id()
    }

    /// When the server began, by its own clock. Asked for between two looks at that: within one second of it the
    /// difference is exact.
    pub async fn started(&mut self) -> Result<u64, Error> {
        for _ in 0..ASKED {
            let before = self.clock().await?;
            let row: Option<(String, u64)> =
                self.conn.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'").await.map_err(error)?;
            let (_, uptime) = row.ok_or_else(|| Error::Usage("the server has no Uptime".into()))?;
            if self.clock().await? == before {
                return Ok(before.saturating_sub(uptime));
            }
        }
        Err(Error::Lost("every answer of the server takes a second".into()))
    }

    async fn clock(&mut self) -> Result<u64, Error> {
        self.number("SELECT UNIX_TIMESTAMP()").await?.ok_or_else(|| Error::Usage("the server has no clock".into()))
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

    /// The rows of a query whose columns are those of the table, one after the other.
    pub async fn scan(&mut self, sql: &str, args: Vec<Cell>, mut each: impl FnMut(Seen) + Send) -> Result<(), Error> {
        let mut stream = self.conn.exec_stream::<mysql_async::Row, _, _>(sql, params(args)).await.map_err(error)?;
        while let Some(row) = stream.next().await {
            let row = row.map_err(error)?;
            each(values::row(row.unwrap()).map_err(Error::Usage)?);
        }
        Ok(())
    }

    /// The one number of a query's one row.
    pub async fn number(&mut self, sql: &str) -> Result<Option<u64>, Error> {
        let row: Option<Option<u64>> = self.conn.query_first(sql).await.map_err(error)?;
        Ok(row.flatten())
    }

    /// Whether the server has a connection of our own user with this number.
    pub async fn has(&mut self, id: u32) -> Result<bool, Error> {
        let rows: Vec<mysql_async::Row> = self.conn.query("SHOW PROCESSLIST").await.map_err(error)?;
        Ok(rows.iter().any(|row| row.get::<u64, _>(0) == Some(u64::from(id))))
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
