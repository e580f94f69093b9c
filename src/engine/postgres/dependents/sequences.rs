//! Sequences: those of identity columns are the shadow's own and take over the value; those of serial columns stay as
//! they are and change hands.
//!
//! The value is carried over after the old table has gone aside: until then a `nextval` could come between (trap 8), from
//! then on the sequence is locked.

use std::collections::HashMap;

use super::super::catalog::name_at;
use super::super::session::{number, text_at};
use super::super::sql::{Ident, Table, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub struct Before {
    /// By their numbers, the columns of the source that have an identity sequence like this.
    identities: HashMap<u32, Ident>,
    /// The number of a column in the fresh shadow, and the sequence that the source's column owns.
    owned: Vec<(i32, Table)>,
}

pub async fn before(b: &mut Builder<'_>) -> Result<Before> {
    let mut identities = HashMap::new();
    for (oid, _, column) in of_shadow(b).await? {
        identities.insert(oid, column);
    }
    let sql = format!(
        "SELECT m.attnum, n.nspname, s.relname FROM pg_depend d \
         JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace \
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         JOIN pg_attribute m ON m.attrelid = {} AND m.attname = a.attname \
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {} AND d.deptype = 'a' \
         ORDER BY 2, 3",
        b.shadow().regclass(),
        b.source.oid
    );
    let mut owned = Vec::new();
    for row in b.session.rows(&sql).await? {
        owned.push((number(&row, 0)?, Table { schema: name_at(&row, 1), name: name_at(&row, 2) }));
    }
    Ok(Before { identities, owned })
}

/// The shadow's identity sequences: number, name, column.
async fn of_shadow(b: &mut Builder<'_>) -> Result<Vec<(u32, Ident, Ident)>> {
    let sql = format!(
        "SELECT s.oid, s.relname, a.attname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {} AND d.deptype = 'i' \
         ORDER BY 2",
        b.shadow().regclass()
    );
    let mut out = Vec::new();
    for row in b.session.rows(&sql).await? {
        out.push((number(&row, 0)?, name_at(&row, 1), name_at(&row, 2)));
    }
    Ok(out)
}

pub async fn after(b: &mut Builder<'_>, before: Before, restarts: &[Ident], parts: &mut Parts) -> Result<()> {
    let (original, old) = (b.names.original.clone(), b.names.old.clone());
    for (oid, name, _) in of_shadow(b).await? {
        // One that the ALTER made anew, or told where to begin, does.
        let Some(column) = before.identities.get(&oid).filter(|column| !restarts.contains(column)) else { continue };
        tracing::debug!(%column, %name, "the sequence takes its value over");
        let sequence = Table { schema: original.schema.clone(), name: name.clone() };
        let from = Table { schema: old.schema.clone(), name };
        parts.attach.push(format!(
            "SELECT pg_catalog.setval({}, last_value, is_called) FROM {from}",
            text(&sequence.to_string())
        ));
    }
    for (number, sequence) in before.owned {
        let sql = format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = {} AND attnum = {number} AND NOT attisdropped",
            b.shadow().regclass()
        );
        // One whose column the ALTER drops goes aside with the old table, as it would be dropped.
        let Some(row) = b.session.first(&sql).await? else { continue };
        let column = Ident::new(text_at(&row, 0).unwrap_or_default());
        parts.detach.push(format!("ALTER SEQUENCE {sequence} OWNED BY NONE"));
        parts.attach.push(format!("ALTER SEQUENCE {sequence} OWNED BY {original}.{column}"));
        parts.stay.push(sequence);
    }
    Ok(())
}
