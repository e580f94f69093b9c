//! Values on their way to MySQL and MariaDB, and back.

use mysql_async::Value;

use crate::model::row::{Row, Seen};
use crate::model::token::Token;
use crate::server::cell::{self, Cell, Civil, DAY_US, civil, decimal};

impl From<Cell> for Value {
    fn from(cell: Cell) -> Value {
        match cell {
            Cell::Null => Value::NULL,
            Cell::Int(n) => Value::Int(n),
            Cell::Token(token) => Value::UInt(token.0),
            Cell::Text(text) => Value::Bytes(text.into_bytes()),
            Cell::Cents(cents) => Value::Bytes(decimal(cents).into_bytes()),
            Cell::Moment(us) => date(us),
        }
    }
}

fn date(us: i64) -> Value {
    let Civil { year, month, day, hour, minute, second, micros } = civil(us);
    Value::Date(year, month, day, hour, minute, second, micros)
}

/// Microseconds since 1970 of a civil date and time.
fn moment((y, m, d): (u16, u8, u8), (h, min, s): (u8, u8, u8), us: u32) -> i64 {
    let (y, m, d) = (i64::from(y) - i64::from(m <= 2), i64::from(m), i64::from(d));
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let seconds = i64::from(h) * 3600 + i64::from(min) * 60 + i64::from(s);
    days * DAY_US + seconds * 1_000_000 + i64::from(us)
}

/// A row in the order of [`crate::server::statements::COLUMNS`]. `Err` when not even the key is a number:
/// then nothing can be said about the table.
pub(crate) fn row(values: Vec<Value>) -> Result<Seen, String> {
    let mut values = values.into_iter();
    let mut next = || values.next().ok_or_else(|| "a column is missing".to_owned());
    let key = int("id", &next()?)?;
    let mut rest = || -> Result<Row, String> {
        Ok(Row {
            key,
            customer: int("customer_id", &next()?)?,
            status: status(&next()?)?,
            cents: cents(&next()?)?,
            note: match next()? {
                Value::NULL => None,
                value => Some(text("note", value)?),
            },
            email: text("email", next()?)?,
            created_us: time("created_at", &next()?)?,
            updated_us: time("updated_at", &next()?)?,
            version: int("version", &next()?)?,
            token: match next()? {
                Value::UInt(n) => Token(n),
                Value::Int(n) if n >= 0 => Token(n as u64),
                other => return Err(bad("token", &other)),
            },
        })
    };
    Ok(Seen { key, row: rest() })
}

fn bad(column: &str, value: &Value) -> String {
    format!("{column} is {}", value.as_sql(false))
}

fn int(column: &str, value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(n) => Ok(*n),
        Value::UInt(n) => i64::try_from(*n).map_err(|_| bad(column, value)),
        _ => Err(bad(column, value)),
    }
}

fn text(column: &str, value: Value) -> Result<String, String> {
    match value {
        Value::Bytes(bytes) => String::from_utf8(bytes).map_err(|e| bad(column, &Value::Bytes(e.into_bytes()))),
        other => Err(bad(column, &other)),
    }
}

fn status(value: &Value) -> Result<&'static str, String> {
    let known = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(cell::status);
    match value {
        Value::Bytes(bytes) => known(bytes).ok_or_else(|| bad("status", value)),
        _ => Err(bad("status", value)),
    }
}

/// Hundredths of a DECIMAL of any width; further digits must be zeros.
fn cents(value: &Value) -> Result<i64, String> {
    let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(cell::cents);
    match value {
        Value::Bytes(bytes) => parse(bytes).ok_or_else(|| bad("amount", value)),
        Value::Int(n) => n.checked_mul(100).ok_or_else(|| bad("amount", value)),
        _ => Err(bad("amount", value)),
    }
}

fn time(column: &str, value: &Value) -> Result<i64, String> {
    match *value {
        Value::Date(y, m, d, h, min, s, us) if m > 0 && d > 0 => Ok(moment((y, m, d), (h, min, s), us)),
        _ => Err(bad(column, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        let cases = [
            (0, Value::Date(1970, 1, 1, 0, 0, 0, 0)),
            (1_704_067_200_000_001, Value::Date(2024, 1, 1, 0, 0, 0, 1)),
            (1_709_251_199_999_999, Value::Date(2024, 2, 29, 23, 59, 59, 999_999)),
            (1_709_251_200_000_000, Value::Date(2024, 3, 1, 0, 0, 0, 0)),
        ];
        for (us, value) in cases {
            assert_eq!(date(us), value);
            assert_eq!(time("t", &value), Ok(us));
        }
        for us in (0..4_000_000_000_000_000).step_by(7_777_777_777_777) {
            assert_eq!(time("t", &date(us)), Ok(us));
        }
    }

    #[test]
    fn an_unreadable_value_keeps_its_key() {
        let seen = row(vec![Value::Int(7), Value::NULL]);
        assert!(matches!(seen, Ok(Seen { key: 7, row: Err(_) })));
        assert!(row(vec![Value::NULL]).is_err());
    }
}
