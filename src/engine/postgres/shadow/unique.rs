//! What rows of the shadow may collide under, but for the key.

use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Ident, text};
use super::builder::Builder;
use super::{Unique, UniquePart};
use crate::error::Result;

/// Unique indexes and exclusion constraints. One that has all of the key's columns holds whenever the key does, so
/// it is left out.
pub async fn read(b: &mut Builder<'_>, key: &[Ident]) -> Result<Vec<Unique>> {
    let names = key.iter().map(|name| text(name.bare())).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT c.relname, pg_get_expr(i.indpred, i.indrelid), i.indnullsnotdistinct, \
           pg_get_indexdef(i.indexrelid, k.place::int, false) \
             || CASE WHEN k.coll <> 0 AND k.coll IS DISTINCT FROM a.attcollation \
                THEN ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname) ELSE '' END, \
           'OPERATOR(' || quote_ident(opn.nspname) || '.' || op.oprname || ')', k.place \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[]) WITH ORDINALITY k(attnum, coll, class, place) \
           ON k.place <= i.indnkeyatts \
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0 \
         LEFT JOIN pg_collation co ON co.oid = k.coll LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
         JOIN pg_opclass oc ON oc.oid = k.class \
         LEFT JOIN pg_constraint x ON x.conindid = i.indexrelid AND x.conrelid = i.indrelid AND x.conexclop IS NOT NULL \
         LEFT JOIN pg_amop ao ON x.oid IS NULL AND ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3 \
           AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype \
         JOIN pg_operator op ON op.oid = coalesce(x.conexclop[k.place], ao.amopopr) \
         JOIN pg_namespace opn ON opn.oid = op.oprnamespace \
         WHERE i.indrelid = {} AND (i.indisunique OR i.indisexclusion) \
           AND NOT (NOT i.indisexclusion AND ARRAY[{names}]::name[] <@ ARRAY( \
             SELECT b.attname FROM unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY y(attnum, coll, place) \
             JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = y.attnum AND b.attcollation = y.coll \
             WHERE y.place <= i.indnkeyatts)) \
         ORDER BY i.indexrelid, k.place",
        b.shadow().regclass()
    );
    let mut out: Vec<Unique> = Vec::new();
    for row in b.session.rows(&sql).await? {
        if row.get(5) == Some("1") {
            out.push(Unique {
                name: name_at(&row, 0),
                parts: Vec::new(),
                condition: text_at(&row, 1),
                nulls_equal: row.get(2) == Some("t"),
            });
        }
        if let Some(unique) = out.last_mut() {
            unique.parts.push(UniquePart {
                expression: text_at(&row, 3).unwrap_or_default(),
                operator: text_at(&row, 4).unwrap_or_default(),
            });
        }
    }
    Ok(out)
}
