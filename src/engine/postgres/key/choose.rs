//! Which columns are the key.
//!
//! The replica identity's, because only they are sure to be in the stream and only a list of columns that covers
//! them may be published. Under REPLICA IDENTITY FULL every column is in the stream, so the key is a unique index of
//! the table's: the primary key, else the one with the fewest columns. Its uniqueness must be the server's at any
//! moment (not deferrable), for every row (not partial), by plain columns without NULLs.
//!
//! And by the columns' own collation: where an index tells 'a' from 'A' and the column doesn't, a key would
//! name two rows. And in the plain order of its columns, up or down: ranges follow one another in that, and through an
//! index in another one each would have to sort the whole table.

use super::super::identity::{Found, Identity};
use super::super::session::{Session, text_at};
use super::super::sql::{Ident, Table};
use super::KeyShape;
use crate::error::{Error, Result};

/// Reads the key of a table that was found.
pub async fn choose(session: &mut Session, table: &Table, found: &Found) -> Result<KeyShape> {
    let indexes = unique_indexes(session, found.oid).await?;
    let sound = |columns: &[Ident]| indexes.iter().any(|index| index.sound && index.columns == columns);
    let columns = match &found.identity {
        Identity::Columns(columns) if sound(columns) => columns.clone(),
        Identity::Columns(columns) => {
            return Err(refused(
                table,
                &format!(
                    "its replica identity ({}) is not in the plain order of its columns, but by another collation, by \
                     another operator class, or partly descending",
                    columns.iter().map(Ident::bare).collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        Identity::Full => match indexes.into_iter().find(|index| index.sound) {
            Some(index) => index.columns,
            None => return Err(refused(table, "it has no primary key and no unique index that could stand for one")),
        },
    };
    KeyShape::read(session, table, &columns).await
}

fn refused(table: &Table, why: &str) -> Error {
    Error::refused(format!("Rows of {} can't be told apart by a key: {why}.", table.bare()))
        .table("The table is untouched.")
        .todo("Add a primary key, or a unique index over plain NOT NULL columns under their own collations, all ascending.")
}

struct Index {
    columns: Vec<Ident>,
    sound: bool,
}

/// Unique indexes that hold for every row at any moment, the best first.
async fn unique_indexes(session: &mut Session, oid: u32) -> Result<Vec<Index>> {
    let sql = format!(
        "SELECT i.indexrelid, a.attname, \
           bool_and(a.attcollation = k.coll AND o.opcdefault AND k.option = i.indoption[0] AND k.option IN (0, 3)) \
             OVER (PARTITION BY i.indexrelid) \
         FROM pg_index i \
         JOIN unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[], i.indoption::int2[]) \
           WITH ORDINALITY k(attnum, coll, class, option, place) ON k.place <= i.indnkeyatts \
         JOIN pg_opclass o ON o.oid = k.class \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND a.attnotnull \
         WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate \
           AND i.indpred IS NULL AND i.indexprs IS NULL \
           AND i.indnkeyatts = (SELECT count(*) FROM unnest(i.indkey::int2[]) WITH ORDINALITY x(attnum, place) \
             JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = x.attnum AND b.attnotnull \
             WHERE x.place <= i.indnkeyatts) \
         ORDER BY NOT i.indisprimary, i.indnkeyatts, i.indexrelid, k.place"
    );
    let mut out: Vec<(String, Index)> = Vec::new();
    for row in session.rows(&sql).await? {
        let (number, name) = (text_at(&row, 0).unwrap_or_default(), text_at(&row, 1).unwrap_or_default());
        let sound = row.get(2) == Some("t");
        match out.last_mut().filter(|(last, _)| *last == number) {
            Some((_, index)) => index.columns.push(Ident::new(name)),
            None => out.push((number, Index { columns: vec![Ident::new(name)], sound })),
        }
    }
    Ok(out.into_iter().map(|(_, index)| index).collect())
}
