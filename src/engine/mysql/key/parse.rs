//! Key values from where they come: row events of the binlog, and the text of a SELECT. Both must
//! come to the same value, or a row would have two keys.

use mysql_async::Value as Field;
use mysql_async::binlog::value::BinlogValue;

use super::kind::Kind;
use super::value::{Moment, Value, broken};
use crate::error::Result;

/// The value of a key column in a row event.
pub fn from_binlog(kind: &Kind, value: &BinlogValue<'_>) -> Result<Value> {
    let BinlogValue::Value(field) = value else { return Err(broken("a JSON value")) };
    match (kind, field) {
        (_, Field::NULL) => Err(broken("a NULL in a row event")),
        (Kind::Int { width, unsigned }, Field::Int(n)) => Ok(Value::Int(narrowed(*n as u64, *width, *unsigned))),
        (Kind::Int { width, unsigned }, Field::UInt(n)) => Ok(Value::Int(narrowed(*n, *width, *unsigned))),
        (Kind::Enum { .. }, Field::Int(n)) => Ok(Value::Int(i128::from(*n))),
        (Kind::Enum { .. } | Kind::Bit { .. } | Kind::Year, Field::UInt(n)) => Ok(Value::Int(i128::from(*n))),
        (Kind::Bit { .. }, Field::Bytes(bytes)) => number(bytes.iter()),
        (Kind::Set { .. }, Field::Bytes(bytes)) => number(bytes.iter().rev()),
        // The event has the years since 1900, and 0 for the year 0000.
        (Kind::Year, Field::Bytes(text)) => match integer(text)? {
            1900 => Ok(Value::Int(0)),
            year => Ok(Value::Int(year)),
        },
        (Kind::Year, Field::Int(year)) => Ok(Value::Int(i128::from(*year))),
        (Kind::Decimal { precision, scale }, Field::Bytes(text)) => decimal(text, *precision, *scale),
        (Kind::Date, Field::Date(year, month, day, ..)) => {
            Ok(Value::Moment(Moment { year: *year, month: *month, day: *day, ..Moment::default() }))
        }
        (Kind::DateTime { .. }, Field::Date(year, month, day, hour, minute, second, micro)) => {
            Ok(Value::Moment(Moment {
                year: *year,
                month: *month,
                day: *day,
                hour: *hour,
                minute: *minute,
                second: *second,
                micro: *micro,
            }))
        }
        (Kind::Timestamp { .. }, Field::Bytes(text)) => {
            let (seconds, fraction) = split_fraction(text)?;
            stamp(integer(seconds)?, fraction)
        }
        (Kind::Timestamp { .. }, Field::Int(seconds)) => stamp(i128::from(*seconds), 0),
        (Kind::Timestamp { .. }, Field::UInt(seconds)) => stamp(i128::from(*seconds), 0),
        (Kind::Time { .. }, Field::Time(negative, days, hours, minutes, seconds, micros)) => {
            let hours = i64::from(*days) * 24 + i64::from(*hours);
            Ok(Value::Span(span(*negative, hours, i64::from(*minutes), i64::from(*seconds), i64::from(*micros))))
        }
        (Kind::Binary { .. } | Kind::VarBinary { .. } | Kind::Text { .. }, Field::Bytes(bytes)) => {
            Ok(Value::Bytes(bytes.clone()))
        }
        _ => Err(broken("a row event has another type than the table's column")),
    }
}

/// The value of a key column in the answer to a SELECT of `super::select_expression`.
pub fn from_select(kind: &Kind, field: &Field) -> Result<Value> {
    let text = match field {
        Field::NULL => return Err(broken("a NULL in a key column")),
        Field::Int(n) => n.to_string().into_bytes(),
        Field::UInt(n) => n.to_string().into_bytes(),
        Field::Bytes(text) => text.clone(),
        _ => return Err(broken("an answer that is not text")),
    };
    match kind {
        Kind::Int { .. } | Kind::Year | Kind::Bit { .. } | Kind::Enum { .. } | Kind::Set { .. } => {
            Ok(Value::Int(integer(&text)?))
        }
        Kind::Decimal { precision, scale } => decimal(&text, *precision, *scale),
        Kind::Date | Kind::DateTime { .. } => Ok(Value::Moment(moment(&text)?)),
        Kind::Timestamp { .. } => {
            let moment = moment(&text)?;
            if moment == Moment::default() {
                return Ok(Value::Stamp(0));
            }
            let day = days_since_1970(i64::from(moment.year), i64::from(moment.month), i64::from(moment.day));
            let second = i64::from(moment.hour) * 3600 + i64::from(moment.minute) * 60 + i64::from(moment.second);
            stamp(i128::from(day * 86_400 + second), moment.micro)
        }
        Kind::Time { .. } => time(&text),
        Kind::Binary { .. } | Kind::VarBinary { .. } | Kind::Text { .. } => Ok(Value::Bytes(unhex(&text)?)),
    }
}

/// An integer of a row event: only its low bytes count, and whether they have a sign the catalog knows
/// (MariaDB's events don't say).
fn narrowed(bits: u64, width: u32, unsigned: bool) -> i128 {
    let shift = 64 - width * 8;
    let high = bits << shift;
    if unsigned { i128::from(high >> shift) } else { i128::from((high as i64) >> shift) }
}

fn number<'a>(bytes: impl ExactSizeIterator<Item = &'a u8>) -> Result<Value> {
    if bytes.len() > 8 {
        return Err(broken("a number of more than eight bytes"));
    }
    Ok(Value::Int(bytes.fold(0i128, |n, b| (n << 8) | i128::from(*b))))
}

fn integer(text: &[u8]) -> Result<i128> {
    let text = std::str::from_utf8(text).map_err(|_| broken("a number that is none"))?;
    text.trim().parse().map_err(|_| broken("a number that is none"))
}

fn decimal(text: &[u8], precision: u32, scale: u32) -> Result<Value> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.iter().position(|b| *b == b'.').and_then(|at| digits.split_at_checked(at)) {
        Some((whole, rest)) => (whole, rest.get(1..).unwrap_or_default()),
        None => (digits, [].as_slice()),
    };
    if !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(broken("a decimal that is none"));
    }
    let room = precision.saturating_sub(scale) as usize;
    let start = whole.iter().position(|b| *b != b'0').unwrap_or(whole.len());
    let whole = whole.get(start..).unwrap_or_default();
    let missing = room.checked_sub(whole.len()).ok_or_else(|| broken("a decimal with too many digits"))?;
    let padding =
        (scale as usize).checked_sub(fraction.len()).ok_or_else(|| broken("a decimal with too many digits"))?;
    let zeros = |n| std::iter::repeat_n(&b'0', n);
    let digits: Vec<u8> = zeros(missing).chain(whole).chain(fraction).chain(zeros(padding)).map(|b| b - b'0').collect();
    let negative = negative && digits.iter().any(|d| *d != 0);
    Ok(Value::Decimal { negative, digits, scale })
}

/// Seconds since 1970; a row event may have them as a negative number of 32 bits.
fn stamp(seconds: i128, micros: u32) -> Result<Value> {
    let seconds = if seconds < 0 { seconds + (1 << 32) } else { seconds };
    let total = seconds * 1_000_000 + i128::from(micros);
    u64::try_from(total).map(Value::Stamp).map_err(|_| broken("a TIMESTAMP before 1970"))
}

fn span(negative: bool, hours: i64, minutes: i64, seconds: i64, micros: i64) -> i64 {
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    if negative { -total } else { total }
}

/// Splits `…[.ffffff]`, and gives the fraction in microseconds.
fn split_fraction(text: &[u8]) -> Result<(&[u8], u32)> {
    let Some((whole, rest)) = text.iter().position(|b| *b == b'.').and_then(|at| text.split_at_checked(at)) else {
        return Ok((text, 0));
    };
    let digits = rest.get(1..).unwrap_or_default();
    if digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(broken("a fraction of a second that is none"));
    }
    let micros =
        digits.iter().chain(std::iter::repeat(&b'0')).take(6).fold(0, |n, b| n * 10 + u32::from(b.wrapping_sub(b'0')));
    Ok((whole, micros))
}

/// Reads `YYYY-MM-DD[ hh:mm:ss[.ffffff]]`.
fn moment(text: &[u8]) -> Result<Moment> {
    let (whole, micro) = split_fraction(text)?;
    let mut parts = whole.split(|b| matches!(b, b'-' | b' ' | b':')).map(integer);
    let mut next = || parts.next().unwrap_or(Ok(0));
    let small = |n: i128| u8::try_from(n).map_err(|_| broken("a date that is none"));
    let year = u16::try_from(next()?).map_err(|_| broken("a date that is none"))?;
    Ok(Moment {
        year,
        month: small(next()?)?,
        day: small(next()?)?,
        hour: small(next()?)?,
        minute: small(next()?)?,
        second: small(next()?)?,
        micro,
    })
}

/// Reads `[-]hhh:mm:ss[.ffffff]`.
fn time(text: &[u8]) -> Result<Value> {
    let (negative, rest) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, micros) = split_fraction(rest)?;
    let parts: Vec<i128> = whole.split(|b| *b == b':').map(integer).collect::<Result<_>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else { return Err(broken("a TIME that is none")) };
    let part = |n: &i128| i64::try_from(*n).map_err(|_| broken("a TIME that is none"));
    Ok(Value::Span(span(negative, part(hours)?, part(minutes)?, part(seconds)?, i64::from(micros))))
}

fn unhex(text: &[u8]) -> Result<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(high)? << 4) | digit(low)?),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(|| broken("an answer that is not hexadecimal"))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
pub fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &Kind, field: Field) -> Value {
        from_binlog(kind, &BinlogValue::Value(field)).unwrap()
    }

    fn select(kind: &Kind, text: &str) -> Value {
        from_select(kind, &Field::Bytes(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn signs_come_from_the_catalog() {
        let int = |width, unsigned| Kind::Int { width, unsigned };
        assert_eq!(event(&int(1, true), Field::Int(-1)), Value::Int(255));
        assert_eq!(event(&int(1, false), Field::UInt(255)), Value::Int(-1));
        assert_eq!(event(&int(3, true), Field::Int(-1)), Value::Int(0xff_ffff));
        assert_eq!(event(&int(3, false), Field::Int(0xff_ffff)), Value::Int(-1));
        assert_eq!(event(&int(8, true), Field::Int(-1)), Value::Int(i128::from(u64::MAX)));
        assert_eq!(event(&int(8, false), Field::UInt(u64::MAX)), Value::Int(-1));
        assert_eq!(select(&int(8, true), "18446744073709551615"), Value::Int(i128::from(u64::MAX)));
        assert_eq!(select(&int(4, true), "0000000042"), Value::Int(42));
    }

    #[test]
    fn both_ways_give_the_same_value() {
        let bytes = |s: &[u8]| Field::Bytes(s.to_vec());
        let pairs = [
            (Kind::Decimal { precision: 5, scale: 2 }, bytes(b"-7.5"), "-007.50"),
            (Kind::Decimal { precision: 5, scale: 2 }, bytes(b"0.00"), "-0.00"),
            (Kind::Date, Field::Date(2024, 2, 0, 0, 0, 0, 0), "2024-02-00"),
            (Kind::DateTime { fsp: 3 }, Field::Date(2024, 2, 29, 23, 59, 58, 7_000), "2024-02-29 23:59:58.007"),
            (Kind::Timestamp { fsp: 6 }, bytes(b"1709251199.000042"), "2024-02-29 23:59:59.000042"),
            (Kind::Timestamp { fsp: 0 }, bytes(b"2147483647"), "2038-01-19 03:14:07"),
            (Kind::Timestamp { fsp: 0 }, bytes(b"-1"), "2106-02-07 06:28:15"),
            (Kind::Timestamp { fsp: 0 }, bytes(b"0"), "0000-00-00 00:00:00"),
            (Kind::Time { fsp: 6 }, Field::Time(true, 34, 22, 59, 59, 1), "-838:59:59.000001"),
            (Kind::Time { fsp: 0 }, Field::Time(false, 0, 0, 0, 0, 0), "00:00:00"),
            (Kind::Year, bytes(b"1900"), "0000"),
            (Kind::Year, bytes(b"2155"), "2155"),
            (Kind::Bit { bits: 10 }, bytes(&[2, 1]), "513"),
            (Kind::Set { members: vec![], charset: String::new() }, bytes(&[1, 2]), "513"),
            (Kind::VarBinary { len: 3 }, bytes(&[0, 0xab]), "00AB"),
        ];
        for (kind, field, text) in pairs {
            assert_eq!(event(&kind, field), select(&kind, text), "{kind:?} {text}");
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        let null = BinlogValue::Value(Field::NULL);
        assert!(from_binlog(&Kind::Date, &null).is_err());
        assert!(from_binlog(&Kind::Date, &BinlogValue::Value(Field::Int(1))).is_err());
        for (kind, text) in [
            (Kind::Date, "x"),
            (Kind::Time { fsp: 0 }, "1:2"),
            (Kind::VarBinary { len: 1 }, "0"),
            (Kind::Decimal { precision: 2, scale: 1 }, "10.5"),
            (Kind::Decimal { precision: 2, scale: 1 }, "1.55"),
            (Kind::Year, ""),
        ] {
            assert!(from_select(&kind, &Field::Bytes(text.as_bytes().to_vec())).is_err(), "{kind:?} {text}");
        }
    }
}
