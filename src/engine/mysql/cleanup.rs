//! Which tables dead runs left behind, and how they are removed.
//!
//! Three things keep a table that somebody needs from being dropped. **It is osc's:** its name is one of
//! `names`, and it says so itself by its comment (the state, the marks, the sentry), or, as the shadow has
//! the user's comment, stands beside a state table that says so. **Nobody works on it:** a run holds the
//! lock of its table for as long as it lives; removing takes that lock first, so none can begin meanwhile,
//! and then looks again, for a run may have come and gone since the list was made. **It is no old table**,
//! with the user's rows in it, unless the caller picked it by [`Leftover::is_old`].
//!
//! The list has a run's shadow first and its state last: a removal that is interrupted leaves what says
//! whose the rest is.

use std::collections::HashMap;

use serde_json::Value;

use super::fence::SENTRY;
use super::names::{Names, Owned, Role, lock_name, owner_of};
use super::preflight::replication::is_replica;
use super::session::{Session, code};
use super::sql::{Ident, Table, list, text};
use super::state;
use crate::error::{Error, Result};

/// The comments of the tables that `state` makes.
const STATE: &str = "osc: state of a run";
const MARKS: &str = "osc: marks of a run";

const NO_SUCH_TABLE: u16 = 1146;
/// Digits of the hash with which `names` ends what it has to cut.
const HASH: usize = 8;

/// A table that carries one of osc's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub table: Table,
    /// `Role::Old` is the sentry unless `is_old`.
    pub role: Role,
    /// The name of the table that the run was on.
    pub original: String,
    /// A run on the original is at work.
    pub live: bool,
    /// What removes it.
    pub statement: String,
    /// It holds the user's rows as they were before a swap.
    pub is_old: bool,
    /// Whether anything shows that osc made it. What isn't ours is left alone.
    pub ours: bool,
}

/// What a run's record tells, whatever version of osc wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The table as `db.table`.
    pub table: String,
    pub alter: String,
}

/// A table as the catalog lists it.
#[derive(Debug, Clone)]
struct Listed {
    name: String,
    base: bool,
    comment: String,
}

/// Lists them, of one table or of the whole database, in the order in which they may be removed.
pub async fn find(session: &mut Session, db: &Ident, table: Option<&str>) -> Result<Vec<Leftover>> {
    let all: Vec<(String, String)> = session
        .all(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
            text(db.bare())
        ))
        .await?;
    // A run's lock has the names in it as the catalog spells them.
    let Some(db) = all.first().map(|(db, _)| Ident::new(db)) else { return Ok(Vec::new()) };
    let names: Vec<String> = all.into_iter().map(|(_, name)| name).collect();
    let db = &db;
    let listed = comments(session, db, names.iter().filter(|n| owner_of(n).is_some())).await?;
    let mut records = HashMap::new();
    for state in listed.iter().filter(|l| l.base && l.comment == STATE) {
        if let Some(record) = recorded(session, &Table { db: db.clone(), name: Ident::new(&state.name) }).await? {
            records.insert(state.name.clone(), record);
        }
    }
    let mut found = judge(db, &names, &listed, &records);
    if let Some(table) = table {
        let fold: Option<u8> = session.first("SELECT @@lower_case_table_names").await?;
        let table = if fold.unwrap_or(0) == 0 { table.to_owned() } else { table.to_lowercase() };
        let of_it = |name: &str| owner_of(name).is_some_and(|owned| owned.belongs_to(&table));
        found.retain(|l| l.original == table || of_it(l.table.name.bare()));
    }
    for left in &mut found {
        left.live = is_live(session, &left.table.sibling(left.original.clone())).await?;
    }
    Ok(found)
}

/// Removes one, if no run is at work on its table. One that is gone already is no error.
pub async fn remove(session: &mut Session, left: &Leftover) -> Result<()> {
    if !left.ours {
        return Err(Error::refused(format!("Nothing shows that osc made {}.", left.table.bare()))
            .table("It was left alone.")
            .todo(format!("If you know that nobody needs it: {};", left.statement)));
    }
    if is_replica(session).await? {
        return Err(Error::refused("This server is a replica: a run may be at work on its source.")
            .table("Nothing was removed.")
            .todo(format!("Clean up on the source, or by hand: {};", left.statement)));
    }
    let lock = text(&lock_name(&left.table.sibling(left.original.clone())));
    let got: Option<Option<i64>> = session.first(&format!("SELECT GET_LOCK({lock}, 0)")).await?;
    if got.flatten() != Some(1) {
        return Err(Error::refused(format!("A run is at work on {}.", left.original))
            .table("Its tables were left alone.")
            .todo("Wait for it to end, or stop it first."));
    }
    let removed = remove_locked(session, left).await;
    if let Err(error) = session.exec(&format!("DO RELEASE_LOCK({lock})")).await {
        // The connection is gone, and the lock with it.
        tracing::debug!(%error, "releasing the lock of a table that was cleaned up");
    }
    removed
}

async fn remove_locked(session: &mut Session, left: &Leftover) -> Result<()> {
    let now = find(session, &left.table.db, Some(&left.original)).await?;
    match now.iter().find(|l| l.table == left.table) {
        None => return Ok(()),
        Some(same) if same == &Leftover { live: same.live, ..left.clone() } => {}
        Some(_) => {
            return Err(Error::refused(format!("{} is not what it was when it was listed.", left.table.bare()))
                .table("It was left alone.")
                .todo("Run `osc cleanup` again."));
        }
    }
    if !left.is_old
        && let Some(owned) = owner_of(left.table.name.bare())
    {
        // A process that stands still somewhere must not take what is there afterwards for its own.
        let state = Table { db: left.table.db.clone(), name: owned.other(Role::State) };
        match state::end_life(session, &state).await {
            Err(error) if code(&error) != Some(NO_SUCH_TABLE) => return Err(error),
            _ => {}
        }
    }
    match session.exec_long(&left.statement).await {
        Err(error) if code(&error) == Some(NO_SUCH_TABLE) => Ok(()),
        other => other.map(drop),
    }
}

/// Removes what a run left that was cut off before it began: a state table of osc's own without a record, and
/// the shadow beside it, which that run made after it. Only an empty shadow: what holds rows is no run's that
/// never began. The caller holds the run's lock. False: it's something else, and nothing was removed.
pub async fn remove_unbegun(session: &mut Session, names: &Names) -> Result<bool> {
    let tables = [&names.state, &names.marks, &names.shadow].map(|table| table.name.bare().to_owned());
    let listed = comments(session, &names.original.db, tables.iter()).await?;
    let one = |table: &Table| listed.iter().find(|l| l.name == table.name.bare());
    let ours = |table: &Table, comment: &str| one(table).is_none_or(|l| l.base && l.comment == comment);
    if !ours(&names.state, STATE) || !ours(&names.marks, MARKS) || one(&names.shadow).is_some_and(|l| !l.base) {
        return Ok(false);
    }
    if session.first::<String>(&recording(&names.state)).await?.is_some() {
        return Ok(false);
    }
    if one(&names.shadow).is_some() {
        let row: Option<u8> = session.first(&format!("SELECT 1 FROM {} LIMIT 1", names.shadow)).await?;
        if row.is_some() {
            return Ok(false);
        }
        session.exec(&format!("DROP TABLE {}", names.shadow)).await?;
    }
    session.exec(&format!("DROP TABLE IF EXISTS {}, {}", names.marks, names.state)).await?;
    Ok(true)
}

fn recording(state: &Table) -> String {
    format!("SELECT body FROM {state} WHERE slot = 'run'")
}

/// The record in a run's state table, if it has one that can be read.
pub async fn recorded(session: &mut Session, state: &Table) -> Result<Option<Recorded>> {
    let body: Option<String> = match session.first(&recording(state)).await {
        Err(error) if code(&error) == Some(NO_SUCH_TABLE) => None,
        other => other?,
    };
    let value: Option<Value> = body.and_then(|b| serde_json::from_str(&b).ok());
    let field = |name: &str| value.as_ref()?.get(name)?.as_str().map(str::to_owned);
    Ok(field("table").map(|table| Recorded { table, alter: field("alter").unwrap_or_default() }))
}

/// Whether a connection other than this one holds the lock of a table.
async fn is_live(session: &mut Session, original: &Table) -> Result<bool> {
    let lock = text(&lock_name(original));
    let held: Option<Option<bool>> = session.first(&format!("SELECT IS_USED_LOCK({lock}) <> CONNECTION_ID()")).await?;
    Ok(held.flatten().unwrap_or(false))
}

async fn comments(session: &mut Session, db: &Ident, names: impl Iterator<Item = &String>) -> Result<Vec<Listed>> {
    let names = list(names.map(|n| text(n)));
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // By name, so that the server needn't open every table for its comment.
    let rows: Vec<(String, String, Option<String>)> = session
        .all(&format!(
            "SELECT TABLE_NAME, TABLE_TYPE, TABLE_COMMENT FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME IN ({names})",
            text(db.bare())
        ))
        .await?;
    let listed = |(name, kind, comment): (String, String, Option<String>)| Listed {
        name,
        base: kind == "BASE TABLE",
        comment: comment.unwrap_or_default(),
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Says of each table what it is. Pure, but for whether a run is alive.
fn judge(db: &Ident, names: &[String], listed: &[Listed], records: &HashMap<String, Recorded>) -> Vec<Leftover> {
    let mut found: Vec<Leftover> = listed.iter().filter_map(|one| leftover(db, names, listed, records, one)).collect();
    found.sort_by(|a, b| (&a.original, order(a.role), &a.table.name).cmp(&(&b.original, order(b.role), &b.table.name)));
    found
}

fn order(role: Role) -> u8 {
    match role {
        Role::Shadow => 0,
        Role::Old => 1,
        Role::Marks => 2,
        Role::State => 3,
    }
}

fn leftover(
    db: &Ident,
    names: &[String],
    listed: &[Listed],
    records: &HashMap<String, Recorded>,
    one: &Listed,
) -> Option<Leftover> {
    let owned = owner_of(&one.name)?;
    let state = owned.other(Role::State);
    let has_state = listed.iter().any(|l| l.base && l.name == state.bare() && l.comment == STATE);
    let original = original(db, names, records.get(state.bare()), &owned);
    let sentry = one.comment == SENTRY;
    let marked = match owned.role {
        Role::Shadow => has_state,
        Role::State => one.comment == STATE,
        Role::Marks => one.comment == MARKS,
        // An old table has nothing to show but its original.
        Role::Old => sentry || original.as_ref().is_some_and(|o| names.contains(o)),
    };
    let table = Table { db: db.clone(), name: Ident::new(&one.name) };
    let drop = if one.base { "TABLE" } else { "VIEW" };
    Some(Leftover {
        role: owned.role,
        live: false,
        statement: format!("DROP {drop} {table}"),
        is_old: owned.role == Role::Old && !sentry,
        ours: one.base && marked && original.is_some(),
        original: original.unwrap_or(owned.stem),
        table,
    })
}

/// The table of the run, if it's certain: by the run's record; else the table whose name leads to this
/// one. If that is gone the name alone will do, unless it may be one that was cut, with a hash at its end.
fn original(db: &Ident, names: &[String], record: Option<&Recorded>, owned: &Owned) -> Option<String> {
    let recorded = record.and_then(|r| r.table.strip_prefix(db.bare())?.strip_prefix('.'));
    let whole = || {
        let cut = owned.stem.chars().rev().take_while(char::is_ascii_hexdigit).count() >= HASH;
        (!cut && owned.belongs_to(&owned.stem)).then(|| owned.stem.clone())
    };
    recorded
        .filter(|name| owned.belongs_to(name))
        .map(str::to_owned)
        .or_else(|| names.iter().find(|name| owned.belongs_to(name)).cloned())
        .or_else(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mysql::names::Names;

    fn listed(name: &str, comment: &str) -> Listed {
        Listed { name: name.into(), base: true, comment: comment.into() }
    }

    fn judged(names: &[&str], tables: &[Listed], record: Option<(&str, &str)>) -> Vec<Leftover> {
        let mut names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        names.extend(tables.iter().map(|t| t.name.clone()));
        let records = record
            .map(|(state, table)| (state.to_owned(), Recorded { table: table.into(), alter: String::new() }))
            .into_iter()
            .collect();
        judge(&Ident::new("shop"), &names, tables, &records)
    }

    fn shown(found: &[Leftover]) -> Vec<(String, String, bool, bool)> {
        found.iter().map(|l| (l.table.name.bare().into(), l.original.clone(), l.ours, l.is_old)).collect()
    }

    fn row(table: &str, original: &str, ours: bool, is_old: bool) -> (String, String, bool, bool) {
        (table.into(), original.into(), ours, is_old)
    }

    #[test]
    fn the_comments_are_those_of_the_tables_that_runs_make() {
        let names = Names::of(&Table::new("shop", "orders")).unwrap();
        let statements = crate::engine::mysql::state::create_statements(&names);
        for (statement, comment) in statements.iter().zip([STATE, MARKS]) {
            assert!(statement.ends_with(&format!("COMMENT='{comment}'")), "{statement}");
        }
    }

    #[test]
    fn a_dead_run_is_listed_with_its_state_last() {
        let tables = [
            listed("orders_osc_marks", MARKS),
            listed("orders_osc_new", "the user's comment"),
            listed("orders_osc_old", SENTRY),
            listed("orders_osc_state", STATE),
        ];
        let found = judged(&["orders"], &tables, Some(("orders_osc_state", "shop.orders")));
        let names: Vec<&str> = found.iter().map(|l| l.table.name.bare()).collect();
        assert_eq!(names, ["orders_osc_new", "orders_osc_old", "orders_osc_marks", "orders_osc_state"]);
        assert!(found.iter().all(|l| l.ours && !l.is_old && l.original == "orders"));
    }

    #[test]
    fn a_table_that_only_looks_like_ours_is_not() {
        let found = judged(&["orders"], &[listed("orders_osc_new", ""), listed("orders_osc_state", "mine")], None);
        assert_eq!(
            shown(&found),
            [row("orders_osc_new", "orders", false, false), row("orders_osc_state", "orders", false, false)]
        );
        // A view, whatever stands beside it.
        let view = Listed { base: false, ..listed("orders_osc_new", "VIEW") };
        let found = judged(&["orders"], &[view, listed("orders_osc_state", STATE)], None);
        assert!(!found[0].ours && found[1].ours);
    }

    #[test]
    fn an_old_table_needs_its_original() {
        assert_eq!(
            shown(&judged(&["orders"], &[listed("orders_osc_old", "")], None)),
            [row("orders_osc_old", "orders", true, true)]
        );
        assert_eq!(
            shown(&judged(&[], &[listed("orders_osc_old", "")], None)),
            [row("orders_osc_old", "orders", false, true)]
        );
        assert_eq!(
            shown(&judged(&[], &[listed("orders_osc_old", SENTRY)], None)),
            [row("orders_osc_old", "orders", true, false)]
        );
    }

    #[test]
    fn a_cut_name_needs_its_record_or_its_original() {
        let long = "t".repeat(64);
        let names = Names::of(&Table::new("shop", &long)).unwrap();
        let (state, shadow) = (names.state.name.bare(), names.shadow.name.bare());
        let tables = [listed(state, STATE), listed(shadow, "")];
        let recorded = format!("shop.{long}");
        assert!(judged(&[], &tables, Some((state, &recorded))).iter().all(|l| l.ours && l.original == long));
        assert!(judged(&[&long], &tables, None).iter().all(|l| l.ours && l.original == long));
        assert!(judged(&[], &tables, None).iter().all(|l| !l.ours));
        // A record that came here with a copy of another database says nothing.
        assert!(judged(&[], &tables, Some((state, &format!("other.{long}")))).iter().all(|l| !l.ours));
    }
}
