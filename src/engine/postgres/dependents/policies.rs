//! Row security: policies, and whether it is on. The shadow has it only while it is empty and the ALTER runs: after that it
//! could keep rows out.

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Table, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

/// What makes the policies of one table (a number or a regclass) on another.
async fn statements(
    b: &mut Builder<'_>,
    of: &str,
    on: &Table,
    map: &[(Table, Table)],
) -> Result<Vec<(String, Vec<String>)>> {
    let sql = format!(
        "SELECT p.polname, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, \
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, \
           (SELECT string_agg(CASE WHEN r.oid = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.oid)) END, ', ') FROM unnest(p.polroles) r(oid)), \
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy') \
         FROM pg_policy p WHERE p.polrelid = {of} ORDER BY p.polname"
    );
    let mut out = Vec::new();
    for row in b.session.rows(&sql).await? {
        let (name, word) = (name_at(&row, 0), |at: usize| text_at(&row, at).unwrap_or_default());
        let mut made = format!("CREATE POLICY {name} ON {on} AS {} FOR {} TO {}", word(1), word(2), word(3));
        for (at, clause) in [(4, "USING"), (5, "WITH CHECK")] {
            if let Some(expression) = text_at(&row, at) {
                made.push_str(&format!(" {clause} ({})", requalify(&expression, map)?));
            }
        }
        let mut all = vec![made];
        if let Some(comment) = text_at(&row, 6) {
            all.push(format!("COMMENT ON POLICY {name} ON {on} IS {}", text(&comment)));
        }
        out.push((name.to_string(), all));
    }
    Ok(out)
}

pub async fn before(b: &mut Builder<'_>) -> Result<()> {
    let (original, shadow) = (b.names.original.clone(), b.shadow().clone());
    let of = b.source.oid.to_string();
    for (_, made) in statements(b, &of, &shadow, &[(original, shadow.clone())]).await? {
        for statement in made {
            b.run(statement).await?;
        }
    }
    if b.source.row_security {
        b.run(format!("ALTER TABLE {shadow} ENABLE ROW LEVEL SECURITY")).await?;
    }
    if b.source.force_row_security {
        b.run(format!("ALTER TABLE {shadow} FORCE ROW LEVEL SECURITY")).await?;
    }
    Ok(())
}

pub async fn after(b: &mut Builder<'_>, parts: &mut Parts) -> Result<()> {
    let (original, shadow) = (b.names.original.clone(), b.shadow().clone());
    let sql = format!("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = {}", shadow.regclass());
    let row = b.session.row(&sql).await?;
    for (at, on, off) in [(0, "ENABLE", "DISABLE"), (1, "FORCE", "NO FORCE")] {
        if row.get(at) == Some("t") {
            b.run(format!("ALTER TABLE {shadow} {off} ROW LEVEL SECURITY")).await?;
            parts.attach.push(format!("ALTER TABLE {original} {on} ROW LEVEL SECURITY"));
        }
    }
    for (name, made) in statements(b, &shadow.regclass(), &original, &[(shadow.clone(), original.clone())]).await? {
        parts.attach.extend(made);
        b.run(format!("DROP POLICY {name} ON {shadow}")).await?;
    }
    Ok(())
}
