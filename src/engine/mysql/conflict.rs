//! Unique conflicts: telling a true duplicate from values that are just moving between rows.
//!
//! The shadow's rows are read at different times, so it may hold a value of row B that B has since
//! given to row A. Then inserting A fails although no snapshot of the source ever held the value twice.
//! On a conflict the rows are synced in another way, in one transaction of the lane:
//!
//! 1. They are deleted from the shadow, as ever, and read from the source, at S, into a scratch table of the
//!    shadow's definition without its unique keys: the server's own conversion, so that equality is the new
//!    column's equality.
//! 2. The shadow's rows that hold a value of theirs ("candidates") are found, and locked.
//! 3. Both are read again from the source by **one** statement, that is from one snapshot, N. A value that
//!    stands there twice is a true duplicate: a native ALTER would have failed, and so does the run,
//!    naming the values.
//! 4. Candidates whose values differ from those at N are deleted from the shadow.
//! 5. Of the rows to sync those that are as at N are inserted; the others are left out.
//!
//! **What is deleted in 4 or left out in 5 is not lost.** Such a row's values in the source at N are others than those
//! that osc read before, in 5 at S, in 4 whenever the candidate was copied. So a change of it committed after that
//! read, and no sync that began after that change was delivered and settled has ended: it is undelivered, or its key
//! is pending or in flight, or it lies beyond the frontier. In each case it will be synced, and the stored position
//! lies before it, so also after a crash. In 4 this needs the lock: without it another lane may have synced the
//! candidate since N; then its fresh row would go, and nobody would bring it back. `INSERT IGNORE` and `REPLACE` would
//! have no such proof.
//!
//! **It ends.** A row that is inserted in 5 has its value at N, so a candidate that was kept, which also has its own at
//! N, does not have the same: that would be a true duplicate. So the insert can fail only on a row that another
//! lane wrote after 2. An earlier form read the rows once more for the insert, and under swaps all the time
//! between a few hundred rows something had always moved meanwhile: every try failed, and the tries' growing
//! pauses made 139 s of a verification that takes two now.

use mysql_async::Row;

use super::catalog::TableInfo;
use super::key::{KeySpec, Side};
use super::mirror::{Rewrite, Unique};
use super::session::Session;
use super::sql::{Ident, Table, list};
use crate::error::{Error, Result};
use crate::model::Rows;

/// The rows to sync, as they were at S.
fn scratch(rewrite: &Rewrite) -> Table {
    rewrite.names.shadow.sibling("osc_scratch")
}

fn candidates(rewrite: &Rewrite) -> Table {
    rewrite.names.shadow.sibling("osc_candidates")
}

/// Both, at N.
fn now(rewrite: &Rewrite) -> Table {
    rewrite.names.shadow.sibling("osc_now")
}

/// Makes the session's scratch tables. They are kept: their definition costs more than what they hold.
pub async fn prepare(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    for table in [scratch(rewrite), candidates(rewrite), now(rewrite)] {
        session.exec(&format!("CREATE TEMPORARY TABLE IF NOT EXISTS {table} {}", rewrite.scratch)).await?;
    }
    Ok(())
}

/// Syncs the rows in the caller's transaction, or fails with a true duplicate. Returns how many there were.
pub async fn sync(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<u64> {
    let (scratch, shadow, columns) = (scratch(rewrite), &rewrite.names.shadow, rewrite.insert_columns());
    session.exec_long(&rewrite.delete(rows)?).await?;
    for table in [&scratch, &candidates(rewrite), &now(rewrite)] {
        session.exec_long(&format!("DELETE FROM {table}")).await?;
    }
    let count = session.exec_long(&rewrite.insert(&scratch, rows)?).await?;
    find(session, rewrite).await?;
    look(session, rewrite, rows).await?;
    displace(session, rewrite).await?;
    leave_out(session, rewrite).await?;
    session.exec_long(&format!("INSERT INTO {shadow} ({columns}) SELECT {columns} FROM {scratch}")).await?;
    Ok(count)
}

/// Finds the candidates, and locks them.
async fn find(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    let (scratch, candidates, shadow) = (scratch(rewrite), candidates(rewrite), &rewrite.names.shadow);
    let columns = rewrite.insert_columns();
    let held = list(rewrite.columns.iter().map(|(c, _)| format!("sh.{c}")));
    for unique in &rewrite.unique {
        let same = all(unique.parts.iter().map(|c| format!("{} = {}", part("sh", c), part("t", c))));
        session
            .exec_long(&format!(
                "INSERT IGNORE INTO {candidates} ({columns}) SELECT {held} FROM {scratch} t \
                 STRAIGHT_JOIN {shadow} sh FORCE INDEX ({}) ON {same}",
                unique.name
            ))
            .await?;
    }
    let same_key = same_key(rewrite, "sh", "c");
    let lock = format!("SELECT 1 FROM {candidates} c STRAIGHT_JOIN {shadow} sh ON {same_key} FOR UPDATE");
    session.rows(&lock).await.map(drop)
}

/// Reads the rows and the candidates from one snapshot of the source; fails with a true duplicate.
async fn look(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<()> {
    let (candidates, now, filter) = (candidates(rewrite), now(rewrite), rewrite.filter(Side::Source, rows)?);
    let (ours, theirs) = (list(rewrite.key.names(Side::Source)), list(rewrite.key.names(Side::Shadow)));
    session
        .exec_long(&format!(
            "INSERT INTO {now} ({}) {} UNION ALL {}",
            rewrite.insert_columns(),
            rewrite.select(&filter),
            rewrite.select(&format!("({ours}) IN (SELECT {theirs} FROM {candidates}) AND NOT ({filter})"))
        ))
        .await?;
    for unique in &rewrite.unique {
        duplicate(session, rewrite, &now, unique).await?;
    }
    Ok(())
}

fn all(conditions: impl IntoIterator<Item = String>) -> String {
    conditions.into_iter().collect::<Vec<_>>().join(" AND ")
}

fn same_key(rewrite: &Rewrite, a: &str, b: &str) -> String {
    all(rewrite.key.names(Side::Shadow).iter().map(|c| format!("{a}.{c} = {b}.{c}")))
}

/// No row of the scratch table `n` is the row of `alias`, by its key and its values.
fn differs(rewrite: &Rewrite, alias: &str) -> String {
    let parts = rewrite.unique.iter().flat_map(|unique| &unique.parts);
    let values = parts.map(|c| format!("{} <=> {}", part(alias, c), part("n", c)));
    let same = all(std::iter::once(same_key(rewrite, "n", alias)).chain(values));
    format!("NOT EXISTS (SELECT 1 FROM {} n WHERE {same})", now(rewrite))
}

/// Fails if the scratch table, one snapshot of the source, holds a value of the key twice.
async fn duplicate(session: &mut Session, rewrite: &Rewrite, scratch: &Table, unique: &Unique) -> Result<()> {
    let parts = list(unique.parts.iter().map(|c| part("t", c)));
    let not_null = all(unique.parts.iter().map(|c| format!("t.{} IS NOT NULL", c.0)));
    let sql = format!(
        "SELECT {parts}, COUNT(*) FROM {scratch} t WHERE {not_null} GROUP BY {parts} HAVING COUNT(*) > 1 LIMIT 1"
    );
    let Some(row) = session.rows(&sql).await?.into_iter().next() else { return Ok(()) };
    let values: Vec<String> = (0..unique.parts.len()).map(|i| shown(&row, i)).collect();
    let key = list(rewrite.key.names(Side::Shadow));
    let same = all(unique.parts.iter().enumerate().map(|(i, c)| format!("{} = {}", part("t", c), literal(&row, i))));
    let holders = session.rows(&format!("SELECT CONCAT_WS(', ', {key}) FROM {scratch} t WHERE {same} LIMIT 2")).await?;
    let holders: Vec<String> = holders.iter().map(|r| shown(r, 0)).collect();
    Err(Error::definite(format!(
        "The new unique key {} can't be built: the value ({}) stands in the rows with the keys ({}).",
        unique.name,
        values.join(", "),
        holders.join(") and (")
    ))
    .table("The table is unchanged.")
    .todo("Remove the duplicate and run the same command again; a native ALTER would fail in the same place."))
}

/// Deletes those candidates from the shadow that are stale.
async fn displace(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    let (candidates, shadow) = (candidates(rewrite), &rewrite.names.shadow);
    let stale = format!(
        "DELETE sh FROM {candidates} c STRAIGHT_JOIN {shadow} sh ON {} WHERE {}",
        same_key(rewrite, "sh", "c"),
        differs(rewrite, "sh")
    );
    session.exec_long(&stale).await.map(drop)
}

/// Leaves out those of the rows that moved while this was going on.
async fn leave_out(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    session.exec_long(&format!("DELETE t FROM {} t WHERE {}", scratch(rewrite), differs(rewrite, "t"))).await.map(drop)
}

/// What stands behind the name of a scratch table: the shadow's columns, generated ones too, and an
/// index on its key. Not LIKE: no temporary table can be partitioned, compressed, or have a FULLTEXT index.
pub fn scratch_definition(shadow: &TableInfo, key: &KeySpec) -> String {
    let columns = shadow.fingerprint.lines().filter(|line| line.starts_with("  `") || line.starts_with("  \""));
    let mut parts: Vec<String> = columns.map(|line| line.trim_end_matches(',').to_owned()).collect();
    parts.push(format!("KEY ({})", list(key.names(Side::Shadow))));
    parts.extend(shadow.columns.iter().filter(|c| c.auto_increment).map(|c| format!("KEY ({})", c.name)));
    let collation = shadow.collation.as_ref().map(|c| format!(" COLLATE {c}")).unwrap_or_default();
    format!("({}){collation}", list(parts))
}

/// One column of a unique key, cut to its prefix if the key has one.
fn part(alias: &str, (name, prefix): &(Ident, Option<u64>)) -> String {
    match prefix {
        Some(chars) => format!("LEFT({alias}.{name}, {chars})"),
        None => format!("{alias}.{name}"),
    }
}

fn value(row: &Row, at: usize) -> Option<Vec<u8>> {
    row.get_opt::<Vec<u8>, _>(at).and_then(|v| v.ok())
}

fn shown(row: &Row, at: usize) -> String {
    value(row, at).map_or_else(|| "NULL".to_owned(), |v| String::from_utf8_lossy(&v).into_owned())
}

fn literal(row: &Row, at: usize) -> String {
    value(row, at).map_or_else(|| "NULL".to_owned(), |v| super::sql::text(&String::from_utf8_lossy(&v)))
}
