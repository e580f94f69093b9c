//! The table itself: its columns, indexes, checks and size.

use mysql_async::Row;
use mysql_async::prelude::FromValue;

use super::{Check, Column, Generated, Index, IndexPart, TableInfo, TableKind};
use crate::engine::mysql::session::{Session, code};
use crate::engine::mysql::sql::{Ident, Table, text};
use crate::error::{Error, Result};

/// Reads what the catalog says about a table; none if there is no such table.
pub async fn read(session: &mut Session, table: &Table) -> Result<Option<TableInfo>> {
    if !session.flavor.is_mariadb() {
        // Sizes would come from a cache that is up to a day old.
        session.exec("SET SESSION information_schema_stats_expiry = 0").await?;
    }
    let Some(found) = find(session, table).await? else { return Ok(None) };
    let table = found.table.clone();
    let mut info = found;
    if info.kind != TableKind::Base {
        return Ok(Some(info));
    }
    info.columns = columns(session, &table).await?;
    info.indexes = indexes(session, &table).await?;
    info.checks = checks(session, &table).await?;
    let create: Option<(String, String)> = match session.first(&format!("SHOW CREATE TABLE {table}")).await {
        Err(error) if code(&error) == Some(1146) => return Ok(None),
        other => other?,
    };
    let (fingerprint, counter) = split_counter(&create.map(|(_, text)| text).unwrap_or_default());
    info.fingerprint = fingerprint;
    // The counter is not shown while it stands at 1.
    info.auto_increment = info.columns.iter().any(|c| c.auto_increment).then(|| counter.unwrap_or(1));
    Ok(Some(info))
}

/// The table's definition by which changes are noticed, and the next AUTO_INCREMENT value (none while
/// it stands at 1 or there is no such column). One statement, which a session may run under its locks.
pub async fn definition(session: &mut Session, table: &Table) -> Result<(String, Option<u64>)> {
    let create: Option<(String, String)> = session.first(&format!("SHOW CREATE TABLE {table}")).await?;
    Ok(split_counter(&create.map(|(_, text)| text).unwrap_or_default()))
}

/// Whether there is a table of exactly this name.
pub async fn exists(session: &mut Session, table: &Table) -> Result<bool> {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        text(table.db.bare()),
        text(table.name.bare())
    );
    Ok(session.first::<u64>(&sql).await?.unwrap_or(0) > 0)
}

async fn find(session: &mut Session, table: &Table) -> Result<Option<TableInfo>> {
    let fold: Option<u8> = session.first("SELECT @@lower_case_table_names").await?;
    let rows = session
        .rows(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION, TABLE_ROWS, DATA_LENGTH, \
             INDEX_LENGTH, CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            text(table.db.bare()),
            text(table.name.bare())
        ))
        .await?;
    let folded = fold.unwrap_or(0) != 0;
    for row in &rows {
        let (db, name): (String, String) = (need(row, "TABLE_SCHEMA")?, need(row, "TABLE_NAME")?);
        let same = |a: &str, b: &str| a == b || (folded && a.to_lowercase() == b.to_lowercase());
        if !same(&db, table.db.bare()) || !same(&name, table.name.bare()) {
            continue;
        }
        let kind: String = need(row, "TABLE_TYPE")?;
        return Ok(Some(TableInfo {
            table: Table::new(db, name),
            kind: match kind.as_str() {
                "BASE TABLE" => TableKind::Base,
                "VIEW" | "SYSTEM VIEW" => TableKind::View,
                "SEQUENCE" => TableKind::Sequence,
                "SYSTEM VERSIONED" => TableKind::SystemVersioned,
                _ => TableKind::Other(kind),
            },
            engine: get::<String>(row, "ENGINE")?.unwrap_or_default(),
            collation: get(row, "TABLE_COLLATION")?,
            partitioned: get::<String>(row, "CREATE_OPTIONS")?.is_some_and(|o| o.contains("partitioned")),
            columns: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            rows: get(row, "TABLE_ROWS")?.unwrap_or(0),
            data_bytes: get(row, "DATA_LENGTH")?.unwrap_or(0),
            index_bytes: get(row, "INDEX_LENGTH")?.unwrap_or(0),
            auto_increment: None,
            fingerprint: String::new(),
        }));
    }
    Ok(None)
}

async fn columns(session: &mut Session, table: &Table) -> Result<Vec<Column>> {
    let rows = session
        .rows(&format!(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, \
             COLUMN_DEFAULT, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_MAXIMUM_LENGTH, \
             CHARACTER_OCTET_LENGTH, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
             ORDER BY ORDINAL_POSITION",
            text(table.db.bare()),
            text(table.name.bare())
        ))
        .await?;
    rows.iter().enumerate().map(|(position, row)| column(position, row)).collect()
}

fn column(position: usize, row: &Row) -> Result<Column> {
    let extra: String = need(row, "EXTRA")?;
    let extra = extra.to_uppercase();
    let column_type: String = need(row, "COLUMN_TYPE")?;
    let nullable = need::<String>(row, "IS_NULLABLE")? == "YES";
    let default: Option<String> = get(row, "COLUMN_DEFAULT")?;
    // DEFAULT_GENERATED, for a default that is an expression, is not a generated column.
    let generated = if extra.contains("VIRTUAL GENERATED") {
        Some(Generated::Virtual)
    } else if extra.contains("STORED GENERATED") || extra.contains("PERSISTENT") {
        Some(Generated::Stored)
    } else {
        None
    };
    Ok(Column {
        name: Ident::new(need::<String>(row, "COLUMN_NAME")?),
        position,
        data_type: need::<String>(row, "DATA_TYPE")?.to_lowercase(),
        unsigned: column_type.to_lowercase().split(' ').any(|word| word == "unsigned" || word == "zerofill"),
        nullable,
        charset: get(row, "CHARACTER_SET_NAME")?,
        collation: get(row, "COLLATION_NAME")?,
        expression: get::<String>(row, "GENERATION_EXPRESSION")?.filter(|_| generated.is_some()),
        generated,
        auto_increment: extra.contains("AUTO_INCREMENT"),
        invisible: extra.contains("INVISIBLE"),
        has_default: nullable || default.is_some(),
        // MariaDB writes the default NULL as the word.
        default: default.filter(|d| d != "NULL"),
        precision: get(row, "NUMERIC_PRECISION")?,
        scale: get(row, "NUMERIC_SCALE")?,
        fsp: get(row, "DATETIME_PRECISION")?.unwrap_or(0),
        chars: get(row, "CHARACTER_MAXIMUM_LENGTH")?,
        octets: get(row, "CHARACTER_OCTET_LENGTH")?,
        column_type,
    })
}

async fn indexes(session: &mut Session, table: &Table) -> Result<Vec<Index>> {
    // Not information_schema.STATISTICS: it does not have the keys in the server's own order.
    let rows = session.rows(&format!("SHOW INDEX FROM {table}")).await?;
    let mut out: Vec<Index> = Vec::new();
    for row in &rows {
        let name = Ident::new(need::<String>(row, "Key_name")?);
        let part = IndexPart {
            column: get::<String>(row, "Column_name")?.map(Ident::new),
            expression: get(row, "Expression")?,
            prefix: get(row, "Sub_part")?,
            descending: get::<String>(row, "Collation")?.as_deref() == Some("D"),
        };
        match out.last_mut().filter(|index| index.name == name) {
            Some(index) => index.parts.push(part),
            None => out.push(Index {
                name,
                unique: need::<u8>(row, "Non_unique")? == 0,
                kind: need(row, "Index_type")?,
                visible: get::<String>(row, "Visible")?.as_deref() != Some("NO")
                    && get::<String>(row, "Ignored")?.as_deref() != Some("YES"),
                parts: vec![part],
            }),
        }
    }
    Ok(out)
}

async fn checks(session: &mut Session, table: &Table) -> Result<Vec<Check>> {
    let (db, name) = (text(table.db.bare()), text(table.name.bare()));
    let sql = if session.flavor.is_mariadb() {
        format!(
            "SELECT CONSTRAINT_NAME, CHECK_CLAUSE, 'YES' AS ENFORCED FROM information_schema.CHECK_CONSTRAINTS \
             WHERE CONSTRAINT_SCHEMA = {db} AND TABLE_NAME = {name}"
        )
    } else if session.flavor.version < (8, 0, 16) {
        return Ok(Vec::new());
    } else {
        format!(
            "SELECT c.CONSTRAINT_NAME, c.CHECK_CLAUSE, t.ENFORCED FROM information_schema.CHECK_CONSTRAINTS c \
             JOIN information_schema.TABLE_CONSTRAINTS t USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME) \
             WHERE t.TABLE_SCHEMA = {db} AND t.TABLE_NAME = {name} AND t.CONSTRAINT_TYPE = 'CHECK'"
        )
    };
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|row| {
            Ok(Check {
                name: Ident::new(need::<String>(row, "CONSTRAINT_NAME")?),
                clause: need(row, "CHECK_CLAUSE")?,
                enforced: need::<String>(row, "ENFORCED")? == "YES",
            })
        })
        .collect()
}

/// Takes the counter out of the text of SHOW CREATE TABLE. It follows the engine's name at once; what
/// looks like it elsewhere is in a comment.
fn split_counter(create: &str) -> (String, Option<u64>) {
    const OPTION: &str = " AUTO_INCREMENT=";
    let found = create.find("\n) ").and_then(|options| {
        let engine = options + create.get(options..)?.find("ENGINE=")? + "ENGINE=".len();
        let at = engine + create.get(engine..)?.find(' ')?;
        let digits = create.get(at..)?.strip_prefix(OPTION)?;
        let len = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let counter: u64 = digits.get(..len)?.parse().ok()?;
        Some((format!("{}{}", create.get(..at)?, digits.get(len..)?), Some(counter)))
    });
    found.unwrap_or_else(|| (create.to_owned(), None))
}

/// A value by its column's name; none if it is NULL or there is no such column.
fn get<T: FromValue>(row: &Row, name: &str) -> Result<Option<T>> {
    match row.get_opt::<Option<T>, &str>(name) {
        None => Ok(None),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => {
            Err(Error::definite(format!("The catalog's {name} can't be read.")).caused_by(error.to_string()))
        }
    }
}

fn need<T: FromValue>(row: &Row, name: &str) -> Result<T> {
    get(row, name)?.ok_or_else(|| Error::definite(format!("The catalog has no {name} where it should have one.")))
}

#[cfg(test)]
mod tests {
    use super::split_counter;

    #[test]
    fn the_counter_is_taken_out_and_comments_stay() {
        let with = "CREATE TABLE `e` (\n  `a` int COMMENT ' AUTO_INCREMENT=1'\n) ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=x COMMENT='b'";
        let (text, counter) = split_counter(with);
        assert_eq!(counter, Some(77));
        assert!(text.ends_with("ENGINE=InnoDB DEFAULT CHARSET=x COMMENT='b'"));
        let without = "CREATE TABLE `e` (\n  `a` int\n) ENGINE=InnoDB DEFAULT CHARSET=x COMMENT=' AUTO_INCREMENT=5'";
        assert_eq!(split_counter(without), (without.into(), None));
        assert_eq!(split_counter(""), (String::new(), None));
    }
}
