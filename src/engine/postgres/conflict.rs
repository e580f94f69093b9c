//! Unique conflicts: telling a true duplicate from values that are just moving between rows.
//!
//! The shadow's rows are read at different times, so it may hold a value of row B that B has since
//! given to row A. Then inserting A fails although no snapshot of the source ever held the value twice.
//! On a conflict the rows are synced in another way, in one transaction of the lane:
//!
//! 1. They are deleted from the shadow, as ever, and read from the source, at S, into a scratch table with the
//!    shadow's columns: the server's own conversion, so that equality is the new column's equality.
//! 2. Those shadow rows are found that collide with them ("candidates"), by the operators of the unique indexes
//!    and exclusion constraints themselves, and locked.
//! 3. Both are read again from the source by **one** statement, that is from one snapshot, N. Two rows that
//!    collide there are a true duplicate: a native ALTER would have failed, and so does the run, naming them.
//! 4. Candidates that are not as they are at N are deleted from the shadow.
//! 5. Of the rows to sync those that are as at N are inserted; the others are left out.
//!
//! **What is deleted in 4 or left out in 5 is not lost.** Such a row is in the source at N another one than
//! osc read before, in 5 at S, in 4 whenever the candidate was copied. So a change of it committed after that
//! read, and no sync that began after that change was delivered and settled has ended: it is undelivered, or its key
//! is pending or in flight, or it lies beyond the frontier. In each case it will be synced, and the stored position
//! lies before it, so also after a crash. In 4 this needs the lock: without it another lane may have synced the
//! candidate since N; then its fresh row would go, and nobody would bring it back.
//!
//! **It ends.** A row that is inserted in 5 is as at N, and so is a candidate that was kept: if they collided, that
//! would be a true duplicate. So the insert can fail only on a row that another lane wrote after 2.
//!
//! What is locked is a row's version, not its key: another lane may have deleted the row that was found and inserted it
//! anew, and a lock on the deleted one holds nobody. So what is deleted is exactly what was locked, by its place
//! in the table, which stays as long as it is locked.
//!
//! `ON CONFLICT DO NOTHING` would have no such proof.

use super::mirror::{Rewrite, Side};
use super::session::{Session, text_at};
use super::shadow::Unique;
use super::sql::{Ident, list, text};
use crate::error::{Error, Result};
use crate::model::Rows;

/// The rows to sync, as they were at S.
const SCRATCH: &str = "pg_temp.osc_scratch";
/// They and the candidates, at N.
const NOW: &str = "pg_temp.osc_now";
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
    let written = list(rewrite.shadow.columns.iter().map(|c| text(c.column.bare())));
    for (name, table) in [("osc_scratch", SCRATCH), ("osc_now", NOW)] {
        session
            .exec(&format!("CREATE TEMPORARY TABLE {name} (LIKE {shadow} INCLUDING GENERATED) ON COMMIT DELETE ROWS"))
            .await?;
        // Columns that a sync does not write have no values here.
        let sql = format!(
            "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = {}::regclass AND a.attnum > 0 \
             AND NOT a.attisdropped AND a.attnotnull AND a.attname NOT IN ({written})",
            text(table)
        );
        for row in session.rows(&sql).await? {
            let column = Ident::new(text_at(&row, 0).unwrap_or_default());
            session.exec(&format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")).await?;
        }
        session.exec(&format!("CREATE INDEX ON {table} ({key})")).await?;
    }
    session
        .exec(&format!(
            "CREATE TEMPORARY TABLE osc_candidates ON COMMIT DELETE ROWS AS SELECT {key} FROM {shadow} WITH NO DATA"
        ))
        .await?;
    session.exec(&format!("CREATE UNIQUE INDEX ON {CANDIDATES} ({key})")).await?;
    session.exec("CREATE TEMPORARY TABLE osc_locked (place tid NOT NULL) ON COMMIT DELETE ROWS").await?;
    session.exec("COMMIT").await.map(drop)
}

/// Syncs the rows in the caller's transaction, or fails with a true duplicate. Returns how many there were.
pub async fn sync(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<u64> {
    session.exec_long(&rewrite.delete(rows)?).await?;
    let count = session.exec_long(&rewrite.insert(&SCRATCH, rows)?).await?;
    for unique in &rewrite.shadow.unique {
        session.exec_long(&find(rewrite, unique)).await?;
    }
    lock(session, rewrite).await?;
    look(session, rewrite, rows).await?;
    displace(session, rewrite).await?;
    leave_out(session, rewrite).await?;
    let columns = rewrite.insert_columns();
    session.exec_long(&rewrite.insert_from(&rewrite.names.shadow, &format!("SELECT {columns} FROM {SCRATCH}"))).await?;
    Ok(count)
}

/// Locks the candidates, and notes which of their versions are locked.
async fn lock(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    session
        .exec_long(&format!(
            "WITH l AS (SELECT sh.ctid AS place FROM ONLY {} sh JOIN {CANDIDATES} c ON {} FOR UPDATE OF sh) \
             INSERT INTO {LOCKED} SELECT place FROM l",
            rewrite.names.shadow,
            same_key(rewrite, "sh", "c")
        ))
        .await
        .map(drop)
}

/// Reads the rows and the candidates from one snapshot of the source; fails with a true duplicate.
async fn look(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<()> {
    let (filter, key) = (rewrite.filter(Side::Source, rows)?, rewrite.key_columns(Side::Source));
    let both = format!(
        "{} IN (SELECT {} FROM ONLY {} WHERE {filter} UNION SELECT {} FROM {CANDIDATES})",
        row(&key),
        list(&key),
        rewrite.names.original,
        list(&rewrite.shadow.shadow_key)
    );
    session.exec_long(&rewrite.insert_selected(&NOW, &both)).await?;
    for unique in &rewrite.shadow.unique {
        duplicate(session, rewrite, unique).await?;
    }
    Ok(())
}

fn row(columns: &[Ident]) -> String {
    format!("({})", list(columns))
}

/// The statement that finds the candidates under one index.
fn find(rewrite: &Rewrite, unique: &Unique) -> String {
    let key = &rewrite.shadow.shadow_key;
    let mut theirs: Vec<String> = unique.condition.iter().map(|c| format!("({c})")).collect();
    theirs.extend(unique.parts.iter().enumerate().map(|(n, part)| {
        let (own, other) = (format!("({})", part.expression), format!("t.osc_u{n}"));
        collide(unique, &own, &part.operator, &other)
    }));
    format!(
        "INSERT INTO {CANDIDATES} SELECT {} FROM ({}) t CROSS JOIN LATERAL \
         (SELECT {} FROM ONLY {} osc_held WHERE {}) sh ON CONFLICT DO NOTHING",
        list(key.iter().map(|k| format!("sh.{k}"))),
        values(rewrite, unique, SCRATCH),
        list(key),
        rewrite.names.shadow,
        all(theirs)
    )
}

/// The values that the rows of a scratch table have under an index, with their keys and places.
fn values(rewrite: &Rewrite, unique: &Unique, table: &str) -> String {
    let parts = unique.parts.iter().enumerate().map(|(n, part)| format!("({}) AS osc_u{n}", part.expression));
    format!(
        "SELECT ctid AS osc_place, {}, {} FROM {table} WHERE {}",
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

/// Fails if two rows of one snapshot of the source collide.
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
    let values = values(rewrite, unique, NOW);
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

fn same_key(rewrite: &Rewrite, a: &str, b: &str) -> String {
    all(rewrite.shadow.shadow_key.iter().map(|k| format!("{a}.{k} = {b}.{k}")))
}

/// The row of `alias` is not as it is at N.
fn differs(rewrite: &Rewrite, alias: &str) -> String {
    // Only what the source decides: other columns differ in every copy of a row.
    let decided = || rewrite.shadow.columns.iter().filter(|c| c.compared).map(|c| &c.column);
    let image = |alias: &str| format!("ROW({})::record", list(decided().map(|c| format!("{alias}.{c}"))));
    let (n, own) = (image("n"), image(alias));
    format!("NOT EXISTS (SELECT 1 FROM {NOW} n WHERE {} AND {n} *= {own})", same_key(rewrite, "n", alias))
}

/// Deletes the candidates that are stale.
async fn displace(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    let (shadow, stale) = (&rewrite.names.shadow, differs(rewrite, "sh"));
    let sql = format!("DELETE FROM ONLY {shadow} sh USING {LOCKED} l WHERE sh.ctid = l.place AND {stale}");
    session.exec_long(&sql).await.map(drop)
}

/// Leaves out those of the rows that moved while this was going on.
async fn leave_out(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    session.exec_long(&format!("DELETE FROM {SCRATCH} t WHERE {}", differs(rewrite, "t"))).await.map(drop)
}
