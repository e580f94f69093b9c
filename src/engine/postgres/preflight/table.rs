//! The table: whether it is one that can be replaced, and how large it is.

use super::super::identity::Found;
use super::super::names::Names;
use super::super::session::{Session, number, text_at};
use super::super::sql::{Table, text};
use super::Facts;
use crate::engine::problems::Problems;
use crate::error::Result;

/// Refuses what is no table at all, or none that osc can replace; before its identity is looked at, which would be the
/// wrong thing to complain about.
pub async fn kind(session: &mut Session, table: &Table) -> Result<()> {
    let sql = format!(
        "SELECT c.relkind, c.relpersistence, c.oid < 16384, \
           EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {}",
        text(table.schema.bare()),
        text(table.name.bare())
    );
    let Some(row) = session.first(&sql).await? else { return Ok(()) };
    let is = |at: usize| row.get(at) == Some("t");
    let kind = text_at(&row, 0).unwrap_or_default();
    let (what, todo) = match (kind.as_str(), row.get(1).unwrap_or_default()) {
        _ if is(2) => ("one of the server's own", "Name a table of yours."),
        ("p", _) => (
            "a partitioned table",
            "Change its partitions one by one, where the ALTER is one that the server lets a partition have of its own \
             (fillfactor, a tablespace, a default, a CHECK, a key); anything else by a native ALTER TABLE.",
        ),
        ("f", _) => ("a foreign table", "Change the table on its own server."),
        ("v", _) => ("a view", "Change the table under the view, or the view itself by CREATE OR REPLACE VIEW."),
        ("m", _) => ("a materialized view", "Change the table under it, or make it anew."),
        ("S", _) => ("a sequence", "Change it by ALTER SEQUENCE."),
        (_, "u") => ("an unlogged table: its changes are in no stream", "Change it natively, or SET LOGGED it first."),
        (_, "t") => ("a temporary table", "Change it natively, in its own session."),
        _ if is(3) => ("a table from which others inherit", "Change it by a native ALTER TABLE."),
        _ => return Ok(()),
    };
    let mut problems = Problems::default();
    problems.add(format!("{} is {what}.", table.bare()), todo);
    problems.none_but(())
}

/// What hangs on the table elsewhere is planned with the shadow; here is what no plan could carry over.
pub async fn check(
    session: &mut Session,
    names: &Names,
    found: &Found,
    problems: &mut Problems,
    facts: &mut Facts,
) -> Result<()> {
    kind(session, &names.original).await?;
    if super::spelled::of_osc(names.original.schema.bare()) {
        problems.add(format!("{} is osc's own.", names.original.bare()), "Name a table of yours.");
    }
    let sql = format!(
        "SELECT coalesce(nullif(greatest(c.reltuples, 0), 0), pg_stat_get_live_tuples(c.oid), 0)::bigint, \
           pg_table_size(c.oid), pg_total_relation_size(c.oid) FROM pg_class c WHERE c.oid = {}",
        found.oid
    );
    let row = session.row(&sql).await?;
    (facts.rows, facts.bytes, facts.total_bytes) = (number(&row, 0)?, number(&row, 1)?, number(&row, 2)?);
    facts.hints.push(format!(
        "The new table is going to need about {} of disk beside the old one, and the log that writing it takes; \
         how much is free the server does not tell.",
        size(facts.total_bytes)
    ));
    // The entry is the table's by its number: the worker would pass over the new one without a word.
    let subscribed = format!("SELECT 1 FROM pg_subscription_rel WHERE srrelid = {}", found.oid);
    if session.first(&subscribed).await?.is_some() {
        problems.add(
            format!(
                "A subscription writes to {}: after the swap it would pass over the new table, and its changes would be lost.",
                names.original.bare()
            ),
            "Change the table natively, or on the publisher's side and here while the subscription is disabled.",
        );
    }
    Ok(())
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..=0xf_ffff => format!("{} kB", bytes.div_ceil(1 << 10)),
        0x10_0000..=0x3fff_ffff => format!("{} MB", bytes.div_ceil(1 << 20)),
        _ => format!("{:.1} GB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        assert_eq!((size(1).as_str(), size(1 << 20).as_str(), size(3 << 29).as_str()), ("1 kB", "1 MB", "1.5 GB"));
    }
}
