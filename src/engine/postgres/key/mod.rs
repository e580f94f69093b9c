//! The key of a table: which columns, how their values are encoded, and how rows are asked for by it.

mod choose;
mod code;

pub use choose::choose;
pub use code::Form;

use serde::{Deserialize, Serialize};

use super::session::{Session, text_at};
use super::sql::{Ident, Table, TypeName, list, text};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    pub name: Ident,
    /// With no length or precision, so that a literal is never cut or rounded.
    pub kind: TypeName,
    pub form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyShape {
    pub columns: Vec<KeyColumn>,
}

impl KeyShape {
    /// Reads the types of these columns.
    pub async fn read(session: &mut Session, table: &Table, columns: &[Ident]) -> Result<KeyShape> {
        let names = list(columns.iter().map(|c| text(c.bare())));
        // A domain's values are those of the type beneath it.
        let sql = format!(
            "WITH RECURSIVE base(attnum, oid, below) AS (\
               SELECT a.attnum, t.oid, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
               WHERE a.attrelid = {} AND a.attname IN ({names}) AND NOT a.attisdropped \
               UNION ALL SELECT base.attnum, t.oid, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.below) \
             SELECT a.attname, format_type(a.atttypid, -1), format_type(base.oid, -1), \
                    coalesce(CASE WHEN c.collname = 'default' THEN \
                      (SELECT CASE WHEN d.datlocprovider = 'c' THEN d.datcollate ELSE '' END FROM pg_database d \
                       WHERE d.datname = current_database()) ELSE c.collname END, '') \
             FROM pg_attribute a JOIN base ON base.attnum = a.attnum AND base.below = 0 \
             LEFT JOIN pg_collation c ON c.oid = a.attcollation WHERE a.attrelid = {}",
            table.regclass(),
            table.regclass()
        );
        let rows = session.rows(&sql).await?;
        let mut shape = KeyShape { columns: Vec::new() };
        for name in columns {
            let row = rows.iter().find(|row| row.get(0) == Some(name.bare())).ok_or_else(|| {
                Error::definite(format!("The table {} has no column '{}'.", table.bare(), name.bare()))
            })?;
            let (kind, base, collation) = (text_at(row, 1), text_at(row, 2), text_at(row, 3));
            let form = match (base.as_deref().unwrap_or_default(), collation.as_deref().unwrap_or_default()) {
                ("smallint" | "integer" | "bigint", _) => Form::Integer,
                ("uuid", _) => Form::Uuid,
                ("bytea", _) => Form::Bytea,
                ("text" | "character varying", "C" | "POSIX") => Form::Bytes,
                _ => Form::Printed,
            };
            let kind = TypeName::from_server(kind.unwrap_or_default());
            shape.columns.push(KeyColumn { name: name.clone(), kind, form });
        }
        Ok(shape)
    }

    pub fn order(&self) -> KeyOrder {
        if self.columns.iter().all(|c| c.form.ordered()) { KeyOrder::Bytes } else { KeyOrder::Unknown }
    }

    /// A key from its columns' values, as printed by the server.
    pub fn encode(&self, values: &[&[u8]]) -> Result<Key> {
        if values.len() != self.columns.len() {
            return Err(Error::definite(format!(
                "A key of {} columns came with {} values.",
                self.columns.len(),
                values.len()
            )));
        }
        let mut out = Vec::with_capacity(16);
        for (column, value) in self.columns.iter().zip(values) {
            column.form.encode(value, &mut out)?;
        }
        Ok(Key::new(&out))
    }

    /// The key's values as typed literals.
    pub fn literals(&self, key: &Key) -> Result<Vec<String>> {
        let mut rest = key.as_bytes();
        let mut out = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let value = column.form.decode(&mut rest).ok_or_else(|| Error::definite("A stored key can't be read."))?;
            out.push(format!("{}::{}", text(&value), column.kind));
        }
        Ok(out)
    }

    pub fn names(&self) -> String {
        list(self.columns.iter().map(|c| &c.name))
    }

    /// The condition that names the rows of these keys.
    pub fn where_keys(&self, keys: &[Key]) -> Result<String> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.push(format!("({})", self.literals(key)?.join(", ")));
        }
        Ok(format!("({}) IN ({})", self.names(), rows.join(", ")))
    }
}
