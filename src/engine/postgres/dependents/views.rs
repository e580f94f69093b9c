//! Views that name the table. Only those that name it themselves: one over another view finds that one as it was.
//!
//! A copy of each stands over the empty shadow while the ALTER runs: the server refuses exactly where it would refuse
//! for the view itself, and rewrites what it would rewrite. What it then prints replaces the view's definition in the
//! swap; the view itself stays, with its owner, grants, comments, triggers and rules. Replacing one locks it, so they are
//! locked first, before any table, the outer ones before the inner ones: in that order a query takes them (trap 9).

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::{number, text_at};
use super::super::sql::{Ident, Table};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub struct View {
    name: Table,
    copy: Table,
    owner: Ident,
    options: Option<String>,
    /// How many of the others it is above of, at most.
    height: u32,
}

impl View {
    /// What a message of the server calls by another name, and by which.
    pub fn says(&self) -> (String, String) {
        (self.copy.name.bare().to_string(), self.name.bare())
    }
}

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<View>> {
    let sql = format!(
        "WITH RECURSIVE over(oid, height) AS ( \
           SELECT {oid}::oid, 0 UNION SELECT r.ev_class, over.height + 1 FROM over JOIN pg_depend d \
             ON d.refclassid = 'pg_class'::regclass AND d.refobjid = over.oid AND d.classid = 'pg_rewrite'::regclass \
           JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' AND r.ev_class <> over.oid WHERE over.height < 64) \
         SELECT v.oid, n.nspname, v.relname, pg_get_userbyid(v.relowner), pg_get_viewdef(v.oid), \
           (SELECT string_agg(quote_ident(o.option_name) || '=' || quote_literal(o.option_value), ', ') \
            FROM pg_options_to_table(v.reloptions) o), (SELECT max(height) FROM over WHERE over.oid = v.oid) \
         FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace WHERE v.relkind = 'v' AND v.oid IN ( \
           SELECT r.ev_class FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' \
           WHERE d.classid = 'pg_rewrite'::regclass AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid}) \
             OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN ({types})))) ORDER BY 7, 1",
        oid = b.source.oid,
        types = b.source.type_list(),
    );
    let mut views: Vec<View> = Vec::new();
    for row in b.session.rows(&sql).await? {
        let oid: u32 = number(&row, 0)?;
        let view = View {
            name: Table { schema: name_at(&row, 1), name: name_at(&row, 2) },
            copy: Table { schema: b.shadow().schema.clone(), name: Ident::new(format!("osc_view_{oid}")) },
            owner: name_at(&row, 3),
            options: text_at(&row, 5),
            height: number(&row, 6)?,
        };
        b.acts_as(&view.owner, &format!("the view {}", view.name.bare())).await?;
        let map = [(b.names.original.clone(), b.shadow().clone())];
        let definition = requalify(&text_at(&row, 4).unwrap_or_default(), &map)?;
        b.run(format!("CREATE VIEW {} AS {definition}", view.copy)).await?;
        views.push(view);
    }
    let astray = format!(
        "SELECT c.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class \
         WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {} \
           AND c.relnamespace = {}::regnamespace",
        b.source.oid,
        super::super::sql::text(&b.shadow().schema.to_string())
    );
    if let Some(copy) = b.session.value(&astray).await? {
        let view = views.iter().find(|v| v.copy.name.bare() == copy).map_or(copy.clone(), |v| v.name.bare());
        return Err(b.refused(&format!("the definition of the view {view} can't be led to the new table")));
    }
    Ok(views)
}

pub async fn after(b: &mut Builder<'_>, views: Vec<View>, parts: &mut Parts) -> Result<()> {
    let map = [(b.names.shadow.clone(), b.names.original.clone())];
    for view in &views {
        let sql = format!("SELECT pg_get_viewdef({}::regclass)", super::super::sql::text(&view.copy.to_string()));
        let definition = requalify(&b.session.value(&sql).await?.unwrap_or_default(), &map)?;
        let with = view.options.as_ref().map_or_else(String::new, |options| format!(" WITH ({options})"));
        parts.attach.push(format!("CREATE OR REPLACE VIEW {}{with} AS {definition}", view.name));
    }
    let mut outer_first: Vec<&View> = views.iter().collect();
    outer_first.sort_by_key(|view| std::cmp::Reverse(view.height));
    // It changes nothing, and locks the view alone: LOCK TABLE would lock the table beneath it too.
    parts.first.extend(outer_first.iter().map(|v| format!("ALTER VIEW {} OWNER TO {}", v.name, v.owner)));
    for view in views.iter().rev() {
        b.run(format!("DROP VIEW {}", view.copy)).await?;
    }
    Ok(())
}
