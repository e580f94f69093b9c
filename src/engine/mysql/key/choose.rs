//! Which key carries the copy.

use super::kind::Kind;
use super::{KeyColumn, KeySpec};
use crate::engine::mysql::catalog::{Column, Generated, Index, TableInfo};
use crate::engine::mysql::sql::{Ident, list};
use crate::error::{Error, Result};
use crate::model::KeyOrder;

/// What a choice depends on besides the two tables.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// binlog_row_image is FULL: row events have all columns, not only those of the server's own key.
    pub full_image: bool,
    /// Values that do not fit are errors, not cut.
    pub strict: bool,
}

/// Chooses the key that carries the copy: the primary key if it can be, or else a unique key.
/// `in_shadow` gives the shadow's column for a column of the original.
pub fn choose<'a>(
    original: &TableInfo,
    shadow: &'a TableInfo,
    in_shadow: impl Fn(&Column) -> Option<&'a Column>,
    conditions: Conditions,
) -> Result<KeySpec> {
    let unique: Vec<&Index> = original.indexes.iter().filter(|index| index.unique).collect();
    let mut candidates = Vec::new();
    let mut reasons = Vec::new();
    for index in &unique {
        let own = if conditions.full_image || is_servers_own(original, index) {
            Ok(())
        } else {
            Err("the binlog does not have its columns with binlog_row_image other than FULL".to_owned())
        };
        match own.and_then(|()| candidate(original, shadow, &in_shadow, index, conditions)) {
            Ok(spec) => candidates.push(spec),
            Err(why) => reasons.push(format!("{}: {why}", index.name)),
        }
    }
    candidates.sort_by_key(|spec| (!spec.shadow_unique, spec.rank()));
    if let Some(best) = candidates.into_iter().next() {
        return Ok(best);
    }
    let error = if unique.is_empty() {
        Error::refused(format!("The table {} has no primary key and no unique key.", original.table.bare()))
            .todo("Add a primary key to the table first; without one no row can be told from another.")
    } else {
        Error::refused(format!("No key of {} can carry the copy. {}.", original.table.bare(), reasons.join(". ")))
            .todo("osc needs a unique key over whole columns that are NOT NULL, and that the ALTER leaves unique.")
    };
    Err(error)
}

fn candidate<'a>(
    original: &TableInfo,
    shadow: &'a TableInfo,
    in_shadow: impl Fn(&Column) -> Option<&'a Column>,
    index: &Index,
    conditions: Conditions,
) -> Result<KeySpec, String> {
    if !index.visible {
        return Err("it is invisible, so that no statement can use it".into());
    }
    if index.kind != "BTREE" {
        return Err(format!("it is a {} index", index.kind));
    }
    let names = index.whole_columns().ok_or("it is not over whole columns")?;
    let mut columns = Vec::new();
    for (name, part) in names.iter().zip(&index.parts) {
        let column = original.column(name).ok_or_else(|| format!("its column {name} is hidden"))?;
        if column.nullable {
            return Err(format!("its column {name} can be NULL"));
        }
        let kind = Kind::of(column)?;
        if columns.is_empty() && !kind.ranges_well() {
            return Err(format!("it begins with {name}, a {} with too many members", column.data_type));
        }
        let later = in_shadow(column).ok_or_else(|| format!("the ALTER drops its column {name}"))?;
        if later.generated.is_some() && (later.generated != column.generated || later.expression != column.expression) {
            return Err(format!("the ALTER changes how its column {name} is generated"));
        }
        let shadow_kind = Kind::of(later)?;
        if !kind.survives_as(&shadow_kind, conditions.strict) {
            return Err(format!(
                "the ALTER turns its column {name} from {} into {}, which might make two keys equal",
                column.column_type, later.column_type
            ));
        }
        columns.push(KeyColumn {
            name: column.name.clone(),
            position: column.position,
            kind,
            descending: part.descending,
            shadow_name: later.name.clone(),
            shadow_kind,
        });
    }
    let order =
        if columns.iter().all(|c| c.kind.order() == KeyOrder::Bytes) { KeyOrder::Bytes } else { KeyOrder::Unknown };
    let (shadow_index, shadow_unique) = shadow_index(shadow, &columns)?;
    if !shadow_unique && order == KeyOrder::Unknown {
        return Err("after the ALTER it is not unique any more".into());
    }
    let positions = columns.iter().map(|c| c.position).collect();
    Ok(KeySpec {
        index: index.name.clone(),
        shadow_index,
        shadow_unique,
        columns,
        order,
        table_columns: original.columns.len(),
        positions,
    })
}

/// The index of the shadow that leads to its rows by these columns, and whether they are unique in it.
fn shadow_index(shadow: &TableInfo, columns: &[KeyColumn]) -> Result<(Ident, bool), String> {
    let covers = |index: &&Index| {
        index.visible
            && index.kind == "BTREE"
            && index.parts.len() >= columns.len()
            && index.parts.iter().zip(columns).all(|(part, column)| {
                part.prefix.is_none() && part.column.as_ref().is_some_and(|c| c.same_column(&column.shadow_name))
            })
    };
    let unique_over = |index: &Index| {
        index.unique
            && index.whole_columns().is_some_and(|parts| {
                parts.iter().all(|p| columns.iter().any(|c| c.shadow_name.same_column(p)))
                    && parts.iter().all(|p| shadow.column(p).is_some_and(|c| !c.nullable))
            })
    };
    let unique = shadow.indexes.iter().any(unique_over);
    let best = shadow.indexes.iter().filter(covers).max_by_key(|index| (unique_over(index), index.is_primary()));
    match best {
        Some(index) => Ok((index.name.clone(), unique)),
        None => Err(format!("after the ALTER no index begins with {}", list(columns.iter().map(|c| &c.shadow_name)))),
    }
}

/// Whether row events have the columns of this key whatever binlog_row_image says: it is the primary
/// key, or the first unique key that could be one.
fn is_servers_own(original: &TableInfo, index: &Index) -> bool {
    let could_be = |index: &&Index| {
        index.unique
            && index.kind == "BTREE"
            && index.whole_columns().is_some_and(|columns| {
                columns
                    .iter()
                    .all(|c| original.column(c).is_some_and(|c| !c.nullable && c.generated != Some(Generated::Virtual)))
            })
    };
    original.indexes.iter().find(could_be).is_some_and(|own| own.name == index.name)
}
