//! Which row it is that the new table does not take: looked for when a sync has failed, so that the
//! message can name it. The server names the value at best.

use super::mirror::{Rewrite, Side, is_conflict};
use super::session::{Session, is_lost};
use crate::error::Result;
use crate::model::{Key, Rows};

/// Keys of one statement.
const BATCH: usize = 500;
/// As many rows are looked through, at the most.
const MOST: usize = 50_000;

/// The key of a row of the set that can't be inserted into the shadow, in words. To be run in a
/// transaction that is rolled back.
pub async fn find(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<Option<String>> {
    let key = rewrite.key();
    let sql = format!(
        "SELECT {0} FROM ONLY {1} WHERE {2} ORDER BY {0} LIMIT {MOST}",
        key.names(),
        rewrite.names.original,
        rewrite.filter(Side::Source, rows)?,
    );
    let keys = session.rows_long(&sql).await?.iter().map(|row| key.read_row(row, 0)).collect::<Result<Vec<Key>>>()?;
    for batch in keys.chunks(BATCH) {
        if fits(session, rewrite, batch).await? {
            continue;
        }
        let mut suspects = batch;
        while suspects.len() > 1 {
            let (some, others) = suspects.split_at(suspects.len() / 2);
            suspects = if fits(session, rewrite, some).await? { others } else { some };
        }
        return Ok(suspects.first().map(|found| key.describe(found)));
    }
    Ok(None)
}

/// Whether the shadow takes these rows.
async fn fits(session: &mut Session, rewrite: &Rewrite, keys: &[Key]) -> Result<bool> {
    // An error would end the transaction.
    session.exec("SAVEPOINT osc").await?;
    session.exec_long(&rewrite.delete(Rows::Keys(keys))?).await?;
    let inserted = session.exec_long(&rewrite.insert(&rewrite.names.shadow, Rows::Keys(keys))?).await;
    if inserted.as_ref().is_err_and(is_lost) {
        return inserted.map(|_| false);
    }
    session.exec("ROLLBACK TO SAVEPOINT osc").await?;
    match inserted {
        Ok(_) => Ok(true),
        // Not what is looked for.
        Err(error) => Ok(is_conflict(&error)),
    }
}
