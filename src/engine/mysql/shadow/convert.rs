//! The value of a column after a change of its type, as a native ALTER would make it.

use crate::engine::mysql::catalog::Column;
use crate::engine::mysql::session::Session;
use crate::error::{Error, Result};

/// What a conversion depends on besides the two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    pub mariadb: bool,
    /// Values that do not fit are errors.
    pub strict: bool,
    /// The time zone that a native ALTER would convert TIMESTAMPs in.
    pub time_zone: String,
}

impl Circumstances {
    pub async fn of(session: &mut Session) -> Result<Circumstances> {
        let found: Option<(String, String, String)> =
            session.first("SELECT @@sql_mode, @@GLOBAL.time_zone, @@GLOBAL.system_time_zone").await?;
        let (mode, zone, system) = found.unwrap_or_default();
        let strict = mode.split(',').any(|flag| flag == "STRICT_TRANS_TABLES" || flag == "STRICT_ALL_TABLES");
        let time_zone = if zone == "SYSTEM" { system } else { zone };
        Ok(Circumstances { mariadb: session.flavor.is_mariadb(), strict, time_zone })
    }
}

pub fn is_temporal(column: &Column) -> bool {
    matches!(column.data_type.as_str(), "date" | "datetime" | "timestamp" | "time" | "year")
}

/// What to select for the shadow's column `to` from the original's column `from`.
pub fn expression(from: &Column, to: &Column, _circumstances: &Circumstances) -> Result<String> {
    if to.auto_increment && !from.auto_increment {
        return Err(Error::refused(format!(
            "The ALTER makes {} AUTO_INCREMENT: rows with 0 or NULL would get numbers in the order of the copy.",
            to.name
        ))
        .todo("Make the column AUTO_INCREMENT with a native ALTER."));
    }
    Ok(from.name.to_string())
}

/// What a native ALTER puts into a new column that is NOT NULL and has no default; none where the
/// column's own default does it.
pub fn implicit_default(column: &Column) -> Result<Option<String>> {
    if column.has_default || column.auto_increment {
        return Ok(None);
    }
    Ok(Some(match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float" | "double" | "bit" | "year" => {
            "0".into()
        }
        "enum" => "1".into(),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "binary" | "varbinary" | "tinyblob"
        | "blob" | "mediumblob" | "longblob" | "set" => "''".into(),
        "time" => "'00:00:00'".into(),
        _ => {
            return Err(Error::refused(format!(
                "The new column {} is {} NOT NULL without a default, and there is no value to fill it with.",
                column.name, column.column_type
            ))
            .todo("Give the column a DEFAULT, or let it be NULL."));
        }
    }))
}
