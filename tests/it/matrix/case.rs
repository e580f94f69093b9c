//! A row of the matrix.

use crate::harness::Kind;

/// The servers that a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Both,
    MySql,
    MariaDb,
}

/// How the run must end.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// Exit 0, equal to the native twin.
    Twin,
    /// Exit 3, nothing left behind; the message has these parts.
    Refused(&'static [&'static str]),
    /// Exit 1, the table untouched, and a native ALTER fails too; the message has these parts.
    Failed(&'static [&'static str]),
}

/// One table, one ALTER.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Also the table's, if `table` is empty.
    pub name: &'static str,
    pub table: &'static str,
    pub on: On,
    /// The columns and keys. A last column `v INT` is added, for changes that touch no other.
    pub columns: &'static str,
    /// What stands behind the columns.
    pub options: &'static str,
    /// For each column that the traffic writes: `name = value | value`. In a value `#` stands for a
    /// number below [`super::traffic::SPREAD`]. The first picks the rows to update and to delete.
    pub values: &'static [&'static str],
    /// A column whose values the traffic swaps between rows `id` < [`super::traffic::SPREAD`], in place
    /// of writing them.
    pub swaps: &'static str,
    /// The traffic's sql_mode, if not the server's.
    pub mode: Option<&'static str>,
    /// Statements for the filled table; `{t}` is the table.
    pub setup: &'static [&'static str],
    /// The same, while the copy is held and the stream runs.
    pub during: &'static [&'static str],
    /// The same, when everything is copied and the run is ready.
    pub late: &'static [&'static str],
    pub alter: &'static str,
    pub end: End,
    /// Lines of the definitions that may differ have this in them.
    pub differs: &'static str,
}

pub const CASE: Case = Case {
    name: "",
    table: "",
    on: On::Both,
    columns: "",
    options: "",
    values: &[],
    swaps: "",
    mode: None,
    setup: &[],
    during: &[],
    late: &[],
    alter: "ADD COLUMN x INT NOT NULL DEFAULT 7, MODIFY v BIGINT NOT NULL, ADD INDEX by_v (v)",
    end: End::Twin,
    differs: "",
};

impl Case {
    pub fn is_for(&self, kind: Kind) -> bool {
        match self.on {
            On::Both => true,
            On::MySql => !kind.is_mariadb(),
            On::MariaDb => kind.is_mariadb(),
        }
    }

    pub fn table(&self) -> &'static str {
        if self.table.is_empty() { self.name } else { self.table }
    }

    /// The table's name, quoted.
    pub fn quoted(&self) -> String {
        format!("`{}`", self.table().replace('`', "``"))
    }

    /// The table for `--table`.
    pub fn argument(&self) -> String {
        if self.table().contains(['.', '`']) { self.quoted() } else { self.table().to_owned() }
    }

    pub fn create(&self) -> String {
        format!("CREATE TABLE {} ({}, v INT NOT NULL DEFAULT 0) {}", self.quoted(), self.columns, self.options)
    }
}
