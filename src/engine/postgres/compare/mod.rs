//! The comparison: what of the shadow is not what a sync would write there now.
//!
//! One statement joins both tables by the key, from both sides (FULL JOIN), so both are read in one snapshot, and
//! compares what a sync would write now with what is there, by the values' bytes (`*<>`: what an index of
//! row images would tell apart, a numeric's zeros behind the point and a float's negative zero included). Nothing is
//! hashed and nothing leaves the server but two counts. Only where they tell of a difference are the keys asked for, by
//! a further statement whose snapshot is later; the core takes what it finds for suspects, not more.
//!
//! The source's side casts each expression to the column's type. An INSERT assigns instead, and that fails where a
//! cast cuts a string short; but what an INSERT has once taken is what the cast makes of it.
//!
//! Both tables are read in the order of their keys and merged: memory stays the same however long the range.
//!
//! Single keys are read behind a fence (OFFSET 0): where a condition holds both sides to one value, the planner of 18
//! has nothing left to merge by, and a type that can't be hashed (bit varying, money) gets "FULL JOIN is only
//! supported with merge-joinable or hash-joinable join conditions".

pub mod show;

use super::mirror::{Rewrite, Side};
use super::session::{Session, number};
use super::sql::list;
use crate::engine::Compared;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::model::{Key, Rows};

/// The statement is one transaction with this setting: a FULL JOIN is a merge or a hash, never a loop.
const MERGED: &str = "SET LOCAL enable_mergejoin = on; SET LOCAL enable_bitmapscan = off";

/// Compares the rows of a set.
pub async fn compare(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>, most: usize) -> Result<Compared> {
    failpoint::hit("comparing", &[session.pid.unsigned_abs()]).await;
    let join = join(rewrite, rows)?;
    let sql = format!("{MERGED}; SELECT count(s.osc_k0), count(*) FILTER (WHERE {WRONG}) FROM {join}");
    let counts = session.rows_long(&sql).await?.into_iter().next();
    let counts = counts.ok_or_else(|| Error::definite("The server gave no answer to a comparison."))?;
    let (ours, wrong): (u64, u64) = (number(&counts, 0)?, number(&counts, 1)?);
    if wrong == 0 {
        return Ok(Compared { rows: ours, ..Compared::default() });
    }
    let keys = list((0..rewrite.key().columns.len()).map(|n| format!("coalesce(s.osc_k{n}, t.osc_k{n})")));
    let sql = format!("{MERGED}; SELECT {keys} FROM {join} WHERE {WRONG} LIMIT {most}");
    let found = session.rows_long(&sql).await?;
    let differing = found.iter().map(|row| rewrite.key().read_row(row, 0)).collect::<Result<Vec<Key>>>()?;
    let more = differing.len() >= most;
    Ok(Compared { rows: ours, differing, more })
}

/// What holds for a pair that is wrong.
const WRONG: &str = "s.osc_k0 IS NULL OR t.osc_k0 IS NULL OR s.osc_row *<> t.osc_row";

/// Both sides of a set, joined by the key.
fn join(rewrite: &Rewrite, rows: Rows<'_>) -> Result<String> {
    let fence = if matches!(rows, Rows::Keys(_)) { " OFFSET 0" } else { "" };
    let compared = || rewrite.shadow.columns.iter().filter(|c| c.compared);
    let side = |side: Side, row: String| {
        let keys = rewrite.key_columns(side).into_iter().enumerate().map(|(n, k)| format!("{k} AS osc_k{n}"));
        let table = if side == Side::Source { &rewrite.names.original } else { &rewrite.names.shadow };
        Ok::<_, Error>(format!(
            "(SELECT {}, ROW({row})::record AS osc_row FROM ONLY {table} WHERE {}{fence})",
            list(keys),
            rewrite.filter(side, rows)?
        ))
    };
    let ours = side(Side::Source, list(compared().map(|c| format!("({})::{}", c.expression, c.kind))))?;
    let theirs = side(Side::Shadow, list(compared().map(|c| &c.column)))?;
    let same = (0..rewrite.key().columns.len()).map(|n| format!("s.osc_k{n} = t.osc_k{n}"));
    Ok(format!("{ours} s FULL JOIN {theirs} t ON {}", same.collect::<Vec<_>>().join(" AND ")))
}
