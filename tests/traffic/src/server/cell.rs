//! Values on their way to the server, and what is common to reading them back.

use crate::model::token::Token;
use crate::model::values::STATUSES;

/// A value of a statement's parameter.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Token(Token),
    Text(String),
    /// A DECIMAL with two digits, counted in hundredths.
    Cents(i64),
    /// Microseconds since 1970, UTC.
    Moment(i64),
}

impl Cell {
    pub fn status(name: &str) -> Cell {
        Cell::Text(name.to_owned())
    }

    pub fn note(note: Option<String>) -> Cell {
        note.map_or(Cell::Null, Cell::Text)
    }
}

pub(crate) fn decimal(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Hundredths of a DECIMAL of any width; further digits must be zeros.
pub(crate) fn cents(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (fraction, beyond) = fraction.split_at_checked(2).unwrap_or((fraction, ""));
    if !beyond.bytes().all(|b| b == b'0') {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<2}").parse().ok()?;
    Some(sign * (whole.checked_mul(100)?.checked_add(fraction)?))
}

/// The status of this name, if it is one.
pub(crate) fn status(name: &str) -> Option<&'static str> {
    STATUSES.into_iter().find(|status| *status == name)
}

pub(crate) const DAY_US: i64 = 86_400_000_000;

/// A day and a time of day, UTC.
pub(crate) struct Civil {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// Civil date from days since 1970 (Hinnant's algorithm), for years 1 to 9999.
pub(crate) fn civil(us: i64) -> Civil {
    let (days, us) = (us.div_euclid(DAY_US), us.rem_euclid(DAY_US));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let s = us / 1_000_000;
    Civil {
        year: year as u16,
        month: month as u8,
        day: day as u8,
        hour: (s / 3600) as u8,
        minute: (s / 60 % 60) as u8,
        second: (s % 60) as u8,
        micros: (us % 1_000_000) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_any_width() {
        for n in [0, 1, -1, 99, -99, 100, -12_345, 1_999_999] {
            assert_eq!(cents(&decimal(n)), Some(n));
        }
        assert_eq!(cents("-0.0500"), Some(-5));
        assert_eq!(cents("7"), Some(700));
        assert_eq!(cents("7.5"), Some(750));
        assert_eq!(cents("1.005"), None);
        assert_eq!(cents("NaN"), None);
    }
}
