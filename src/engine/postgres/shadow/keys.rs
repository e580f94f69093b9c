//! The source's key as the shadow has it.
//!
//! Rows are deleted and found in the shadow by the source's key, so two keys that differ there must differ here,
//! or two rows would become one without an error (trap 7: text to a collation that takes 'A' for 'a'). Only
//! conversions that surely keep them apart are allowed: between integers (what does not fit is an error), and
//! those that change no value, under the same collation.

use super::super::key::KeyShape;
use super::super::session::text_at;
use super::super::sql::{Ident, list};
use super::builder::Builder;
use super::columns::{Column, Origin};
use crate::engine::postgres::alter::Alter;
use crate::error::Result;

/// The index that is added when the new definition has none on the source's key.
pub const INDEX: &str = "osc_key";

pub fn renamed(b: &Builder<'_>, key: &KeyShape, columns: &[Column], alter: &Alter) -> Result<Vec<Ident>> {
    let mut out = Vec::with_capacity(key.columns.len());
    for part in &key.columns {
        let name = part.name.bare();
        let column = columns.iter().find(|c| c.origin.as_ref().is_some_and(|origin| origin.name == part.name));
        let why = match column {
            None => "the ALTER drops it".to_string(),
            Some(c) if c.generated => "the ALTER makes it a generated column".to_string(),
            Some(_) if alter.using.iter().any(|(using, _)| *using == part.name) => {
                "the ALTER converts it by a USING, and two keys might become one".to_string()
            }
            Some(c) => match c.origin.as_ref().filter(|origin| !keeps_apart(origin)) {
                Some(origin) => {
                    format!("two keys might become one when it goes from {} to {}", origin.kind, describe(c, origin))
                }
                None => {
                    out.push(c.name.clone());
                    continue;
                }
            },
        };
        return Err(b
            .refused(&format!("rows are told apart by {} while the change is on, and of its column {name} {why}", key.names()))
            .todo("Give the table another unique key that the ALTER leaves as it is, and make it the replica identity; or run the ALTER natively."));
    }
    Ok(out)
}

fn describe(column: &Column, origin: &Origin) -> String {
    if origin.collation == origin.new_collation { column.kind.to_string() } else { "another collation".into() }
}

const INTEGERS: [u32; 3] = [20, 21, 23];
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const NUMERIC: u32 = 1700;

/// Whether two values that differ do so after the conversion, and equal ones are equal.
pub fn keeps_apart(o: &Origin) -> bool {
    let (old, new) = (o.base_type, o.new_base_type);
    if INTEGERS.contains(&old) && INTEGERS.contains(&new) {
        return true;
    }
    if o.collation != o.new_collation {
        return false;
    }
    let same_type = old == new;
    let unlimited = o.new_modifier == -1;
    match old {
        _ if same_type && (o.modifier == o.new_modifier || unlimited) => true,
        // A shorter one cuts blanks off.
        VARCHAR if same_type => o.modifier != -1 && o.new_modifier >= o.modifier,
        VARCHAR => new == TEXT,
        TEXT => new == VARCHAR && unlimited,
        // As many digits behind the point.
        NUMERIC if same_type => {
            let scale = |modifier: i32| (modifier - 4) & 0x7ff;
            o.modifier != -1 && scale(o.modifier) == scale(o.new_modifier)
        }
        _ => false,
    }
}

/// Makes sure that the shadow can be searched by the key. Whether an index was added for it.
pub async fn index(b: &mut Builder<'_>, key: &[Ident]) -> Result<bool> {
    let sql = format!(
        "SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) FROM pg_index i \
         JOIN unnest(i.indkey::int2[], i.indcollation::oid[], i.indoption::int2[]) WITH ORDINALITY k(attnum, coll, opt, place) \
           ON k.place <= i.indnkeyatts \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
         WHERE i.indrelid = {} AND i.indisunique AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL \
         GROUP BY i.indexrelid HAVING bool_and(k.coll = a.attcollation AND k.opt = 0)",
        b.shadow().regclass()
    );
    let wanted = b.session.value(&format!("SELECT concat_ws(', ', {})", list(key.iter().map(quoted)))).await?;
    if b.session.rows(&sql).await?.iter().any(|row| text_at(row, 0) == wanted) {
        return Ok(false);
    }
    let statement = format!("CREATE UNIQUE INDEX {INDEX} ON {} ({})", b.shadow(), list(key));
    b.run(statement).await?;
    Ok(true)
}

fn quoted(name: &Ident) -> String {
    format!("quote_ident({})", super::super::sql::text(name.bare()))
}
