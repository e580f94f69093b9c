//! SQL text that can't be built from unquoted names.
//!
//! [`Ident`] and [`Table`] print themselves quoted, [`text`] makes literals. Statements are built with
//! `format!` from these types alone; a `String` from outside never goes in bare. Sessions pin
//! `standard_conforming_strings`, so a quote is the only character that a literal has to double.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a column, an index, a table, a publication, printed in double quotes.
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
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A table with its schema, printed as `"schema"."table"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    pub schema: Ident,
    pub name: Ident,
}

impl Table {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Table { schema: Ident::new(schema), name: Ident::new(name) }
    }

    /// `schema.table` for messages.
    pub fn bare(&self) -> String {
        format!("{}.{}", self.schema.bare(), self.name.bare())
    }

    /// An expression of type regclass.
    pub fn regclass(&self) -> String {
        format!("{}::pg_catalog.regclass", text(&self.to_string()))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A type as `format_type` printed it: the server has quoted what needs quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeName(String);

impl TypeName {
    /// `printed` must come from `format_type`, under the pinned search_path.
    pub fn from_server(printed: String) -> Self {
        TypeName(printed)
    }

    pub fn bare(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A string literal.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
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
        assert_eq!(Table::new("a\"b", "x Y").to_string(), "\"a\"\"b\".\"x Y\"");
        assert_eq!(text("a'\\"), "'a''\\'");
        assert_eq!(Table::new("s", "o'x").regclass(), "'\"s\".\"o''x\"'::pg_catalog.regclass");
    }
}
