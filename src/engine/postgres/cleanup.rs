//! What dead runs left behind, and how it is removed.
//!
//! Three things keep what somebody needs from being dropped. **It is osc's:** its name is made of a hash of a table's
//! names, and a table that gives this hash is there, or is named in the comment of one of the run's schemas; a name
//! that only looks like one of ours is left alone. **Nobody works on it:** a run holds an advisory lock for as long as
//! it lives; removing takes that lock first, so none can begin meanwhile, and then looks again. **It is no old table**,
//! with the user's rows in it, unless the caller picked it by [`Leftover::is_old`]. Nothing is dropped with CASCADE: what
//! somebody has built on it is an error that names it.
//!
//! The list has the slot first, because it keeps the server's log until the disk is full, and the state last: a removal
//! that is interrupted leaves what says whose the rest is. A slot is found even when nothing else is left of its run. Its
//! reader may be a process that is gone, or one that stands still: it is ended.

use std::collections::HashMap;
use std::time::Duration;

use super::fence::{follow, outcome};
use super::names::{self, COMMENT, Names};
use super::publication;
use super::run_lock;
use super::session::{Session, code, text_at};
use super::slot;
use super::sql::{Ident, Table, text};
use super::state;
use crate::error::{Error, Kind, Result};

/// DROP TABLE takes a lock on the tables that its foreign keys lead to: the application waits no longer than this.
const LOCK_WAIT: &str = "SET lock_timeout = '200ms'";
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// In the order in which they may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Slot,
    Publication,
    /// The schema with the new table.
    Shadow,
    /// The schema with the old one.
    Old,
    State,
}

/// Something that carries one of osc's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub what: What,
    /// Its own name.
    pub bare: String,
    /// The table that the run was on.
    pub original: Option<Table>,
    /// A run on it is at work.
    pub live: bool,
    /// Whether anything shows that osc made it. What isn't ours is left alone.
    pub ours: bool,
    /// It holds the user's rows as they were before a swap.
    pub is_old: bool,
    /// What removes it, for people.
    pub statement: String,
}

impl Leftover {
    /// As it is told to the user.
    pub fn name(&self) -> String {
        let kind = match self.what {
            What::Slot => "replication slot",
            What::Publication => "publication",
            What::Shadow | What::Old | What::State => "schema",
        };
        match &self.original {
            Some(table) => format!("{kind} {} (of {})", self.bare, table.bare()),
            None => format!("{kind} {}", self.bare),
        }
    }
}

/// Lists them, of one table or of the whole database.
pub async fn find(session: &mut Session, database: &str, table: Option<&Table>) -> Result<Vec<Leftover>> {
    let mut found = listed(session).await?;
    if let Some(table) = table {
        let stem = Names::of(database, table).slot;
        found.retain(|left| stem_of(&left.bare) == Some(stem.as_str()));
    }
    if found.is_empty() {
        return Ok(found);
    }
    let tables = tables(session, database).await?;
    for left in &mut found {
        left.original = stem_of(&left.bare).and_then(|stem| tables.get(stem)).cloned();
        left.ours = left.original.is_some();
        if let Some(original) = &left.original {
            left.live = run_lock::holder(session, &Names::of(database, original)).await?.is_some();
        }
    }
    let place = |left: &Leftover| (left.original.as_ref().map(Table::bare), left.what, left.bare.clone());
    found.sort_by_key(place);
    Ok(found)
}

/// Removes one, if no run is at work on its table. One that is gone already is no error.
pub async fn remove(session: &mut Session, database: &str, left: &Leftover) -> Result<()> {
    let Some(original) = left.original.as_ref().filter(|_| left.ours) else {
        return Err(Error::refused(format!("Nothing shows that osc made the {}.", left.name()))
            .table("It was left alone.")
            .todo(format!("If you know that nobody needs it: {};", left.statement)));
    };
    let names = Names::of(database, original);
    let got = session.value(&format!("SELECT pg_try_advisory_lock({})", names.lock())).await?;
    if got.as_deref() != Some("t") {
        return Err(Error::refused(format!("A run is at work on {}.", original.bare()))
            .table("What belongs to it was left alone.")
            .todo("Wait for it to end, or stop it first."));
    }
    let removed = remove_locked(session, &names, left).await;
    if let Err(error) = session.exec(&format!("SELECT pg_advisory_unlock({})", names.lock())).await {
        // The connection is gone, and the lock with it.
        tracing::debug!(%error, "releasing the lock of a table that was cleaned up");
    }
    removed
}

async fn remove_locked(session: &mut Session, names: &Names, left: &Leftover) -> Result<()> {
    let now = find(session, &names.database, Some(&names.original)).await?;
    match now.iter().find(|one| one.what == left.what && one.bare == left.bare) {
        None => return Ok(()),
        Some(same) if same.is_old == left.is_old => {}
        Some(_) => {
            return Err(Error::refused(format!("The {} is not what it was when it was listed.", left.name()))
                .table("It was left alone.")
                .todo("Run `osc cleanup` again."));
        }
    }
    if left.what != What::Old && state::exists(session, names).await? {
        // A process that stands still somewhere must not take what is there afterwards for its own.
        state::end_life(session, &names.state).await?;
    }
    let ends = matches!(left.what, What::Old | What::State);
    if ends && state::exists(session, names).await? && outcome::is_swapped(session, names).await? {
        finish_swap(session, names).await?;
        // What that may have made.
        drop_schema(session, &names.shadow.schema).await?;
    }
    match left.what {
        What::Slot => slot::drop(session, &left.bare).await,
        What::Publication => publication::drop(session, &Ident::new(&left.bare)).await,
        What::Shadow | What::Old | What::State => drop_schema(session, &Ident::new(&left.bare)).await,
    }
}

/// What a run that has swapped has still to do to the new table, known only from its state. May be done again.
pub async fn finish_swap(session: &mut Session, names: &Names) -> Result<()> {
    if !state::exists(session, names).await? {
        return Ok(());
    }
    for statement in state::after(session, &names.state).await? {
        match session.exec_long(&statement).await {
            Ok(_) => {}
            Err(error) if error.kind().retry() => return Err(error),
            // Written after the rows were looked at, before the swap: see `dependents::proofs`.
            Err(error) if code(&error).is_some_and(|c| c.code() == "23503") => tracing::warn!(
                %error,
                "the tables are swapped, and all rows are there; but a row that was written shortly before does not meet a foreign key, \
                 which stays NOT VALID: new rows are held to it, that one is not. Correct the row, then say: {statement}"
            ),
            // The new table is in its place and has all rows; this is the user's to look at.
            Err(error) => tracing::warn!(%error, "a statement after the swap failed; say it again: {statement}"),
        }
    }
    for matview in state::matviews(session, &names.state).await? {
        follow::lead(session, names, &matview).await?;
    }
    Ok(())
}

/// Drops a schema of osc's with what is in it, and nothing that is not in it.
pub async fn drop_schema(session: &mut Session, schema: &Ident) -> Result<()> {
    session.exec(LOCK_WAIT).await?;
    let mut attempt = 1;
    let ended = loop {
        match drop_schema_once(session, schema).await {
            Err(error) if error.kind() == Kind::Transient && code(&error).is_some() && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            other => break other,
        }
    };
    session.exec("RESET lock_timeout").await?;
    ended
}

async fn drop_schema_once(session: &mut Session, schema: &Ident) -> Result<()> {
    session.exec("BEGIN").await?;
    let dropped = async {
        // One over the other: what depends on others goes first, who inherits too; sequences that a column owns go with it.
        let sql = format!(
            "SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, \
               c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relkind IN ('v', 'm', 'r', 'p', 'S') \
             ORDER BY array_position(ARRAY['v', 'm', 'r', 'p', 'S'], c.relkind::text), \
               EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid), c.oid DESC",
            text(schema.bare())
        );
        for row in session.rows(&sql).await? {
            let (kind, name) = (text_at(&row, 0).unwrap_or_default(), Ident::new(text_at(&row, 1).unwrap_or_default()));
            session.exec_long(&format!("DROP {kind} IF EXISTS {schema}.{name}")).await?;
        }
        session.exec(&format!("DROP SCHEMA IF EXISTS {schema}")).await?;
        session.exec("COMMIT").await
    };
    let dropped = dropped.await;
    match dropped {
        Ok(_) => Ok(()),
        Err(error) => {
            if let Err(again) = session.exec("ROLLBACK").await {
                tracing::debug!(error = %again, "dropping a schema could not be rolled back");
            }
            Err(match code(&error).map(|c| c.code().to_owned()).as_deref() {
                // Something that is not osc's depends on it.
                Some("2BP01") => error
                    .with_kind(Kind::Refused)
                    .context(&format!("The schema {} can't be dropped", schema.bare()))
                    .table("Nothing of it was removed.")
                    .todo("Drop what was built on it first."),
                _ => error,
            })
        }
    }
}

/// Everything that is called like something of osc's.
async fn listed(session: &mut Session) -> Result<Vec<Leftover>> {
    let mut out = Vec::new();
    let mut add = |what: What, bare: String, is_old: bool, statement: String| {
        out.push(Leftover { what, bare, original: None, live: false, ours: false, is_old, statement });
    };
    let slots = "SELECT slot_name FROM pg_replication_slots \
        WHERE slot_type = 'logical' AND plugin = 'pgoutput' AND NOT temporary AND database = current_database()";
    for name in column(session, slots).await? {
        let statement = format!("SELECT pg_drop_replication_slot({})", text(&name));
        add(What::Slot, name, false, statement);
    }
    for name in column(session, "SELECT pubname FROM pg_publication").await? {
        let statement = format!("DROP PUBLICATION {}", Ident::new(&name));
        add(What::Publication, name, false, statement);
    }
    let schemas = "SELECT n.nspname, EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid) FROM pg_namespace n";
    for row in session.rows(schemas).await? {
        let name = text_at(&row, 0).unwrap_or_default();
        let (what, is_old) = match name.rsplit_once('_') {
            Some((_, "new")) => (What::Shadow, false),
            Some((_, "old")) => (What::Old, row.get(1) == Some("t")),
            _ => (What::State, false),
        };
        let statement = format!("DROP SCHEMA {} CASCADE", Ident::new(&name));
        add(what, name, is_old, statement);
    }
    out.retain(|left| stem_of(&left.bare).is_some_and(|stem| (stem == left.bare) == left.what.is_plain()));
    Ok(out)
}

impl What {
    /// Its name is the stem itself.
    fn is_plain(self) -> bool {
        !matches!(self, What::Shadow | What::Old)
    }
}

/// What all names of a run have in common.
fn stem_of(name: &str) -> Option<&str> {
    let stem = name.strip_suffix("_new").or_else(|| name.strip_suffix("_old")).unwrap_or(name);
    names::is_ours(stem).then_some(stem)
}

/// The tables whose runs could have left something, by the stem of the names: those that are there, and those that the
/// comments of osc's schemas name.
async fn tables(session: &mut Session, database: &str) -> Result<HashMap<String, Table>> {
    let mut out = HashMap::new();
    let mut add = |table: Table| out.insert(Names::of(database, &table).slot, table);
    let sql = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'pg_toast'";
    for row in session.rows(sql).await? {
        add(Table::new(text_at(&row, 0).unwrap_or_default(), text_at(&row, 1).unwrap_or_default()));
    }
    let sql = "SELECT d.description FROM pg_namespace n JOIN pg_description d \
               ON d.classoid = 'pg_namespace'::regclass AND d.objoid = n.oid WHERE n.nspname ~ '^osc_'";
    for comment in column(session, sql).await? {
        // An old table's says on further lines what was done.
        let comment = comment.lines().next().unwrap_or_default();
        let named = comment.strip_prefix(COMMENT).and_then(|rest| rest.strip_prefix(database)?.strip_prefix('.'));
        // Names may have dots in them; the hash tells which reading is right.
        for (at, _) in named.unwrap_or_default().match_indices('.') {
            let (schema, name) = named.unwrap_or_default().split_at(at);
            add(Table::new(schema, &name[1..]));
        }
    }
    Ok(out)
}

async fn column(session: &mut Session, sql: &str) -> Result<Vec<String>> {
    Ok(session.rows(sql).await?.iter().filter_map(|row| text_at(row, 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_look_like_ours() {
        let stem = Names::of("shop", &Table::new("public", "orders")).slot;
        for ours in [stem.clone(), format!("{stem}_new"), format!("{stem}_old")] {
            assert_eq!(stem_of(&ours), Some(stem.as_str()));
        }
        for other in [format!("{stem}_newer"), format!("{stem}_old_new"), "osc_new".into(), "orders".into()] {
            assert_eq!(stem_of(&other), None, "{other}");
        }
    }
}
