//! The comparison with a native ALTER: the table that osc made against the old one, altered natively.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use super::database::Database;

/// Alters the kept old table natively and asserts that both are equal, in definition and in rows.
pub async fn assert_twin(db: &mut Database, table: &str, old: &str, alter: &str) -> usize {
    assert_twin_but(db, table, old, alter, str::to_owned).await
}

/// The same, with definitions that both went through `alike`.
pub async fn assert_twin_but(
    db: &mut Database,
    table: &str,
    old: &str,
    alter: &str,
    alike: impl Fn(&str) -> String,
) -> usize {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let sql = format!("ALTER TABLE {} {alter}", quoted(old));
    db.admin.query_drop(&sql).await.unwrap_or_else(|e| panic!("the native twin: {sql}: {e}"));
    let ours = db.show_create(table).await;
    let native = db.show_create(old).await.replacen(&quoted(old), &quoted(table), 1);
    // MySQL names a CHECK without a name after its table, and renames it with the table.
    let native =
        native.replace(&format!("`{}_chk_", old.replace('`', "``")), &format!("`{}_chk_", table.replace('`', "``")));
    assert_eq!(alike(&ours), alike(&native), "the definitions differ");
    let ours = rows(db, table, "TRUE").await;
    let native = rows(db, old, "TRUE").await;
    assert_eq!(ours.len(), native.len(), "the number of rows differs");
    for (ours, native) in ours.iter().zip(&native) {
        assert_eq!(ours, native, "a row differs (ours, native)");
    }
    ours.len()
}

/// The rows that satisfy a condition, as text, sorted by the text: no collation or key may hide a difference.
pub async fn rows(db: &mut Database, table: &str, condition: &str) -> Vec<Vec<String>> {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    // SELECT * would leave invisible columns out.
    let columns: Vec<Row> = db.rows(&format!("SHOW COLUMNS FROM {}", quoted(table))).await;
    let columns: Vec<String> = columns.iter().filter_map(|c| c.get::<String, _>(0)).map(|c| quoted(&c)).collect();
    let rows: Vec<Row> = db
        .admin
        .query(format!("SELECT {} FROM {} WHERE {condition}", columns.join(", "), quoted(table)))
        .await
        .unwrap_or_else(|e| panic!("reading {table}: {e}"));
    let mut all: Vec<Vec<String>> = rows.into_iter().map(|row| row.unwrap().into_iter().map(shown).collect()).collect();
    all.sort();
    all
}

fn shown(value: Value) -> String {
    match value {
        Value::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        other => format!("{other:?}"),
    }
}
