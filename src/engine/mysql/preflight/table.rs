//! The table itself, and what hangs on it.

use super::grants::Held;
use crate::engine::mysql::catalog::{self, Relations, TableInfo, TableKind};
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::{Table, text};
use crate::engine::problems::Problems;
use crate::error::{Error, Result};

/// How many letters may differ for a name to be nearly the same.
const TYPOS: usize = 2;
/// How many such names are told.
const TOLD: usize = 3;

/// The table as the catalog spells it, where the server takes it by another spelling; else as it is. All
/// names that osc makes, and its lock, are made from this one.
pub async fn spelled(session: &mut Session, table: &Table) -> Result<Table> {
    let fold: Option<u8> = session.first("SELECT @@lower_case_table_names").await?;
    if fold.unwrap_or(0) == 0 {
        return Ok(table.clone());
    }
    let found: Vec<(String, String)> = session
        .all(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            text(table.db.bare()),
            text(table.name.bare())
        ))
        .await?;
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    let found = found.into_iter().find(|(db, name)| same(db, table.db.bare()) && same(name, table.name.bare()));
    Ok(found.map_or_else(|| table.clone(), |(db, name)| Table::new(db, name)))
}

/// Looks at the table; none if it isn't there, which is then among the problems.
pub async fn check(
    session: &mut Session,
    table: &Table,
    held: &Held,
    problems: &mut Problems,
) -> Result<Option<TableInfo>> {
    let Some(info) = catalog::read(session, table).await? else {
        // Without SELECT the server may hide it.
        if held.on_database("SELECT") {
            let near = near(session, table).await?;
            let todo = match near.split_first() {
                None => "Check the name of the table and of the database.".to_owned(),
                Some((only, [])) => format!("Did you mean {only}?"),
                Some(_) => format!("Did you mean one of {}?", near.join(", ")),
            };
            problems.add(missing(table).what(), todo);
        }
        return Ok(None);
    };
    if info.table != *table {
        // The names and the lock were made from another spelling.
        problems.add(
            format!("The server has the table under the name {}.", info.table.bare()),
            format!("Name it like that: --table {}", info.table.bare()),
        );
    }
    kind(&info, problems);
    if info.kind == TableKind::Base && held.on_database("TRIGGER") && held.on_server("PROCESS") {
        relations(&catalog::relations(session, &info.table).await?, &info.table, problems);
    }
    Ok(Some(info))
}

pub fn missing(table: &Table) -> Error {
    Error::refused(format!("There is no table {}.", table.bare())).table("Nothing was changed.")
}

fn kind(info: &TableInfo, problems: &mut Problems) {
    let name = info.table.bare();
    let is = match &info.kind {
        TableKind::Base => {
            if !info.engine.eq_ignore_ascii_case("InnoDB") {
                problems.add(
                    format!("{name} is a table of the engine {}; osc needs InnoDB's transactions.", info.engine),
                    format!("Convert it first, which blocks its writers: ALTER TABLE {} ENGINE = InnoDB;", info.table),
                );
            }
            return;
        }
        TableKind::View => "a view",
        TableKind::Sequence => "a sequence",
        TableKind::SystemVersioned => "a system-versioned table, whose history a copy would not keep",
        TableKind::Other(other) => other.as_str(),
    };
    let todo = match &info.kind {
        TableKind::View => "Change the table under the view, or the view itself by CREATE OR REPLACE VIEW.",
        TableKind::Sequence => "Change it by ALTER SEQUENCE.",
        TableKind::SystemVersioned => "Change it by a native ALTER TABLE.",
        _ => "Name an ordinary table.",
    };
    problems.add(format!("{name} is {is}."), todo);
}

fn relations(relations: &Relations, table: &Table, problems: &mut Problems) {
    let name = table.bare();
    if !relations.triggers.is_empty() {
        problems.add(
            format!("{name} has triggers ({}); osc does not carry them over yet.", relations.triggers.join(", ")),
            "Drop them for the time of the run, or change the table natively.",
        );
    }
    if !relations.foreign_keys.is_empty() {
        problems.add(
            format!(
                "{name} has foreign keys ({}); changes that cascade along them are not in the binary log.",
                relations.foreign_keys.join(", ")
            ),
            "Drop the foreign keys, or change the table natively.",
        );
    }
    if !relations.referenced_by.is_empty() {
        let named = relations.referenced_by.iter().map(|(child, key)| format!("{key} of {child}"));
        problems.add(
            format!(
                "Foreign keys of other tables point at {name} ({}); after the swap they would point at the old table.",
                named.collect::<Vec<_>>().join(", ")
            ),
            "Drop the foreign keys, or change the table natively.",
        );
    }
}

/// Names in the same database that are nearly the same, the nearest first.
async fn near(session: &mut Session, table: &Table) -> Result<Vec<String>> {
    let names: Vec<String> = session
        .all(&format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
            text(table.db.bare())
        ))
        .await?;
    let wanted = table.name.bare().to_lowercase();
    let mut found: Vec<(usize, String)> = names
        .into_iter()
        .map(|name| (distance(&wanted, &name.to_lowercase()), name))
        .filter(|(d, _)| *d <= TYPOS.min(wanted.chars().count() / 2))
        .collect();
    found.sort();
    Ok(found.into_iter().take(TOLD).map(|(_, name)| format!("{}.{name}", table.db.bare())).collect())
}

/// How many letters have to be put in, taken out or exchanged (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            let (diagonal, above) = (pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0));
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        assert_eq!(distance("orders", "orders"), 0);
        assert_eq!(distance("ordres", "orders"), 2);
        assert_eq!(distance("order", "orders"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
