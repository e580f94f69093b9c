//! What of a table decides whether its changes can be followed: its replica identity, its columns, what it is.
//!
//! A publication whose columns don't cover the replica identity makes the APPLICATION's UPDATE and DELETE fail,
//! at once (seen on 15 and 18, error 42P10). So the key is the replica identity, and it is watched: it can be
//! changed at any time, and then what osc left in the way must go (see `watch`).

use serde::{Deserialize, Serialize};

use super::session::{Session, number, text_at};
use super::sql::{Ident, Table, text};
use crate::error::{Error, Result};

/// How the server logs which row an UPDATE or a DELETE was of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// By these columns: of the primary key, or of the index that was named.
    Columns(Vec<Ident>),
    /// By all columns.
    Full,
}

/// A table as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub oid: u32,
    pub identity: Identity,
    /// Columns, their types, and how changes are logged; compared as a whole.
    pub fingerprint: String,
}

/// An expression that prints what the fingerprint is of, for the pg_class row `c`. Not the index's number: REINDEX
/// CONCURRENTLY changes that, and nothing else.
const FINGERPRINT: &str = "concat_ws('|', n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, \
    (SELECT string_agg(concat_ws(',', i.indkey::text, i.indnkeyatts, i.indimmediate), ';' ORDER BY i.indkey::text) \
     FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisreplident OR (i.indisprimary AND c.relreplident = 'd'))), \
    (SELECT string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, \
       a.attgenerated, a.attidentity), ';' ORDER BY a.attnum) \
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))";

/// The query whose one value is the table's fingerprint; no row when it is gone. `condition` names a row of pg_class.
fn fingerprint_sql(condition: &str) -> String {
    format!(
        "SELECT c.oid, {FINGERPRINT}, c.relreplident FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE {condition}"
    )
}

/// Looks a table up by its name. Refuses what has no identity that can be followed.
pub async fn find(session: &mut Session, table: &Table) -> Result<Found> {
    let condition = format!("n.nspname = {} AND c.relname = {}", text(table.schema.bare()), text(table.name.bare()));
    let row = session
        .first(&fingerprint_sql(&condition))
        .await?
        .ok_or_else(|| Error::refused(format!("There is no table {}.", table.bare())))?;
    let oid: u32 = number(&row, 0)?;
    let fingerprint = text_at(&row, 1).unwrap_or_default();
    let no_identity = |why: &str| {
        Error::refused(format!("{why}, so the server does not log which rows change in {}.", table.bare()))
            .todo("Give the table a primary key, or ALTER TABLE … REPLICA IDENTITY USING INDEX a unique one.")
    };
    let identity = match row.get(2).unwrap_or_default() {
        "f" => Identity::Full,
        "n" => return Err(no_identity("Its replica identity is NOTHING")),
        _ => {
            let sql = format!(
                "SELECT a.attname FROM pg_index i \
                 JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) ON k.place <= i.indnkeyatts \
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
                 JOIN pg_class c ON c.oid = i.indrelid \
                 WHERE i.indrelid = {oid} AND i.indisvalid AND i.indimmediate \
                   AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END ORDER BY k.place"
            );
            let names: Vec<Ident> =
                session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).map(Ident::new).collect();
            if names.is_empty() {
                return Err(no_identity("It has no primary key that is checked at once"));
            }
            Identity::Columns(names)
        }
    };
    Ok(Found { oid, identity, fingerprint })
}

/// The query for the fingerprint of the table with this oid, for `watch`.
pub fn watch_sql(oid: u32) -> String {
    fingerprint_sql(&format!("c.oid = {oid}"))
}
