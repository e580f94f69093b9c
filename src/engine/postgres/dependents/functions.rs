//! Functions in PL/pgSQL that name the table in their text.
//!
//! A session that has run one keeps the row type it was compiled with; when that is the old table's, it fails with 42804
//! after the swap until the function is compiled anew (trap 13). Saying its cost once more makes every session do that. A
//! function that has the row type in its signature, or a body that was parsed (BEGIN ATOMIC), can't follow: see `others`.

use super::super::session::text_at;
use super::super::sql::text;
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub async fn touch(b: &mut Builder<'_>, parts: &mut Parts) -> Result<()> {
    let sql = format!(
        "SELECT p.oid::regprocedure, p.procost, p.prokind, p.prosecdef, pg_has_role(p.proowner, 'USAGE') \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
         WHERE l.lanname = 'plpgsql' AND strpos(lower(p.prosrc), lower({})) > 0 ORDER BY p.oid",
        text(b.names.original.name.bare())
    );
    for row in b.session.rows(&sql).await? {
        let name = text_at(&row, 0).unwrap_or_default();
        if row.get(4) != Some("t") {
            b.warnings.push(format!(
                "The function {name} names the table, and osc may not alter it: a session that has used it may fail once with 42804 \
                 after the swap, if it keeps a row of the table."
            ));
        } else if row.get(2) == Some("p") {
            let security = if row.get(3) == Some("t") { "DEFINER" } else { "INVOKER" };
            parts.attach.push(format!("ALTER PROCEDURE {name} SECURITY {security}"));
        } else {
            parts.attach.push(format!("ALTER FUNCTION {name} COST {}", text_at(&row, 1).unwrap_or_default()));
        }
    }
    Ok(())
}
