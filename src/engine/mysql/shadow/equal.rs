//! How a row of the shadow is held against its row of the source, column by column, in SQL.
//!
//! In the conditions `s` is the source's row, `t` the shadow's, and `x` a row of a scratch table with the
//! shadow's columns, into which the server itself has put what a copy of the source's row would be.
//!
//! Everything compares by its bytes or its exact value, never by the column's collation: a string against a
//! binary string compares as one, and so do two under a collation of MariaDB's that is named `…_nopad_bin`, which
//! differ in any byte, case, or space at the end, and need no copy to be made (a fifth of the comparison's time);
//! ENUM and SET by their numbers, a FLOAT with its sign also at zero, JSON by the
//! text that the server makes of it. NULL is equal to NULL alone (`<=>`), and no column can run over into
//! the next one, for there is no concatenation.
//!
//! A column that the ALTER leaves alone compares directly. One that it converts has a **quick**
//! condition where there is one that can't hold for a wrong value: numbers that are equal, strings with
//! equal bytes. Where it does not hold nothing is proved, since the conversion may have changed the
//! value as it should, and the scratch table decides. A column without a quick condition is compared by
//! the scratch table alone.

use super::class::{Class, class};
use super::convert::Circumstances;
use crate::engine::mysql::catalog::{Column, Generated};
use crate::engine::mysql::sql::Qualified;

/// How a column of the shadow is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equal {
    /// The shadow's column is a new one.
    pub added: bool,
    /// Of `s` and `t`: where it holds the column is right. None: there is no such condition.
    pub quick: Option<String>,
    /// Where the quick condition does not hold the column is wrong.
    pub exact: bool,
    /// Of `x` and `t`.
    pub assigned: String,
}

/// A column that takes its values from one of the original's; none for one that is not compared.
pub fn copied(from: &Column, to: &Column, circumstances: &Circumstances) -> Option<Equal> {
    let mariadb = circumstances.mariadb;
    let assigned = same(to, &of("x", to), &of("t", to), mariadb);
    match to.generated {
        // Computed when it is read.
        Some(Generated::Virtual) => return None,
        Some(Generated::Stored) => {
            // Computed by the server when the row is written; it may come to another value only if
            // what it is computed from is converted.
            let unchanged = from.generated == to.generated && from.expression == to.expression && alike(from, to);
            let quick = if unchanged { same(to, &of("s", from), &of("t", to), mariadb) } else { "TRUE".into() };
            return Some(Equal { added: false, exact: !unchanged, quick: Some(quick), assigned });
        }
        None => {}
    }
    let quick = quick(from, to, circumstances);
    let exact = quick.is_some() && alike(from, to) && (to.nullable || !from.nullable);
    Some(Equal { added: false, quick, exact, assigned })
}

/// A new column with a default that is the same for all rows. `known`: the server tells it by DEFAULT().
pub fn new_by_default(to: &Column, known: bool, circumstances: &Circumstances) -> Equal {
    let mariadb = circumstances.mariadb;
    let t = of("t", to);
    Equal {
        added: true,
        quick: known.then(|| same(to, &format!("DEFAULT({t})"), &t, mariadb)),
        exact: known,
        assigned: same(to, &of("x", to), &t, mariadb),
    }
}

/// A new column without a default, which gets its type's own.
pub fn new_by_type(to: &Column, circumstances: &Circumstances) -> Equal {
    use Class::*;
    let mariadb = circumstances.mariadb;
    let t = of("t", to);
    let quick = match class(to) {
        Int | Decimal | Float | Bit | Year => Some(same(to, "0", &t, mariadb)),
        Enum => Some(same(to, "1", &t, mariadb)),
        Set => Some(same(to, "0", &t, mariadb)),
        Text => Some(same(to, "''", &t, mariadb)),
        Binary if to.data_type != "binary" => Some(same(to, "''", &t, mariadb)),
        Time => Some(format!("CAST('00:00:00' AS TIME) <=> {t}")),
        _ => None,
    };
    Equal { added: true, exact: quick.is_some(), quick, assigned: same(to, &of("x", to), &t, mariadb) }
}

fn of(alias: &'static str, column: &Column) -> String {
    Qualified { alias: Some(alias), name: &column.name }.to_string()
}

/// The ALTER leaves the values alone.
fn alike(from: &Column, to: &Column) -> bool {
    from.column_type == to.column_type && from.charset == to.charset
}

/// Whether two values of the column's type are the same.
fn same(column: &Column, a: &str, b: &str, mariadb: bool) -> String {
    use Class::*;
    match class(column) {
        Text => match exact_collation(column).filter(|_| mariadb) {
            Some(collation) => format!("{a} <=> {b} COLLATE {collation}"),
            None => format!("{a} <=> CAST({b} AS BINARY)"),
        },
        Enum | Set => format!("CAST({a} AS UNSIGNED) <=> CAST({b} AS UNSIGNED)"),
        // Zero has a sign that only its text shows.
        Float => format!("({a} <=> {b} AND IFNULL({a} <> 0 OR CAST({a} AS CHAR) = CAST({b} AS CHAR), TRUE))"),
        Json => format!("CAST({a} AS CHAR) <=> CAST(CAST({b} AS CHAR) AS BINARY)"),
        Other => format!("HEX({a}) <=> HEX({b})"),
        Int | Decimal | Bit | Year | Date | DateTime | Timestamp | Time | Binary | Address => format!("{a} <=> {b}"),
    }
}

/// MariaDB's collation that tells any two strings of different bytes apart. Seen for these character sets.
fn exact_collation(column: &Column) -> Option<String> {
    let charset = column.charset.as_deref()?;
    matches!(charset, "utf8mb4" | "utf8mb3" | "utf8" | "latin1" | "ascii").then(|| format!("{charset}_nopad_bin"))
}

/// A condition that can't hold if the copy's value is wrong.
fn quick(from: &Column, to: &Column, circumstances: &Circumstances) -> Option<String> {
    use Class::*;
    let (s, t) = (of("s", from), of("t", to));
    if alike(from, to) {
        return Some(same(to, &s, &t, circumstances.mariadb));
    }
    let same_charset = from.charset == to.charset;
    let grown = || to.members().starts_with(&from.members());
    let plain = || Some(format!("{s} <=> {t}"));
    match (class(from), class(to)) {
        (Int | Decimal, Int | Decimal) | (Bit, Bit) => plain(),
        // With digits, as FLOAT(7,2), the right value may be a rounded one.
        (Float, Float) if !to.column_type.contains('(') => Some(same(to, &s, &t, circumstances.mariadb)),
        (Date, Date) | (DateTime, DateTime) | (Timestamp, Timestamp) | (Time, Time) | (Date, DateTime) => plain(),
        (Timestamp, DateTime) if circumstances.utc => plain(),
        (Text, Text) if same_charset => Some(same(to, &s, &t, circumstances.mariadb)),
        (Text, Text) if to.charset.as_deref() == Some("utf8mb4") => {
            Some(format!("CONVERT({s} USING utf8mb4) <=> CAST({t} AS BINARY)"))
        }
        (Text | Binary, Binary) => plain(),
        (Int | Decimal, Text) if ascii(to) => Some(format!("CAST({s} AS CHAR) <=> CAST({t} AS BINARY)")),
        (Enum, Enum) | (Set, Set) if same_charset && grown() => Some(same(to, &s, &t, circumstances.mariadb)),
        _ => None,
    }
}

/// Whether digits are single bytes in the column's character set.
fn ascii(column: &Column) -> bool {
    !matches!(column.charset.as_deref(), Some("ucs2" | "utf16" | "utf16le" | "utf32") | None)
}
