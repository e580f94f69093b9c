//! Constraints that would be in the way while the shadow is filled, and are attached by the swap.
//!
//! A CHECK that is NOT VALID is not met by all old rows. A deferrable constraint is not checked when a row is
//! written, so a conflict would come at the commit, without a place: a plain unique index stands for it. An EXCLUDE can't be
//! made of an index; it stays, and who writes to the shadow has it checked at each statement (`SET CONSTRAINTS`).

use super::super::catalog::name_at;
use super::super::dependents::Parts;
use super::super::session::text_at;
use super::super::sql::{Table, text};
use super::builder::Builder;
use super::clone::deferrable;
use crate::error::Result;

/// Takes them off the shadow; `parts` brings them back.
pub async fn set_aside(b: &mut Builder<'_>, parts: &mut Parts) -> Result<()> {
    let sql = format!(
        "SELECT k.conname, k.contype, k.condeferrable, k.condeferred, pg_get_constraintdef(k.oid), \
           pg_get_indexdef(k.conindid), i.indisclustered, ts.spcname, obj_description(k.oid, 'pg_constraint'), \
           obj_description(k.conindid, 'pg_class'), c.relname, \
           (SELECT string_agg(a.attnum || ' SET STATISTICS ' || a.attstattarget, ', ALTER COLUMN ' ORDER BY a.attnum) \
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) \
         FROM pg_constraint k LEFT JOIN pg_index i ON i.indexrelid = k.conindid LEFT JOIN pg_class c ON c.oid = k.conindid \
         LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace \
         WHERE k.conrelid = {} AND ((k.contype IN ('c', 'n') AND NOT k.convalidated \
             AND coalesce(to_jsonb(k)->>'conenforced', 'true') = 'true') \
           OR (k.contype IN ('p', 'u') AND k.condeferrable)) ORDER BY k.conname",
        b.shadow().regclass()
    );
    for row in b.session.rows(&sql).await? {
        let is = |at: usize| row.get(at) == Some("t");
        let (name, shadow, original) = (name_at(&row, 0), b.shadow().clone(), b.names.original.clone());
        let definition = text_at(&row, 4).unwrap_or_default();
        let attached = match row.get(1) {
            Some("n") => {
                return Err(b.refused(&format!(
                    "a NOT NULL constraint that is NOT VALID ({}) is not supported yet",
                    name.bare()
                )));
            }
            Some("c") => {
                b.run(format!("ALTER TABLE {shadow} DROP CONSTRAINT {name}")).await?;
                definition
            }
            kind => {
                let kind = if kind == Some("p") { "PRIMARY KEY" } else { "UNIQUE" };
                let index = name_at(&row, 10);
                b.run(format!("ALTER TABLE {shadow} DROP CONSTRAINT {name}")).await?;
                b.tablespace(row.get(7)).await?;
                b.run(text_at(&row, 5).unwrap_or_default()).await?;
                b.tablespace(None).await?;
                let made = Table { schema: shadow.schema.clone(), name: index.clone() };
                if is(6) {
                    b.run(format!("ALTER TABLE {shadow} CLUSTER ON {index}")).await?;
                }
                if let Some(comment) = text_at(&row, 9) {
                    b.run(format!("COMMENT ON INDEX {made} IS {}", text(&comment))).await?;
                }
                if let Some(targets) = text_at(&row, 11) {
                    b.run(format!("ALTER INDEX {made} ALTER COLUMN {targets}")).await?;
                }
                format!("{kind} USING INDEX {index}{}", deferrable(is(2), is(3)))
            }
        };
        parts.attach.push(format!("ALTER TABLE {original} ADD CONSTRAINT {name} {attached}"));
        if let Some(comment) = text_at(&row, 8) {
            parts.attach.push(format!("COMMENT ON CONSTRAINT {name} ON {original} IS {}", text(&comment)));
        }
    }
    Ok(())
}

/// Whether a constraint of the shadow would be checked no sooner than at the commit.
pub async fn deferred(b: &mut Builder<'_>) -> Result<bool> {
    let sql = format!(
        "SELECT 1 FROM pg_constraint WHERE conrelid = {} AND contype = 'x' AND condeferred",
        b.shadow().regclass()
    );
    Ok(b.session.first(&sql).await?.is_some())
}
