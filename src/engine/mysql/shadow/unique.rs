//! The shadow's unique keys, and which of them the original's rows can violate.

use crate::engine::mysql::catalog::{Index, IndexPart, TableInfo};
use crate::engine::mysql::key::Kind;
use crate::engine::mysql::sql::Ident;
use crate::error::{Error, Result};

/// A unique key of the shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    pub name: Ident,
    pub columns: Vec<Ident>,
    /// The original has a unique key that implies it, so a duplicate is never the data's.
    pub holds: bool,
}

/// All of the shadow's unique keys. One over an expression is refused: when rows collide under it there
/// is no column to find the other row by.
pub fn keys(
    original: &TableInfo,
    shadow: &TableInfo,
    origins: &[Option<usize>],
    strict: bool,
) -> Result<Vec<UniqueKey>> {
    let key = |index: &Index| {
        let column = |part: &IndexPart| {
            part.column.clone().ok_or_else(|| {
                Error::refused(format!("The unique key {} is over an expression, which osc can't follow.", index.name))
                    .todo("Put the unique key over a generated column instead, or use a native ALTER.")
            })
        };
        Ok(UniqueKey {
            name: index.name.clone(),
            columns: index.parts.iter().map(column).collect::<Result<_>>()?,
            holds: original
                .indexes
                .iter()
                .any(|own| own.unique && implies(own, index, original, shadow, origins, strict)),
        })
    };
    shadow.indexes.iter().filter(|index| index.unique).map(key).collect()
}

/// Whether rows that are unique by `own` are unique by `index` too: each part of `own` is a part of
/// `index`, unchanged or changed into a type that keeps all values distinct.
fn implies(
    own: &Index,
    index: &Index,
    original: &TableInfo,
    shadow: &TableInfo,
    origins: &[Option<usize>],
    strict: bool,
) -> bool {
    own.parts.iter().all(|part| {
        index.parts.iter().any(|later| match (&part.column, &later.column) {
            (Some(from), Some(to)) => {
                part.prefix == later.prefix && keeps(from, to, original, shadow, origins, strict, later)
            }
            _ => false,
        })
    })
}

fn keeps(
    from: &Ident,
    to: &Ident,
    original: &TableInfo,
    shadow: &TableInfo,
    origins: &[Option<usize>],
    strict: bool,
    part: &IndexPart,
) -> bool {
    let (Some(from), Some(to)) = (original.column(from), shadow.column(to)) else { return false };
    if origins.get(to.position).copied().flatten() != Some(from.position) || to.expression != from.expression {
        return false;
    }
    let unchanged = from.column_type == to.column_type && from.collation == to.collation;
    if unchanged {
        return true;
    }
    match (Kind::of(from), Kind::of(to)) {
        (Ok(before), Ok(after)) => part.prefix.is_none() && before.survives_as(&after, strict),
        _ => false,
    }
}
