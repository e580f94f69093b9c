//! Foreign keys that the table has, that others have to it, and that it has to itself.
//!
//! None of them is on the shadow: the server would check the shadow for the application. While the ALTER runs
//! there are empty stand-ins for the other tables, with the columns in question, and the foreign keys between them and the
//! shadow; so the server says what becomes of them. The swap adds them NOT VALID, which reads no row; after it each is validated
//! without a strong lock, unless it was NOT VALID before.
//!
//! To take a foreign key off, the server locks both tables ACCESS EXCLUSIVE; so that lock is taken in the beginning,
//! in the order in which the application's statements meet the tables, and never raised.

use std::collections::{BTreeMap, BTreeSet};

use super::super::alter::lex::requalify;
use super::super::catalog::name_at;
use super::super::session::{number, text_at};
use super::super::sql::{Ident, Table, list, text};
use super::{Parts, proofs};
use crate::engine::postgres::shadow::builder::Builder;
use crate::error::Result;

/// Those of the table, and what they are before the ALTER.
pub struct Foreign {
    pub keys: Vec<Key>,
    /// Those that hold: number, name, definition.
    held: Vec<(u32, Ident, String)>,
}

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
    /// It comes with the ALTER.
    new: bool,
}

impl Key {
    /// The stand-in of a table that a foreign key of the ALTER's leads to.
    pub fn new(child: Table, parent: Table, stand_in: Table) -> Key {
        let (name, side, stand_in) = (stand_in.name.clone(), Side::Outgoing, Some(stand_in));
        Key { name, child, parent, side, stand_in, comment: None, new: true }
    }

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

pub async fn before(b: &mut Builder<'_>) -> Result<Foreign> {
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
            new: false,
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
    let condition = format!("k.connamespace = {}::regnamespace", text(&b.shadow().schema.to_string()));
    let held = read(b, &condition).await?.into_iter().filter(|found| found.valid && found.enforced);
    Ok(Foreign { keys, held: held.map(|found| (found.number, found.name, found.definition)).collect() })
}

pub async fn after(b: &mut Builder<'_>, foreign: Foreign, parts: &mut Parts) -> Result<()> {
    let (shadow, original) = (b.names.shadow.clone(), b.names.original.clone());
    let Foreign { keys, held } = foreign;
    let mut others = BTreeSet::new();
    for key in keys.iter().filter(|key| !key.new) {
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
                parts.unproved.extend(proofs::unproved(b, &found, &held, Some(&key.child), None).await?);
            }
        }
    }
    let condition = format!("k.conrelid = {}::regclass", text(&shadow.to_string()));
    for found in read(b, &condition).await? {
        if found.temporal {
            return Err(b.refused(&format!(
                "the foreign key {} is temporal (PERIOD), which is not supported yet",
                found.name.bare()
            )));
        }
        let parent = keys.iter().find(|k| k.stand_in.as_ref() == Some(&found.parent)).map(|k| &k.parent);
        parts.unproved.extend(proofs::unproved(b, &found, &held, None, parent).await?);
        let mut map = vec![(shadow.clone(), original.clone())];
        map.extend(keys.iter().filter_map(|k| Some((k.stand_in.clone()?, k.parent.clone()))));
        let definition = requalify(&found.definition, &map)?;
        attach(parts, &original, &found, &definition);
        b.run(format!("ALTER TABLE {shadow} DROP CONSTRAINT {}", found.name)).await?;
    }
    let weaker: BTreeSet<String> = keys.iter().filter(|key| key.new).map(|key| key.parent.to_string()).collect();
    let locks = others.iter().map(|other| (other, "ACCESS EXCLUSIVE"));
    // To add one locks out who writes to the other table, not who reads it.
    let weaker = weaker.iter().filter(|other| !others.contains(*other)).map(|other| (other, "SHARE ROW EXCLUSIVE"));
    let locks: BTreeMap<&String, &str> = locks.chain(weaker).collect();
    for (other, mode) in locks {
        // Without the right to lock it, the statement that takes the foreign key off does.
        let may =
            format!("SELECT has_table_privilege({}, 'UPDATE') AND has_table_privilege({0}, 'DELETE')", text(other));
        if b.session.value(&may).await?.as_deref() == Some("t") {
            parts.tables.push(format!("LOCK TABLE ONLY {other} IN {mode} MODE"));
        }
    }
    let stand_ins: Vec<&Table> = keys.iter().filter_map(|k| k.stand_in.as_ref()).collect();
    if !stand_ins.is_empty() {
        b.run(format!("DROP TABLE {} CASCADE", list(stand_ins))).await?;
    }
    Ok(())
}

pub struct Found {
    pub number: u32,
    pub name: Ident,
    pub definition: String,
    pub valid: bool,
    pub enforced: bool,
    parent: Table,
    temporal: bool,
    comment: Option<String>,
}

async fn read(b: &mut Builder<'_>, condition: &str) -> Result<Vec<Found>> {
    let sql = format!(
        "SELECT k.conname, pg_get_constraintdef(k.oid), k.convalidated, coalesce(to_jsonb(k)->>'conenforced', 'true'), \
           obj_description(k.oid, 'pg_constraint'), k.oid, n.nspname, p.relname, coalesce(to_jsonb(k)->>'conperiod', 'false') \
         FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace \
         WHERE k.contype = 'f' AND {condition} ORDER BY k.oid"
    );
    let rows = b.session.rows(&sql).await?;
    let found = rows.iter().map(|row| {
        Ok(Found {
            number: number(row, 5)?,
            name: name_at(row, 0),
            definition: text_at(row, 1).unwrap_or_default(),
            valid: row.get(2) == Some("t"),
            enforced: row.get(3) == Some("true"),
            parent: Table { schema: name_at(row, 6), name: name_at(row, 7) },
            temporal: row.get(8) == Some("true"),
            comment: text_at(row, 4),
        })
    });
    found.collect()
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
