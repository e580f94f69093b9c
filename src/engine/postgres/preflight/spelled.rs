//! Which table a name means.
//!
//! A name without a schema is not looked up by a search_path: which one would apply depends on who asks. It is the one
//! table of this name that the account may see, `public` first; of several it's for the user to say which.

use super::super::names;
use super::super::session::{Session, text_at};
use super::super::sql::{Table, text};
use crate::error::{Error, Result};

/// The table that a name means, in its schema.
pub async fn spelled(session: &mut Session, schema: Option<&str>, name: &str) -> Result<Table> {
    let found = find(session, schema, name).await?;
    super::table::kind(session, &found).await?;
    Ok(found)
}

async fn find(session: &mut Session, schema: Option<&str>, name: &str) -> Result<Table> {
    if let Some(schema) = schema {
        let table = Table::new(schema, name);
        return match schemas(session, name).await?.iter().any(|there| there == schema) {
            true => Ok(table),
            false => Err(missing(session, &table.bare(), name).await?),
        };
    }
    let found: Vec<String> = schemas(session, name)
        .await?
        .into_iter()
        .filter(|schema| !of_osc(schema) && !schema.starts_with("pg_") && schema != "information_schema")
        .collect();
    match found.as_slice() {
        [] => Err(missing(session, name, name).await?),
        [one] => Ok(Table::new(one, name)),
        many if many.iter().any(|schema| schema == "public") => Ok(Table::new("public", name)),
        many => Err(Error::refused(format!("There is a table {name} in several schemas: {}.", many.join(", ")))
            .table("Nothing was changed.")
            .todo("Say which one you mean, as in --table SCHEMA.TABLE.")),
    }
}

/// Where there is something that is called like this and has rows, whatever it is: what it is, is said later.
async fn schemas(session: &mut Session, name: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = {} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') \
         AND has_schema_privilege(n.oid, 'USAGE') ORDER BY n.nspname",
        text(name)
    );
    Ok(session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)).collect())
}

/// With what may have been meant: another case, which has to stand in quotes, or another schema.
async fn missing(session: &mut Session, shown: &str, name: &str) -> Result<Error> {
    let sql = format!(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE lower(c.relname) = lower({}) AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' ORDER BY 1, 2 LIMIT 3",
        text(name)
    );
    let rows = session.rows(&sql).await?;
    let near = rows.iter().filter_map(|row| Some(Table::new(text_at(row, 0)?, text_at(row, 1)?).to_string()));
    let near: Vec<String> = near.collect();
    let error =
        Error::refused(format!("There is no table {shown} that this account may see.")).table("Nothing was changed.");
    Ok(match near.is_empty() {
        true => error
            .todo("See the name, the database at the end of the URL, and whether the account has USAGE on the schema."),
        false => error.todo(format!(
            "There is {}: capital letters stand in double quotes, and a schema stands before the name.",
            near.join(", ")
        )),
    })
}

/// Whether a schema carries a name that osc gives.
pub fn of_osc(schema: &str) -> bool {
    let stem = schema.strip_suffix("_new").or_else(|| schema.strip_suffix("_old")).unwrap_or(schema);
    names::is_ours(stem)
}
