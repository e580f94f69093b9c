//! Which column of the shadow takes its values from which column of the original.

use super::convert::{self, Circumstances};
use crate::engine::mysql::alter::Alter;
use crate::engine::mysql::catalog::{Column, TableInfo};
use crate::engine::mysql::sql::Ident;
use crate::error::{Error, Result};

/// A column that a copy writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The shadow's column.
    pub column: Ident,
    /// Its value, in terms of the original's columns.
    pub expression: String,
    /// The original's column that it comes from; none for a new column.
    pub origin: Option<Ident>,
}

/// For each of the shadow's columns the position of the original's column it comes from. The ALTER as
/// osc reads it must come to exactly the columns that the server has made.
pub fn origins(original: &TableInfo, shadow: &TableInfo, alter: &Alter) -> Result<Vec<Option<usize>>> {
    let mut expected: Vec<(Ident, Option<usize>)> = Vec::new();
    let names = |name: &Ident, column: &Column| column.name.same_column(name);
    for column in &original.columns {
        if alter.dropped.iter().any(|d| names(&d.name, column)) {
            continue;
        }
        let rename = alter.renames.iter().find(|r| names(&r.from, column));
        expected.push((rename.map_or(&column.name, |r| &r.to).clone(), Some(column.position)));
    }
    for added in &alter.added {
        let there = original.columns.iter().any(|c| names(&added.name, c));
        if added.if_not_exists && there {
            // Whether IF NOT EXISTS sees the other clauses is for the server to know.
            let touched = alter.dropped.iter().any(|d| d.name.same_column(&added.name))
                || alter.renames.iter().any(|r| r.from.same_column(&added.name) || r.to.same_column(&added.name));
            if touched {
                return Err(unexplained(&added.name));
            }
        } else {
            expected.push((added.name.clone(), None));
        }
    }
    let origins = shadow
        .columns
        .iter()
        .map(|column| {
            let at = expected.iter().position(|(name, _)| column.name.same_column(name));
            at.map(|at| expected.swap_remove(at).1).ok_or_else(|| unexplained(&column.name))
        })
        .collect::<Result<Vec<_>>>()?;
    match expected.first() {
        Some((name, _)) => Err(unexplained(name)),
        None => Ok(origins),
    }
}

fn unexplained(name: &Ident) -> Error {
    Error::refused(format!("osc can't tell from the ALTER where the values of the column {name} come from."))
        .todo("Split the ALTER in two, or spell it without IF EXISTS and IF NOT EXISTS.")
}

/// The columns to write and their values, and what the user should know of them.
pub fn columns(
    original: &TableInfo,
    shadow: &TableInfo,
    origins: &[Option<usize>],
    circumstances: &Circumstances,
) -> Result<(Vec<Mapped>, Vec<String>)> {
    let mut mapped = Vec::new();
    let mut warnings = Vec::new();
    for (column, origin) in shadow.columns.iter().zip(origins) {
        if column.generated.is_some() {
            continue;
        }
        match origin.and_then(|at| original.columns.get(at)) {
            Some(from) => mapped.push(Mapped {
                column: column.name.clone(),
                expression: convert::expression(from, column, circumstances)?,
                origin: Some(from.name.clone()),
            }),
            None => {
                if let Some(expression) = convert::implicit_default(column)? {
                    mapped.push(Mapped { column: column.name.clone(), expression, origin: None });
                }
                if !is_constant(column) {
                    warnings.push(format!(
                        "The new column {} gets its default, {}, when its row is copied, not at one moment for all rows.",
                        column.name,
                        column.default.as_deref().unwrap_or_default()
                    ));
                }
            }
        }
    }
    Ok((mapped, warnings))
}

/// Whether the column's default is the same for every row.
pub fn is_constant(column: &Column) -> bool {
    column
        .default
        .as_ref()
        .is_none_or(|default| !default.contains('(') && !default.to_uppercase().starts_with("CURRENT"))
}

/// Whether no column becomes a date or a time that was not of that type before.
pub fn dates_stay(original: &TableInfo, shadow: &TableInfo, origins: &[Option<usize>]) -> bool {
    shadow.columns.iter().zip(origins).all(|(column, origin)| match origin.and_then(|at| original.columns.get(at)) {
        Some(from) if column.generated.is_none() => !convert::is_temporal(column) || from.data_type == column.data_type,
        _ => true,
    })
}
