//! Foreign keys that the table has, that others have to it, and that it has to itself.
//!
//! None of them is on the shadow: the server would check the shadow for the application. While the ALTER runs
//! there are empty stand-ins for the other tables, with the columns in question, and the foreign keys between them and the
//! shadow; so the server says what becomes of them. The swap adds them NOT VALID, which reads no row; after it each is validated
//! without a strong lock, unless it was NOT VALID before.
//!
//! To take a foreign key off, the server locks both tables ACCESS EXCLUSIVE; so that lock is taken in the beginning,
//! in the order in which the application's statements meet the tables, and never raised.

use std::collections::BTreeSet;

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::{number, text_at};
use super::super::sql::{Ident, Table, list, text};
use super::Parts;
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

/// A foreign key as it was found, and what stands for the other table.
pub struct Key {
    name: Ident,
    /// Who has it.
    child: Table,
    parent: Table,
    side: Side,
    /// In the place of the other table; none for the table's own.
    stand_in: Option<Table>,
    comment: Option<String>,
}

impl Key {
    /// What a message of the server calls by another name, and by which.
    pub fn says(&self) -> Option<(String, String)> {
        let other = if self.side == Side::Incoming { &self.child } else { &self.parent };
        Some((self.stand_in.as_ref()?.name.bare().to_string(), other.bare()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Outgoing,
    Incoming,
    Own,
}

pub async fn before(b: &mut Builder<'_>) -> Result<Vec<Key>> {
    let oid = b.source.oid;
    let sql = format!(
        "SELECT k.oid, k.conname, cn.nspname, c.relname, pn.nspname, p.relname, \
           CASE WHEN k.conrelid = k.confrelid THEN 'o' WHEN k.conrelid = {oid} THEN 'f' ELSE 't' END, \
           pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'), c.relkind, pg_get_userbyid(c.relowner), \
           (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> 0 \
              THEN ' COLLATE ' || quote_ident(ln.nspname) || '.' || quote_ident(l.collname) ELSE '' END, ', ' ORDER BY x.place) \
            FROM unnest(CASE WHEN k.conrelid = {oid} THEN k.confkey ELSE k.conkey END) WITH ORDINALITY x(attnum, place) \
            JOIN pg_attribute a ON a.attnum = x.attnum AND a.attrelid = CASE WHEN k.conrelid = {oid} THEN k.confrelid ELSE k.conrelid END \
            LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace), \
           (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.place) \
            FROM unnest(k.confkey) WITH ORDINALITY x(attnum, place) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.attnum), \
           coalesce(to_jsonb(k)->>'conperiod', 'false') \
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace \
         JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace \
         WHERE k.contype = 'f' AND k.conparentid = 0 AND {oid} IN (k.conrelid, k.confrelid) ORDER BY k.oid"
    );
    let mut keys = Vec::new();
    for row in b.session.rows(&sql).await? {
        let number: u32 = number(&row, 0)?;
        let side = match row.get(6) {
            Some("o") => Side::Own,
            Some("f") => Side::Outgoing,
            _ => Side::Incoming,
        };
        let mut key = Key {
            name: name_at(&row, 1),
            child: Table { schema: name_at(&row, 2), name: name_at(&row, 3) },
            parent: Table { schema: name_at(&row, 4), name: name_at(&row, 5) },
            side,
            stand_in: None,
            comment: text_at(&row, 8),
        };
        if row.get(13) == Some("true") {
            return Err(b.refused(&format!(
                "its foreign key {} is temporal (PERIOD), which is not supported yet",
                key.name.bare()
            )));
        }
        let schema = b.shadow().schema.clone();
        let other = Table { schema, name: Ident::new(format!("osc_key_{number}")) };
        let mut map = vec![(b.names.original.clone(), b.shadow().clone())];
        if side != Side::Own {
            b.run(format!("CREATE TABLE {other} ({})", text_at(&row, 11).unwrap_or_default())).await?;
            key.stand_in = Some(other.clone());
        }
        let child = match side {
            Side::Incoming => {
                if row.get(9) != Some("r") {
                    let why = format!(
                        "the foreign key {} comes from {}, which is partitioned",
                        key.name.bare(),
                        key.child.bare()
                    );
                    return Err(b.refused(&why));
                }
                let what = format!("the table {} with a foreign key to it", key.child.bare());
                b.acts_as(&name_at(&row, 10), &what).await?;
                other
            }
            Side::Outgoing => {
                b.run(format!("ALTER TABLE {other} ADD UNIQUE ({})", text_at(&row, 12).unwrap_or_default())).await?;
                map.push((key.parent.clone(), other));
                b.shadow().clone()
            }
            Side::Own => b.shadow().clone(),
        };
        let definition = requalify(&text_at(&row, 7).unwrap_or_default(), &map)?;
        b.run(format!("ALTER TABLE {child} ADD CONSTRAINT {} {definition}", key.name)).await?;
        if let Some(comment) = &key.comment {
            b.run(format!("COMMENT ON CONSTRAINT {} ON {child} IS {}", key.name, text(comment))).await?;
        }
        keys.push(key);
    }
    Ok(keys)
}

pub async fn after(b: &mut Builder<'_>, keys: Vec<Key>, parts: &mut Parts) -> Result<()> {
    let (shadow, original) = (b.names.shadow.clone(), b.names.original.clone());
    let mut others = BTreeSet::new();
    for key in &keys {
        if key.side != Side::Own {
            others.insert(if key.side == Side::Incoming { key.child.to_string() } else { key.parent.to_string() });
        }
        // The old table may keep the one that it has to itself.
        if key.side != Side::Own {
            parts.detach.push(format!("ALTER TABLE {} DROP CONSTRAINT {}", key.child, key.name));
        }
        // An ALTER may have given a foreign key of the table's another name: those are read from the shadow below.
        if let (Side::Incoming, Some(child)) = (key.side, &key.stand_in) {
            let condition = format!("k.conrelid = {}::regclass", text(&child.to_string()));
            for found in read(b, &condition).await? {
                let definition = requalify(&found.definition, &[(shadow.clone(), original.clone())])?;
                attach(parts, &key.child, &found, &definition);
            }
        }
    }
    let condition = format!("k.conrelid = {}::regclass", text(&shadow.to_string()));
    for found in read(b, &condition).await? {
        let mut map = vec![(shadow.clone(), original.clone())];
        map.extend(keys.iter().filter_map(|k| Some((k.stand_in.clone()?, k.parent.clone()))));
        let definition = requalify(&found.definition, &map)?;
        attach(parts, &original, &found, &definition);
        b.run(format!("ALTER TABLE {shadow} DROP CONSTRAINT {}", found.name)).await?;
    }
    for other in others {
        // Without the right to lock it, the statement that takes the foreign key off does.
        let may =
            format!("SELECT has_table_privilege({}, 'UPDATE') AND has_table_privilege({0}, 'DELETE')", text(&other));
        if b.session.value(&may).await?.as_deref() == Some("t") {
            parts.tables.push(format!("LOCK TABLE ONLY {other} IN ACCESS EXCLUSIVE MODE"));
        }
    }
    let stand_ins: Vec<&Table> = keys.iter().filter_map(|k| k.stand_in.as_ref()).collect();
    if !stand_ins.is_empty() {
        b.run(format!("DROP TABLE {} CASCADE", list(stand_ins))).await?;
    }
    Ok(())
}

struct Found {
    name: Ident,
    definition: String,
    valid: bool,
    enforced: bool,
    comment: Option<String>,
}

async fn read(b: &mut Builder<'_>, condition: &str) -> Result<Vec<Found>> {
    let sql = format!(
        "SELECT k.conname, pg_get_constraintdef(k.oid), k.convalidated, coalesce(to_jsonb(k)->>'conenforced', 'true'), \
           obj_description(k.oid, 'pg_constraint') \
         FROM pg_constraint k WHERE k.contype = 'f' AND {condition} ORDER BY k.oid"
    );
    let rows = b.session.rows(&sql).await?;
    let found = rows.iter().map(|row| Found {
        name: name_at(row, 0),
        definition: text_at(row, 1).unwrap_or_default(),
        valid: row.get(2) == Some("t"),
        enforced: row.get(3) == Some("true"),
        comment: text_at(row, 4),
    });
    Ok(found.collect())
}

fn attach(parts: &mut Parts, child: &Table, found: &Found, definition: &str) {
    let name = &found.name;
    // The server prints NOT VALID for one that is.
    let unread = if found.valid { " NOT VALID" } else { "" };
    parts.attach.push(format!("ALTER TABLE {child} ADD CONSTRAINT {name} {definition}{unread}"));
    if found.valid && found.enforced {
        parts.after.push(format!("ALTER TABLE {child} VALIDATE CONSTRAINT {name}"));
    }
    if let Some(comment) = &found.comment {
        parts.attach.push(format!("COMMENT ON CONSTRAINT {name} ON {child} IS {}", text(comment)));
    }
}
