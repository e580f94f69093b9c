//! SQL text that can't be built from unquoted names.
//!
//! [`Ident`] and [`Table`] print themselves quoted, [`text`] and [`bytes`] make literals. Statements
//! are built with `format!` from these types alone; a `String` from outside never goes in bare.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a column, an index or a table, printed in backticks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ident(String);

impl Ident {
    pub fn new(name: impl Into<String>) -> Self {
        Ident(name.into())
    }

    /// The bare name, for messages and comparisons, never for SQL.
    pub fn bare(&self) -> &str {
        &self.0
    }

    /// Whether both name the same column: the servers compare column and index names without case.
    pub fn same_column(&self, other: &Ident) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// A column behind the alias of its table, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qualified<'a> {
    pub alias: Option<&'static str>,
    pub name: &'a Ident,
}

impl fmt::Display for Qualified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alias {
            Some(alias) => write!(f, "{alias}.{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// A table with its database, printed as `` `db`.`table` ``.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    pub db: Ident,
    pub name: Ident,
}

impl Table {
    pub fn new(db: impl Into<String>, name: impl Into<String>) -> Self {
        Table { db: Ident::new(db), name: Ident::new(name) }
    }

    /// Another table in the same database.
    pub fn sibling(&self, name: impl Into<String>) -> Table {
        Table { db: self.db.clone(), name: Ident::new(name) }
    }

    /// `db.table` for messages.
    pub fn bare(&self) -> String {
        format!("{}.{}", self.db.bare(), self.name.bare())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.db, self.name)
    }
}

/// A string literal that means the same under every sql_mode and connection character set: its UTF-8
/// bytes in hexadecimal behind an introducer.
pub fn text(value: &str) -> String {
    format!("_utf8mb4 {}", bytes(value.as_bytes()))
}

/// A binary literal, `x'…'`.
pub fn bytes(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len() * 2 + 3);
    out.push_str("x'");
    for b in value {
        out.push(char::from_digit(u32::from(b >> 4), 16).unwrap_or('0'));
        out.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
    }
    out.push('\'');
    out
}

/// Joins what prints itself with commas.
pub fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut out = String::new();
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        out.push_str(&item.to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_always_quoted() {
        assert_eq!(Table::new("a`b", "x y").to_string(), "`a``b`.`x y`");
        assert_eq!(text("a'\\"), "_utf8mb4 x'61275c'");
    }
}
