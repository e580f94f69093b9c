//! The shadow of a table that inherits: which of its columns and constraints are its own, and which its parents'.
//!
//! `LIKE` makes all of them its own, and nothing makes a column that is its own its parents' again; a later ALTER of a parent
//! would then act otherwise than on the old table. So the table's shape is made as a parent of the shadow, of which this has everything, in the
//! right order, as inherited. Then the shadow inherits from a stand-in for each real parent too; and when it no longer inherits from the
//! shape, what no stand-in has is its own, and the rest is not. What is both, its own and inherited, is said when the shadow is created. The
//! swap does the same from the stand-ins to the real parents, so they stay until then.
//!
//! Whether it came out as it is in the table is compared (`inherited`); what did not is refused by its name.

use super::super::catalog::name_at;
use super::super::dependents::stand_in;
use super::super::session::text_at;
use super::super::sql::{Ident, Table, list};
use super::builder::Builder;
use super::clone;
use crate::error::{Kind, Result};

const SHAPE: &str = "osc_shape";

/// `like` is what LIKE is to include, `tail` what stands behind the columns.
pub async fn create(b: &mut Builder<'_>, like: &str, tail: &str) -> Result<()> {
    let (shadow, original) = (b.shadow().clone(), b.names.original.clone());
    let shape = Table { schema: shadow.schema.clone(), name: Ident::new(SHAPE) };
    // Before the shadow: whoever drops the schema goes by the numbers.
    for one in b.source.family.clone().parents() {
        let copy = stand_in(b, one);
        made(b, format!("CREATE TABLE {copy} (LIKE {} INCLUDING CONSTRAINTS INCLUDING GENERATED)", one.table)).await?;
    }
    made(b, format!("CREATE TABLE {shape} (LIKE {original}{like})")).await?;
    let mut elements = Vec::new();
    let columns = format!(
        "SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> t.typcollation \
           THEN ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname) ELSE '' END \
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace n ON n.oid = l.collnamespace \
         WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped AND a.attislocal AND a.attinhcount > 0 ORDER BY a.attnum",
        b.source.oid
    );
    elements.extend(b.session.rows(&columns).await?.iter().filter_map(|row| text_at(row, 0)));
    let constraints = format!(
        "SELECT conname, pg_get_constraintdef(oid), connoinherit FROM pg_constraint \
         WHERE conrelid = {} AND contype IN ('c', 'n') AND ((conislocal AND coninhcount > 0) OR connoinherit) ORDER BY conname",
        b.source.oid
    );
    for row in b.session.rows(&constraints).await? {
        let (name, definition) = (name_at(&row, 0), text_at(&row, 1).unwrap_or_default());
        if row.get(2) == Some("t") {
            made(b, format!("ALTER TABLE {shape} DROP CONSTRAINT {name}")).await?;
        }
        elements.push(format!("CONSTRAINT {name} {definition}"));
    }
    made(b, format!("CREATE TABLE {shadow} ({}) INHERITS ({shape}){tail}", list(elements))).await?;
    for one in b.source.family.clone().parents() {
        let copy = stand_in(b, one);
        made(b, format!("ALTER TABLE {shadow} INHERIT {copy}")).await?;
    }
    made(b, format!("ALTER TABLE {shadow} NO INHERIT {shape}")).await?;
    b.run(format!("DROP TABLE {shape}")).await?;
    identities(b).await?;
    let oid = b.source.oid;
    clone::column_comments(b, oid, &shadow).await
}

/// They are never inherited. The names and types of their sequences are mended with those of all tables.
async fn identities(b: &mut Builder<'_>) -> Result<()> {
    let sql = format!(
        "SELECT a.attname, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, \
           format('INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s %sCYCLE', q.seqincrement, q.seqmin, q.seqmax, q.seqstart, \
             q.seqcache, CASE WHEN q.seqcycle THEN '' ELSE 'NO ' END) \
         FROM pg_attribute a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid \
           AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype = 'i' \
         JOIN pg_sequence q ON q.seqrelid = d.objid WHERE a.attrelid = {} AND a.attidentity <> '' ORDER BY a.attnum",
        b.source.oid
    );
    for row in b.session.rows(&sql).await? {
        let (name, kind) = (name_at(&row, 0), text_at(&row, 1).unwrap_or_default());
        let (options, shadow) = (text_at(&row, 2).unwrap_or_default(), b.shadow().clone());
        made(b, format!("ALTER TABLE {shadow} ALTER COLUMN {name} ADD GENERATED {kind} AS IDENTITY ({options})"))
            .await?;
    }
    Ok(())
}

async fn made(b: &mut Builder<'_>, sql: String) -> Result<()> {
    b.run(sql).await.map_err(|error| match error.kind() {
        Kind::Definite => {
            let why = "a copy of it can't be put under copies of its parents";
            b.refused(why).todo("Run the ALTER natively.").caused_by(error)
        }
        _ => error,
    })
}
