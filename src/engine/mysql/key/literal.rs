//! A key value as SQL: what to select to get it exactly, and the literal that compares with the column.

use super::kind::Kind;
use super::parse::days_since_1970;
use super::value::{Moment, Value};
use crate::engine::mysql::sql::bytes;

/// What to select so that the text of the answer is the value, exactly.
pub fn select_expression(kind: &Kind, column: &impl std::fmt::Display) -> String {
    match kind {
        Kind::Enum { .. } | Kind::Set { .. } | Kind::Bit { .. } => format!("CAST({column} AS UNSIGNED)"),
        Kind::Binary { .. } | Kind::VarBinary { .. } | Kind::Text { .. } => format!("HEX({column})"),
        _ => column.to_string(),
    }
}

/// The value as a literal to compare with a column of this kind.
pub fn literal(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        // ENUM and SET compare with a number by index; with a string only for equality, and by collation.
        (_, Value::Int(n)) => n.to_string(),
        (_, Value::Decimal { negative, digits, scale }) => decimal_text(*negative, digits, *scale),
        (_, Value::Moment(moment)) => quoted_moment(moment, matches!(kind, Kind::Date)),
        (_, Value::Stamp(micros)) => quoted_moment(&from_stamp(*micros), false),
        (_, Value::Span(micros)) => format!("'{}'", span_text(*micros)),
        (Kind::Binary { len }, Value::Bytes(value)) => {
            let mut filled = value.clone();
            filled.resize(filled.len().max(*len), 0);
            bytes(&filled)
        }
        // Its own character set, and no collation: the column's decides.
        (Kind::Text { charset, .. }, Value::Bytes(value)) => format!("_{charset} {}", bytes(value)),
        (_, Value::Bytes(value)) => bytes(value),
    }
}

pub fn decimal_text(negative: bool, digits: &[u8], scale: u32) -> String {
    let point = digits.len().saturating_sub(scale as usize);
    let text = |digits: &[u8]| digits.iter().map(|d| char::from(b'0' + d)).collect::<String>();
    let (whole, fraction) = digits.split_at_checked(point).unwrap_or((digits, &[]));
    let whole = text(whole);
    let whole = whole.trim_start_matches('0');
    let sign = if negative { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", text(fraction)) }
}

/// A quoted moment; the zero date as the number 0, for MySQL takes '0000-00-00' for an error under
/// NO_ZERO_DATE.
fn quoted_moment(moment: &Moment, date_only: bool) -> String {
    if *moment == Moment::default() { "0".into() } else { format!("'{}'", moment_text(moment, date_only)) }
}

pub fn moment_text(m: &Moment, date_only: bool) -> String {
    let date = format!("{:04}-{:02}-{:02}", m.year, m.month, m.day);
    if date_only {
        return date;
    }
    let time = format!("{date} {:02}:{:02}:{:02}", m.hour, m.minute, m.second);
    if m.micro == 0 { time } else { format!("{time}.{:06}", m.micro) }
}

pub fn span_text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (all, micro) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let time = format!("{sign}{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
    if micro == 0 { time } else { format!("{time}.{micro:06}") }
}

pub fn from_stamp(micros: u64) -> Moment {
    if micros == 0 {
        return Moment::default();
    }
    let seconds = micros / 1_000_000;
    let (days, second) = (i64::try_from(seconds / 86_400).unwrap_or(i64::MAX), seconds % 86_400);
    let (year, month, day) = date_of(days);
    Moment {
        year,
        month,
        day,
        hour: (second / 3600) as u8,
        minute: (second / 60 % 60) as u8,
        second: (second % 60) as u8,
        micro: (micros % 1_000_000) as u32,
    }
}

/// The date that many days after 1970-01-01.
fn date_of(days: i64) -> (u16, u8, u8) {
    let mut year = 1970 + days / 366;
    while days_since_1970(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_since_1970(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - days_since_1970(year, month, 1) + 1;
    (u16::try_from(year).unwrap_or(u16::MAX), month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_timestamps() {
        let text = |seconds: u64, micro: u64| moment_text(&from_stamp(seconds * 1_000_000 + micro), false);
        assert_eq!(text(1, 0), "1970-01-01 00:00:01");
        assert_eq!(text(951_782_399, 999_999), "2000-02-28 23:59:59.999999");
        assert_eq!(text(951_782_400, 0), "2000-02-29 00:00:00");
        assert_eq!(text(1_709_251_199, 42), "2024-02-29 23:59:59.000042");
        assert_eq!(text(2_147_483_647, 0), "2038-01-19 03:14:07");
        assert_eq!(text(4_294_967_295, 0), "2106-02-07 06:28:15");
        assert_eq!(quoted_moment(&from_stamp(0), false), "0");
        for days in 0..40_000 {
            let (y, m, d) = date_of(days);
            assert_eq!(days_since_1970(i64::from(y), i64::from(m), i64::from(d)), days);
        }
    }

    #[test]
    fn literals_are_exact() {
        assert_eq!(decimal_text(true, &[0, 0, 7, 5, 0], 2), "-7.50");
        assert_eq!(decimal_text(false, &[0, 0], 2), "0.00");
        assert_eq!(decimal_text(false, &[1, 2], 0), "12");
        assert_eq!(span_text(-3_020_399_000_001), "-838:59:59.000001");
        assert_eq!(span_text(0), "00:00:00");
        let text = Kind::Text { charset: "latin1".into(), collation: String::new(), chars: 1, fixed: false };
        assert_eq!(literal(&text, &Value::Bytes(vec![0xe4])), "_latin1 x'e4'");
        assert_eq!(literal(&Kind::Binary { len: 2 }, &Value::Bytes(vec![1])), "x'0100'");
        assert_eq!(literal(&Kind::Date, &Value::Moment(Moment { year: 1, ..Moment::default() })), "'0001-00-00'");
    }
}
