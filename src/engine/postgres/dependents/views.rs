//! Views that name the table. Only those that name it themselves: one over another view finds that one as it was.
//!
//! A copy of each stands over the empty shadow while the ALTER runs: the server refuses exactly where it would refuse
//! for the view itself, and rewrites what it would rewrite. What it then prints replaces the view's definition in the
//! swap; the view itself stays, with its owner, grants, comments, triggers and rules. Replacing one locks it, so they are
//! locked first, before any table, the outer ones before the inner ones: in that order a query takes them (trap 9).

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::{Session, number, text_at};
use super::super::sql::{Ident, Table};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub struct View {
    view: Over,
    copy: Table,
}

impl View {
    /// What a message of the server calls by another name, and by which.
    pub fn says(&self) -> (String, String) {
        (self.copy.name.bare().to_string(), self.view.name.bare())
    }
}

/// A view that names a relation itself.
pub struct Over {
    pub oid: u32,
    pub name: Table,
    pub owner: Ident,
    pub definition: String,
    /// As they stand in `WITH (…)`.
    pub options: Option<String>,
    /// How many of the others it is above of, at most.
    pub height: u32,
}

impl Over {
    /// Locks the view alone, and changes nothing: LOCK TABLE would lock the table beneath it too.
    pub fn lock(&self) -> String {
        format!("ALTER VIEW {} OWNER TO {}", self.name, self.owner)
    }

    /// Gives it this definition.
    pub fn replace(&self, definition: &str) -> String {
        let with = self.options.as_ref().map_or_else(String::new, |options| format!(" WITH ({options})"));
        format!("CREATE OR REPLACE VIEW {}{with} AS {definition}", self.name)
    }
}

/// All views over the relation of this number with these types, the inner ones first.
pub async fn over(session: &mut Session, oid: u32, types: &str) -> Result<Vec<Over>> {
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
             OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN ({types})))) ORDER BY 7, 1"
    );
    let mut views = Vec::new();
    for row in session.rows(&sql).await? {
        views.push(Over {
            oid: number(&row, 0)?,
            name: Table { schema: name_at(&row, 1), name: name_at(&row, 2) },
            owner: name_at(&row, 3),
            definition: text_at(&row, 4).unwrap_or_default(),
            options: text_at(&row, 5),
            height: number(&row, 6)?,
        });
    }
    Ok(views)
}

/// Their locks, the outer ones first.
pub fn locks(views: &[&Over]) -> Vec<String> {
    let mut outer_first = views.to_vec();
    outer_first.sort_by_key(|view| std::cmp::Reverse(view.height));
    outer_first.iter().map(|view| view.lock()).collect()
}

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<View>> {
    let (oid, types) = (b.source.oid, b.source.type_list());
    let mut views: Vec<View> = Vec::new();
    for view in over(b.session, oid, &types).await? {
        b.acts_as(&view.owner, &format!("the view {}", view.name.bare())).await?;
        let map = [(b.names.original.clone(), b.shadow().clone())];
        let definition = requalify(&view.definition, &map)?;
        let copy = Table { schema: b.shadow().schema.clone(), name: Ident::new(format!("osc_view_{}", view.oid)) };
        b.run(format!("CREATE VIEW {copy} AS {definition}")).await?;
        views.push(View { view, copy });
    }
    let copies: Vec<(&Table, &Table)> = views.iter().map(|v| (&v.copy, &v.view.name)).collect();
    none_astray(b, &copies).await?;
    Ok(views)
}

/// Refuses when a copy (the left ones) still leads to the table itself.
pub async fn none_astray(b: &mut Builder<'_>, copies: &[(&Table, &Table)]) -> Result<()> {
    let astray = format!(
        "SELECT c.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class \
         WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {} \
           AND c.relnamespace = {}::regnamespace",
        b.source.oid,
        super::super::sql::text(&b.shadow().schema.to_string())
    );
    if let Some(copy) = b.session.value(&astray).await? {
        let view = copies.iter().find(|(one, _)| one.name.bare() == copy).map_or(copy.clone(), |(_, view)| view.bare());
        return Err(b.refused(&format!("the definition of the view {view} can't be led to the new table")));
    }
    Ok(())
}

pub async fn after(b: &mut Builder<'_>, views: Vec<View>, parts: &mut Parts) -> Result<()> {
    let map = [(b.names.shadow.clone(), b.names.original.clone())];
    for View { view, copy } in &views {
        let sql = format!("SELECT pg_get_viewdef({})", copy.regclass());
        let definition = requalify(&b.session.value(&sql).await?.unwrap_or_default(), &map)?;
        parts.attach.push(view.replace(&definition));
    }
    parts.first.extend(locks(&views.iter().map(|v| &v.view).collect::<Vec<_>>()));
    for view in views.iter().rev() {
        b.run(format!("DROP VIEW {}", view.copy)).await?;
    }
    Ok(())
}
