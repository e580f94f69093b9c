//! Extended statistics. They are made on the shadow, in its schema, under their own names; a table that goes to
//! another schema leaves them where they are, so they are sent after it.

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::text_at;
use super::super::sql::{Ident, Table, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<(Table, Ident)>> {
    let sql = format!(
        "SELECT n.nspname, s.stxname, pg_get_statisticsobjdef(s.oid), CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END, \
           pg_get_userbyid(s.stxowner), obj_description(s.oid, 'pg_statistic_ext') \
         FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = {} ORDER BY 1, 2",
        b.source.oid
    );
    let mut names = Vec::new();
    for row in b.session.rows(&sql).await? {
        let name = Table { schema: name_at(&row, 0), name: name_at(&row, 1) };
        let made = Table { schema: b.shadow().schema.clone(), name: name.name.clone() };
        b.acts_as(&name_at(&row, 4), &format!("the statistics object {}", name.bare())).await?;
        let map = [(name.clone(), made.clone()), (b.names.original.clone(), b.shadow().clone())];
        b.run(requalify(&text_at(&row, 2).unwrap_or_default(), &map)?).await?;
        if let Some(target) = text_at(&row, 3) {
            b.run(format!("ALTER STATISTICS {made} SET STATISTICS {target}")).await?;
        }
        b.run(format!("ALTER STATISTICS {made} OWNER TO {}", name_at(&row, 4))).await?;
        if let Some(comment) = text_at(&row, 5) {
            b.run(format!("COMMENT ON STATISTICS {made} IS {}", text(&comment))).await?;
        }
        names.push((name, name_at(&row, 4)));
    }
    Ok(names)
}

/// An ALTER that drops a column takes the statistics on it along, so some may be gone. One that changes a column's type
/// makes them anew, on 15 as those of whoever runs it: osc.
pub async fn after(b: &mut Builder<'_>, names: &[(Table, Ident)], parts: &mut Parts) -> Result<()> {
    let sql = format!("SELECT stxname FROM pg_statistic_ext WHERE stxrelid = {} ORDER BY 1", b.shadow().regclass());
    let left: Vec<String> = b.session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect();
    for (name, owner) in names {
        parts.aside.push(format!("ALTER STATISTICS {name} SET SCHEMA {}", b.names.old.schema));
        if left.iter().any(|left| left == name.name.bare()) {
            let made = Table { schema: b.shadow().schema.clone(), name: name.name.clone() };
            b.run(format!("ALTER STATISTICS {made} OWNER TO {owner}")).await?;
            parts.along.push(format!("ALTER STATISTICS {made} SET SCHEMA {}", name.schema));
        }
    }
    Ok(())
}
