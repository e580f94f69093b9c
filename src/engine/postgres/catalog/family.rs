//! What a table hangs under: one partitioned table, or the tables that it inherits from, and all that is above them.
//!
//! A partition is refused where to attach another one in its place would make the server read or build something under the
//! lock, or check rows for a foreign key; each by name. A table that others hang under is refused before this is read.

use super::{name_at, refused};
use crate::engine::postgres::session::{Session, number, text_at};
use crate::engine::postgres::sql::{Ident, Table};
use crate::error::Result;

const NATIVELY: &str = "Run the ALTER natively.";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// All that is above it, a parent always before its children: the order in which a query that names one of them locks.
    pub above: Vec<Ancestor>,
    /// Of a partition, as it stands behind ATTACH PARTITION.
    pub bound: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    pub oid: u32,
    pub table: Table,
    pub owner: Ident,
    /// What stands behind PARTITION BY.
    pub key: Option<String>,
    /// Where it is a partition itself.
    pub bound: Option<String>,
    /// Its place among the table's own parents; none for those above.
    pub place: Option<u32>,
}

impl Family {
    /// The table's own parents, in the order in which it has them.
    pub fn parents(&self) -> Vec<&Ancestor> {
        let mut own: Vec<&Ancestor> = self.above.iter().filter(|one| one.place.is_some()).collect();
        own.sort_by_key(|one| one.place);
        own
    }

    /// It inherits, and is no partition.
    pub fn is_heir(&self) -> bool {
        !self.above.is_empty() && self.bound.is_none()
    }

    pub async fn read(session: &mut Session, table: &Table, oid: u32) -> Result<Family> {
        let sql = format!(
            "WITH RECURSIVE up(oid, child, depth) AS (SELECT inhparent, inhrelid, 1 FROM pg_inherits WHERE inhrelid = {oid} \
               UNION SELECT i.inhparent, i.inhrelid, up.depth + 1 FROM up JOIN pg_inherits i ON i.inhrelid = up.oid) \
             SELECT c.oid, n.nspname, c.relname, pg_get_userbyid(c.relowner), pg_get_partkeydef(c.oid), \
               pg_get_expr(c.relpartbound, c.oid), \
               (SELECT i.inhseqno FROM pg_inherits i WHERE i.inhrelid = {oid} AND i.inhparent = c.oid), c.relkind IN ('r', 'p') \
             FROM (SELECT oid, max(depth) AS depth FROM up GROUP BY oid) u JOIN pg_class c ON c.oid = u.oid \
             JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY u.depth DESC, c.oid"
        );
        let mut above = Vec::new();
        for row in session.rows(&sql).await? {
            let parent = Table { schema: name_at(&row, 1), name: name_at(&row, 2) };
            if row.get(7) != Some("t") {
                let why = format!("it inherits from {}, which is no table of this server", parent.bare());
                return Err(refused(table, &why).todo(NATIVELY));
            }
            above.push(Ancestor {
                oid: number(&row, 0)?,
                table: parent,
                owner: name_at(&row, 3),
                key: text_at(&row, 4),
                bound: text_at(&row, 5),
                place: text_at(&row, 6).and_then(|place| place.parse().ok()),
            });
        }
        let bound = format!("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = {oid} AND relispartition");
        let family = Family { above, bound: session.value(&bound).await? };
        if !family.above.is_empty() {
            unread(session, table, oid).await?;
        }
        if let (Some(_), [parent]) = (&family.bound, family.parents().as_slice()) {
            refuse(session, table, oid, parent).await?;
        }
        Ok(family)
    }
}

/// Nothing makes a constraint that is inherited before the rows were looked at.
async fn unread(session: &mut Session, table: &Table, oid: u32) -> Result<()> {
    let sql = format!(
        "SELECT k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.oid = {oid} AND k.contype IN ('c', 'n') \
           AND NOT k.convalidated AND coalesce(to_jsonb(k)->>'conenforced', 'true') = 'true' \
           AND (k.coninhcount > 0 OR (k.connoinherit AND NOT c.relispartition)) ORDER BY 1 LIMIT 1"
    );
    match session.value(&sql).await? {
        None => Ok(()),
        Some(name) => Err(refused(table, &format!("its constraint {name} is inherited, or NO INHERIT, and NOT VALID"))
            .todo("Validate it first.")),
    }
}

/// A partition for which another one can't be attached without more than a moment's work.
async fn refuse(session: &mut Session, table: &Table, oid: u32, parent: &Ancestor) -> Result<()> {
    let pending = format!(
        "WITH RECURSIVE up(oid, pending) AS (SELECT inhparent, inhdetachpending FROM pg_inherits WHERE inhrelid = {oid} \
           UNION SELECT i.inhparent, i.inhdetachpending FROM up JOIN pg_inherits i ON i.inhrelid = up.oid) \
         SELECT oid::regclass FROM up WHERE pending LIMIT 1"
    );
    if let Some(of) = session.value(&pending).await? {
        return Err(refused(
            table,
            &format!("it, or what it is in, is being detached from {of}, and that has not ended"),
        )
        .todo("Say ALTER TABLE … DETACH PARTITION … FINALIZE first."));
    }
    let default = format!(
        "SELECT partdefid::regclass FROM pg_partitioned_table WHERE partrelid = {} AND partdefid NOT IN (0, {oid})",
        parent.oid
    );
    if let Some(default) = session.value(&default).await? {
        let why = format!(
            "beside it {} has a default partition ({default}), which the server would read as a whole under the lock",
            parent.table.bare()
        );
        return Err(refused(table, &why).todo(
            "Run the ALTER natively, or detach the default partition for the time of the change if it is empty.",
        ));
    }
    // By the name that the user gave the one at the top.
    let foreign = format!(
        "WITH RECURSIVE up(oid, parent, own) AS (SELECT oid, conparentid, conrelid = {oid} FROM pg_constraint \
             WHERE contype = 'f' AND conparentid <> 0 AND {oid} IN (conrelid, confrelid) \
           UNION SELECT k.oid, k.conparentid, up.own FROM up JOIN pg_constraint k ON k.oid = up.parent) \
         SELECT k.conname, up.own FROM up JOIN pg_constraint k ON k.oid = up.oid WHERE up.parent = 0 ORDER BY 1"
    );
    if let Some(row) = session.first(&foreign).await? {
        let (name, way) = (name_at(&row, 0), if row.get(1) == Some("t") { "has" } else { "is what" });
        let leads = if way == "has" { "" } else { " leads to" };
        let why = format!(
            "what it is a partition of {way} the foreign key {}{leads}, and the server would look at all rows for it under the lock",
            name.bare()
        );
        return Err(refused(table, &why).todo(NATIVELY));
    }
    Ok(())
}
