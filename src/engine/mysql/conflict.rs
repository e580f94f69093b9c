//! Unique conflicts: telling a true duplicate from values that are just moving between rows.
//!
//! The shadow's rows are read at different times, so it may hold a value of row B that B has since
//! given to row A. Then inserting A fails although no snapshot of the source ever held the value twice.
//! On a conflict:
//!
//! 1. The rows to sync are read into a scratch table of the shadow's definition without its unique
//!    keys: the server's own conversion, so that equality is the new column's equality.
//! 2. Those shadow rows are found that hold a value of theirs under another key ("candidates").
//! 3. Both are read again from the source by **one** statement, that is from one snapshot. A value that
//!    stands there twice is a true duplicate: a native ALTER would have failed, and so does the run,
//!    naming the values.
//! 4. Otherwise the candidates were stale. The transaction that syncs the rows first locks them in the
//!    shadow, reads their source rows once more, and deletes those that still differ ([`displace`]).
//!
//! **Deleting a candidate loses nothing.** Under the lock its shadow row differs from a snapshot of the
//! source taken later, so a change of it committed after the shadow's copy was read, and no sync that
//! began after that change has ended. That change is undelivered, or its key is pending or in flight, or
//! it lies beyond the frontier: in each case it will be synced, and the stored position lies before it,
//! so also after a crash. Without the lock and the second look another lane may have synced the
//! candidate since step 3: then its fresh row would go, and nobody would bring it back.
//! `INSERT IGNORE` and `REPLACE` would have neither proof.

use mysql_async::Row;

use super::catalog::TableInfo;
use super::key::{KeySpec, Side};
use super::mirror::{Rewrite, Unique};
use super::session::Session;
use super::sql::{Ident, Table, list};
use crate::error::{Error, Result};
use crate::model::Rows;

fn scratch(rewrite: &Rewrite) -> Table {
    rewrite.names.shadow.sibling("osc_scratch")
}

fn candidates(rewrite: &Rewrite) -> Table {
    rewrite.names.shadow.sibling("osc_candidates")
}

/// Finds the candidates of these rows, or fails with a true duplicate.
pub async fn examine(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<()> {
    clear(session, rewrite).await?;
    let (scratch, candidates) = (scratch(rewrite), candidates(rewrite));
    for table in [&scratch, &candidates] {
        session.exec(&format!("CREATE TEMPORARY TABLE {table} {}", rewrite.scratch)).await?;
    }
    session.exec_long(&rewrite.insert(&scratch, rows)?).await?;
    let columns = rewrite.insert_columns();
    let held = list(rewrite.columns.iter().map(|(c, _)| format!("sh.{c}")));
    for unique in &rewrite.unique {
        let same = unique
            .parts
            .iter()
            .map(|c| format!("{} = {}", part("sh", c), part("t", c)))
            .collect::<Vec<_>>()
            .join(" AND ");
        let key = rewrite.key.names(Side::Shadow);
        let same_key = key.iter().map(|c| format!("sh.{c} = t.{c}")).collect::<Vec<_>>().join(" AND ");
        session
            .exec_long(&format!(
                "INSERT IGNORE INTO {candidates} ({columns}) SELECT {held} FROM {scratch} t \
                 STRAIGHT_JOIN {} sh FORCE INDEX ({}) ON {same} WHERE NOT ({same_key})",
                rewrite.names.shadow, unique.name
            ))
            .await?;
    }
    let filter = rewrite.filter(Side::Source, rows)?;
    let (ours, theirs) = (list(rewrite.key.names(Side::Source)), list(rewrite.key.names(Side::Shadow)));
    session.exec(&format!("DELETE FROM {scratch}")).await?;
    session
        .exec_long(&format!(
            "INSERT INTO {scratch} ({columns}) {}",
            format_args!(
                "{} UNION ALL {}",
                rewrite.select(&filter),
                rewrite.select(&format!("({ours}) IN (SELECT {theirs} FROM {candidates}) AND NOT ({filter})"))
            )
        ))
        .await?;
    for unique in &rewrite.unique {
        duplicate(session, rewrite, &scratch, unique).await?;
    }
    Ok(())
}

/// Fails if the scratch table, one snapshot of the source, holds a value of the key twice.
async fn duplicate(session: &mut Session, rewrite: &Rewrite, scratch: &Table, unique: &Unique) -> Result<()> {
    let parts = list(unique.parts.iter().map(|c| part("t", c)));
    let not_null = unique.parts.iter().map(|c| format!("t.{} IS NOT NULL", c.0)).collect::<Vec<_>>().join(" AND ");
    let sql = format!(
        "SELECT {parts}, COUNT(*) FROM {scratch} t WHERE {not_null} GROUP BY {parts} HAVING COUNT(*) > 1 LIMIT 1"
    );
    let Some(row) = session.rows(&sql).await?.into_iter().next() else { return Ok(()) };
    let values: Vec<String> = (0..unique.parts.len()).map(|i| shown(&row, i)).collect();
    let key = list(rewrite.key.names(Side::Shadow));
    let same = unique.parts.iter().enumerate().map(|(i, c)| format!("{} = {}", part("t", c), literal(&row, i)));
    let same = same.collect::<Vec<_>>().join(" AND ");
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

/// Deletes those candidates from the shadow, in the caller's transaction, that are stale.
pub async fn displace(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    if rewrite.unique.is_empty() {
        // The conflict was under the key itself: another lane was writing the row.
        return Ok(());
    }
    let (scratch, candidates, shadow) = (scratch(rewrite), candidates(rewrite), &rewrite.names.shadow);
    let key = rewrite.key.names(Side::Shadow);
    let same_key =
        |a: &str, b: &str| key.iter().map(|c| format!("{a}.{c} = {b}.{c}")).collect::<Vec<_>>().join(" AND ");
    let lock = format!("SELECT 1 FROM {candidates} c STRAIGHT_JOIN {shadow} sh ON {} FOR UPDATE", same_key("sh", "c"));
    session.rows(&lock).await?;
    session.exec(&format!("DELETE FROM {scratch}")).await?;
    let (ours, theirs) = (list(rewrite.key.names(Side::Source)), list(&key));
    let now = rewrite.select(&format!("({ours}) IN (SELECT {theirs} FROM {candidates})"));
    session.exec_long(&format!("INSERT INTO {scratch} ({}) {now}", rewrite.insert_columns())).await?;
    let parts = rewrite.unique.iter().flat_map(|unique| &unique.parts);
    let same = parts.map(|c| format!("{} <=> {}", part("sh", c), part("t", c))).collect::<Vec<_>>().join(" AND ");
    let stale = format!(
        "DELETE sh FROM {candidates} c STRAIGHT_JOIN {shadow} sh ON {} \
         WHERE NOT EXISTS (SELECT 1 FROM {scratch} t WHERE {} AND {same})",
        same_key("sh", "c"),
        same_key("t", "sh")
    );
    session.exec_long(&stale).await.map(drop)
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

pub async fn clear(session: &mut Session, rewrite: &Rewrite) -> Result<()> {
    for table in [scratch(rewrite), candidates(rewrite)] {
        session.exec(&format!("DROP TEMPORARY TABLE IF EXISTS {table}")).await?;
    }
    Ok(())
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
