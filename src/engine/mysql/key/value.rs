//! The value of one key column, and its encoding.
//!
//! The encoding of a kind has the server's order: two values compare as their bytes do, and equal
//! values have equal bytes. Strings with a collation are the exception, their bytes only identify them.

use super::kind::Kind;
use crate::error::{Error, Result};

/// The value of a key column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Integers, YEAR, BIT, and the numbers of ENUM and SET.
    Int(i128),
    /// All digits of the column's precision, of which `scale` are behind the point.
    Decimal { negative: bool, digits: Vec<u8>, scale: u32 },
    /// DATE and DATETIME, with whatever zero parts the column has.
    Moment(Moment),
    /// TIMESTAMP: microseconds since 1970 in UTC; 0 is '0000-00-00 00:00:00'.
    Stamp(u64),
    /// TIME, in microseconds.
    Span(i64),
    /// Strings, in the column's own character set.
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micro: u32,
}

impl Moment {
    fn packed(self) -> u64 {
        let date = (u64::from(self.year) << 9) | (u64::from(self.month) << 5) | u64::from(self.day);
        let time = (u64::from(self.hour) << 12) | (u64::from(self.minute) << 6) | u64::from(self.second);
        (date << 41) | (time << 24) | u64::from(self.micro)
    }

    fn unpacked(packed: u64) -> Moment {
        let (date, time) = (packed >> 41, packed >> 24);
        let bits = |value: u64, shift: u32, count: u32| (value >> shift) & ((1 << count) - 1);
        Moment {
            year: (date >> 9) as u16,
            month: bits(date, 5, 4) as u8,
            day: bits(date, 0, 5) as u8,
            hour: bits(time, 12, 5) as u8,
            minute: bits(time, 6, 6) as u8,
            second: bits(time, 0, 6) as u8,
            micro: bits(packed, 0, 24) as u32,
        }
    }

    fn is_valid(self) -> bool {
        self.year <= 9999
            && self.month <= 12
            && self.day <= 31
            && self.hour <= 23
            && self.minute <= 59
            && self.second <= 59
            && self.micro <= 999_999
    }
}

pub fn broken(what: &str) -> Error {
    Error::definite(format!("A key can't be read: {what}."))
}

/// How many bytes a number of this kind takes, and whether it has a sign.
fn number(kind: &Kind) -> Option<(usize, bool)> {
    Some(match kind {
        Kind::Int { width, unsigned } => (*width as usize, !unsigned),
        Kind::Year | Kind::Enum { .. } => (2, false),
        Kind::Bit { .. } | Kind::Set { .. } => (8, false),
        _ => return None,
    })
}

/// Appends the value's encoding.
pub fn encode(kind: &Kind, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (kind, value) {
        (kind, Value::Int(n)) => {
            let (width, signed) = number(kind).ok_or_else(|| broken("a number where none should be"))?;
            let bits = width * 8;
            let (low, high) =
                if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
            if *n < low || *n > high {
                return Err(broken(&format!("{n} is no value of its type")));
            }
            let biased = (n - low).to_be_bytes();
            out.extend_from_slice(biased.get(16 - width..).unwrap_or_default());
        }
        (Kind::Decimal { precision, .. }, Value::Decimal { negative, digits, .. }) => {
            if digits.len() != *precision as usize || digits.iter().any(|d| *d > 9) {
                return Err(broken("a decimal with too many digits"));
            }
            let negative = *negative && digits.iter().any(|d| *d != 0);
            out.push(u8::from(!negative));
            for pair in digits.chunks(2) {
                let byte = (pair.first().copied().unwrap_or(0) << 4) | pair.get(1).copied().unwrap_or(0);
                out.push(if negative { !byte } else { byte });
            }
        }
        (Kind::Date | Kind::DateTime { .. }, Value::Moment(moment)) => {
            if !moment.is_valid() {
                return Err(broken("a date that is none"));
            }
            out.extend_from_slice(&moment.packed().to_be_bytes());
        }
        (Kind::Timestamp { .. }, Value::Stamp(micros)) => out.extend_from_slice(&micros.to_be_bytes()),
        (Kind::Time { .. }, Value::Span(micros)) => {
            out.extend_from_slice(&(micros ^ i64::MIN).to_be_bytes());
        }
        (Kind::Binary { len }, Value::Bytes(bytes)) => {
            // The binlog leaves out the zeros that the server fills a BINARY up with.
            if bytes.len() > *len {
                return Err(broken("a BINARY that is longer than its column"));
            }
            out.extend_from_slice(bytes);
            out.resize(out.len() + len - bytes.len(), 0);
        }
        (Kind::VarBinary { .. } | Kind::Text { .. }, Value::Bytes(bytes)) => {
            for byte in bytes {
                out.push(*byte);
                if *byte == 0 {
                    out.push(0xff);
                }
            }
            out.extend_from_slice(&[0, 0]);
        }
        _ => return Err(broken("a value of another type than the column's")),
    }
    Ok(())
}

/// A value of the kind that `kind` has become, as one of `kind`; none if that has no such value.
pub fn narrowed(kind: &Kind, value: Value) -> Option<Value> {
    match (kind, value) {
        (Kind::Decimal { precision, scale }, Value::Decimal { negative, digits, scale: later }) => {
            let cut = usize::try_from(later.checked_sub(*scale)?).ok()?;
            let (kept, beyond) = digits.split_at_checked(digits.len().checked_sub(cut)?)?;
            let (above, digits) = kept.split_at_checked(kept.len().checked_sub(*precision as usize)?)?;
            let zeros = above.iter().chain(beyond).all(|digit| *digit == 0);
            zeros.then(|| Value::Decimal { negative, digits: digits.to_vec(), scale: *scale })
        }
        // An integer that has become a DECIMAL.
        (Kind::Int { .. }, Value::Decimal { negative, digits, scale }) => {
            let (whole, beyond) = digits.split_at_checked(digits.len().checked_sub(scale as usize)?)?;
            let number = whole.iter().try_fold(0i128, |n, d| n.checked_mul(10)?.checked_add(i128::from(*d)))?;
            beyond.iter().all(|digit| *digit == 0).then_some(Value::Int(if negative { -number } else { number }))
        }
        (Kind::Binary { len }, Value::Bytes(mut bytes)) => {
            let beyond = bytes.split_off(bytes.len().min(*len));
            beyond.iter().all(|byte| *byte == 0).then_some(Value::Bytes(bytes))
        }
        (_, value) => Some(value),
    }
}

/// Reads a value off the front of `bytes`.
pub fn decode(kind: &Kind, bytes: &mut &[u8]) -> Result<Value> {
    let short = || broken("it is too short");
    let mut take = |len: usize| -> Result<&[u8]> {
        let (head, rest) = bytes.split_at_checked(len).ok_or_else(short)?;
        *bytes = rest;
        Ok(head)
    };
    let eight = |b: &[u8]| b.try_into().map(u64::from_be_bytes).map_err(|_| short());
    Ok(match kind {
        Kind::Decimal { precision, scale } => {
            let precision = *precision as usize;
            let negative = take(1)? == [0];
            let digits = take(precision.div_ceil(2))?
                .iter()
                .flat_map(|b| {
                    let b = if negative { !*b } else { *b };
                    [b >> 4, b & 15]
                })
                .take(precision)
                .collect();
            Value::Decimal { negative, digits, scale: *scale }
        }
        Kind::Date | Kind::DateTime { .. } => Value::Moment(Moment::unpacked(eight(take(8)?)?)),
        Kind::Timestamp { .. } => Value::Stamp(eight(take(8)?)?),
        Kind::Time { .. } => Value::Span((eight(take(8)?)? as i64) ^ i64::MIN),
        Kind::Binary { len } => Value::Bytes(take(*len)?.to_vec()),
        Kind::VarBinary { .. } | Kind::Text { .. } => {
            let mut out = Vec::new();
            loop {
                match take(1)? {
                    [0] => match take(1)? {
                        [0] => break,
                        _ => out.push(0),
                    },
                    byte => out.extend_from_slice(byte),
                }
            }
            Value::Bytes(out)
        }
        kind => {
            let (width, signed) = number(kind).ok_or_else(|| broken("its type has no encoding"))?;
            let biased = take(width)?.iter().fold(0i128, |n, b| (n << 8) | i128::from(*b));
            Value::Int(if signed { biased - (1i128 << (width * 8 - 1)) } else { biased })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kind: &Kind, value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode(kind, value, &mut out).unwrap();
        let mut rest = out.as_slice();
        let back = decode(kind, &mut rest).unwrap();
        assert_eq!(&back, value);
        assert!(rest.is_empty());
        out
    }

    fn ascending(kind: &Kind, values: &[Value]) {
        let encoded: Vec<_> = values.iter().map(|v| bytes(kind, v)).collect();
        assert!(encoded.is_sorted_by(|a, b| a < b), "{kind:?} {encoded:x?}");
    }

    #[test]
    fn bytes_have_the_order_of_the_values() {
        for width in [1u32, 2, 3, 4, 8] {
            let top = 1i128 << (width * 8);
            let signed = [-top / 2, -1, 0, 1, top / 2 - 1].map(Value::Int);
            ascending(&Kind::Int { width, unsigned: false }, &signed);
            ascending(&Kind::Int { width, unsigned: true }, &[0, 1, top / 2, top - 1].map(Value::Int));
        }
        let decimal = |negative, digits: &[u8]| Value::Decimal { negative, digits: digits.to_vec(), scale: 1 };
        ascending(
            &Kind::Decimal { precision: 3, scale: 1 },
            &[
                decimal(true, &[9, 9, 9]),
                decimal(true, &[0, 1, 0]),
                decimal(true, &[0, 0, 1]),
                decimal(false, &[0, 0, 0]),
                decimal(false, &[0, 0, 1]),
                decimal(false, &[1, 0, 0]),
            ],
        );
        let moment = |year, month, day, hour, micro| {
            Value::Moment(Moment { year, month, day, hour, minute: 59, second: 59, micro })
        };
        ascending(
            &Kind::DateTime { fsp: 6 },
            &[
                moment(0, 0, 0, 0, 0),
                moment(2024, 0, 0, 0, 0),
                moment(2024, 2, 29, 23, 0),
                moment(2024, 2, 29, 23, 999_999),
                moment(9999, 12, 31, 23, 999_999),
            ],
        );
        ascending(&Kind::Timestamp { fsp: 6 }, &[0, 1, u64::from(u32::MAX) * 1_000_000].map(Value::Stamp));
        ascending(&Kind::Time { fsp: 6 }, &[-3_020_399_999_999, -1, 0, 1, 3_020_399_999_999].map(Value::Span));
        let strings: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"\0a", b"a", b"a\0"];
        ascending(&Kind::VarBinary { len: 9 }, &strings.map(|s| Value::Bytes(s.to_vec())));
        ascending(&Kind::Bit { bits: 64 }, &[0, 1, i128::from(u64::MAX)].map(Value::Int));
    }

    #[test]
    fn binary_is_filled_up() {
        let mut out = Vec::new();
        encode(&Kind::Binary { len: 4 }, &Value::Bytes(b"ab".to_vec()), &mut out).unwrap();
        assert_eq!(out, b"ab\0\0");
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut out = Vec::new();
        let tiny = Kind::Int { width: 1, unsigned: true };
        assert!(encode(&tiny, &Value::Int(256), &mut out).is_err());
        assert!(encode(&tiny, &Value::Int(-1), &mut out).is_err());
        assert!(encode(&tiny, &Value::Bytes(vec![]), &mut out).is_err());
        assert!(encode(&Kind::Date, &Value::Int(1), &mut out).is_err());
        assert!(decode(&Kind::VarBinary { len: 3 }, &mut [1, 2].as_slice()).is_err());
        assert!(decode(&Kind::Date, &mut [1, 2].as_slice()).is_err());
    }
}
