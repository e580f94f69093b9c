//! What the table hangs under: a partitioned table, or the tables that it inherits from.
//!
//! Neither the shadow nor anything of osc's is ever under the real ones: who reads them would meet rows twice. While the ALTER runs
//! the shadow hangs under empty copies of them, so the server refuses what it refuses natively. A partition's is then taken off
//! again; who inherits keeps the copies until the swap ([`super::super::shadow::heir`] says why).
//!
//! **No write is lost between the old table and the new one.** A query that names a table locks it first, then finds out which
//! tables are under it, and locks them one by one, by their numbers. Had it got so far, and were it waiting for the old table
//! while the swap is committed, it would read and write the old one afterwards. So the swap locks all that is above the table
//! ACCESS EXCLUSIVE, from the top, before the table itself. Whoever has looked below one of them holds its lock until the
//! end of his transaction, and then the swap does not have it: it waits, or gives all back. Whoever comes later waits at the top,
//! and looks below when the swap is committed; the same for a prepared plan, which locks what it names first, then finds that it is
//! out of date. The price: who uses any partition by way of the top waits for as long as who uses this one.
//!
//! **To attach a partition reads nothing and builds nothing.** The new table has a CHECK that says what the bound says, from the
//! beginning, so that every row is held to it; the swap drops it. Whether the server takes one for the other is tried on the empty
//! shadow: it counts the scans of a table (seen on 15 and 18: it does not where a collation other than the column's, a
//! domain, or a hash of a text is in the key). The same for indexes: the empty shadow must come out with the indexes under the
//! parent's that the table has, and no other; two of which the server could take either are refused.

use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Ident, Table};
use super::Parts;
use crate::engine::postgres::catalog::Ancestor;
use crate::engine::postgres::shadow::builder::Builder;
use crate::engine::postgres::shadow::inherited;
use crate::error::{Error, Kind, Result};

/// The CHECK that says what the bound says.
const BOUND: &str = "osc_bound";
const NATIVELY: &str = "Run the ALTER natively.";

/// What stands for one of them.
pub fn stand_in(b: &Builder<'_>, ancestor: &Ancestor) -> Table {
    Table { schema: b.shadow().schema.clone(), name: Ident::new(format!("osc_above_{}", ancestor.oid)) }
}

/// What a message of the server calls by another name, and by which.
pub fn says(b: &Builder<'_>, ancestor: &Ancestor) -> (String, String) {
    (stand_in(b, ancestor).name.bare().to_string(), ancestor.table.bare())
}

/// What the server does not let the stand-ins do it would not let the swap do either.
fn refuses(b: &Builder<'_>, error: Error) -> Error {
    match error.kind() {
        Kind::Definite => {
            b.refused("a copy of it can't be put under a copy of its parent").todo(NATIVELY).caused_by(error)
        }
        _ => error,
    }
}

pub async fn before(b: &mut Builder<'_>) -> Result<()> {
    let family = b.source.family.clone();
    for one in &family.above {
        b.acts_as(&one.owner, &format!("the table {} above it", one.table.bare())).await?;
    }
    let (Some(bound), Some(parent)) = (&family.bound, family.above.last()) else { return Ok(()) };
    if b.session.value("SELECT current_setting('track_counts')").await?.as_deref() != Some("on") {
        let why =
            "track_counts is off for osc's account, so the server does not tell whether attaching a partition reads it";
        return Err(b.refused(why).todo("Take that setting from the account."));
    }
    let mut over: Option<Table> = None;
    for one in &family.above {
        let copy = stand_in(b, one);
        // From 17 on partitions have the identity of what is at the top.
        let identity = if over.is_none() && b.session.version >= 17 { " INCLUDING IDENTITY" } else { "" };
        let key = one.key.as_deref().unwrap_or_default();
        let made = format!(
            "CREATE TABLE {copy} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING INDEXES{identity}) \
             PARTITION BY {key}",
            one.table
        );
        b.run(made).await.map_err(|error| refuses(b, error))?;
        if let (Some(over), Some(bound)) = (over, &one.bound) {
            b.run(format!("ALTER TABLE {over} ATTACH PARTITION {copy} {bound}"))
                .await
                .map_err(|error| refuses(b, error))?;
        }
        over = Some(copy);
    }
    let (shadow, copy) = (b.shadow().clone(), stand_in(b, parent));
    let triggers = format!(
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = {} AND NOT tgisinternal AND tgtype & 1 = 1 ORDER BY tgname",
        parent.oid
    );
    for row in b.session.rows(&triggers).await? {
        let definition = text_at(&row, 0).unwrap_or_default();
        let map = [(parent.table.clone(), copy.clone())];
        b.run(super::super::alter::lex::requalify(&definition, &map)?).await?;
    }
    b.run(format!("ALTER TABLE {copy} ATTACH PARTITION {shadow} {bound}")).await.map_err(|error| refuses(b, error))?;
    for column in own_not_null(b, &b.source.oid.to_string()).await? {
        b.run(format!("ALTER TABLE {shadow} ALTER COLUMN {column} SET NOT NULL")).await?;
    }
    inherited::compare(b).await?;
    let (natively, here) = (indexes(b, &b.source.oid.to_string()).await?, indexes(b, &shadow.regclass()).await?);
    let other = here.iter().find(|one| !natively.contains(one)).or(natively.iter().find(|one| !here.contains(one)));
    if let Some((name, _)) = other {
        let why = format!(
            "under the indexes of {} the server would put or build another index than the table has now ({name})",
            parent.table.bare()
        );
        return Err(b.refused(&why).todo("Build the table's index of that kind, or drop the one that is there twice."));
    }
    Ok(())
}

/// Columns whose NOT NULL is the partition's own as well as its parent's: to attach it makes them the parent's alone, and to say it
/// once more gives them back. From 18 on.
async fn own_not_null(b: &mut Builder<'_>, of: &str) -> Result<Vec<Ident>> {
    let sql = format!(
        "SELECT a.attname FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] \
         WHERE k.conrelid = {of} AND k.contype = 'n' AND k.conislocal AND k.coninhcount > 0 ORDER BY a.attnum"
    );
    Ok(b.session.rows(&sql).await?.iter().map(|row| name_at(row, 0)).collect())
}

/// Indexes of a table that are under one of its parent's, with what that is.
async fn indexes(b: &mut Builder<'_>, of: &str) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT c.relname, substr(d.def, strpos(d.def, ' USING ')) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid \
         JOIN pg_inherits i ON i.inhrelid = c.oid CROSS JOIN LATERAL pg_get_indexdef(i.inhparent) d(def) \
         WHERE x.indrelid = {of} AND x.indisvalid ORDER BY 1"
    );
    let rows = b.session.rows(&sql).await?;
    Ok(rows.iter().map(|row| (text_at(row, 0).unwrap_or_default(), text_at(row, 1).unwrap_or_default())).collect())
}

pub async fn after(b: &mut Builder<'_>, parts: &mut Parts) -> Result<()> {
    let family = b.source.family.clone();
    parts.above = family.above.iter().map(|one| one.table.clone()).collect();
    let mut join = match (&family.bound, family.parents().first()) {
        (Some(bound), Some(parent)) => partition(b, bound, parent, parts).await?,
        _ => heir(b, &family.parents(), parts),
    };
    join.append(&mut parts.join);
    parts.join = join;
    Ok(())
}

/// Takes the shadow off the stand-in, and finds out whether it could be attached again without a look at its rows.
async fn partition(b: &mut Builder<'_>, bound: &str, parent: &Ancestor, parts: &mut Parts) -> Result<Vec<String>> {
    unambiguous(b).await?;
    let (shadow, original, copy) = (b.shadow().clone(), b.names.original.clone(), stand_in(b, parent));
    let meant = |of: String| format!("SELECT pg_get_partition_constraintdef({of})");
    let attach = format!("ALTER TABLE {copy} ATTACH PARTITION {shadow} {bound}");
    let detach = format!("ALTER TABLE {copy} DETACH PARTITION {shadow}");
    let drop = format!("ALTER TABLE {shadow} DROP CONSTRAINT {BOUND}");
    let own = own_not_null(b, &shadow.regclass()).await?;
    // A hash has the parent's number in it.
    let there = b.session.value(&meant(shadow.regclass())).await?;
    b.run(detach.clone()).await?;
    if let Some(there) = there {
        let scans = format!("SELECT pg_stat_get_xact_numscans({})", shadow.regclass());
        b.session.exec(&format!("ALTER TABLE {shadow} ADD CONSTRAINT {BOUND} CHECK ({there})")).await?;
        let before = b.session.value(&scans).await?;
        b.session.exec(&attach).await.map_err(|error| refuses(b, error))?;
        let after = b.session.value(&scans).await?;
        b.session.exec(&detach).await?;
        b.session.exec(&drop).await?;
        if before != after {
            let why = format!(
                "with {} the server would read the whole table under the lock, to see whether its rows are where they belong",
                bound.trim_start_matches("FOR ")
            );
            return Err(b.refused(&why).todo(NATIVELY));
        }
    }
    // The others are partitions of it.
    if let Some(top) = b.source.family.above.first().map(|top| stand_in(b, top)) {
        b.run(format!("DROP TABLE {top}")).await?;
    }
    parts.detach.push(format!("ALTER TABLE {} DETACH PARTITION {original}", parent.table));
    let mut join = vec![format!("ALTER TABLE {} ATTACH PARTITION {original} {bound}", parent.table)];
    if let Some(here) = b.session.value(&meant(b.source.oid.to_string())).await? {
        b.run(format!("ALTER TABLE {shadow} ADD CONSTRAINT {BOUND} CHECK ({here})")).await?;
        join.push(format!("ALTER TABLE {original} DROP CONSTRAINT {BOUND}"));
    }
    join.extend(own.iter().map(|column| format!("ALTER TABLE {original} ALTER COLUMN {column} SET NOT NULL")));
    Ok(join)
}

/// Refuses two indexes of which the server takes the one with the lower number, natively and here, where the numbers are others.
async fn unambiguous(b: &mut Builder<'_>) -> Result<()> {
    let same = "y.indisunique = x.indisunique AND y.indnkeyatts = x.indnkeyatts AND y.indkey::text = x.indkey::text \
         AND y.indcollation::text = x.indcollation::text \
         AND pg_get_expr(y.indexprs, y.indrelid) IS NOT DISTINCT FROM pg_get_expr(x.indexprs, x.indrelid) \
         AND pg_get_expr(y.indpred, y.indrelid) IS NOT DISTINCT FROM pg_get_expr(x.indpred, x.indrelid)";
    let families = |of: &str| {
        format!(
            "ARRAY(SELECT o.opcfamily FROM unnest({of}.indclass::oid[]) WITH ORDINALITY k(class, place) \
             JOIN pg_opclass o ON o.oid = k.class ORDER BY k.place)"
        )
    };
    let sql = format!(
        "SELECT c.relname, d.relname FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid \
         JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_index y ON y.indrelid = x.indrelid AND y.indexrelid <> x.indexrelid \
         JOIN pg_class d ON d.oid = y.indexrelid AND d.relam = c.relam \
         WHERE x.indrelid = {} AND {same} AND {} = {} ORDER BY 1, 2 LIMIT 1",
        b.shadow().regclass(),
        families("x"),
        families("y")
    );
    let Some(row) = b.session.first(&sql).await? else { return Ok(()) };
    let why = format!(
        "its indexes {} and {} are equal, and the server could put either under its parent's",
        name_at(&row, 0).bare(),
        name_at(&row, 1).bare()
    );
    Err(b.refused(&why).todo("Drop one of the two first."))
}

/// From the stand-ins to the real ones, without a moment between in which a column is nobody's: it would be the table's own
/// from then on.
fn heir(b: &Builder<'_>, parents: &[&Ancestor], parts: &mut Parts) -> Vec<String> {
    let original = &b.names.original;
    let mut join = Vec::new();
    for one in parents {
        parts.detach.push(format!("ALTER TABLE {original} NO INHERIT {}", one.table));
        join.push(format!("ALTER TABLE {original} INHERIT {}", one.table));
    }
    for one in parents {
        join.push(format!("ALTER TABLE {original} NO INHERIT {}", stand_in(b, one)));
    }
    join.extend(parents.iter().map(|one| format!("DROP TABLE {}", stand_in(b, one))));
    join
}
