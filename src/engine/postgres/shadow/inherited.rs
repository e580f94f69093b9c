//! Whether each column and constraint of the shadow is as much its own, and as much its parents', as in the table.
//!
//! Looked at before the ALTER, while the shadow hangs under stand-ins for the parents; what it is after the ALTER is the server's to say.

use super::builder::Builder;
use crate::error::Result;

/// Refuses what is not in the shadow as it is in the table.
pub async fn compare(b: &mut Builder<'_>) -> Result<()> {
    let lines = |of: &str| {
        format!(
            "SELECT 'column ' || a.attname AS what, ROW(row_number() OVER (ORDER BY a.attnum), a.atttypid, a.atttypmod, a.attcollation, \
               a.attnotnull, a.attislocal, a.attinhcount, a.attgenerated, a.attidentity, a.attstorage, a.attcompression, \
               pg_get_expr(d.adbin, d.adrelid))::text AS line \
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {of} AND a.attnum > 0 AND NOT a.attisdropped \
             UNION ALL SELECT 'constraint ' || conname, ROW(contype, conislocal, coninhcount, connoinherit, convalidated, \
               pg_get_constraintdef(oid))::text FROM pg_constraint WHERE conrelid = {of} AND contype IN ('c', 'n')"
        )
    };
    let (old, new) = (lines(&b.source.oid.to_string()), lines(&b.shadow().regclass()));
    let sql = format!(
        "SELECT what FROM (({old} EXCEPT {new}) UNION ALL ({new} EXCEPT {old})) x ORDER BY 1 LIMIT 1",
        old = format!("SELECT * FROM ({old}) o"),
        new = format!("SELECT * FROM ({new}) n"),
    );
    match b.session.value(&sql).await? {
        None => Ok(()),
        Some(what) => {
            let why = format!("its {what} can't be made its own, or its parents', in the way in which it is");
            Err(b.refused(&why).todo("Run the ALTER natively."))
        }
    }
}
