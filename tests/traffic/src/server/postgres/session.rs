//! One connection to PostgreSQL.

use std::collections::HashMap;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow, Statement};

use super::values::{self, inlined};
use crate::error::Error;
use crate::model::row::Seen;
use crate::server::Done;
use crate::server::cell::Cell;

/// How an application of this sort uses its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Prepares each statement once; otherwise values stand in the text.
    pub prepares: bool,
    /// Does not wait for the disk (`synchronous_commit = off`).
    pub asynchronous: bool,
}

/// A connection, in UTC and READ COMMITTED.
pub(crate) struct Session {
    client: Client,
    task: JoinHandle<()>,
    id: u32,
    prepares: bool,
    prepared: HashMap<String, Statement>,
}

impl Drop for Session {
    /// A session that is given up closes its socket at once, whatever it waits for.
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn error(e: tokio_postgres::Error) -> Error {
    match e.as_db_error() {
        // FATAL and PANIC end the session: shutdown, pg_terminate_backend, idle timeouts.
        Some(db) if db.severity() == "ERROR" => {
            Error::Server { code: db.code().code().to_owned(), text: db.message().to_owned() }
        }
        Some(db) => Error::Lost(db.to_string()),
        None => Error::Lost(match std::error::Error::source(&e) {
            Some(cause) => format!("{e}: {cause}"),
            None => e.to_string(),
        }),
    }
}

fn column(row: &SimpleQueryRow, at: usize) -> Option<&str> {
    row.try_get(at).ok().flatten()
}

impl Session {
    pub async fn open(url: &str, manner: Manner) -> Result<Session, Error> {
        let config: tokio_postgres::Config = url.parse().map_err(|e| Error::Usage(format!("the URL: {e}")))?;
        let (client, connection) = config.connect(NoTls).await.map_err(error)?;
        let task = tokio::spawn(async move {
            // What breaks the connection the next statement says.
            let _ = connection.await;
        });
        let mut session = Session { client, task, id: 0, prepares: manner.prepares, prepared: HashMap::new() };
        let commits = if manner.asynchronous { "off" } else { "on" };
        session.command(&format!("SET timezone = 'UTC'; SET synchronous_commit = {commits}")).await?;
        session.id = session.value("SELECT pg_backend_pid()").await?.unwrap_or_default();
        Ok(session)
    }

    /// The server's number of this connection.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// When the server began, by its own clock in seconds.
    pub async fn started(&mut self) -> Result<u64, Error> {
        let sql = "SELECT extract(epoch FROM pg_postmaster_start_time())::bigint";
        self.value(sql).await?.ok_or_else(|| Error::Usage("no start time".into()))
    }

    /// Whether the server has a connection with this number.
    pub async fn has(&mut self, id: u32) -> Result<bool, Error> {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {id}");
        Ok(self.value::<u64>(&sql).await? != Some(0))
    }

    /// Runs a statement that changes rows; one that returns a key returns one.
    pub async fn execute(&mut self, sql: &str, args: Vec<Cell>) -> Result<Done, Error> {
        if !self.prepares {
            return self.command(&inlined(sql, &args)).await;
        }
        let mut key = None;
        let affected = self
            .stream(sql, args, |row| key = row.first().copied().flatten().and_then(|text| text.parse().ok()))
            .await?;
        Ok(Done { affected, last_insert_id: key })
    }

    /// Runs a statement as text.
    pub async fn command(&mut self, sql: &str) -> Result<Done, Error> {
        let (mut affected, mut key) = (0, None);
        for message in self.client.simple_query(sql).await.map_err(error)? {
            match message {
                SimpleQueryMessage::Row(row) => key = column(&row, 0).and_then(|text| text.parse().ok()),
                SimpleQueryMessage::CommandComplete(rows) => affected = rows,
                _ => {}
            }
        }
        Ok(Done { affected, last_insert_id: key })
    }

    /// The rows of a query whose columns are those of the table, one after the other.
    pub async fn scan(&mut self, sql: &str, args: Vec<Cell>, mut each: impl FnMut(Seen) + Send) -> Result<(), Error> {
        let mut trouble = None;
        let mut take = |row: &[Option<&str>]| match values::row(row) {
            Ok(seen) => each(seen),
            Err(why) => trouble = Some(Error::Usage(why)),
        };
        if self.prepares || args.is_empty() {
            self.stream(sql, args, take).await?;
        } else {
            for message in self.client.simple_query(&inlined(sql, &args)).await.map_err(error)? {
                if let SimpleQueryMessage::Row(row) = message {
                    take(&(0..row.len()).map(|at| column(&row, at)).collect::<Vec<_>>());
                }
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    /// The one number of a query's one row.
    pub async fn number(&mut self, sql: &str) -> Result<Option<u64>, Error> {
        self.value(sql).await
    }

    async fn value<T: std::str::FromStr>(&mut self, sql: &str) -> Result<Option<T>, Error> {
        let messages = self.client.simple_query(sql).await.map_err(error)?;
        let value = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => column(row, 0),
            _ => None,
        });
        Ok(value.and_then(|text| text.parse().ok()))
    }

    /// Runs a prepared statement, row after row of text; returns how many rows it changed or returned.
    async fn stream(
        &mut self,
        sql: &str,
        args: Vec<Cell>,
        mut each: impl FnMut(&[Option<&str>]) + Send,
    ) -> Result<u64, Error> {
        let statement = match self.prepared.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(sql).await.map_err(error)?;
                self.prepared.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        let args = args.iter().map(|arg| arg as &(dyn ToSql + Sync));
        let mut rows = pin!(self.client.query_raw(&statement, args).await.map_err(error)?);
        while let Some(row) = rows.try_next().await.map_err(error)? {
            let mut texts = Vec::with_capacity(row.len());
            for at in 0..row.len() {
                texts.push(row.try_get::<_, Option<&str>>(at).map_err(|e| Error::Usage(e.to_string()))?);
            }
            each(&texts);
        }
        Ok(rows.rows_affected().unwrap_or(0))
    }

    /// Says goodbye; the server ends the session and gives up what it held.
    pub async fn close(mut self) -> Result<(), Error> {
        let task = std::mem::replace(&mut self.task, tokio::spawn(async {}));
        drop(self);
        let _ = task.await;
        Ok(())
    }
}
