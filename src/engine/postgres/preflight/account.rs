//! The account: each privilege that a run is going to need, with the statement that gives it.
//!
//! `docs/grants/postgres.sql` is the least that makes all of this silent. Nothing is tried out: what is missing
//! would otherwise come up hours later, under the lock.

use super::super::identity::Found;
use super::super::names::Names;
use super::super::session::{Session, text_at};
use super::super::sql::{Ident, text};
use crate::engine::problems::Problems;
use crate::error::Result;

pub async fn check(session: &mut Session, names: &Names, found: &Found, problems: &mut Problems) -> Result<()> {
    let schema = text(names.original.schema.bare());
    let setting = if session.version >= 16 { "SET" } else { "MEMBER" };
    let sql = format!(
        "SELECT current_user, r.rolsuper OR r.rolreplication, has_database_privilege(current_database(), 'CREATE'), \
           pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'USAGE'), pg_has_role(c.relowner, '{setting}'), \
           has_schema_privilege({schema}, 'CREATE'), has_schema_privilege({schema}, 'USAGE'), \
           pg_has_role('pg_read_all_stats', 'USAGE'), c.relforcerowsecurity AND NOT r.rolbypassrls AND NOT r.rolsuper, \
           has_database_privilege(current_database(), 'TEMPORARY') \
         FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = {}",
        found.oid
    );
    let Some(row) = session.first(&sql).await? else { return Ok(()) };
    let is = |at: usize| row.get(at) == Some("t");
    let ident = |at: usize| Ident::new(text_at(&row, at).unwrap_or_default());
    let (me, owner) = (ident(0), ident(3));
    let (database, table) = (Ident::new(&names.database), names.original.bare());
    let mut missing = |held: bool, what: String, todo: String| {
        if !held {
            problems.add(what, todo);
        }
    };
    missing(
        is(1),
        format!("The account {} may not make a replication slot.", me.bare()),
        format!("ALTER ROLE {me} REPLICATION;"),
    );
    missing(
        is(2),
        format!("The account {} may not create a schema or a publication in {}.", me.bare(), names.database),
        format!("GRANT CREATE ON DATABASE {database} TO {me};"),
    );
    missing(
        is(10),
        format!("The account {} may not make scratch tables in {}.", me.bare(), names.database),
        format!("GRANT TEMPORARY ON DATABASE {database} TO {me};"),
    );
    missing(
        is(4) && is(5),
        format!("The account {} does not have the rights of {}, the owner of {table}.", me.bare(), owner.bare()),
        match session.version >= 16 {
            true => format!("GRANT {owner} TO {me} WITH INHERIT TRUE, SET TRUE;"),
            false => format!("GRANT {owner} TO {me}; (and ALTER ROLE {me} INHERIT, should it not be so)"),
        },
    );
    missing(
        is(6) && is(7),
        format!("The account {} may not put a table into the schema {}.", me.bare(), names.original.schema.bare()),
        format!("GRANT USAGE, CREATE ON SCHEMA {} TO {me};", names.original.schema),
    );
    missing(
        is(8),
        format!(
            "The account {} may not see what other sessions do: who holds the table, and who has a snapshot from before the copy.",
            me.bare()
        ),
        format!("GRANT pg_read_all_stats TO {me};"),
    );
    missing(
        !is(9),
        format!(
            "Policies of {table} hold for its owner too (FORCE ROW LEVEL SECURITY): the account would not see all rows."
        ),
        format!("ALTER ROLE {me} BYPASSRLS;"),
    );
    Ok(())
}
