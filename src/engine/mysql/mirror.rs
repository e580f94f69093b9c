//! `sync` on one server: DELETE and INSERT … SELECT in one transaction.
//!
//! The server itself converts every value, exactly as it would for a native ALTER; osc moves keys
//! only. Under READ COMMITTED the INSERT … SELECT reads a fresh snapshot of the source without locking
//! its rows, so the application never waits for it, and "a read that begins after the delivery" is
//! the statement's own. Deleting first makes the operation idempotent and lets a row's unique values
//! move; a unique conflict that is left is resolved in [`super::conflict`].

use std::rc::Rc;

use super::compare;
use super::conflict;
use super::connect::Address;
use super::culprit;
use super::key::{KeySpec, Side};
use super::lanes::Lanes;
use super::names::Names;
use super::session::{Session, code};
use super::shadow::{Equal, Shadow};
use super::sql::{Ident, list};
use super::state;
use crate::engine::{Compared, Lane, Mirror, Synced};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::model::{Checkpoint, Key, LaneNote, Range, Rows};

/// The server's number for a duplicate entry under a unique key.
pub const DUPLICATE: u16 = 1062;

/// What one sync is made of: the tables, the key, and how columns become columns.
pub struct Rewrite {
    pub names: Rc<Names>,
    pub key: KeySpec,
    /// The shadow's columns that are written, and what is selected for them.
    pub columns: Vec<(Ident, String)>,
    /// The shadow's unique keys but the one that carries the copy.
    pub unique: Vec<Unique>,
    /// Dates are copied as they are, whatever the server's sql_mode says of them.
    pub any_date: bool,
    /// The definition of a scratch table for rows of the shadow.
    pub scratch: String,
    /// How the shadow's columns are compared with the source's.
    pub equal: Vec<Equal>,
}

/// A unique key of the shadow that rows may collide under.
#[derive(Debug, Clone)]
pub struct Unique {
    pub name: Ident,
    /// Its columns, with the length of the prefix in characters where only that is unique.
    pub parts: Vec<(Ident, Option<u64>)>,
}

pub struct MySqlMirror {
    pub(super) rewrite: Rc<Rewrite>,
    lanes: Lanes,
    /// The lane that stores checkpoints; no sync uses it.
    store: Lane,
}

impl Rewrite {
    pub fn new(names: Names, shadow: &Shadow, key: KeySpec) -> Rewrite {
        let unique = shadow.info.indexes.iter().filter(|index| index.unique && index.name != key.shadow_index);
        let unique = unique.filter_map(|index| {
            let parts = index.parts.iter().map(|p| Some((p.column.clone()?, p.prefix)));
            Some(Unique { name: index.name.clone(), parts: parts.collect::<Option<Vec<_>>>()? })
        });
        Rewrite {
            names: Rc::new(names),
            columns: shadow.columns.iter().map(|c| (c.column.clone(), c.expression.clone())).collect(),
            unique: unique.collect(),
            any_date: shadow.dates_stay,
            scratch: conflict::scratch_definition(&shadow.info, &key),
            equal: shadow.equal.clone(),
            key,
        }
    }

    /// A session that reads rows of the source and writes them to the shadow.
    pub async fn session(&self, address: &Address) -> Result<Session> {
        let mut session = Session::open(address).await?;
        if self.any_date {
            session.allow_any_date().await?;
        }
        Ok(session)
    }

    pub fn insert_columns(&self) -> String {
        list(self.columns.iter().map(|(column, _)| column))
    }

    /// The condition that picks the rows on one side.
    pub fn filter(&self, side: Side, rows: Rows<'_>) -> Result<String> {
        match rows {
            Rows::Range(range) => self.key.where_range(side, range),
            Rows::Keys(keys) => self.key.where_keys(side, keys),
        }
    }

    pub fn delete(&self, rows: Rows<'_>) -> Result<String> {
        Ok(format!("DELETE FROM {} WHERE {}", self.names.shadow, self.filter(Side::Shadow, rows)?))
    }

    /// INSERT … SELECT of these rows into a table with the shadow's columns.
    pub fn insert(&self, into: &impl std::fmt::Display, rows: Rows<'_>) -> Result<String> {
        Ok(format!("INSERT INTO {into} ({}) {}", self.insert_columns(), self.select(&self.filter(Side::Source, rows)?)))
    }

    /// Looks for the key that lies so many rows after another one.
    pub fn bound(&self, after: Option<&Key>, rows: u64) -> Result<String> {
        let (key, range) = (&self.key, Range { after: after.cloned(), upto: None });
        Ok(format!(
            "SELECT {} FROM {} FORCE INDEX ({}) WHERE {} ORDER BY {} LIMIT 1 OFFSET {}",
            key.select_list(),
            self.names.original,
            key.index,
            key.where_range(Side::Source, &range)?,
            key.order_by(Side::Source),
            rows.saturating_sub(1)
        ))
    }

    pub fn select(&self, filter: &str) -> String {
        format!(
            "SELECT {} FROM {} FORCE INDEX ({}) WHERE {filter}",
            list(self.columns.iter().map(|(_, expression)| expression)),
            self.names.original,
            self.key.index
        )
    }
}

impl MySqlMirror {
    /// `lanes`: one for each copier and applier and one more.
    pub fn new(rewrite: Rc<Rewrite>, lanes: Lanes, store: Lane) -> Self {
        MySqlMirror { rewrite, lanes, store }
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
                failpoint::hit(if note.is_some() { "chunk-synced" } else { "keys-synced" }, &[session.id]).await;
                Ok(Synced { rows })
            })
            .await
    }
}

impl MySqlMirror {
    /// A value that the new definition can't hold is the user's to decide on: the message names its row.
    async fn explain(&self, lane: Lane, rows: Rows<'_>, error: Error) -> Error {
        if error.kind() != Kind::Definite || code(&error).is_none() {
            return error;
        }
        let found = self.lanes.transaction(lane, async |session| {
            let found = culprit::find(session, &self.rewrite, rows).await;
            session.exec("ROLLBACK").await?;
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

impl Mirror for MySqlMirror {
    async fn sync(&self, lane: Lane, rows: Rows<'_>, note: Option<&LaneNote>) -> Result<Synced> {
        match self.write(lane, rows, note, false).await {
            Err(error) if code(&error) == Some(DUPLICATE) => {
                tracing::debug!(%error, "a unique value is held by another row of the shadow");
                self.lanes.aside(lane, async |session| conflict::prepare(session, &self.rewrite).await).await?;
                match self.write(lane, rows, note, true).await {
                    // Another lane wrote one of the values meanwhile.
                    Err(error) if code(&error) == Some(DUPLICATE) => Err(error.with_kind(Kind::Transient)),
                    Err(error) => Err(self.explain(lane, rows, error).await),
                    done => done,
                }
            }
            Err(error) => Err(self.explain(lane, rows, error).await),
            done => done,
        }
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
            .await
    }
}

/// For messages: the keys of a set, at most a few.
pub fn describe(key: &KeySpec, keys: &[Key]) -> String {
    keys.iter().take(3).map(|k| key.describe(k)).collect::<Vec<_>>().join("; ")
}
