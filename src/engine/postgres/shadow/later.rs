//! Indexes that are built after the copy.
//!
//! A row that is copied into a table with many indexes looks for its place in each of them; an index that is built over
//! rows that are there sorts them once. So those that the copy does not need are taken off the empty shadow, after
//! the ALTER has made them what they will be, and are built when the rows are there, before what changed meanwhile is
//! caught up with and all is verified. What holds rows to something stays: unique indexes, exclusion constraints, the
//! key's own. So does what CREATE INDEX alone does not bring back: a mark of CLUSTER, statistics targets, another
//! tablespace, an extension that it depends on.

use serde::{Deserialize, Serialize};

use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Ident, Table, text};
use super::builder::Builder;
use super::keys;
use crate::error::Result;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    pub index: Table,
    /// CREATE INDEX, and its comment if it has one.
    pub statements: Vec<String>,
}

/// Takes them off the shadow. To be said last: what else is found out about the shadow counts them in.
pub async fn take_off(b: &mut Builder<'_>) -> Result<Vec<Later>> {
    let sql = format!(
        "SELECT c.relname, pg_get_indexdef(c.oid), obj_description(c.oid, 'pg_class') \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {} AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.indisclustered \
           AND NOT i.indisreplident AND c.reltablespace = 0 AND c.relname <> {} \
           AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) \
           AND NOT EXISTS (SELECT 1 FROM pg_depend d \
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('x', 'e')) \
         ORDER BY c.oid",
        b.shadow().regclass(),
        text(keys::INDEX),
    );
    let schema = b.shadow().schema.clone();
    let mut found = Vec::new();
    for row in b.session.rows(&sql).await? {
        let index = Table { schema: schema.clone(), name: name_at(&row, 0) };
        let mut statements = vec![text_at(&row, 1).unwrap_or_default()];
        statements.extend(text_at(&row, 2).map(|comment| format!("COMMENT ON INDEX {index} IS {}", text(&comment))));
        b.run(format!("DROP INDEX {index}")).await?;
        found.push(Later { index, statements });
    }
    Ok(found)
}

impl Later {
    /// The query that returns a row if the index is there.
    pub fn is_there(&self) -> String {
        format!("SELECT 1 WHERE to_regclass({}) IS NOT NULL", text(&self.index.to_string()))
    }

    pub fn name(&self) -> &Ident {
        &self.index.name
    }
}
