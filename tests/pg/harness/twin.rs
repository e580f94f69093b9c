//! The comparison with a native ALTER: the table that osc made against the old one, altered natively.

use super::database::Database;
use super::sql;

/// Alters the kept old table natively and asserts that both are equal, in definition and in rows. `table` is the bare
/// name of one in schema public.
pub async fn assert_twin(db: &Database, table: &str, alter: &str) -> usize {
    let old = db.old_of(table).await;
    let schema = old.split('.').next().expect("schema.table").to_owned();
    let (ours, native) = (format!("public.\"{table}\""), format!("{schema}.\"{table}\""));
    // In a session of the zone that osc's have: conversions of times depend on it.
    sql::run(&db.admin, "SET timezone = 'UTC'").await;
    let sql = format!("ALTER TABLE {native} {alter}");
    db.admin.batch_execute(&sql).await.unwrap_or_else(|e| panic!("the native twin: {sql}: {e:?}"));
    let here = definition(db, &ours).await;
    let there: Vec<String> =
        definition(db, &native).await.into_iter().map(|line| line.replace(&format!("{schema}."), "public.")).collect();
    assert_eq!(here, there, "the definitions differ (ours, native)");
    let (ours, native) = (records(db, &ours, "true").await, records(db, &native, "true").await);
    assert_eq!(ours.len(), native.len(), "the number of rows differs");
    for (ours, native) in ours.iter().zip(&native) {
        assert_eq!(ours, native, "a row differs (ours, native)");
    }
    ours.len()
}

/// What `\d+` would show: columns, indexes, constraints, options, a line each.
pub async fn definition(db: &Database, table: &str) -> Vec<String> {
    let of = format!("'{table}'::regclass");
    let columns = format!(
        "SELECT concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), \
           CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation END, \
           CASE WHEN a.attnotnull THEN 'not null' END, 'identity', nullif(a.attidentity, ''), \
           'generated', nullif(a.attgenerated, ''), 'storage', a.attstorage, 'compression', nullif(a.attcompression, ''), \
           'statistics', a.attstattarget, a.attoptions, 'default', pg_get_expr(d.adbin, d.adrelid)) \
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
           LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = {of} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    );
    let indexes = format!(
        "SELECT concat_ws(' ', pg_get_indexdef(indexrelid), CASE WHEN indisprimary THEN 'primary' END, \
           CASE WHEN NOT indisvalid THEN 'invalid' END, CASE WHEN indisreplident THEN 'identity' END) \
         FROM pg_index WHERE indrelid = {of} ORDER BY 1"
    );
    // NOT NULL constraints are rows of their own from 18 on.
    let constraints = format!(
        "SELECT concat_ws(' ', conname, pg_get_constraintdef(oid), CASE WHEN NOT convalidated THEN 'not valid' END) \
         FROM pg_constraint WHERE conrelid = {of} ORDER BY 1"
    );
    let table = format!(
        "SELECT concat_ws(' ', 'persistence', relpersistence, 'identity', relreplident, reloptions, pg_get_userbyid(relowner)) \
         FROM pg_class WHERE oid = {of}"
    );
    let mut lines = Vec::new();
    for query in [columns, indexes, constraints, table] {
        lines.extend(db.rows(&query).await.into_iter().filter_map(|row| row.into_iter().next().flatten()));
    }
    lines
}

/// The rows that satisfy a condition, each as one text of all its columns as the server prints them, sorted by the
/// text: no collation or key may hide a difference.
pub async fn records(db: &Database, table: &str, condition: &str) -> Vec<String> {
    let columns = format!(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
    );
    let columns: String = db.one(&columns).await;
    // Not a cast of each: char(n) would lose its blanks.
    let rows = db.rows(&format!("SELECT ROW({columns})::text FROM {table} WHERE {condition}")).await;
    let mut all: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    all.sort();
    all
}
