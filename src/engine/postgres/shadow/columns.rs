//! Which column of the shadow gets its values from where.
//!
//! By number: the fresh shadow has the source's columns by name, and ALTER TABLE keeps a column's number. A
//! number that was not there before is a new column.

use std::collections::HashMap;

use super::super::alter::{Alter, Using};
use super::super::catalog::name_at;
use super::super::session::{number, text_at};
use super::super::sql::{Ident, Table, TypeName, text};
use super::Written;
use super::builder::Builder;
use crate::error::{Error, Result};

/// The source's columns by the numbers that they have in the shadow.
pub type Origins = HashMap<i32, Ident>;

/// A column of the shadow after the ALTER, with the one of the source that it was.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: Ident,
    pub kind: TypeName,
    pub generated: bool,
    /// a, d, or nothing.
    pub identity: String,
    pub default: Option<String>,
    pub origin: Option<Origin>,
    /// The type without length and domain, for a default's one value.
    pub base: String,
}

/// The source's column.
#[derive(Debug, Clone)]
pub struct Origin {
    pub name: Ident,
    pub kind: TypeName,
    pub base: String,
    pub base_type: u32,
    pub modifier: i32,
    pub collation: u32,
    /// The shadow's, to be held against them.
    pub new_base_type: u32,
    pub new_modifier: i32,
    pub new_collation: u32,
}

/// The numbers of the fresh shadow's columns.
pub async fn origins(b: &mut Builder<'_>) -> Result<Origins> {
    let sql = format!(
        "SELECT attnum, attname FROM pg_attribute WHERE attrelid = {} AND attnum > 0 AND NOT attisdropped",
        b.shadow().regclass()
    );
    let mut out = Origins::new();
    for row in b.session.rows(&sql).await? {
        out.insert(number(&row, 0)?, name_at(&row, 1));
    }
    Ok(out)
}

/// The shadow's columns as they are now.
pub async fn read(b: &mut Builder<'_>, origins: &Origins) -> Result<Vec<Column>> {
    let base = "WITH RECURSIVE base(first, oid, below, modifier) AS (\
          SELECT t.oid, t.oid, t.typbasetype, t.typtypmod FROM pg_type t WHERE t.typtype = 'd' \
          UNION ALL SELECT base.first, t.oid, t.typbasetype, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE base.modifier END \
            FROM base JOIN pg_type t ON t.oid = base.below)";
    let sql = format!(
        "{base} SELECT a.attrelid = {}, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated, \
           a.attidentity, pg_get_expr(d.adbin, d.adrelid), format_type(coalesce(base.oid, a.atttypid), -1), \
           coalesce(base.oid, a.atttypid), CASE WHEN base.oid IS NULL THEN a.atttypmod ELSE base.modifier END, a.attcollation \
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         LEFT JOIN base ON base.first = a.atttypid AND base.below = 0 \
         WHERE a.attrelid IN ({}, {}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1 DESC, a.attnum",
        b.shadow().regclass(),
        b.shadow().regclass(),
        b.source.oid
    );
    let rows = b.session.rows(&sql).await?;
    let (new, old): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get(0) == Some("t"));
    let mut columns = Vec::with_capacity(new.len());
    for row in new {
        let place: i32 = number(row, 1)?;
        let was = origins.get(&place).and_then(|name| old.iter().find(|row| row.get(2) == Some(name.bare())));
        let origin = match was {
            Some(was) => Some(Origin {
                name: name_at(was, 2),
                kind: kind_at(was),
                base: text_at(was, 7).unwrap_or_default(),
                base_type: number(was, 8)?,
                modifier: number(was, 9)?,
                collation: number(was, 10)?,
                new_base_type: number(row, 8)?,
                new_modifier: number(row, 9)?,
                new_collation: number(row, 10)?,
            }),
            None if origins.contains_key(&place) => {
                return Err(Error::transient(format!("{} was altered meanwhile.", b.names.original.bare())));
            }
            None => None,
        };
        columns.push(Column {
            name: name_at(row, 2),
            kind: kind_at(row),
            generated: row.get(4).is_some_and(|g| !g.is_empty()),
            identity: text_at(row, 5).unwrap_or_default(),
            default: text_at(row, 6),
            origin,
            base: text_at(row, 7).unwrap_or_default(),
        });
    }
    Ok(columns)
}

fn kind_at(row: &tokio_postgres::SimpleQueryRow) -> TypeName {
    TypeName::from_server(text_at(row, 3).unwrap_or_default())
}

/// What a sync writes.
pub async fn written(
    b: &mut Builder<'_>,
    columns: &[Column],
    alter: &Alter,
    printed: &[Printed],
) -> Result<Vec<Written>> {
    let mut out = Vec::new();
    for column in columns.iter().filter(|c| !c.generated) {
        let (expression, compared) = match &column.origin {
            Some(origin) => match alter.using.iter().zip(printed).find(|((name, _), _)| *name == origin.name) {
                Some(((_, using), printed)) => {
                    let cast = if using.literal { format!("::{}", column.kind) } else { String::new() };
                    (format!("({}){cast}", printed.expression), printed.immutable)
                }
                None => {
                    session_dependent(b, column, origin)?;
                    (origin.name.to_string(), true)
                }
            },
            None if !column.identity.is_empty() => continue,
            None => match &column.default {
                Some(default) => match one_value(b, column, default).await? {
                    Some(value) => (value, true),
                    None => {
                        b.warnings.push(format!(
                            "The default of the new column {} is volatile: each row gets a value of its own when it is copied.",
                            column.name
                        ));
                        continue;
                    }
                },
                None => continue,
            },
        };
        out.push(Written { column: column.name.clone(), kind: column.kind.clone(), expression, compared });
    }
    Ok(out)
}

/// Refuses a conversion that comes out as the session's time zone says: nobody knows which one was meant.
fn session_dependent(b: &Builder<'_>, column: &Column, origin: &Origin) -> Result<()> {
    let zoned = |kind: &str| kind.trim_end_matches("[]").ends_with("with time zone");
    // A time with time zone carries its own, and goes to what has none by itself.
    let own = origin.base.starts_with("time with") && !zoned(&column.base);
    if origin.base_type != origin.new_base_type && (zoned(&origin.base) || zoned(&column.base)) && !own {
        let todo = format!(
            "Say which one: ALTER COLUMN {} TYPE {} USING {} AT TIME ZONE 'UTC'.",
            origin.name, column.kind, origin.name
        );
        return Err(b
            .refused(&format!(
                "the column {} goes from {} to {}, and what comes out depends on the session's time zone",
                origin.name.bare(),
                origin.kind,
                column.kind
            ))
            .todo(todo));
    }
    Ok(())
}

/// The one value that existing rows get from a default, as a native ALTER evaluates it once; none when it is volatile.
///
/// The server says which: a column that is added to a table gets its "missing" value from a default that is not volatile.
/// Asked of a table of its own, because an ALTER that rewrites the table does not leave it.
async fn one_value(b: &mut Builder<'_>, column: &Column, default: &str) -> Result<Option<String>> {
    let probe = Table { schema: b.shadow().schema.clone(), name: Ident::new("osc_default") };
    b.session.exec(&format!("CREATE TABLE {probe} ()")).await?;
    // Not the domain: one with a constraint would be evaluated row by row.
    let (kind, class) = (&column.base, probe.regclass());
    let file = format!("SELECT pg_relation_filenode({class})");
    let before = b.session.value(&file).await?;
    let added = b.attempt(&format!("ALTER TABLE {probe} ADD COLUMN v {kind} DEFAULT ({default})")).await?;
    added.map_err(|error| error.context(&format!("The default of the column {} can't be evaluated", column.name)))?;
    // A table that was written anew had a volatile one; without that and without a value it is NULL.
    let volatile = b.session.value(&file).await? != before;
    let sql =
        format!("SELECT (attmissingval::text::text[])[1] FROM pg_attribute WHERE attrelid = {class} AND attname = 'v'");
    let value = b.session.value(&sql).await?;
    b.session.exec(&format!("DROP TABLE {probe}")).await?;
    Ok((!volatile).then(|| format!("{}::{}", value.map_or_else(|| "NULL".into(), |value| text(&value)), column.kind)))
}

/// An expression of USING as the server prints it, every name with its schema.
#[derive(Debug, Clone)]
pub struct Printed {
    pub expression: String,
    pub immutable: bool,
}

/// Lets the server read the expressions of USING over the fresh shadow, under the search_path that the user expects.
pub async fn print(b: &mut Builder<'_>, using: &[(Ident, Using)]) -> Result<Vec<Printed>> {
    let mut out = Vec::new();
    let view = Table { schema: b.shadow().schema.clone(), name: Ident::new("osc_using") };
    for (column, using) in using {
        let shadow = b.shadow().clone();
        user_path(b).await?;
        let made = b
            .attempt(&format!("CREATE VIEW {view} AS SELECT ({}) AS osc_value FROM {shadow}", using.expression))
            .await?;
        made.map_err(|error| {
            Error::refused(format!("The server refuses the USING of the column {}: {}", column.bare(), error.what()))
                .todo("Correct the ALTER; nothing has been changed.")
                .caused_by(error)
        })?;
        // A condition has to be immutable, whatever its type is.
        let index = Ident::new("osc_immutable");
        let asked = format!("CREATE INDEX {index} ON {shadow} ((1)) WHERE ({}) IS NULL", using.expression);
        let immutable = b.attempt(&asked).await?.is_ok();
        if immutable {
            b.session.exec(&format!("DROP INDEX {}.{index}", shadow.schema)).await?;
        } else {
            b.warnings.push(format!(
                "The USING of the column {column} depends on the moment or on the session's settings: it is evaluated row by row \
                 while the copy is made, in sessions with TimeZone = UTC, and the comparison leaves the column out."
            ));
        }
        own_path(b).await?;
        let printed =
            b.session.value(&format!("SELECT pg_get_viewdef({})", view.regclass())).await?.unwrap_or_default();
        b.session.exec(&format!("DROP VIEW {view}")).await?;
        let tail = b
            .session
            .value(&format!("SELECT ' FROM ' || {}::text || ';'", shadow.regclass()))
            .await?
            .unwrap_or_default();
        let expression = printed
            .trim_end()
            .strip_suffix(tail.trim_start())
            .and_then(|rest| rest.trim_end().strip_suffix("AS osc_value"))
            .and_then(|rest| rest.trim().strip_prefix("SELECT"))
            .ok_or_else(|| {
                b.refused(&format!("the USING of the column {} can't be read back from the server", column.bare()))
            })?;
        out.push(Printed { expression: expression.trim().to_string(), immutable });
    }
    Ok(out)
}

/// The search_path under which the user's own text is read.
pub async fn user_path(b: &mut Builder<'_>) -> Result<()> {
    let path = format!("{}, public", b.names.original.schema);
    b.session.exec(&format!("SELECT set_config('search_path', {}, true)", text(&path))).await.map(std::mem::drop)
}

pub async fn own_path(b: &mut Builder<'_>) -> Result<()> {
    b.session.exec("SET LOCAL search_path = pg_catalog").await.map(std::mem::drop)
}
