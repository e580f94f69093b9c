//! What the server's catalog says of a table, as far as a new table has to be made like it.

mod family;
mod fingerprint;

pub use family::{Ancestor, Family};
pub use fingerprint::{changed, fingerprint};

use super::session::{Session, number, text_at};
use super::sql::{Ident, Table};
use crate::error::{Error, Result};

/// The table itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub oid: u32,
    pub owner: Ident,
    pub access_method: Ident,
    /// None: the database's default.
    pub tablespace: Option<Ident>,
    /// As they stand in `WITH (…)`.
    pub options: Vec<String>,
    /// Its row type, and the array of it.
    pub types: Vec<u32>,
    pub row_security: bool,
    pub force_row_security: bool,
    /// d, f, i, n.
    pub identity: String,
    pub family: Family,
}

impl Relation {
    /// Its types, to stand in an IN (…).
    pub fn type_list(&self) -> String {
        self.types.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Reads a table; refuses what is none that can be replaced.
    pub async fn read(session: &mut Session, table: &Table) -> Result<Relation> {
        let sql = format!(
            "SELECT c.oid, pg_get_userbyid(c.relowner), am.amname, ts.spcname, c.relkind, c.relpersistence, \
               c.reloftype <> 0, \
               EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid), \
               (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid \
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass \
                  AND d.deptype = 'e'), \
               EXISTS (SELECT FROM pg_seclabel s WHERE s.classoid = 'pg_class'::regclass AND s.objoid = c.oid), \
               c.reltype, t.typarray, c.relrowsecurity, c.relforcerowsecurity, c.relreplident \
             FROM pg_class c JOIN pg_type t ON t.oid = c.reltype LEFT JOIN pg_am am ON am.oid = c.relam \
             LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace WHERE c.oid = {}",
            table.regclass()
        );
        let row = session.row(&sql).await?;
        let is = |at: usize| row.get(at) == Some("t");
        let extension = text_at(&row, 8).map(|name| format!("it belongs to the extension {name}"));
        let why = match (row.get(4), row.get(5)) {
            (Some("p"), _) => Some("it is partitioned: alter its partitions one by one".to_string()),
            (kind, _) if kind != Some("r") => Some("it is no ordinary table".into()),
            (_, persistence) if persistence != Some("p") => {
                Some("it is unlogged or temporary: its changes are in no stream".into())
            }
            _ if is(6) => Some("it is a typed table (OF …)".into()),
            _ if is(7) => Some("other tables inherit from it".into()),
            _ if is(9) => Some("it has a security label, which osc can't carry over".into()),
            _ => extension,
        };
        if let Some(why) = why {
            return Err(refused(table, &why));
        }
        let mut relation = Relation {
            oid: number(&row, 0)?,
            owner: name_at(&row, 1),
            access_method: name_at(&row, 2),
            tablespace: text_at(&row, 3).map(Ident::new),
            options: Vec::new(),
            types: vec![number(&row, 10)?, number(&row, 11)?],
            row_security: is(12),
            force_row_security: is(13),
            identity: text_at(&row, 14).unwrap_or_default(),
            family: Family::default(),
        };
        relation.family = Family::read(session, table, relation.oid).await?;
        relation.options = options(session, relation.oid).await?;
        Ok(relation)
    }
}

/// The storage parameters of a relation, those of its TOAST table too, each as it stands in `WITH (…)`.
pub async fn options(session: &mut Session, oid: u32) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT o.place || quote_ident(x.option_name) || '=' || quote_literal(x.option_value) FROM pg_class c \
         LEFT JOIN pg_class t ON t.oid = c.reltoastrelid \
         CROSS JOIN LATERAL (VALUES ('', c.reloptions), ('toast.', t.reloptions)) o(place, options) \
         CROSS JOIN LATERAL pg_options_to_table(o.options) WITH ORDINALITY x WHERE c.oid = {oid} ORDER BY o.place, x.ordinality"
    );
    Ok(session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect())
}

/// A column of a row as a name.
pub fn name_at(row: &tokio_postgres::SimpleQueryRow, at: usize) -> Ident {
    Ident::new(text_at(row, at).unwrap_or_default())
}

/// A table that osc does not change.
pub fn refused(table: &Table, why: &str) -> Error {
    Error::refused(format!("osc can't change {}: {why}.", table.bare())).table("The table is untouched.")
}
