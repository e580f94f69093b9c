//! The user's publications that name the table, with their columns and conditions. Those of all tables, or of all of a
//! schema, have it by its name.

use super::super::catalog::name_at;
use super::super::session::number;
use super::super::sql::{Ident, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

pub struct Publication {
    name: Ident,
    stand_in: Ident,
}

/// What stands behind the table's name in a publication, for this one's entry of this table.
fn entry_sql(publication: &str, table: &str) -> String {
    format!(
        "SELECT coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY x.place) || ')' \
             FROM unnest(r.prattrs::int2[]) WITH ORDINALITY x(attnum, place) \
             JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = x.attnum), '') \
           || coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '') \
         FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid \
         WHERE p.pubname = {} AND r.prrelid = {table}",
        text(publication)
    )
}

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<Publication>> {
    let sql = format!(
        "SELECT p.oid, p.pubname, pg_get_userbyid(p.pubowner) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid \
         WHERE r.prrelid = {} AND p.pubname <> {} ORDER BY p.pubname",
        b.source.oid,
        text(b.names.publication.bare())
    );
    let mut out = Vec::new();
    for row in b.session.rows(&sql).await? {
        let (number, name): (u32, _) = (number(&row, 0)?, name_at(&row, 1));
        b.acts_as(&name_at(&row, 2), &format!("the publication {}", name.bare())).await?;
        let oid = b.source.oid.to_string();
        let entry = b.session.value(&entry_sql(name.bare(), &oid)).await?.unwrap_or_default();
        let stand_in = Ident::new(format!("{}_{number}", b.names.publication.bare()));
        let shadow = b.shadow().clone();
        b.run(format!("CREATE PUBLICATION {stand_in} FOR TABLE ONLY {shadow}{entry}")).await?;
        out.push(Publication { name, stand_in });
    }
    Ok(out)
}

pub async fn after(b: &mut Builder<'_>, publications: Vec<Publication>, parts: &mut Parts) -> Result<()> {
    let (original, shadow) = (b.names.original.clone(), b.shadow().clone());
    for publication in publications {
        parts.detach.push(format!("ALTER PUBLICATION {} DROP TABLE ONLY {original}", publication.name));
        if let Some(entry) = b.session.value(&entry_sql(publication.stand_in.bare(), &shadow.regclass())).await? {
            parts.attach.push(format!("ALTER PUBLICATION {} ADD TABLE ONLY {original}{entry}", publication.name));
        }
        b.run(format!("DROP PUBLICATION {}", publication.stand_in)).await?;
    }
    Ok(())
}
