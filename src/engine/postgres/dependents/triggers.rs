//! Triggers and rules of the table, with their states. They never fire on the shadow: it has them only while it is
//! empty and the ALTER runs.
//!
//! A row trigger of a partitioned table has a clone on each partition, which comes and goes with the partition, but has a state
//! and a comment of its own: these are said when the new table is in its place.

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Ident, Table, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

struct Hook {
    kind: &'static str,
    name: Ident,
    definition: String,
    /// O, D, R, A.
    state: String,
    comment: Option<String>,
    /// It belongs to one of the table's parent.
    cloned: bool,
}

async fn read(b: &mut Builder<'_>, of: &str) -> Result<Vec<Hook>> {
    let sql = format!(
        "SELECT 'RULE', r.rulename, pg_get_ruledef(r.oid), r.ev_enabled, obj_description(r.oid, 'pg_rewrite'), false FROM pg_rewrite r \
           WHERE r.ev_class = {of} AND r.rulename <> '_RETURN' \
         UNION ALL SELECT 'TRIGGER', t.tgname, pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'), t.tgparentid <> 0 \
           FROM pg_trigger t WHERE t.tgrelid = {of} AND NOT t.tgisinternal ORDER BY 1, 2"
    );
    let rows = b.session.rows(&sql).await?;
    let hook = |row| Hook {
        kind: if text_at(row, 0).as_deref() == Some("RULE") { "RULE" } else { "TRIGGER" },
        name: name_at(row, 1),
        definition: text_at(row, 2).unwrap_or_default().trim_end_matches(';').to_string(),
        state: text_at(row, 3).unwrap_or_default(),
        comment: text_at(row, 4),
        cloned: row.get(5) == Some("t"),
    };
    Ok(rows.iter().map(hook).collect())
}

/// Makes it on this table.
fn statements(hook: &Hook, table: &Table, definition: String) -> Vec<String> {
    let (kind, name) = (hook.kind, &hook.name);
    let mut out = if hook.cloned { Vec::new() } else { vec![definition] };
    match hook.state.as_str() {
        // It came with its parent's.
        "O" if hook.cloned => out.push(format!("ALTER TABLE {table} ENABLE {kind} {name}")),
        "D" => out.push(format!("ALTER TABLE {table} DISABLE {kind} {name}")),
        "R" => out.push(format!("ALTER TABLE {table} ENABLE REPLICA {kind} {name}")),
        "A" => out.push(format!("ALTER TABLE {table} ENABLE ALWAYS {kind} {name}")),
        _ => {}
    }
    if let Some(comment) = &hook.comment {
        out.push(format!("COMMENT ON {kind} {name} ON {table} IS {}", text(comment)));
    }
    out
}

pub async fn before(b: &mut Builder<'_>) -> Result<()> {
    let (original, shadow) = (b.names.original.clone(), b.shadow().clone());
    for hook in read(b, &b.source.oid.to_string()).await? {
        let definition = requalify(&hook.definition, &[(original.clone(), shadow.clone())])?;
        for statement in statements(&hook, &shadow, definition) {
            b.run(statement).await?;
        }
    }
    Ok(())
}

pub async fn after(b: &mut Builder<'_>, parts: &mut Parts) -> Result<()> {
    let (original, shadow) = (b.names.original.clone(), b.shadow().clone());
    for hook in read(b, &shadow.regclass()).await? {
        let definition = requalify(&hook.definition, &[(shadow.clone(), original.clone())])?;
        let said = statements(&hook, &original, definition);
        if hook.cloned {
            parts.join.extend(said);
            continue;
        }
        parts.attach.extend(said);
        b.run(format!("DROP {} {} ON {shadow}", hook.kind, hook.name)).await?;
    }
    Ok(())
}
