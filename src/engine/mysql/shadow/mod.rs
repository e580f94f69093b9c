//! The shadow: a copy of the original's schema on which the user's ALTER has been run, and how each
//! of its columns gets its values.
//!
//! The server itself runs the ALTER, on the empty shadow, so the new schema is what a native ALTER
//! would make of it. What osc reads out of the text is only where columns come from, and that must
//! explain the shadow's columns exactly, or the run is refused.

mod class;
mod convert;
pub mod equal;
mod mapping;
mod unique;

pub use equal::Equal;
pub use mapping::Mapped;
pub use unique::UniqueKey;

use super::alter::Alter;
use super::catalog::{self, Check, Column, TableInfo};
use super::key::{self, Conditions, KeySpec};
use super::names::Names;
use super::session::Session;
use super::sql::{Ident, list};
use crate::error::{Error, Kind, Result};
use convert::Circumstances;

/// For the sessions that copy, if [`Shadow::dates_stay`].
pub const KEEP_DATES: &str = "SET SESSION sql_mode = CONCAT(REPLACE(REPLACE(@@SESSION.sql_mode, 'NO_ZERO_IN_DATE', ''), \
                              'NO_ZERO_DATE', ''), ',ALLOW_INVALID_DATES')";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The shadow's own catalog.
    pub info: TableInfo,
    /// The columns that a copy writes: all but the generated ones and those that get their default.
    pub columns: Vec<Mapped>,
    /// How its columns are compared, all that have a value which doesn't depend on the moment of the copy.
    pub equal: Vec<Equal>,
    /// The shadow's unique keys.
    pub unique_keys: Vec<UniqueKey>,
    /// What the user should know before the copy begins.
    pub warnings: Vec<String>,
    /// No value becomes a date or a time that was none before. Then the sessions that copy may do
    /// without NO_ZERO_DATE and NO_ZERO_IN_DATE and with ALLOW_INVALID_DATES, so that what the
    /// original's date columns have is copied as it is.
    pub dates_stay: bool,
    /// Where each of the shadow's columns comes from, by position; generated ones too.
    origins: Vec<Option<usize>>,
}

impl Shadow {
    /// Makes the shadow and runs the ALTER on it. Leaves nothing behind when that fails.
    pub async fn build(session: &mut Session, names: &Names, original: &TableInfo, alter: &Alter) -> Result<Shadow> {
        session.exec(&format!("CREATE TABLE {} LIKE {}", names.shadow, names.original)).await?;
        let built = Shadow::alter(session, names, original, alter).await;
        if built.is_err() {
            // The error that matters is the first one.
            let _ = session.exec(&format!("DROP TABLE IF EXISTS {}", names.shadow)).await;
        }
        built
    }

    async fn alter(session: &mut Session, names: &Names, original: &TableInfo, alter: &Alter) -> Result<Shadow> {
        let fresh = read(session, names).await?;
        let checks = renamed_checks(original, &fresh)?;
        let renamed = |name: &Ident| {
            checks.iter().find(|(old, _)| old.same_column(name)).map_or_else(|| name.clone(), |(_, new)| new.clone())
        };
        let statement = format!("ALTER TABLE {} {}", names.shadow, alter.text(renamed));
        session.exec_long(&statement).await.map_err(|error| match error.kind() {
            Kind::Definite => Error::refused(format!("The server refuses the ALTER: {}", error.what()))
                .todo("Correct the ALTER; nothing has been changed.")
                .caused_by(error),
            _ => error,
        })?;
        let mut shadow = Shadow::read(session, names, original, alter).await?;
        shadow.warnings.extend(checks.iter().filter(|(old, new)| !follows(old, new, names)).map(|(old, new)| {
            format!(
                "The CHECK constraint {old} will be called {}: in MySQL no two tables of a database can have \
                 constraints of one name.",
                after_swap(new, names)
            )
        }));
        Ok(shadow)
    }

    /// Reads the shadow that an earlier life of the run has built.
    pub async fn read(session: &mut Session, names: &Names, original: &TableInfo, alter: &Alter) -> Result<Shadow> {
        let info = read(session, names).await?;
        let circumstances = Circumstances::of(session).await?;
        let origins = mapping::origins(original, &info, alter)?;
        let (columns, mut warnings) = mapping::columns(original, &info, &origins, &circumstances)?;
        if !circumstances.strict {
            warnings.push(
                "The server's sql_mode is not strict: a value that does not fit its new type is cut without an error, \
                 as a native ALTER would cut it."
                    .into(),
            );
        }
        let dates_stay = mapping::dates_stay(original, &info, &origins);
        let unique_keys = unique::keys(original, &info, &origins, circumstances.strict)?;
        let equal = comparisons(session, names, original, &info, &origins, &circumstances).await?;
        Ok(Shadow { info, columns, equal, unique_keys, warnings, dates_stay, origins })
    }

    /// Chooses the key that carries the copy.
    pub fn choose_key(&self, original: &TableInfo, conditions: Conditions) -> Result<KeySpec> {
        let in_shadow = |column: &Column| {
            let at = self.origins.iter().position(|origin| *origin == Some(column.position))?;
            self.info.columns.get(at)
        };
        key::choose(original, &self.info, in_shadow, conditions)
    }

    /// The columns for `INSERT INTO shadow (…)`.
    pub fn insert_columns(&self) -> String {
        list(self.columns.iter().map(|c| &c.column))
    }

    /// What to select from the source for them.
    pub fn select_list(&self) -> String {
        list(self.columns.iter().map(|c| &c.expression))
    }
}

/// How each of the shadow's columns is compared.
async fn comparisons(
    session: &mut Session,
    names: &Names,
    original: &TableInfo,
    shadow: &TableInfo,
    origins: &[Option<usize>],
    circumstances: &Circumstances,
) -> Result<Vec<Equal>> {
    let mut comparisons = Vec::new();
    for (column, origin) in shadow.columns.iter().zip(origins) {
        match origin.and_then(|at| original.columns.get(at)) {
            Some(from) => comparisons.extend(equal::copied(from, column, circumstances)),
            None if column.generated.is_some() || column.auto_increment || !mapping::is_constant(column) => {}
            None if column.has_default => {
                // The server does not tell a default that is an expression, not even a constant one.
                let asked = format!("SELECT DEFAULT({}) FROM {} LIMIT 1", column.name, names.shadow);
                let known = match session.rows(&asked).await {
                    Ok(_) => true,
                    Err(error) if error.kind() == Kind::Definite => false,
                    Err(error) => return Err(error),
                };
                comparisons.push(equal::new_by_default(column, known, circumstances));
            }
            None => comparisons.push(equal::new_by_type(column, circumstances)),
        }
    }
    Ok(comparisons)
}

async fn read(session: &mut Session, names: &Names) -> Result<TableInfo> {
    catalog::read(session, &names.shadow)
        .await?
        .ok_or_else(|| Error::definite(format!("The shadow table {} is gone.", names.shadow.bare())))
}

/// Compares the fresh shadow with the original, for CREATE TABLE … LIKE may leave something out, and
/// gives the names of CHECK constraints in both.
fn renamed_checks(original: &TableInfo, fresh: &TableInfo) -> Result<Vec<(Ident, Ident)>> {
    let mut left: Vec<&Check> = fresh.checks.iter().collect();
    let mut pairs = Vec::new();
    for check in &original.checks {
        let same = left.iter().position(|c| c.clause == check.clause && c.enforced == check.enforced);
        match same.map(|at| left.remove(at)) {
            Some(copy) => pairs.push((check.name.clone(), copy.name.clone())),
            None => return Err(lost(&format!("its CHECK constraint {}", check.name))),
        }
    }
    let (was, is) = (lines(original), lines(fresh));
    if let Some(line) = was.iter().find(|line| !is.contains(line)) {
        return Err(lost(&format!("`{}`", line.trim().trim_end_matches(','))));
    }
    Ok(pairs)
}

fn lost(what: &str) -> Error {
    Error::refused(format!("The server's CREATE TABLE … LIKE leaves out {what}; osc can't make the new table."))
        .todo("Use a native ALTER for this table.")
}

/// The lines of the definition that do not depend on names.
fn lines(info: &TableInfo) -> Vec<&str> {
    let constraint = |line: &&str| !line.starts_with("  CONSTRAINT ");
    // A line has no comma behind it if it is the last one, be it of the columns or of the constraints.
    info.fingerprint.lines().skip(1).filter(constraint).map(|line| line.trim_end_matches(',')).collect()
}

/// Whether a constraint of the original keeps its name through the swap: MySQL renames those that it
/// named itself with the table.
fn follows(old: &Ident, new: &Ident, names: &Names) -> bool {
    old == new || after_swap(new, names) == *old
}

fn after_swap(name: &Ident, names: &Names) -> Ident {
    match name.bare().strip_prefix(names.shadow.name.bare()) {
        Some(rest) => Ident::new(format!("{}{rest}", names.original.name.bare())),
        None => name.clone(),
    }
}
