//! Whether a table and all that hangs on it are still as they were.
//!
//! DDL is in no stream (trap 12), so this is compared instead: when the run begins, while it is on, and under the
//! lock. One statement. It is made of definitions and names, never of what maintenance changes: VACUUM, ANALYZE,
//! REINDEX CONCURRENTLY (which gives an index another number, and has an invalid one for a while) and writes
//! leave it as it is. osc's own publication is left out.

use crate::engine::postgres::session::{Session, text_at};
use crate::engine::postgres::sql::Table;
use crate::error::Result;

/// What it consists of, each with the query that prints it. `me` is the table's number, `rels` are the table and
/// all views over it, `types` its row type and the array of it, `above` all tables that it hangs under.
const PARTS: &[(&str, &str)] = &[
    (
        "the table",
        "SELECT ROW(n.nspname, c.relname, c.relkind, c.relpersistence, c.relowner, c.relam, c.reltablespace, \
           c.reloptions::text, t.reloptions::text, c.reloftype, c.relispartition, c.relreplident) \
         FROM rels JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.relkind = 'r' OR c.relkind = 'p'",
    ),
    (
        "columns",
        "SELECT ROW(a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attgenerated, \
           a.attidentity, a.attislocal, a.attinhcount, a.attstattarget, a.attoptions::text, a.attstorage, a.attcompression, \
           pg_get_expr(d.adbin, d.adrelid)) \
         FROM me JOIN pg_attribute a ON a.attrelid = me.oid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attnum > 0 AND NOT a.attisdropped",
    ),
    (
        "indexes",
        "SELECT ROW(pg_get_indexdef(i.indexrelid), i.indisclustered, i.indisreplident, i.indisunique, \
           i.indimmediate, c.reltablespace, c.reloptions::text, \
           (SELECT string_agg(concat_ws('=', a.attnum, a.attstattarget), ';' ORDER BY a.attnum) \
            FROM pg_attribute a WHERE a.attrelid = c.oid)) \
         FROM me JOIN pg_index i ON i.indrelid = me.oid JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisvalid",
    ),
    (
        "constraints",
        "SELECT ROW(c.conrelid::regclass, c.conname, c.contype, c.convalidated, c.connoinherit, c.conislocal, c.coninhcount, \
           pg_get_constraintdef(c.oid)) \
         FROM me JOIN pg_constraint c ON me.oid IN (c.conrelid, c.confrelid)",
    ),
    (
        "triggers",
        "SELECT ROW(pg_get_triggerdef(t.oid), t.tgenabled, t.tgparentid <> 0) FROM rels JOIN pg_trigger t ON t.tgrelid = rels.oid \
         WHERE NOT t.tgisinternal",
    ),
    (
        "policies",
        "SELECT ROW(c.relrowsecurity, c.relforcerowsecurity, p.polname, p.polcmd, p.polpermissive, p.polroles::text, \
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) \
         FROM me JOIN pg_class c USING (oid) LEFT JOIN pg_policy p ON p.polrelid = c.oid",
    ),
    (
        "views and rules",
        "SELECT ROW(n.nspname, c.relname, c.relkind, c.relowner, c.reloptions::text, r.rulename, r.ev_enabled, \
           pg_get_ruledef(r.oid)) \
         FROM rels JOIN pg_rewrite r ON r.ev_class = rels.oid JOIN pg_class c ON c.oid = rels.oid \
         JOIN pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "columns of views",
        "SELECT ROW(a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, pg_get_expr(d.adbin, d.adrelid)) \
         FROM rels JOIN pg_attribute a ON a.attrelid = rels.oid \
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND rels.oid NOT IN (SELECT oid FROM me)",
    ),
    (
        "indexes of materialized views",
        "SELECT ROW(pg_get_indexdef(i.indexrelid), i.indisclustered, c.reltablespace, m.reltablespace, m.relam) \
         FROM rels JOIN pg_class m ON m.oid = rels.oid AND m.relkind = 'm' \
         LEFT JOIN pg_index i ON i.indrelid = m.oid AND i.indisvalid LEFT JOIN pg_class c ON c.oid = i.indexrelid",
    ),
    (
        "rules elsewhere",
        "SELECT pg_get_ruledef(r.oid) FROM uses JOIN pg_rewrite r ON r.oid = uses.objid \
         WHERE uses.classid = 'pg_rewrite'::regclass",
    ),
    (
        "policies elsewhere",
        "SELECT ROW(p.polrelid, p.polname, p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) \
         FROM uses JOIN pg_policy p ON p.oid = uses.objid, me WHERE uses.classid = 'pg_policy'::regclass AND p.polrelid <> me.oid",
    ),
    (
        "extended statistics",
        "SELECT ROW(pg_get_statisticsobjdef(s.oid), s.stxowner, s.stxstattarget) \
         FROM me JOIN pg_statistic_ext s ON s.stxrelid = me.oid",
    ),
    (
        "publications",
        "SELECT ROW(p.pubname, r.prattrs::text, pg_get_expr(r.prqual, r.prrelid)) \
         FROM me JOIN pg_publication_rel r ON r.prrelid = me.oid JOIN pg_publication p ON p.oid = r.prpubid \
         WHERE p.pubname !~ '^osc_[0-9a-f]{16}$'",
    ),
    (
        "sequences",
        "SELECT ROW(n.nspname, c.relname, c.relowner, c.relacl::text, d.refobjsubid, d.deptype, s.seqtypid, s.seqstart, \
           s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle) \
         FROM seqs d JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_sequence s ON s.seqrelid = c.oid",
    ),
    (
        "grants",
        "SELECT ROW(c.oid, c.relacl::text, \
           (SELECT string_agg(concat_ws('=', a.attnum, a.attacl::text), ';' ORDER BY a.attnum) FROM pg_attribute a \
            WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)) \
         FROM rels JOIN pg_class c USING (oid)",
    ),
    (
        "comments",
        "SELECT ROW(d.classoid, o.name, d.objsubid, d.description) FROM ( \
           SELECT 'pg_class'::regclass, rels.oid, rels.oid::text FROM rels \
           UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, c.relname FROM rels JOIN pg_index i ON i.indrelid = rels.oid \
             JOIN pg_class c ON c.oid = i.indexrelid \
           UNION ALL SELECT 'pg_class'::regclass, objid, objid::text FROM seqs \
           UNION ALL SELECT 'pg_constraint'::regclass, c.oid, c.conname FROM me JOIN pg_constraint c ON me.oid IN (c.conrelid, c.confrelid) \
           UNION ALL SELECT 'pg_trigger'::regclass, t.oid, t.tgname FROM rels JOIN pg_trigger t ON t.tgrelid = rels.oid \
           UNION ALL SELECT 'pg_policy'::regclass, p.oid, p.polname FROM me JOIN pg_policy p ON p.polrelid = me.oid \
           UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, r.rulename FROM rels JOIN pg_rewrite r ON r.ev_class = rels.oid \
           UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, s.stxname FROM me JOIN pg_statistic_ext s ON s.stxrelid = me.oid \
         ) o(class, oid, name) JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid",
    ),
    (
        "what it hangs under",
        "SELECT ROW(c.oid, n.nspname, c.relname, c.relkind, c.relowner, pg_get_partkeydef(c.oid), \
           pg_get_expr(c.relpartbound, c.oid), p.partdefid) \
         FROM above JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid \
         UNION ALL SELECT ROW(i.inhrelid, i.inhparent, i.inhseqno, i.inhdetachpending) \
         FROM (SELECT oid FROM me UNION SELECT oid FROM above) x JOIN pg_inherits i ON i.inhrelid = x.oid \
         UNION ALL SELECT ROW(pg_get_expr(c.relpartbound, c.oid), pg_get_partition_constraintdef(c.oid)) \
         FROM me JOIN pg_class c USING (oid) \
         UNION ALL SELECT ROW(c.relname, p.relname) FROM me JOIN pg_index x ON x.indrelid = me.oid AND x.indisvalid \
         JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent \
         UNION ALL SELECT ROW(pg_get_indexdef(x.indexrelid), EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid)) \
         FROM above JOIN pg_index x ON x.indrelid = above.oid \
         JOIN pg_partitioned_table p ON p.partrelid = above.oid \
         UNION ALL SELECT ROW(pg_get_triggerdef(t.oid), t.tgenabled) FROM above JOIN pg_trigger t ON t.tgrelid = above.oid \
         JOIN pg_partitioned_table p ON p.partrelid = above.oid WHERE NOT t.tgisinternal AND t.tgtype & 1 = 1",
    ),
    (
        "what else depends on it",
        "SELECT ROW(u.classid, u.objid, u.deptype) FROM uses u \
         WHERE u.classid IN ('pg_proc'::regclass, 'pg_type'::regclass) \
            OR (u.classid = 'pg_class'::regclass AND u.refclassid = 'pg_type'::regclass) \
         UNION ALL SELECT ROW(i.inhrelid, i.inhparent) FROM me JOIN pg_inherits i ON me.oid = i.inhparent \
         UNION ALL SELECT ROW(s.objsubid, s.provider, s.label) FROM me JOIN pg_seclabel s ON s.objoid = me.oid",
    ),
];

/// The table and all that hangs on it: one line a part, equal as long as nothing of it was changed. Empty when there is no such
/// table.
pub async fn fingerprint(session: &mut Session, table: &Table) -> Result<String> {
    let parts: Vec<String> = PARTS
        .iter()
        .map(|(name, query)| {
            format!("SELECT '{name}' AS part, (SELECT md5(string_agg(x.line::text, E'\\n' ORDER BY x.line::text COLLATE \"C\")) FROM ({query}) x(line)) AS sum")
        })
        .collect();
    let sql = format!(
        "WITH RECURSIVE me AS (SELECT c.oid, c.reltype, t.typarray FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_type t ON t.oid = c.reltype WHERE n.nspname = {} AND c.relname = {}), \
           rels(oid) AS (SELECT oid FROM me UNION SELECT r.ev_class FROM rels \
             JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = rels.oid AND d.classid = 'pg_rewrite'::regclass \
             JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'), \
           above(oid) AS (SELECT i.inhparent FROM me JOIN pg_inherits i ON i.inhrelid = me.oid \
             UNION SELECT i.inhparent FROM above JOIN pg_inherits i ON i.inhrelid = above.oid), \
           uses AS (SELECT DISTINCT d.classid, d.objid, d.refclassid, d.deptype FROM me JOIN pg_depend d \
             ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = me.oid) \
             OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (me.reltype, me.typarray)) \
             WHERE d.deptype <> 'i'), \
           seqs AS (SELECT d.objid, d.refobjsubid, d.deptype FROM me JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass \
             AND d.refobjid = me.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 \
             JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S') \
         SELECT string_agg(part || ': ' || coalesce(sum, '-'), E'\\n') FROM ({}) p WHERE EXISTS (SELECT FROM me)",
        crate::engine::postgres::sql::text(table.schema.bare()),
        crate::engine::postgres::sql::text(table.name.bare()),
        parts.join(" UNION ALL ")
    );
    Ok(session.first(&sql).await?.and_then(|row| text_at(&row, 0)).unwrap_or_default())
}

/// What was changed between two fingerprints, for the message that says so.
pub fn changed(before: &str, now: &str) -> String {
    if now.is_empty() {
        return "the table is gone".into();
    }
    let names: Vec<&str> = before
        .lines()
        .filter(|line| !now.lines().any(|other| other == *line))
        .filter_map(|line| line.split(':').next())
        .collect();
    names.join(", ")
}
