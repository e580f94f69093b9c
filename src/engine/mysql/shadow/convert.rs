//! The value of a column after a change of its type, as a native ALTER would make it.
//!
//! INSERT … SELECT converts most values as ALTER does, and some not: it may take what ALTER refuses,
//! refuse what ALTER takes, or come to another value. In MariaDB it even cuts a BLOB or TEXT that is
//! too long for its new type to its length modulo 256 or 65,536, without an error and under any
//! sql_mode. Which pair of types does what was tried value by value on both servers
//! (tests/it/plan/conversions.rs, docs/conversions-mysql.md). What is not the same is selected through
//! an expression that makes it the same, or refused.

use super::class::{Class, class};
use crate::engine::mysql::catalog::Column;
use crate::engine::mysql::session::Session;
use crate::error::{Error, Result};

/// What a conversion depends on besides the two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    pub mariadb: bool,
    /// Values that do not fit are errors.
    pub strict: bool,
    /// A native ALTER of an ordinary session would run in UTC, as osc's sessions do.
    pub utc: bool,
}

impl Circumstances {
    pub async fn of(session: &mut Session) -> Result<Circumstances> {
        let found: Option<(String, String, String)> =
            session.first("SELECT @@sql_mode, @@GLOBAL.time_zone, @@GLOBAL.system_time_zone").await?;
        let (mode, zone, system) = found.unwrap_or_default();
        let strict = mode.split(',').any(|flag| flag == "STRICT_TRANS_TABLES" || flag == "STRICT_ALL_TABLES");
        let zone = if zone == "SYSTEM" { system } else { zone };
        let utc = matches!(zone.as_str(), "UTC" | "Etc/UTC" | "+00:00" | "-00:00");
        Ok(Circumstances { mariadb: session.flavor.is_mariadb(), strict, utc })
    }
}

pub fn is_temporal(column: &Column) -> bool {
    use Class::*;
    matches!(class(column), Date | DateTime | Timestamp | Time | Year)
}

/// How a value gets from one type to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As it is: INSERT … SELECT does what ALTER does.
    Plain,
    /// Through its text, as a SELECT shows it.
    Text,
    /// Through its text, parsed as JSON.
    Json,
    /// As it is, if a cast finds an integer in it.
    Integer,
    /// From UTC into the server's own time zone.
    Zone,
    No,
}

/// What to select for the shadow's column `to` from the original's column `from`.
pub fn expression(from: &Column, to: &Column, circumstances: &Circumstances) -> Result<String> {
    if to.auto_increment && !from.auto_increment {
        return Err(Error::refused(format!(
            "The ALTER makes {} AUTO_INCREMENT: rows with 0 or NULL would get numbers in the order of the copy.",
            to.name
        ))
        .todo("Make the column AUTO_INCREMENT with a native ALTER."));
    }
    if circumstances.mariadb && !circumstances.strict && from.nullable && !to.nullable && class(to) == Class::Enum {
        // Seen on 10.11: natively the empty value, by assignment the first member.
        return Err(Error::refused(format!(
            "The ALTER makes the ENUM {} NOT NULL, and without a strict sql_mode a copy would put another value \
             than a native ALTER where a NULL is.",
            to.name
        ))
        .todo("Set the NULLs to a value first, or use a strict sql_mode."));
    }
    let fills = circumstances.mariadb && from.nullable && !to.nullable && class(to) == Class::Timestamp;
    if fills && !matches!(class(from), Class::Text | Class::Date | Class::DateTime | Class::Timestamp) {
        // The expression below makes a text of the value, and what is no date converts otherwise as a text.
        return Err(refused(from, to));
    }
    let name = &match (class(from), class(to)) {
        // As bytes, a number with spaces behind it is refused, which ALTER takes.
        (Class::Binary, Class::Int | Class::Decimal | Class::Float) if circumstances.mariadb => {
            format!("CONVERT({} USING latin1)", from.name)
        }
        _ => from.name.to_string(),
    };
    let value = match way(from, to, circumstances) {
        Way::Plain if circumstances.mariadb => fitting(name, from, to),
        // As it is, MySQL copies the bytes, and neither rounds nor looks whether the number fits.
        Way::Plain if from.data_type == to.data_type && from.column_type != to.column_type && is_float(to) => {
            format!("({name} + 0e0)")
        }
        Way::Plain => name.to_string(),
        Way::Text => format!("CAST({name} AS CHAR)"),
        Way::Json => format!("CAST(CAST({name} AS CHAR) AS JSON)"),
        // The cast refuses what is no integer, the assignment of the text what is out of range.
        Way::Integer => format!("IF(CAST({name} AS SIGNED) IS NULL, NULL, {name})"),
        Way::Zone => format!("IF({name} = 0, {name}, CONVERT_TZ({name}, '+00:00', @@GLOBAL.time_zone))"),
        Way::No => return Err(refused(from, to)),
    };
    // MariaDB would put the time of the copy where a NULL is.
    Ok(if fills { format!("IFNULL({value}, 'NULL')") } else { value })
}

fn is_float(column: &Column) -> bool {
    class(column) == Class::Float
}

fn way(from: &Column, to: &Column, circumstances: &Circumstances) -> Way {
    use Class::*;
    let (a, b) = (class(from), class(to));
    if from.column_type == to.column_type && from.charset == to.charset {
        return Way::Plain;
    }
    if (a == Timestamp) != (b == Timestamp) && !circumstances.utc {
        return if (a, b) == (Timestamp, DateTime) { Way::Zone } else { Way::No };
    }
    match (a, b) {
        (Int | Decimal | Float | Year | Enum | Set, Int | Decimal | Float) => Way::Plain,
        (Float | Year, Text | Binary) => Way::Text,
        // Among others the zeros of ZEROFILL.
        (Int | Decimal, Text | Binary) => Way::Text,
        (Int | Decimal | Float | Year, Json) => Way::Json,
        (Int, Bit) | (Bit, Bit | Int | Decimal | Text | Binary) => Way::Plain,
        // Smaller numbers are taken for short dates by one and not by the other.
        (Int, Date | DateTime | Timestamp) if !matches!(from.data_type.as_str(), "int" | "bigint") => Way::No,
        (Int | Decimal, Date | DateTime | Timestamp | Time | Year) => Way::Plain,
        (Year, Year) => Way::Plain,
        (Text | Binary, Int) if circumstances.mariadb => Way::Integer,
        (Text | Binary, Int | Decimal | Float | Date | DateTime | Timestamp | Time | Year) => Way::Plain,
        (Text | Binary | Enum | Set, Text | Binary | Enum | Set | Json) => Way::Plain,
        (Date | DateTime | Timestamp | Time, Date | DateTime | Timestamp | Time) => Way::Plain,
        (Date | DateTime | Timestamp | Time, Text | Binary | Int | Decimal | Float) => Way::Plain,
        (Json, Json | Text | Binary) => Way::Plain,
        (Text, Address) | (Address, Text) => Way::Plain,
        _ => Way::No,
    }
}

fn refused(from: &Column, to: &Column) -> Error {
    Error::refused(format!(
        "The ALTER turns {} from {} into {}, which a copy does not convert in the way that an ALTER does.",
        from.name, from.column_type, to.column_type
    ))
    .todo("Use a native ALTER, or fill a new column of the new type and drop the old one.")
}

/// For MariaDB: the value so that one which is too long is an error, as it is for ALTER.
fn fitting(name: &str, from: &Column, to: &Column) -> String {
    let strings = |c: &Column| matches!(class(c), Class::Text | Class::Binary);
    let blob = |c: &Column| c.data_type.ends_with("text") || c.data_type.ends_with("blob");
    if !strings(from) || !strings(to) {
        return name.to_string();
    }
    match to.chars {
        // Spaces at the end would be dropped with a note; ALTER does that for CHAR and from TEXT only.
        Some(limit) if !blob(from) && to.data_type == "varchar" && from.chars.is_none_or(|chars| chars > limit) => {
            format!("IF(CHAR_LENGTH({name}) > {limit}, CONCAT({name}, '!'), {name})")
        }
        // A BLOB's length would be cut to the bytes that the new type has for it.
        _ if blob(to) && from.octets > to.octets => format!("CONCAT({name})"),
        _ => name.to_string(),
    }
}

/// What a native ALTER puts into a new column that is NOT NULL and has no default; none where the
/// column's own default does it.
pub fn implicit_default(column: &Column) -> Result<Option<String>> {
    use Class::*;
    if column.has_default || column.auto_increment {
        return Ok(None);
    }
    Ok(Some(match class(column) {
        Int | Decimal | Float | Bit | Year => "0".into(),
        Enum => "1".into(),
        Text | Binary | Set => "''".into(),
        Time => "'00:00:00'".into(),
        _ => {
            return Err(Error::refused(format!(
                "The new column {} is {} NOT NULL without a default, and there is no value to fill it with.",
                column.name, column.column_type
            ))
            .todo("Give the column a DEFAULT, or let it be NULL."));
        }
    }))
}
