//! A row of the matrix.

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
    /// Also the table's, in schema public.
    pub name: &'static str,
    /// Types, collations, functions that the table needs. Their names are the case's own.
    pub types: &'static [&'static str],
    /// The columns and keys. A last column `v integer` is added, for changes that touch no other.
    pub columns: &'static str,
    /// What stands behind the columns.
    pub options: &'static str,
    /// For each column that the traffic writes: `name = value | value`. In a value `#` stands for a
    /// number below [`super::traffic::SPREAD`]. The first picks the rows to update and to delete.
    pub values: &'static [&'static str],
    /// A column of text whose values the traffic swaps between rows `id` < [`super::traffic::SPREAD`], in place
    /// of writing them.
    pub swaps: &'static str,
    /// Statements of the owner for the filled table; `{t}` is the table.
    pub setup: &'static [&'static str],
    /// The same, while the copy is held and the stream runs.
    pub during: &'static [&'static str],
    /// The same, when everything is copied and the run is ready.
    pub late: &'static [&'static str],
    pub alter: &'static str,
    pub end: End,
}

pub const CASE: Case = Case {
    name: "",
    types: &[],
    columns: "",
    options: "",
    values: &[],
    swaps: "",
    setup: &[],
    during: &[],
    late: &[],
    alter: "ADD COLUMN x integer NOT NULL DEFAULT 7, ALTER COLUMN v TYPE bigint, ADD CHECK (v > -2)",
    end: End::Twin,
};

impl Case {
    /// The table's name, quoted.
    pub fn quoted(&self) -> String {
        format!("public.\"{}\"", self.name)
    }

    pub fn create(&self) -> String {
        format!("CREATE TABLE {} ({}, v integer NOT NULL DEFAULT 0) {}", self.quoted(), self.columns, self.options)
    }
}
