//! Which row it is that the new table does not take: looked for when a sync has failed, so that the
//! message can name it. The server itself only counts the statement's rows ("at row 1").

use super::key::Side;
use super::mirror::{DUPLICATE, Rewrite};
use super::session::{Session, code, is_lost};
use crate::error::Result;
use crate::model::{Key, Rows};

/// Keys of one statement.
const BATCH: usize = 500;
/// As many rows are looked through, at the most.
const MOST: usize = 50_000;

/// The key of a row of the set that can't be inserted into the shadow, in words. To be run in a
/// transaction that is rolled back.
pub async fn find(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>) -> Result<Option<String>> {
    let key = &rewrite.key;
    let sql = format!(
        "SELECT {} FROM {} FORCE INDEX ({}) WHERE {} ORDER BY {} LIMIT {MOST}",
        key.select_list(),
        rewrite.names.original,
        key.index,
        rewrite.filter(Side::Source, rows)?,
        key.order_by(Side::Source)
    );
    let keys = session.rows(&sql).await?.iter().map(|row| key.read_row(row, 0)).collect::<Result<Vec<Key>>>()?;
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
    session.exec_long(&rewrite.delete(Rows::Keys(keys))?).await?;
    match session.exec_long(&rewrite.insert(&rewrite.names.shadow, Rows::Keys(keys))?).await {
        Ok(_) => Ok(true),
        // Not what is looked for.
        Err(error) if code(&error) == Some(DUPLICATE) => Ok(true),
        Err(error) if is_lost(&error) => Err(error),
        Err(_) => Ok(false),
    }
}
