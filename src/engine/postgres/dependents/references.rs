//! Foreign keys that the ALTER adds.
//!
//! On the shadow none may be, not even for as long as the ALTER runs: the server would lock the other table against its writers
//! until the shadow is built. So the ALTER is run with an empty stand-in in the place of each table that it references; what the
//! server makes of that is read back with all other foreign keys (`foreign`).

use super::super::alter::Alter;
use super::super::catalog::name_at;
use super::super::session::{number, text_at};
use super::super::sql::{Ident, Table, text};
use super::foreign::Key;
use crate::engine::postgres::shadow::builder::Builder;
use crate::engine::postgres::shadow::columns;
use crate::error::{Kind, Result};

/// Makes the stand-ins. Returns them, and the ALTER's clauses with their names.
pub async fn before(b: &mut Builder<'_>, alter: &Alter) -> Result<(Vec<Key>, String)> {
    let mut clauses = alter.clauses.clone();
    let mut keys = Vec::new();
    let mut made = Vec::new();
    // From the last to the first: the places of the others stay what they are.
    for reference in alter.references.iter().rev() {
        let name = reference.name.iter().map(Ident::to_string).collect::<Vec<_>>().join(".");
        columns::user_path(b).await?;
        let oid = b.session.value(&format!("SELECT to_regclass({})::oid", text(&name))).await?;
        columns::own_path(b).await?;
        // What is not there is the server's to say.
        let Some(oid) = oid else { continue };
        let sql = format!(
            "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, has_table_privilege(c.oid, 'SELECT'), \
               has_any_column_privilege(c.oid, 'REFERENCES'), quote_ident(current_user) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}"
        );
        let row = b.session.row(&sql).await?;
        let number: u32 = number(&row, 0)?;
        let parent = Table { schema: name_at(&row, 1), name: name_at(&row, 2) };
        let stand_in = Table { schema: b.shadow().schema.clone(), name: Ident::new(format!("osc_parent_{number}")) };
        if row.get(3) == Some("p") {
            let why = format!("a foreign key of the ALTER leads to {}, which is partitioned", parent.bare());
            return Err(b.refused(&why).todo("Add the foreign key on its own, after the change."));
        }
        // Nor may one lead to a view, or from here to an unlogged table.
        if row.get(3) != Some("r") || row.get(4) != Some("p") {
            continue;
        }
        let put = if number == b.source.oid { b.shadow().clone() } else { stand_in.clone() };
        clauses.replace_range(reference.start..reference.end, &put.to_string());
        if number == b.source.oid || made.contains(&number) {
            continue;
        }
        for (at, right) in [(5, "SELECT"), (6, "REFERENCES")] {
            if row.get(at) != Some("t") {
                let account = text_at(&row, 7).unwrap_or_default();
                let why = format!("a foreign key of the ALTER leads to {}, and osc lacks {right} on it", parent.bare());
                return Err(b
                    .refused(&why)
                    .todo(format!("For the time of the change: GRANT {right} ON {parent} TO {account}.")));
            }
        }
        let like = b.run(format!("CREATE TABLE {stand_in} (LIKE {parent} INCLUDING INDEXES)")).await;
        like.map_err(|error| match error.kind() {
            Kind::Definite => error.with_kind(Kind::Refused).table("The table is untouched."),
            _ => error,
        })?;
        made.push(number);
        keys.push(Key::new(b.names.original.clone(), parent, stand_in));
    }
    Ok((keys, clauses))
}
