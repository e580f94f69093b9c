//! One connection, to whichever server.

use super::cell::Cell;
use super::dialect::Dialect;
use super::{mysql, postgres};
use crate::error::Error;
use crate::model::row::Seen;

/// What the server acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub affected: u64,
    pub last_insert_id: Option<u64>,
}

/// When another connection may finish a prepared transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handover {
    /// At once: PostgreSQL; MySQL since 8.0.29, by default.
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
    pub(crate) server_started: u64,
}

/// Whether a connection has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    NotYet,
    Alone,
    /// With its server, which may have given its number to another one since.
    Restarted,
}

pub(crate) struct Session {
    inner: Inner,
    connection: Connection,
}

enum Inner {
    MySql(mysql::Session),
    Postgres(Box<postgres::Session>),
}

/// The same call on either.
macro_rules! either {
    ($inner:expr, $session:ident => $call:expr) => {
        match $inner {
            Inner::MySql($session) => $call,
            Inner::Postgres($session) => $call,
        }
    };
}

impl Session {
    /// A connection that looks and sets up; what it commits is on disk.
    pub async fn open(url: &str) -> Result<Session, Error> {
        Session::with(url, postgres::Manner { prepares: true, asynchronous: false }).await
    }

    /// The connection of a lane: each second one of the application's prepares its statements, and each second two
    /// commit without waiting for the disk, if `asynchronous` ones are wanted.
    pub async fn of_lane(url: &str, number: u64, asynchronous: bool) -> Result<Session, Error> {
        let manner =
            postgres::Manner { prepares: number.is_multiple_of(2), asynchronous: asynchronous && number / 2 % 2 == 1 };
        Session::with(url, manner).await
    }

    async fn with(url: &str, manner: postgres::Manner) -> Result<Session, Error> {
        let mut inner = match Dialect::of(url)? {
            Dialect::MySql => Inner::MySql(mysql::Session::open(url).await?),
            Dialect::Postgres => Inner::Postgres(Box::new(postgres::Session::open(url, manner).await?)),
        };
        let server_started = either!(&mut inner, session => session.started().await)?;
        let connection = Connection { id: either!(&inner, session => session.id()), server_started };
        Ok(Session { inner, connection })
    }

    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// Runs a statement that changes rows.
    pub async fn execute(&mut self, sql: &str, args: Vec<Cell>) -> Result<Done, Error> {
        either!(&mut self.inner, session => session.execute(sql, args).await)
    }

    /// Runs a statement as text: transaction control, DDL, and what can't be prepared.
    pub async fn command(&mut self, sql: &str) -> Result<Done, Error> {
        either!(&mut self.inner, session => session.command(sql).await)
    }

    /// The rows of a query whose columns are those of the table, in their order.
    pub async fn rows(&mut self, sql: &str, args: Vec<Cell>) -> Result<Vec<Seen>, Error> {
        let mut rows = Vec::new();
        self.scan(sql, args, |seen| rows.push(seen)).await?;
        Ok(rows)
    }

    /// The same, one row after the other, for a table that is larger than memory.
    pub async fn scan(&mut self, sql: &str, args: Vec<Cell>, each: impl FnMut(Seen) + Send) -> Result<(), Error> {
        either!(&mut self.inner, session => session.scan(sql, args, each).await)
    }

    /// The one number of a query's one row.
    pub async fn number(&mut self, sql: &str) -> Result<Option<u64>, Error> {
        either!(&mut self.inner, session => session.number(sql).await)
    }

    /// Whether the server has ended a connection of our own user.
    pub async fn ended(&mut self, which: Connection) -> Result<Ended, Error> {
        if self.connection.server_started != which.server_started {
            return Ok(Ended::Restarted);
        }
        let there = either!(&mut self.inner, session => session.has(which.id).await)?;
        Ok(if there { Ended::NotYet } else { Ended::Alone })
    }

    /// Whether the server still has a transaction as prepared; none where the account may not ask.
    pub async fn recovers(&mut self, xid: &str) -> Result<Option<bool>, Error> {
        match &mut self.inner {
            Inner::MySql(session) => session.recovers(xid).await,
            // What is unknown there is gone.
            Inner::Postgres(_) => Ok(Some(false)),
        }
    }

    /// When a prepared transaction leaves the connection that prepared it.
    pub async fn handover(&mut self) -> Result<Handover, Error> {
        match &mut self.inner {
            Inner::MySql(session) => session.handover().await,
            Inner::Postgres(_) => Ok(Handover::AtPrepare),
        }
    }

    /// Whether the server holds no transaction of this connection any more.
    pub async fn holds_no_transaction(&mut self, id: u32) -> Result<bool, Error> {
        match &mut self.inner {
            Inner::MySql(session) => session.holds_no_transaction(id).await,
            Inner::Postgres(session) => Ok(!session.has(id).await?),
        }
    }

    /// Says goodbye; the server ends the session and gives up what it held.
    pub async fn close(self) -> Result<(), Error> {
        either!(self.inner, session => session.close().await)
    }
}
