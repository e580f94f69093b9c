//! Foreign keys of which nothing has shown yet that all rows meet them.
//!
//! The swap adds a foreign key NOT VALID, and it is validated afterwards. One that held before, over values that are the same
//! as before, holds. Of one that the ALTER adds, or validates, or whose values it converts, nobody knows: natively the ALTER
//! would fail at the first row that does not meet it. So the rows are looked at before the run and before the swap, with a query over the table
//! and the new definition's expressions, not over the copy, which may be behind. No lock is held: a row that is written between
//! the look and the swap is met by VALIDATE alone, and then the foreign key stays NOT VALID, and the user is told.

use super::super::alter::Alter;
use super::super::catalog::name_at;
use super::super::connect::Address;
use super::super::session::{Session, text_at};
use super::super::sql::{Ident, Table, text};
use super::super::swap::Check;
use super::foreign::Found;
use crate::engine::postgres::shadow::builder::Builder;
use crate::engine::postgres::shadow::columns::Column;
use crate::engine::postgres::shadow::{Written, keys};
use crate::error::{Error, Kind, Result};

/// One of them.
#[derive(Debug, Clone)]
pub struct Unproved {
    name: Ident,
    /// Who has it, and where it leads; none is the table itself.
    child: Option<Table>,
    parent: Option<Table>,
    pairs: Vec<Pair>,
    /// MATCH FULL: a value that is NULL in part meets nothing.
    full: bool,
    /// It held before, with this definition: only converted values can break it.
    held: bool,
}

#[derive(Debug, Clone)]
struct Pair {
    child: Ident,
    parent: Ident,
    /// As `OPERATOR(schema.=)`, the parent's value on the left.
    operator: String,
    /// The parent's collation, where the child's is another.
    collate: String,
}

/// What has to be looked at of a foreign key that the ALTER has left; nothing if it is one that held and that the ALTER did not touch.
pub async fn unproved(
    b: &mut Builder<'_>,
    found: &Found,
    held: &[(u32, Ident, String)],
    child: Option<&Table>,
    parent: Option<&Table>,
) -> Result<Option<Unproved>> {
    // A constraint that the server has built anew, for a column of another type, has another number.
    if !found.valid || !found.enforced || held.iter().any(|(number, ..)| *number == found.number) {
        return Ok(None);
    }
    let sql = format!(
        "SELECT c.attname, p.attname, 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')', \
           CASE WHEN p.attcollation <> 0 AND c.attcollation <> p.attcollation \
             THEN ' COLLATE ' || quote_ident(ln.nspname) || '.' || quote_ident(l.collname) ELSE '' END, k.confmatchtype \
         FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY x(child, parent, op, place) \
         JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = x.child \
         JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = x.parent \
         JOIN pg_operator o ON o.oid = x.op JOIN pg_namespace n ON n.oid = o.oprnamespace \
         LEFT JOIN pg_collation l ON l.oid = p.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace \
         WHERE k.oid = {} ORDER BY x.place",
        found.number
    );
    let rows = b.session.rows(&sql).await?;
    let pair = |row| Pair {
        child: name_at(row, 0),
        parent: name_at(row, 1),
        operator: text_at(row, 2).unwrap_or_default(),
        collate: text_at(row, 3).unwrap_or_default(),
    };
    Ok(Some(Unproved {
        name: found.name.clone(),
        child: child.cloned(),
        parent: parent.cloned(),
        pairs: rows.iter().map(pair).collect(),
        full: rows.first().is_some_and(|row| row.get(4) == Some("f")),
        held: held.iter().any(|(_, name, definition)| *name == found.name && *definition == found.definition),
    }))
}

/// The queries that look at the rows, tried out.
pub async fn checks(
    b: &mut Builder<'_>,
    unproved: &[Unproved],
    columns: &[Column],
    written: &[Written],
    alter: &Alter,
    key: &[Ident],
) -> Result<Vec<Check>> {
    let mut out = Vec::new();
    for one in unproved {
        let ours = one.pairs.iter().flat_map(|pair| {
            let child = one.child.is_none().then_some(&pair.child);
            [child, one.parent.is_none().then_some(&pair.parent)].into_iter().flatten()
        });
        let ours: Vec<&Column> = ours.filter_map(|name| columns.iter().find(|c| c.name == *name)).collect();
        if one.held && ours.iter().all(|column| same_values(column, alter)) {
            continue;
        }
        if let Some(column) = ours.iter().find(|c| is_unknown(c, written)) {
            let why = format!(
                "the foreign key {} is over the column {}, whose values are made row by row when it is copied",
                one.name.bare(),
                column.name.bare()
            );
            return Err(b.refused(&why).todo("Add the foreign key on its own, after the change."));
        }
        let check = check(one, &b.names.original, &rows_of(&b.names.original, columns, written), key);
        let tried = match b.attempt(&format!("EXPLAIN {}", check.query)).await {
            // A right that is missing.
            Err(error) if error.kind() == Kind::Refused => Err(error),
            tried => tried?,
        };
        tried.map_err(|error| {
            let why = format!("whether the foreign key {} holds can't be looked at: {}", one.name.bare(), error.what());
            b.refused(&why).todo("Add the foreign key on its own, after the change.").caused_by(error)
        })?;
        out.push(check);
    }
    Ok(out)
}

/// Whether the column's values are equal to each other, and to others', as they were.
fn same_values(column: &Column, alter: &Alter) -> bool {
    column
        .origin
        .as_ref()
        .is_some_and(|origin| keys::keeps_apart(origin) && !alter.using.iter().any(|(name, _)| *name == origin.name))
        && !column.generated
}

fn is_unknown(column: &Column, written: &[Written]) -> bool {
    let is_written = written.iter().any(|w| w.column == column.name);
    !is_written && !column.generated && (column.default.is_some() || !column.identity.is_empty())
}

/// The table's rows as the new definition has them.
fn rows_of(original: &Table, columns: &[Column], written: &[Written]) -> String {
    let mut plain: Vec<String> =
        written.iter().map(|w| format!("({})::{} AS {}", w.expression, w.kind, w.column)).collect();
    let rest = columns.iter().filter(|c| !c.generated && !written.iter().any(|w| w.column == c.name));
    plain.extend(rest.map(|c| format!("NULL::{} AS {}", c.kind, c.name)));
    let generated = columns.iter().filter(|c| c.generated);
    let generated: String = generated
        .map(|c| format!(", ({})::{} AS {}", c.default.as_deref().unwrap_or("NULL"), c.kind, c.name))
        .collect();
    format!("(SELECT *{generated} FROM (SELECT {} FROM ONLY {original}) osc_plain)", plain.join(", "))
}

fn check(one: &Unproved, original: &Table, ours: &str, key: &[Ident]) -> Check {
    let side = |table: &Option<Table>| table.as_ref().map_or_else(|| ours.to_string(), |table| format!("ONLY {table}"));
    let each =
        |form: &dyn Fn(&Pair) -> String, between: &str| one.pairs.iter().map(form).collect::<Vec<_>>().join(between);
    let asked = if one.full {
        each(&|pair| format!("c.{} IS NOT NULL", pair.child), " OR ")
    } else {
        each(&|pair| format!("c.{} IS NOT NULL", pair.child), " AND ")
    };
    let met = each(&|pair| format!("p.{} {} c.{}{}", pair.parent, pair.operator, pair.child, pair.collate), " AND ");
    let print = |name: &Ident| format!("{} || coalesce(c.{name}::text, 'NULL')", text(&format!("{}=", name.bare())));
    let values = one.pairs.iter().map(|pair| print(&pair.child)).collect::<Vec<_>>().join(", ");
    let row = if one.child.is_some() { values.clone() } else { key.iter().map(print).collect::<Vec<_>>().join(", ") };
    let query = format!(
        "SELECT concat_ws(', ', {row}), concat_ws(', ', {values}) FROM {} c WHERE ({asked}) \
         AND NOT EXISTS (SELECT FROM {} p WHERE {met}) LIMIT 1",
        side(&one.child),
        side(&one.parent)
    );
    Check {
        name: one.name.bare().to_string(),
        table: one.child.as_ref().unwrap_or(original).bare(),
        parent: one.parent.as_ref().unwrap_or(original).bare(),
        query,
    }
}

/// Looks at the rows. On a session of its own: it may take long, and the way to read that suits a range of keys does not
/// suit it.
pub async fn hold(address: &Address, checks: &[Check]) -> Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    let mut session = Session::open(address).await?;
    for check in checks {
        let doing = format!("Whether the foreign key {} holds could not be looked at", check.name);
        tracing::info!(foreign_key = %check.name, "looking whether all rows meet a foreign key");
        let rows = session.rows_long(&check.query).await.map_err(|error| error.context(&doing))?;
        let Some(found) = rows.first() else { continue };
        let (row, values) = (text_at(found, 0).unwrap_or_default(), text_at(found, 1).unwrap_or_default());
        return Err(Error::definite(format!(
            "The foreign key {} does not hold: the row of {} with {row} leads to {values}, which is not in {}.",
            check.name, check.table, check.parent
        ))
        .table("The table is unchanged.")
        .todo("Correct the row, or the ALTER, and run the same command again; a native ALTER would fail in the same place."));
    }
    Ok(())
}
