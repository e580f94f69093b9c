//! Unique conflicts: telling a true duplicate from values that are just moving between rows.
//!
//! The shadow's rows are read at different times, so it may hold a value of row B that B has since
//! given to row A. Then inserting A fails although no snapshot of the source ever held the value twice.
//! On a conflict, in the transaction that then syncs the rows:
//!
//! 1. The rows to sync are read into a scratch table with the shadow's columns: the server's own conversion, so
//!    that equality is the new column's equality.
//! 2. Those shadow rows are found that collide with them under another key ("candidates"), by the operators of
//!    the unique indexes and exclusion constraints themselves.
//! 3. Both are read again from the source by **one** statement, that is from one snapshot. Two rows that
//!    collide there are a true duplicate: a native ALTER would have failed, and so does the run, naming them.
//! 4. Otherwise the candidates were stale. They are locked in the shadow, their source rows are read once more, and
//!    those that still differ are deleted.
//!
//! **Deleting a candidate loses nothing.** While it is locked its shadow row differs from a snapshot of the
//! source taken later, so a change of it committed after the shadow's copy was read, and no sync that
//! began after that change has ended. That change is undelivered, or its key is pending or in flight, or
//! it lies beyond the frontier: in each case it will be synced, and the stored position lies before it,
//! so also after a crash. Without the lock and the second look another lane may have synced the
//! candidate since step 3: then its fresh row would go, and nobody would bring it back.
//!
//! What is locked is a row's version, not its key: another lane may have deleted the row that was found and inserted it
//! anew, and a lock on the deleted one holds nobody. So what is deleted is exactly what was locked, by its place
//! in the table, which stays as long as it is locked.
//!
//! `ON CONFLICT DO NOTHING` would have neither proof.

use super::mirror::{Rewrite, Side};
use super::session::{Session, text_at};
use super::shadow::Unique;
use super::sql::{Ident, list, text};
use crate::error::{Error, Result};
use crate::model::Rows;

const SCRATCH: &str = "pg_temp.osc_scratch";
const CANDIDATES: &str = "pg_temp.osc_candidates";
const LOCKED: &str = "pg_temp.osc_locked";

/// Makes the session's scratch tables. They are kept, and empty but in the middle of a transaction: making tables
/// for each conflict would swell the server's catalogs.
pub async fn scratch(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    let there = format!("SELECT to_regclass({}) IS NOT NULL", text(LOCKED));
    if session.value(&there).await?.as_deref() == Some("t") {
        return Ok(());
    }
    let (shadow, key) = (&rewrite.names.shadow, list(&rewrite.shadow.shadow_key));
    session.exec("BEGIN").await?;
    session
        .exec(&format!("CREATE TEMPORARY TABLE osc_scratch (LIKE {shadow} INCLUDING GENERATED) ON COMMIT DELETE ROWS"))
        .await?;
    // Columns that a sync does not write have no values here.
    let written = list(rewrite.shadow.columns.iter().map(|c| text(c.column.bare())));
    let sql = format!(
        "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped \
         AND a.attnotnull AND a.attname NOT IN ({written})",
        text(SCRATCH)
    );
    for row in session.rows(&sql).await? {
        let column = Ident::new(text_at(&row, 0).unwrap_or_default());
        session.exec(&format!("ALTER TABLE {SCRATCH} ALTER COLUMN {column} DROP NOT NULL")).await?;
    }
    session.exec(&format!("CREATE INDEX ON {SCRATCH} ({key})")).await?;
    session
        .exec(&format!(
            "CREATE TEMPORARY TABLE osc_candidates ON COMMIT DELETE ROWS AS SELECT {key} FROM {shadow} WITH NO DATA"
        ))
        .await?;
    session.exec(&format!("CREATE UNIQUE INDEX ON {CANDIDATES} ({key})")).await?;
    session.exec("CREATE TEMPORARY TABLE osc_locked (place tid NOT NULL) ON COMMIT DELETE ROWS").await?;
    session.exec("COMMIT").await.map(drop)
}

/// Takes out of the way what stale rows of the shadow hold, or fails with a true duplicate. To be run in the
/// transaction that syncs the rows, at its beginning.
pub async fn resolve(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<()> {
    examine(session, rewrite, rows).await?;
    displace(session, rewrite).await
}

async fn examine(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<()> {
    session.exec_long(&rewrite.insert(&SCRATCH, rows)?).await?;
    for unique in &rewrite.shadow.unique {
        session.exec_long(&find(rewrite, unique)).await?;
    }
    let filter = rewrite.filter(Side::Source, rows)?;
    session.exec_long(&format!("DELETE FROM {SCRATCH}")).await?;
    let key = rewrite.key_columns(Side::Source);
    let both = format!(
        "{} IN (SELECT {} FROM ONLY {} WHERE {filter} UNION SELECT {} FROM {CANDIDATES})",
        row(&key),
        list(&key),
        rewrite.names.original,
        list(&rewrite.shadow.shadow_key)
    );
    session.exec_long(&rewrite.insert_selected(&SCRATCH, &both)).await?;
    for unique in &rewrite.shadow.unique {
        duplicate(session, rewrite, unique).await?;
    }
    Ok(())
}

/// The condition for the source's rows of the candidates.
fn of_candidates(rewrite: &Rewrite) -> String {
    let (ours, theirs) = (row(&rewrite.key_columns(Side::Source)), list(&rewrite.shadow.shadow_key));
    format!("{ours} IN (SELECT {theirs} FROM {CANDIDATES})")
}

fn row(columns: &[Ident]) -> String {
    format!("({})", list(columns))
}

/// The statement that finds the candidates under one index.
fn find(rewrite: &Rewrite, unique: &Unique) -> String {
    let key = &rewrite.shadow.shadow_key;
    let same_key = all(key.iter().map(|k| format!("sh.{k} = t.{k}")));
    let mut theirs: Vec<String> = unique.condition.iter().map(|c| format!("({c})")).collect();
    theirs.extend(unique.parts.iter().enumerate().map(|(n, part)| {
        let (own, other) = (format!("({})", part.expression), format!("t.osc_u{n}"));
        collide(unique, &own, &part.operator, &other)
    }));
    format!(
        "INSERT INTO {CANDIDATES} SELECT {} FROM ({}) t CROSS JOIN LATERAL \
         (SELECT {} FROM ONLY {} osc_held WHERE {}) sh WHERE NOT ({same_key}) ON CONFLICT DO NOTHING",
        list(key.iter().map(|k| format!("sh.{k}"))),
        values(rewrite, unique),
        list(key),
        rewrite.names.shadow,
        all(theirs)
    )
}

/// The values that the scratch rows have under an index, with their keys and places.
fn values(rewrite: &Rewrite, unique: &Unique) -> String {
    let parts = unique.parts.iter().enumerate().map(|(n, part)| format!("({}) AS osc_u{n}", part.expression));
    format!(
        "SELECT ctid AS osc_place, {}, {} FROM {SCRATCH} WHERE {}",
        list(&rewrite.shadow.shadow_key),
        list(parts),
        unique.condition.as_ref().map_or("TRUE".into(), |condition| format!("({condition})"))
    )
}

fn collide(unique: &Unique, a: &str, operator: &str, b: &str) -> String {
    match unique.nulls_equal {
        true => format!("({a} {operator} {b} OR {a} IS NULL AND {b} IS NULL)"),
        false => format!("{a} {operator} {b}"),
    }
}

fn all(conditions: impl IntoIterator<Item = String>) -> String {
    conditions.into_iter().collect::<Vec<_>>().join(" AND ")
}

/// Fails if two rows of the scratch table, which is one snapshot of the source, collide.
async fn duplicate(session: &mut Session, rewrite: &Rewrite, unique: &Unique) -> Result<()> {
    let both = unique
        .parts
        .iter()
        .enumerate()
        .map(|(n, part)| collide(unique, &format!("a.osc_u{n}"), &part.operator, &format!("b.osc_u{n}")));
    let one = |alias: &str| {
        let key = list(rewrite.shadow.shadow_key.iter().map(|k| format!("{alias}.{k}")));
        let values = list((0..unique.parts.len()).map(|n| format!("{alias}.osc_u{n}")));
        format!("concat_ws(', ', {key}), concat_ws(', ', {values})")
    };
    let values = values(rewrite, unique);
    let sql = format!(
        "SELECT {}, {} FROM ({values}) a JOIN ({values}) b ON a.osc_place < b.osc_place AND {} LIMIT 1",
        one("a"),
        one("b"),
        all(both)
    );
    // Else each row would be held against each: 20,000 rows took 40 s, and with this 30 ms.
    session.exec("SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off").await?;
    let found = session.rows_long(&sql).await?.into_iter().next();
    session.exec("SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = on").await?;
    let Some(row) = found else { return Ok(()) };
    let cell = |at| text_at(&row, at).unwrap_or_default();
    let values = if cell(1) == cell(3) {
        format!("the value ({}) stands", cell(1))
    } else {
        format!("the values ({}) and ({}) stand", cell(1), cell(3))
    };
    Err(Error::definite(format!(
        "{} can't be built on the new table: {values} in the rows with the keys ({}) and ({}).",
        unique.name,
        cell(0),
        cell(2)
    ))
    .table("The table is unchanged.")
    .todo("Remove the duplicate and run the same command again."))
}

/// Deletes the candidates that are stale.
async fn displace(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    let (shadow, key) = (&rewrite.names.shadow, &rewrite.shadow.shadow_key);
    let same_key = |a: &str, b: &str| all(key.iter().map(|k| format!("{a}.{k} = {b}.{k}")));
    session
        .exec_long(&format!(
            "WITH l AS (SELECT sh.ctid AS place FROM ONLY {shadow} sh JOIN {CANDIDATES} c ON {} FOR UPDATE OF sh) \
             INSERT INTO {LOCKED} SELECT place FROM l",
            same_key("sh", "c")
        ))
        .await?;
    session.exec_long(&format!("DELETE FROM {SCRATCH}")).await?;
    session.exec_long(&rewrite.insert_selected(&SCRATCH, &of_candidates(rewrite))).await?;
    // Only what the source decides: other columns differ in every copy of a row.
    let decided = || rewrite.shadow.columns.iter().filter(|c| c.compared).map(|c| &c.column);
    let image = |alias: &str| format!("ROW({})::record", list(decided().map(|c| format!("{alias}.{c}"))));
    session
        .exec_long(&format!(
            "DELETE FROM ONLY {shadow} sh USING {LOCKED} l WHERE sh.ctid = l.place \
             AND NOT EXISTS (SELECT 1 FROM {SCRATCH} t WHERE {} AND {} *= {})",
            same_key("t", "sh"),
            image("t"),
            image("sh")
        ))
        .await
        .map(drop)
}
