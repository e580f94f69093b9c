//! `sync` on one server: DELETE and INSERT … SELECT in one transaction.
//!
//! The server itself converts every value, by the ALTER's own expressions and the assignment to the new column;
//! osc moves keys only. Under READ COMMITTED each statement reads a snapshot of its own, and no reader waits for a
//! writer, so the application never waits for it, and "a read that begins after the delivery" is the
//! INSERT's own. Deleting first makes the operation idempotent and lets a row's unique values move; a unique
//! conflict that is left is resolved in [`super::conflict`].
//!
//! **Keys that only the server can order** may be synced while a range that holds them is copied: the core can't
//! tell, and need not, since both read after the key's last delivery. But here a DELETE neither sees nor waits for a
//! row that another transaction has inserted and not committed, so both would insert the row, and the later one fails
//! under the key. It is done once more, from its DELETE.
//!
//! A sync that has returned is on disk: every session of osc's commits with `synchronous_commit = local`. So a
//! stored checkpoint, which comes after it, may move the slot ([`Handle::stored`]): the checkpoint's own commit
//! comes later in the log than all that it speaks of, and the log is flushed in its order.
//!
//! **By the index, whatever the statistics say.** The shadow is empty at first and never analyzed while it
//! grows; the source's statistics may be old. So the planner's other ways are turned off for these sessions
//! ([`Rewrite::session`]): a plan that reads a whole table once for each chunk would never end.

use std::fmt::Display;
use std::rc::Rc;

use super::compare;
use super::conflict;
use super::connect::Address;
use super::culprit;
use super::feed::Handle;
use super::key::KeyShape;
use super::lanes::Lanes;
use super::names::Names;
use super::session::{Session, code};
use super::shadow::Shadow;
use super::sql::{Ident, list};
use super::state;
use crate::engine::{Compared, Lane, Mirror, Synced};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::model::{Checkpoint, Key, KeyOrder, LaneNote, Range, Rows};

/// How statements find their rows: by the key's index, or by joining with few rows that were found so.
const BY_INDEX: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET max_parallel_workers_per_gather = 0; SET jit = off";

/// Which of the two tables a statement reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Shadow,
}

/// What one sync is made of: the tables, the key, and how columns become columns.
pub struct Rewrite {
    pub names: Rc<Names>,
    pub shadow: Shadow,
}

pub struct PostgresMirror {
    rewrite: Rc<Rewrite>,
    lanes: Lanes,
    /// The lane that stores checkpoints; no sync uses it.
    store: Lane,
    /// The lane that builds indexes.
    builder: Lane,
    feed: Handle,
}

impl Rewrite {
    pub fn new(names: Names, shadow: Shadow) -> Rewrite {
        Rewrite { names: Rc::new(names), shadow }
    }

    pub fn key(&self) -> &KeyShape {
        &self.shadow.key
    }

    /// A session that reads rows of the source and writes them to the shadow.
    pub async fn session(&self, address: &Address) -> Result<Session> {
        let mut session = Session::open(address).await?;
        session.exec(BY_INDEX).await?;
        Ok(session)
    }

    /// The key's columns, by their names on one side.
    pub fn key_columns(&self, side: Side) -> Vec<Ident> {
        match side {
            Side::Source => self.shadow.key.idents(),
            Side::Shadow => self.shadow.shadow_key.clone(),
        }
    }

    pub fn insert_columns(&self) -> String {
        list(self.shadow.columns.iter().map(|c| &c.column))
    }

    /// The condition that picks the rows on one side, by column names without a prefix.
    pub fn filter(&self, side: Side, rows: Rows<'_>) -> Result<String> {
        self.shadow.key.where_rows(&self.key_columns(side), rows)
    }

    pub fn delete(&self, rows: Rows<'_>) -> Result<String> {
        Ok(format!("DELETE FROM ONLY {} WHERE {}", self.names.shadow, self.filter(Side::Shadow, rows)?))
    }

    /// INSERT … SELECT of these rows into a table with the shadow's columns.
    pub fn insert(&self, into: &impl Display, rows: Rows<'_>) -> Result<String> {
        Ok(self.insert_selected(into, &self.filter(Side::Source, rows)?))
    }

    /// The same for a condition on the source's columns.
    pub fn insert_selected(&self, into: &impl Display, filter: &str) -> String {
        self.insert_from(into, &self.select(filter))
    }

    /// The same of what a query returns, which are the shadow's columns.
    pub fn insert_from(&self, into: &impl Display, query: &str) -> String {
        let overriding = if self.shadow.overriding { " OVERRIDING SYSTEM VALUE" } else { "" };
        format!("INSERT INTO {into} ({}){overriding} {query}", self.insert_columns())
    }

    pub fn select(&self, filter: &str) -> String {
        format!(
            "SELECT {} FROM ONLY {} WHERE {filter}",
            list(self.shadow.columns.iter().map(|c| &c.expression)),
            self.names.original
        )
    }

    /// Looks for the key that lies so many rows after another one.
    pub fn bound(&self, after: Option<&Key>, rows: u64) -> Result<String> {
        let range = Range { after: after.cloned(), upto: None };
        let names = self.shadow.key.names();
        Ok(format!(
            "SELECT {names} FROM ONLY {} WHERE {} ORDER BY {names} LIMIT 1 OFFSET {}",
            self.names.original,
            self.filter(Side::Source, Rows::Range(&range))?,
            rows.saturating_sub(1)
        ))
    }

    /// The key that lies so many rows after another one; none when there are fewer.
    pub async fn read_bound(&self, session: &mut Session, after: Option<&Key>, rows: u64) -> Result<Option<Key>> {
        // Only the index is in order, and has no row too many to look at.
        let sql =
            format!("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; {}", self.bound(after, rows)?);
        let row = session.rows_long(&sql).await?.into_iter().next();
        row.map(|row| self.key().read_row(&row, 0)).transpose()
    }
}

/// What a native ALTER would fail on too: a value that is too long for an index, an expression that fails.
fn unbuilt(index: &Ident, error: Error) -> Error {
    match error.kind() {
        Kind::Definite => error
            .context(&format!("The index {} can't be built on the new table", index.bare()))
            .table("The table is unchanged.")
            .todo("Change the rows, or the index; then run the same command again."),
        _ => error,
    }
}

/// Two rows of a table collide under one of its unique indexes, or under an exclusion constraint.
pub fn is_conflict(error: &Error) -> bool {
    code(error).is_some_and(|code| matches!(code.code(), "23505" | "23P01"))
}

impl PostgresMirror {
    /// `lanes`: one for each copier and applier and two more, of which the first one stores and the other builds.
    pub fn new(rewrite: Rc<Rewrite>, lanes: Lanes, store: Lane, feed: Handle) -> Self {
        PostgresMirror { rewrite, lanes, store, builder: Lane(store.0 + 1), feed }
    }

    async fn write(&self, lane: Lane, rows: Rows<'_>, note: Option<&LaneNote>, conflicts: bool) -> Result<Synced> {
        let delete = self.rewrite.delete(rows)?;
        let insert = self.rewrite.insert(&self.rewrite.names.shadow, rows)?;
        self.lanes
            .transaction(lane, async |session: &mut Session| {
                let rows = if conflicts {
                    conflict::sync(session, &self.rewrite, rows).await?
                } else {
                    session.exec_long(&delete).await?;
                    session.exec_long(&insert).await?
                };
                if let Some(note) = note {
                    let mut note = note.clone();
                    if let Some(newest) = note.done.last_mut() {
                        newest.rows = rows;
                    }
                    state::put_note(session, &self.rewrite.names.state, lane.0, &note).await?;
                }
                let ids = [session.pid.unsigned_abs()];
                failpoint::hit(if note.is_some() { "chunk-synced" } else { "keys-synced" }, &ids).await;
                Ok(Synced { rows })
            })
            .await
    }

    /// A value that the new definition can't hold is the user's to decide on: the message names its row.
    async fn explain(&self, lane: Lane, rows: Rows<'_>, error: Error) -> Error {
        if error.kind() != Kind::Definite || code(&error).is_none() {
            return error;
        }
        let found = self.lanes.transaction(lane, async |session| {
            let found = culprit::find(session, &self.rewrite, rows).await;
            session.exec("ROLLBACK; BEGIN").await?;
            found
        });
        let row = match found.await {
            Ok(Some(key)) => format!("The row {key} can't be copied into the new table"),
            Ok(None) => "A row can't be copied into the new table".to_owned(),
            Err(trouble) => {
                tracing::debug!(error = %trouble, "looking for the row");
                "A row can't be copied into the new table".to_owned()
            }
        };
        error
            .context(&row)
            .table("The table is unchanged.")
            .todo("Change the row, or the ALTER; a native ALTER would fail in the same place.")
    }
}

impl Mirror for PostgresMirror {
    async fn sync(&self, lane: Lane, rows: Rows<'_>, note: Option<&LaneNote>) -> Result<Synced> {
        match self.write(lane, rows, note, false).await {
            Err(error) if is_conflict(&error) && !self.rewrite.shadow.unique.is_empty() => {
                tracing::debug!(%error, "a unique value is held by another row of the shadow");
                self.lanes.aside(lane, async |session| conflict::scratch(session, &self.rewrite).await).await?;
                match self.write(lane, rows, note, true).await {
                    // Another lane wrote one of the values meanwhile.
                    Err(error) if is_conflict(&error) => Err(error.with_kind(Kind::Transient)),
                    Err(error) => Err(self.explain(lane, rows, error).await),
                    done => done,
                }
            }
            Err(error) if is_conflict(&error) && self.rewrite.key().order() == KeyOrder::Unknown => {
                Err(error.with_kind(Kind::Transient))
            }
            Err(error) => Err(self.explain(lane, rows, error).await),
            done => done,
        }
    }

    /// The index is there as a whole or not at all, and only in the shadow of this process's life: the epoch is held
    /// to the end. The server notices when its client died (every session asks it to), so the next life does not wait for long.
    async fn build(&self) -> Result<bool> {
        let later = &self.rewrite.shadow.later;
        let built = self.lanes.transaction(self.builder, async |session: &mut Session| {
            for index in later {
                if session.first(&index.is_there()).await?.is_none() {
                    tracing::info!(index = index.name().bare(), "building");
                    for statement in &index.statements {
                        session.exec_long(statement).await.map_err(|error| unbuilt(index.name(), error))?;
                    }
                    failpoint::hit("index-built", &[session.pid.unsigned_abs()]).await;
                    return Ok(Some(&index.index));
                }
            }
            Ok(None)
        });
        Ok(built.await?.is_some_and(|built| later.last().is_some_and(|last| last.index != *built)))
    }

    async fn compare(&self, lane: Lane, rows: Rows<'_>, most: usize) -> Result<Compared> {
        self.lanes.aside(lane, async |session| compare::compare(session, &self.rewrite, rows, most).await).await
    }

    async fn show(&self, lane: Lane, keys: &[Key]) -> Result<Vec<String>> {
        self.lanes.aside(lane, async |session| compare::show::rows(session, &self.rewrite, keys).await).await
    }

    async fn store(&self, checkpoint: &Checkpoint) -> Result<()> {
        let state = &self.rewrite.names.state;
        self.lanes
            .transaction(self.store, async |session| state::put_checkpoint(session, state, checkpoint).await)
            .await?;
        self.feed.stored(&checkpoint.position)
    }
}
