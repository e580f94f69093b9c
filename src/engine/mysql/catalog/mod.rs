//! What the server's catalog says about one table.
//!
//! Everything is read through one session with the least privileges (docs/grants). The text of SHOW
//! CREATE TABLE, without its AUTO_INCREMENT counter, is the fingerprint by which a run that goes on
//! later knows that nobody changed the table's schema in between.

mod read;
mod relations;

pub use read::{definition, exists, read};
pub use relations::relations;

use super::sql::{Ident, Table};

/// What kind of thing a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableKind {
    Base,
    View,
    Sequence,
    SystemVersioned,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Spelled as the catalog spells it.
    pub table: Table,
    pub kind: TableKind,
    pub engine: String,
    pub collation: Option<String>,
    pub partitioned: bool,
    pub columns: Vec<Column>,
    /// In the server's own order: the primary key first, then unique keys without nullable columns.
    pub indexes: Vec<Index>,
    pub checks: Vec<Check>,
    /// An estimate.
    pub rows: u64,
    /// Estimates, in bytes.
    pub data_bytes: u64,
    pub index_bytes: u64,
    /// The next value, exact; none without an AUTO_INCREMENT column.
    pub auto_increment: Option<u64>,
    /// SHOW CREATE TABLE without the AUTO_INCREMENT counter.
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: Ident,
    /// From 0, in the table and in its row events.
    pub position: usize,
    /// `int`, `varchar`, in lower case.
    pub data_type: String,
    /// `int unsigned`, `varchar(20)`, `enum('a','b')`.
    pub column_type: String,
    pub nullable: bool,
    pub charset: Option<String>,
    pub collation: Option<String>,
    pub generated: Option<Generated>,
    /// What a generated column is computed from.
    pub expression: Option<String>,
    pub auto_increment: bool,
    pub invisible: bool,
    /// Whether the column has a default, be it NULL or an expression.
    pub has_default: bool,
    /// The default as the catalog writes it, if it has one that is not NULL.
    pub default: Option<String>,
    pub unsigned: bool,
    /// Digits of a number.
    pub precision: Option<u32>,
    pub scale: Option<u32>,
    /// Fractional digits of a time.
    pub fsp: u32,
    /// The limit in characters.
    pub chars: Option<u64>,
    /// The limit in bytes.
    pub octets: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    Virtual,
    Stored,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub name: Ident,
    pub unique: bool,
    /// BTREE, HASH (MariaDB's long unique keys), FULLTEXT, RTREE.
    pub kind: String,
    /// False for an invisible or ignored index, which is still unique but not used for access.
    pub visible: bool,
    pub parts: Vec<IndexPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPart {
    /// None for an expression.
    pub column: Option<Ident>,
    pub expression: Option<String>,
    /// Characters of the column that are indexed, if not all.
    pub prefix: Option<u64>,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: Ident,
    pub clause: String,
    pub enforced: bool,
}

/// What hangs on a table from outside of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relations {
    pub triggers: Vec<String>,
    /// Foreign keys of the table itself, by name.
    pub foreign_keys: Vec<String>,
    /// Foreign keys of other tables that point at it: `db.table` and the constraint's name.
    pub referenced_by: Vec<(String, String)>,
}

impl TableInfo {
    pub fn column(&self, name: &Ident) -> Option<&Column> {
        self.columns.iter().find(|c| c.name.same_column(name))
    }

    pub fn index(&self, name: &Ident) -> Option<&Index> {
        self.indexes.iter().find(|i| i.name.same_column(name))
    }
}

impl Index {
    pub fn is_primary(&self) -> bool {
        self.name.bare() == "PRIMARY"
    }

    /// The columns, if the index is over whole columns.
    pub fn whole_columns(&self) -> Option<Vec<&Ident>> {
        self.parts.iter().map(|p| p.column.as_ref().filter(|_| p.prefix.is_none())).collect()
    }
}

impl Column {
    /// The members of an ENUM or SET as the catalog writes them, quoted.
    pub fn members(&self) -> Vec<&str> {
        let list = self.column_type.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default();
        let mut out = Vec::new();
        let (mut start, mut quoted, mut escaped) = (0, false, false);
        for (at, c) in list.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '\'' => quoted = !quoted,
                ',' if !quoted => {
                    out.push(list.get(start..at).unwrap_or_default());
                    start = at + 1;
                }
                _ => {}
            }
        }
        if start < list.len() {
            out.push(list.get(start..).unwrap_or_default());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_split_at_the_commas_between_them() {
        let column = |column_type: &str| Column {
            name: Ident::new("c"),
            position: 0,
            data_type: "enum".into(),
            column_type: column_type.into(),
            nullable: true,
            charset: None,
            collation: None,
            generated: None,
            expression: None,
            auto_increment: false,
            invisible: false,
            has_default: true,
            default: None,
            unsigned: false,
            precision: None,
            scale: None,
            fsp: 0,
            chars: None,
            octets: None,
        };
        assert_eq!(column("enum('x','it''s','b\\\\','c,d')").members(), ["'x'", "'it''s'", "'b\\\\'", "'c,d'"]);
        assert_eq!(column("set('')").members(), ["''"]);
        assert!(column("int").members().is_empty());
    }
}
