//! Whatever hangs on the table and can't follow: refused, by name.
//!
//! The list of what can follow is closed; what PostgreSQL 25 will invent is refused until somebody has looked at it.

use super::super::session::text_at;
use super::super::sql::Table;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

/// At most so many are named.
const MOST: usize = 20;

pub async fn refuse(b: &mut Builder<'_>) -> Result<()> {
    let (oid, types) = (b.source.oid, b.source.type_list());
    let found = hanging(
        b,
        oid,
        &types,
        "'v', 'm'",
        "d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass",
    )
    .await?;
    refused(b, found, "these depend on it and can't follow to the new table")
}

/// The same for a materialized view over the table: what only views can do is hang on it.
pub async fn refuse_over(b: &mut Builder<'_>, view: &Table, oid: u32, types: &str) -> Result<()> {
    let mut found = hanging(b, oid, types, "'v'", "false").await?;
    let statistics = format!(
        "SELECT pg_describe_object('pg_statistic_ext'::regclass, oid, 0) FROM pg_statistic_ext WHERE stxrelid = {oid}"
    );
    found.extend(b.session.rows(&statistics).await?.iter().filter_map(|row| text_at(row, 0)));
    refused(b, found, &format!("these depend on the materialized view {} and can't follow to a new one", view.bare()))
}

/// What is no view of these kinds, none of these policies, and hangs on the relation of this number.
async fn hanging(b: &mut Builder<'_>, oid: u32, types: &str, kinds: &str, policies: &str) -> Result<Vec<String>> {
    // What hangs on the table, on its row type, and on the sequences of its identity columns (which are made anew); but
    // for what is a part of the table and what is taken along.
    let sql = format!(
        "WITH hanging AS ( \
           SELECT d.* FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid} \
           UNION SELECT d.* FROM pg_depend d WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN ({types}) \
           UNION SELECT d.* FROM pg_depend o JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.objid \
             WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = {oid} AND o.deptype = 'i' \
               AND o.refobjsubid > 0) \
         SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM hanging d \
         WHERE d.deptype <> 'i' \
           AND NOT (d.classid = 'pg_class'::regclass AND d.objid = {oid}) \
           AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN ({types})) \
           AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef x WHERE x.oid = d.objid AND x.adrelid = {oid})) \
           AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = d.objid AND x.indrelid = {oid})) \
           AND NOT (d.classid = 'pg_class'::regclass AND d.deptype = 'a' AND EXISTS (SELECT FROM pg_class x WHERE x.oid = d.objid AND x.relkind = 'S')) \
           AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint x WHERE x.oid = d.objid \
                AND (x.conrelid = {oid} OR x.contype = 'f'))) \
           AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger x WHERE x.oid = d.objid \
                AND (x.tgrelid = {oid} OR x.tgisinternal))) \
           AND NOT ({policies}) \
           AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (SELECT FROM pg_rewrite x JOIN pg_class v ON v.oid = x.ev_class \
                WHERE x.oid = d.objid AND (v.oid = {oid} OR (v.relkind IN ({kinds}) AND x.rulename = '_RETURN')))) \
           AND NOT (d.classid = 'pg_statistic_ext'::regclass AND EXISTS (SELECT FROM pg_statistic_ext x WHERE x.oid = d.objid AND x.stxrelid = {oid})) \
           AND d.classid <> 'pg_publication_rel'::regclass \
         ORDER BY 1"
    );
    Ok(b.session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect())
}

fn refused(b: &Builder<'_>, found: Vec<String>, why: &str) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let mut named = found.iter().take(MOST).cloned().collect::<Vec<_>>().join("; ");
    if found.len() > MOST {
        named.push_str(&format!("; and {} more", found.len() - MOST));
    }
    Err(b
        .refused(&format!("{why}: {named}"))
        .todo("Drop them for the time of the change and make them again after it, or run the ALTER natively."))
}
