//! Policies of other tables that read this one: who may see a row there depends on rows here.
//!
//! A policy goes by the table's number, so after a swap it would go on reading the old table, and nobody would see an error. As
//! with views, a stand-in of the other table, empty, has the policy while the ALTER runs; what the server then prints is said in
//! the swap by ALTER POLICY. That locks the other table, and the application comes by way of it: a query locks the
//! table that has the policy before the one that the policy reads. So it is locked before this one, after the views.

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Ident, Table, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub struct Policy {
    name: Ident,
    table: Table,
    /// Under the same name, because the policy's text has it.
    stand_in: Table,
}

/// USING and WITH CHECK of a policy, of a table that is a number or a regclass.
async fn expressions(b: &mut Builder<'_>, name: &Ident, of: &str, map: &[(Table, Table)]) -> Result<String> {
    let sql = format!(
        "SELECT pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy \
         WHERE polrelid = {of} AND polname = {}",
        text(name.bare())
    );
    let row = b.session.row(&sql).await?;
    let mut out = String::new();
    for (at, clause) in ["USING", "WITH CHECK"].into_iter().enumerate() {
        if let Some(expression) = text_at(&row, at) {
            out.push_str(&format!(" {clause} ({})", requalify(&expression, map)?));
        }
    }
    Ok(out)
}

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<Policy>> {
    let sql = format!(
        "SELECT p.polname, n.nspname, c.relname, pg_get_userbyid(c.relowner), \
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END \
         FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE p.polrelid <> {oid} AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid \
           AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid}) ORDER BY c.oid, p.polname",
        oid = b.source.oid
    );
    let map = [(b.names.original.clone(), b.shadow().clone())];
    let mut out: Vec<Policy> = Vec::new();
    for row in b.session.rows(&sql).await? {
        let (name, table) = (name_at(&row, 0), Table { schema: name_at(&row, 1), name: name_at(&row, 2) });
        let stand_in = Table { schema: b.shadow().schema.clone(), name: table.name.clone() };
        if stand_in == *b.shadow() || out.iter().any(|p| p.stand_in == stand_in && p.table != table) {
            let why =
                format!("the policy {} of {} reads it, and two tables are called the same", name.bare(), table.bare());
            return Err(b.refused(&why).todo("Drop the policy for the time of the change, or run the ALTER natively."));
        }
        b.acts_as(&name_at(&row, 3), &format!("the table {} with the policy {}", table.bare(), name.bare())).await?;
        if !out.iter().any(|p| p.table == table) {
            b.run(format!("CREATE TABLE {stand_in} (LIKE {table})")).await?;
        }
        let clauses = expressions(b, &name, &table.regclass(), &map).await?;
        b.run(format!("CREATE POLICY {name} ON {stand_in} FOR {}{clauses}", text_at(&row, 4).unwrap_or_default()))
            .await?;
        out.push(Policy { name, table, stand_in });
    }
    Ok(out)
}

pub async fn after(b: &mut Builder<'_>, policies: Vec<Policy>, parts: &mut Parts) -> Result<()> {
    let map = [(b.names.shadow.clone(), b.names.original.clone())];
    for Policy { name, table, stand_in } in &policies {
        let clauses = expressions(b, name, &stand_in.regclass(), &map).await?;
        parts.attach.push(format!("ALTER POLICY {name} ON {table}{clauses}"));
    }
    // They come table by table.
    for several in policies.chunk_by(|one, next| one.table == next.table) {
        let Some(Policy { table, stand_in, .. }) = several.first() else { continue };
        parts.first.push(format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"));
        b.run(format!("DROP TABLE {stand_in}")).await?;
    }
    Ok(())
}
