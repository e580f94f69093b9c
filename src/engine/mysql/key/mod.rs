//! The key that carries a copy: everything that turns rows into keys and keys into SQL.
//!
//! A key is the encoding of its columns' values, one behind the other, so it is decoded by the same
//! [`KeySpec`] that made it. The spec is stored with the run: a later life reads the same keys.

mod choose;
mod kind;
mod literal;
mod parse;
mod predicate;
mod value;

pub use choose::{Conditions, choose};
pub use kind::Kind;

use mysql_async::Row;
use mysql_async::binlog::value::BinlogValue;
use serde::{Deserialize, Serialize};

use super::decode::KeyReader;
use super::sql::{Ident, Qualified, list};
use crate::error::Result;
use crate::model::{Key, KeyOrder, Range, Rows};
use predicate::Col;
use value::{Value, broken};

/// Which of the two tables a statement reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Shadow,
}

/// The key that carries the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// The original's unique index.
    pub index: Ident,
    /// The shadow's index that begins with the same columns.
    pub shadow_index: Ident,
    /// Whether the key is unique in the shadow too. If not (the ALTER put another column into the
    /// primary key), a DELETE of the key and an INSERT of the source's row still make them equal.
    pub shadow_unique: bool,
    pub columns: Vec<KeyColumn>,
    pub order: KeyOrder,
    /// How many columns a row event of the table has.
    pub table_columns: usize,
    positions: Vec<usize>,
}

/// A column of the key, on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    pub name: Ident,
    /// From 0, in the original and in its row events.
    pub position: usize,
    pub kind: Kind,
    pub descending: bool,
    pub shadow_name: Ident,
    pub shadow_kind: Kind,
}

impl KeyReader for KeySpec {
    fn columns(&self) -> &[usize] {
        &self.positions
    }

    fn encode(&self, values: &[&BinlogValue<'_>]) -> Result<Key> {
        if values.len() != self.columns.len() {
            return Err(broken("a row event without all of its columns"));
        }
        self.pack(self.columns.iter().zip(values).map(|(c, v)| parse::from_binlog(&c.kind, v)))
    }

    fn table_columns(&self) -> usize {
        self.table_columns
    }
}

impl KeySpec {
    /// The key's columns, by their names on one side.
    pub fn names(&self, side: Side) -> Vec<&Ident> {
        self.columns.iter().map(|c| if side == Side::Source { &c.name } else { &c.shadow_name }).collect()
    }

    /// The condition that the rows `s` of the source and `t` of the shadow have the same key, by `=` or `<=>`.
    pub fn same(&self, s: &'static str, t: &'static str, sign: &str) -> String {
        let one = |c: &KeyColumn| {
            let (from, to) =
                (Qualified { alias: Some(s), name: &c.name }, Qualified { alias: Some(t), name: &c.shadow_name });
            match (&c.kind, &c.shadow_kind) {
                // The server fills a BINARY up with zeros, and they count.
                (Kind::Binary { len: a }, Kind::Binary { len: b }) if a < b => {
                    format!("{to} {sign} RPAD({from}, {b}, x'00')")
                }
                _ => format!("{to} {sign} {from}"),
            }
        };
        self.columns.iter().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// What to select from the shadow `t` to read keys with [`KeySpec::read_shadow_row`].
    pub fn shadow_select_list(&self, t: &'static str) -> String {
        let one = |c: &KeyColumn| {
            literal::select_expression(&c.shadow_kind, &Qualified { alias: Some(t), name: &c.shadow_name })
        };
        list(self.columns.iter().map(one))
    }

    /// The key in a row of [`KeySpec::shadow_select_list`]; none if the source can't have such a key.
    pub fn read_shadow_row(&self, row: &Row) -> Result<Option<Key>> {
        let mut values = Vec::with_capacity(self.columns.len());
        for (at, c) in self.columns.iter().enumerate() {
            let field = row.as_ref(at).ok_or_else(|| broken("an answer without all of its columns"))?;
            let value = parse::from_select(&c.shadow_kind, field)?;
            let Some(value) = value::narrowed(&c.kind, value) else { return Ok(None) };
            values.push(Ok(value));
        }
        Ok(self.pack(values.into_iter()).ok())
    }

    /// What to select from the source to read keys with [`KeySpec::read_row`].
    pub fn select_list(&self) -> String {
        list(self.columns.iter().map(|c| literal::select_expression(&c.kind, &c.name)))
    }

    /// The same from a table with an alias.
    pub fn select_list_of(&self, alias: &'static str) -> String {
        let one = |c: &KeyColumn| literal::select_expression(&c.kind, &Qualified { alias: Some(alias), name: &c.name });
        list(self.columns.iter().map(one))
    }

    /// The key in a row whose columns from `offset` on are [`KeySpec::select_list`].
    pub fn read_row(&self, row: &Row, offset: usize) -> Result<Key> {
        self.pack(self.columns.iter().enumerate().map(|(at, c)| {
            let field = row.as_ref(offset + at).ok_or_else(|| broken("an answer without all of its columns"))?;
            parse::from_select(&c.kind, field)
        }))
    }

    /// The condition for the rows with these keys.
    pub fn where_keys(&self, side: Side, keys: &[Key]) -> Result<String> {
        self.where_rows(side, None, Rows::Keys(keys))
    }

    /// The condition for a set of rows, of a table with an alias or without.
    pub fn where_rows(&self, side: Side, alias: Option<&'static str>, rows: Rows<'_>) -> Result<String> {
        let unpack = |key: &Option<Key>| key.as_ref().map(|key| self.unpack(key)).transpose();
        let cols = self.cols(side, alias);
        match rows {
            Rows::Keys(keys) => {
                let values = keys.iter().map(|key| self.unpack(key)).collect::<Result<Vec<_>>>()?;
                Ok(predicate::keys(&cols, &values))
            }
            Rows::Range(range) => {
                let (after, upto) = (unpack(&range.after)?, unpack(&range.upto)?);
                Ok(predicate::range(&cols, after.as_deref(), upto.as_deref()))
            }
        }
    }

    /// The condition for the rows of a range; TRUE for the range that is open on both ends.
    pub fn where_range(&self, side: Side, range: &Range) -> Result<String> {
        self.where_rows(side, None, Rows::Range(range))
    }

    /// The columns for ORDER BY, in the order that ranges go by.
    pub fn order_by(&self, side: Side) -> String {
        list(self.cols(side, None).iter().map(|c| format!("{}{}", c.name, if c.descending { " DESC" } else { "" })))
    }

    /// The order from the end to the beginning.
    pub fn order_by_reversed(&self, side: Side) -> String {
        list(self.cols(side, None).iter().map(|c| format!("{}{}", c.name, if c.descending { "" } else { " DESC" })))
    }

    /// The hint that makes a SELECT or a multi-table DELETE go by the key.
    pub fn force_index(&self, side: Side) -> String {
        format!("FORCE INDEX ({})", if side == Side::Source { &self.index } else { &self.shadow_index })
    }

    /// The key for a message: `id=5, region='eu'`.
    pub fn describe(&self, key: &Key) -> String {
        match self.unpack(key) {
            Ok(values) => {
                list(self.columns.iter().zip(&values).map(|(c, v)| format!("{}={}", c.name.bare(), shown(c, v))))
            }
            Err(_) => format!("{key:?}"),
        }
    }

    /// What makes a key better than another: earlier is better.
    fn rank(&self) -> (bool, bool, usize, usize) {
        let width = |kind: &Kind| match kind {
            Kind::Int { width, .. } => *width as usize,
            Kind::Binary { len } => *len,
            Kind::VarBinary { len } => usize::try_from(*len).unwrap_or(usize::MAX),
            Kind::Text { chars, .. } => usize::try_from(*chars).unwrap_or(usize::MAX),
            _ => 8,
        };
        let total = self.columns.iter().map(|c| width(&c.kind)).fold(0, usize::saturating_add);
        (self.index.bare() != "PRIMARY", self.order != KeyOrder::Bytes, self.columns.len(), total)
    }

    fn cols(&self, side: Side, alias: Option<&'static str>) -> Vec<Col<'_>> {
        self.columns
            .iter()
            .map(|c| {
                let (name, kind) = match side {
                    Side::Source => (&c.name, &c.kind),
                    Side::Shadow => (&c.shadow_name, &c.shadow_kind),
                };
                // The original's values are all that the shadow can have.
                Col {
                    name: Qualified { alias, name },
                    kind,
                    spelled_out: c.kind.spelled_out(),
                    descending: c.descending,
                }
            })
            .collect()
    }

    fn pack(&self, values: impl Iterator<Item = Result<Value>>) -> Result<Key> {
        let mut out = Vec::with_capacity(16);
        for (column, value) in self.columns.iter().zip(values) {
            let from = out.len();
            value::encode(&column.kind, &value?, &mut out)
                .map_err(|e| e.context(&format!("Column {}", column.name)))?;
            if column.descending {
                out.iter_mut().skip(from).for_each(|byte| *byte = !*byte);
            }
        }
        Ok(Key::new(&out))
    }

    fn unpack(&self, key: &Key) -> Result<Vec<Value>> {
        let mut rest = key.as_bytes();
        let values = self
            .columns
            .iter()
            .map(|column| {
                if !column.descending {
                    return value::decode(&column.kind, &mut rest);
                }
                let flipped: Vec<u8> = rest.iter().map(|byte| !byte).collect();
                let mut left = flipped.as_slice();
                let value = value::decode(&column.kind, &mut left)?;
                rest = rest.get(flipped.len() - left.len()..).unwrap_or_default();
                Ok(value)
            })
            .collect::<Result<Vec<_>>>()?;
        if rest.is_empty() { Ok(values) } else { Err(broken("it is too long")) }
    }
}

/// A value as a person would write it.
fn shown(column: &KeyColumn, value: &Value) -> String {
    match (&column.kind, value) {
        (Kind::Enum { members, .. }, Value::Int(n)) => {
            let member = usize::try_from(n - 1).ok().and_then(|at| members.get(at));
            member.cloned().unwrap_or_else(|| n.to_string())
        }
        (Kind::Text { charset, .. }, Value::Bytes(bytes)) => {
            let readable = charset.starts_with("utf8") || charset == "ascii" || bytes.is_ascii();
            match std::str::from_utf8(bytes) {
                Ok(text) if readable && !text.contains('\0') => format!("'{text}'"),
                _ => literal::literal(&column.kind, value),
            }
        }
        (kind, value) => literal::literal(kind, value),
    }
}

#[cfg(test)]
mod tests;
