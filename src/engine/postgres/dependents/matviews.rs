//! Materialized views over the table: those that name it themselves.
//!
//! The server has no CREATE OR REPLACE for them, and none can be led to another table: each gets a twin over the new
//! table, in a schema of osc's, which takes its place after the swap (`fence::follow`). Not in it: a twin over the shadow would hold
//! rows of different moments, which never stood in the table together; over the new table, once that has its name, the
//! server fills it from one snapshot. Until then the materialized view shows what it showed, as after a native ALTER,
//! and from then on it is as if it had been refreshed.
//!
//! While the ALTER runs a twin stands over the empty shadow, as copies of views do: the server says what it would say, and
//! all that the materialized view has (indexes, options, comments, grants) is made once, so that no statement is said for the
//! first time after the swap. Its name, and those of its indexes, are the materialized view's own: `SET SCHEMA` takes them along.

use serde::{Deserialize, Serialize};

use super::super::alter::lex::requalify;
use super::super::catalog::{name_at, options};
use super::super::session::{code, number, text_at};
use super::super::sql::{Ident, Table, list};
use super::{Parts, others, views};
use crate::engine::postgres::shadow::builder::Builder;
use crate::engine::postgres::shadow::clone;
use crate::error::Result;

/// What leads one to the new table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matview {
    pub name: Table,
    pub twin: Table,
    pub owner: Ident,
    /// Makes the twin, without rows.
    pub make: Vec<String>,
    /// Under which settings it is filled, found out shortly before the swap: those of a session of its owner's. What a value
    /// of a column is may depend on them (a day of a timestamptz on the time zone).
    pub settings: Vec<(String, String)>,
}

/// One with its twin over the shadow.
pub struct StandIn {
    name: Table,
    twin: Table,
    owner: Ident,
    /// `USING … WITH … TABLESPACE …`.
    storage: String,
    make: Vec<String>,
}

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<StandIn>> {
    let sql = format!(
        "SELECT m.oid, n.nspname, m.relname, pg_get_userbyid(m.relowner), pg_get_viewdef(m.oid), quote_ident(am.amname), \
           quote_ident(ts.spcname), concat_ws(', ', m.reltype, t.typarray), has_schema_privilege(n.oid, 'CREATE') \
         FROM pg_class m JOIN pg_namespace n ON n.oid = m.relnamespace JOIN pg_type t ON t.oid = m.reltype \
         JOIN pg_am am ON am.oid = m.relam LEFT JOIN pg_tablespace ts ON ts.oid = m.reltablespace \
         WHERE m.relkind = 'm' AND m.oid IN (SELECT r.ev_class FROM pg_depend d \
           JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' WHERE d.classid = 'pg_rewrite'::regclass \
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {}) ORDER BY m.oid",
        b.source.oid
    );
    let mut out = Vec::new();
    for row in b.session.rows(&sql).await? {
        let (oid, owner): (u32, _) = (number(&row, 0)?, name_at(&row, 3));
        let name = Table { schema: name_at(&row, 1), name: name_at(&row, 2) };
        let types = text_at(&row, 7).unwrap_or_default();
        may_follow(b, &name, &owner, oid, &types, row.get(8) == Some("t")).await?;
        let twin = Table { schema: b.shadow().schema.clone(), name: name.name.clone() };
        let with = options(b.session, oid).await?;
        let with = if with.is_empty() { String::new() } else { format!(" WITH ({})", list(&with)) };
        let tablespace = text_at(&row, 6).map_or_else(String::new, |name| format!(" TABLESPACE {name}"));
        let storage = format!(" USING {}{with}{tablespace}", text_at(&row, 5).unwrap_or_default());
        let map = [(b.names.original.clone(), b.shadow().clone())];
        let definition = requalify(&text_at(&row, 4).unwrap_or_default(), &map)?;
        let from = b.statements.len() + 1;
        made(b, &name, oid, &twin, &owner, create(&twin, &storage, &definition)).await?;
        let make = b.statements.get(from..).unwrap_or_default().to_vec();
        out.push(StandIn { name, twin, owner, storage, make });
    }
    let twins: Vec<(&Table, &Table)> = out.iter().map(|one| (&one.twin, &one.name)).collect();
    views::none_astray(b, &twins).await?;
    Ok(out)
}

/// Refuses one that osc may not put another in the place of, or that others lean on.
async fn may_follow(
    b: &mut Builder<'_>,
    name: &Table,
    owner: &Ident,
    oid: u32,
    types: &str,
    creates: bool,
) -> Result<()> {
    b.acts_as(owner, &format!("the materialized view {}", name.bare())).await?;
    if !creates {
        let account = b.session.value("SELECT quote_ident(current_user)").await?.unwrap_or_default();
        return Err(b
            .refused(&format!(
                "the materialized view {} needs a new one in its place, and osc may not create anything in its schema",
                name.bare()
            ))
            .todo(format!("For the time of the change: GRANT CREATE ON SCHEMA {} TO {account}.", name.schema)));
    }
    others::refuse_over(b, name, oid, types).await?;
    for view in views::over(b.session, oid, types).await? {
        b.acts_as(&view.owner, &format!("the view {}", view.name.bare())).await?;
    }
    Ok(())
}

fn create(twin: &Table, storage: &str, definition: &str) -> String {
    let query = definition.trim_end().trim_end_matches(';');
    format!("CREATE MATERIALIZED VIEW {twin}{storage} AS {query} WITH NO DATA")
}

/// The twin with all that the other one has.
async fn made(b: &mut Builder<'_>, name: &Table, oid: u32, twin: &Table, owner: &Ident, create: String) -> Result<()> {
    let schema = twin.schema.clone();
    let all = async {
        b.run(create).await?;
        b.run(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}")).await?;
        b.run(format!("ALTER MATERIALIZED VIEW {twin} OWNER TO {owner}")).await?;
        clone::columns(b, oid, twin).await?;
        storage(b, oid, twin).await?;
        clone::indexes(b, oid, twin).await?;
        clone::comments(b, oid, twin, "MATERIALIZED VIEW").await?;
        clone::column_comments(b, oid, twin).await?;
        clone::grants(b, "TABLE", name, twin).await
    };
    all.await.map_err(|error| match code(&error).map(|c| c.code().to_owned()).as_deref() {
        // In one schema for a moment, where they were in two.
        Some("42P07") => b
            .refused(&format!(
                "the materialized view {}, or an index of it, is called like the table or an index of it, in another schema",
                name.bare()
            ))
            .caused_by(error),
        _ => error,
    })
}

/// What a table's copy has by LIKE.
async fn storage(b: &mut Builder<'_>, oid: u32, twin: &Table) -> Result<()> {
    let sql = format!(
        "SELECT a.attname, CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' \
             WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' WHEN 'm' THEN 'MAIN' END END, \
           CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END \
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    );
    for row in b.session.rows(&sql).await? {
        let column = name_at(&row, 0);
        if let Some(storage) = text_at(&row, 1) {
            b.run(format!("ALTER TABLE {twin} ALTER COLUMN {column} SET STORAGE {storage}")).await?;
        }
        if let Some(method) = text_at(&row, 2) {
            b.run(format!("ALTER TABLE {twin} ALTER COLUMN {column} SET COMPRESSION {method}")).await?;
        }
    }
    Ok(())
}

pub async fn after(b: &mut Builder<'_>, stand_ins: Vec<StandIn>, parts: &mut Parts) -> Result<()> {
    let map = [(b.names.shadow.clone(), b.names.original.clone())];
    for StandIn { name, twin, owner, storage, make } in stand_ins {
        let sql = format!("SELECT pg_get_viewdef({})", twin.regclass());
        let definition = requalify(&b.session.value(&sql).await?.unwrap_or_default(), &map)?;
        b.run(format!("DROP MATERIALIZED VIEW {twin}")).await?;
        b.warnings.push(format!(
            "The materialized view {} is refreshed right after the swap, over the new table; until then it shows what it shows \
             now. Let nobody refresh or alter it between the swap and the end of the run.",
            name.bare()
        ));
        let make = [create(&twin, &storage, &definition)].into_iter().chain(make).collect();
        parts.matviews.push(Matview { name, twin, owner, make, settings: Vec::new() });
    }
    Ok(())
}
