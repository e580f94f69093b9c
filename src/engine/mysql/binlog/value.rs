//! Values of columns in the binlog's binary form.
//!
//! Values of columns that are not in the key are stepped over by their length: nothing in them can
//! fail to decode. Every length comes from the event, so all reading goes through [`Bytes`], which
//! ends with an error where the data does.

use mysql_async::Value;

use crate::error::{Error, Result};

/// A cursor that never reads past its end.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

pub fn short() -> Error {
    Error::definite("A binlog event is shorter than it says.")
}

impl<'a> Bytes<'a> {
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(short)?;
        self.0 = rest;
        Ok(head)
    }

    /// An unsigned number of up to 8 bytes, least significant first.
    pub fn uint(&mut self, n: usize) -> Result<u64> {
        Ok(self.take(n)?.iter().rev().fold(0, |sum, b| sum << 8 | u64::from(*b)))
    }

    /// A length as the protocol writes it: 1, 3, 4 or 9 bytes.
    pub fn length(&mut self) -> Result<usize> {
        let value = match self.uint(1)? {
            0xfc => self.uint(2)?,
            0xfd => self.uint(3)?,
            0xfe => self.uint(8)?,
            small @ 0..=0xfa => small,
            _ => return Err(short()),
        };
        usize::try_from(value).map_err(|_| short())
    }

    /// A name behind its one-byte length, with a zero after it.
    pub fn name(&mut self) -> Result<&'a [u8]> {
        let n = self.uint(1)?;
        let name = self.take(n as usize)?;
        self.take(1)?;
        Ok(name)
    }
}

/// A column as the binlog describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub kind: u8,
    /// The type's metadata, the first byte in the low half.
    pub meta: u16,
}

impl Column {
    /// ENUM and SET travel as strings that say in their metadata what they are.
    fn real(self) -> (u8, u8, u8) {
        let [low, high] = self.meta.to_le_bytes();
        match (self.kind, low) {
            (254, 247 | 248) => (low, low, high),
            _ => (self.kind, low, high),
        }
    }

    /// How many bytes of length a string value has in front.
    fn length_bytes(self) -> usize {
        let (_, low, high) = self.real();
        let max = match self.kind {
            // A CHAR longer than 255 bytes has the upper bits of its length, inverted, in the type.
            254 if low & 0x30 != 0x30 => usize::from(high) | usize::from((low & 0x30) ^ 0x30) << 4,
            254 => usize::from(high),
            _ => usize::from(self.meta),
        };
        if max < 256 { 1 } else { 2 }
    }

    /// The bytes of the value that stands at the cursor.
    pub fn value<'a>(self, b: &mut Bytes<'a>) -> Result<&'a [u8]> {
        let (kind, low, high) = self.real();
        let fraction = usize::from(low.div_ceil(2));
        let n = match kind {
            1 | 13 => 1,
            2 => 2,
            9 | 10 | 11 | 14 => 3,
            3 | 4 | 7 => 4,
            5 | 8 | 12 => 8,
            6 => 0,
            17 => 4 + fraction,
            18 => 5 + fraction,
            19 => 3 + fraction,
            16 => usize::from(high) + usize::from(low > 0),
            246 => decimal_size(low, high)?,
            247 | 248 => usize::from(high),
            15 | 141 | 253 | 254 => b.uint(self.length_bytes())? as usize,
            140 | 242 | 245 | 249..=252 | 255 => b.uint(usize::from(low.min(8)))? as usize,
            other => {
                return Err(Error::definite(format!(
                    "The binlog holds a column of type {other}, which osc can't read."
                )));
            }
        };
        b.take(n)
    }

    /// The value in the driver's form. Integers come as signed, whatever the column is: the binlog
    /// does not always say, the catalog does.
    pub fn decode(self, bytes: &[u8]) -> Result<Value> {
        let (kind, low, high) = self.real();
        let mut b = Bytes(bytes);
        let date = |d: u64, h: u64, us: u64| {
            // d: year, month, day in 9 or more, 4 and 5 bits; h: hour, minute, second.
            Value::Date(
                (d >> 9) as u16,
                (d >> 5 & 15) as u8,
                (d & 31) as u8,
                (h >> 12) as u8,
                (h >> 6 & 63) as u8,
                (h & 63) as u8,
                us as u32,
            )
        };
        Ok(match kind {
            1 | 2 | 3 | 8 | 9 => {
                let unused = 64 - 8 * bytes.len().min(8) as u32;
                let raw = b.uint(bytes.len().min(8))?;
                Value::Int((raw as i64).checked_shl(unused).unwrap_or(0) >> unused.min(63))
            }
            4 => Value::Float(f32::from_bits(b.uint(4)? as u32)),
            5 => Value::Double(f64::from_bits(b.uint(8)?)),
            6 => Value::NULL,
            7 => Value::Bytes(b.uint(4)?.to_string().into_bytes()),
            10 | 14 => date(b.uint(3)?, 0, 0),
            11 => {
                let raw = b.uint(3)?;
                Value::Time(false, 0, (raw / 10000) as u8, (raw / 100 % 100) as u8, (raw % 100) as u8, 0)
            }
            12 => {
                let raw = b.uint(8)?;
                let (d, t) = (raw / 1_000_000, raw % 1_000_000);
                let d = (d / 10000) << 9 | (d / 100 % 100) << 5 | (d % 100);
                date(d, (t / 10000) << 12 | (t / 100 % 100) << 6 | (t % 100), 0)
            }
            13 => {
                let raw = b.uint(1)?;
                Value::Bytes(format!("{:04}", if raw == 0 { 0 } else { 1900 + raw }).into_bytes())
            }
            17 => {
                let seconds = big_endian(b.take(4)?);
                let us = fraction(b.0, low);
                let text = if us == 0 { seconds.to_string() } else { format!("{seconds}.{us:06}") };
                Value::Bytes(text.into_bytes())
            }
            18 => {
                // 1 bit sign, 17 of year * 13 + month, 5 of day, 5 of hour, 6 of minute, 6 of second.
                let raw = big_endian(b.take(5)?) & 0x7f_ffff_ffff;
                let (ym, day, hms) = (raw >> 22, raw >> 17 & 31, raw & 0x1_ffff);
                date((ym / 13) << 9 | (ym % 13) << 5 | day, hms, fraction(b.0, low))
            }
            19 => time(bytes, low),
            246 => Value::Bytes(decimal(bytes, low, high)?.into_bytes()),
            247 => Value::Int(b.uint(bytes.len().min(2))? as i64),
            _ => Value::Bytes(bytes.to_vec()),
        })
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b))
}

/// Microseconds from the bytes behind a time of so many decimals.
fn fraction(bytes: &[u8], decimals: u8) -> u64 {
    big_endian(bytes) * [1, 10_000, 100, 1].get(usize::from(decimals.div_ceil(2))).unwrap_or(&1)
}

/// TIME: 1 bit sign (set for positive), 1 unused, 10 of hours, 6, 6, and the fraction, all one number
/// that is negated for negative times.
fn time(bytes: &[u8], decimals: u8) -> Value {
    let bits = 8 * bytes.len().min(6) as u32;
    let zero = 1i64 << (bits.max(1) - 1);
    let signed = big_endian(bytes) as i64 - zero;
    let raw = signed.unsigned_abs();
    let fraction_bits = bits.saturating_sub(24);
    let whole = raw >> fraction_bits;
    let us =
        (raw & ((1 << fraction_bits) - 1)) * [1, 10_000, 100, 1].get(usize::from(decimals.div_ceil(2))).unwrap_or(&1);
    let hours = whole >> 12 & 0x3ff;
    Value::Time(
        signed < 0,
        (hours / 24) as u32,
        (hours % 24) as u8,
        (whole >> 6 & 63) as u8,
        (whole & 63) as u8,
        us as u32,
    )
}

/// Bytes that hold so many decimal digits.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

fn digit_bytes(digits: usize) -> usize {
    digits / 9 * 4 + DIGIT_BYTES.get(digits % 9).copied().unwrap_or(0)
}

fn decimal_size(precision: u8, scale: u8) -> Result<usize> {
    let whole = precision.checked_sub(scale).ok_or_else(short)?;
    Ok(digit_bytes(whole.into()) + digit_bytes(scale.into()))
}

/// DECIMAL: groups of nine digits in four bytes, the odd digits at both ends; the first bit is set for
/// positive numbers, and negative ones have all bits inverted.
fn decimal(bytes: &[u8], precision: u8, scale: u8) -> Result<String> {
    let negative = bytes.first().is_some_and(|b| b & 0x80 == 0);
    let mut bytes: Vec<u8> = bytes.iter().map(|b| if negative { !b } else { *b }).collect();
    if let Some(first) = bytes.first_mut() {
        *first ^= 0x80;
    }
    let mut b = Bytes(&bytes);
    let (whole, scale) = (usize::from(precision.checked_sub(scale).ok_or_else(short)?), usize::from(scale));
    let mut digits = String::new();
    let mut group = |b: &mut Bytes<'_>, n: usize| -> Result<()> {
        if n > 0 {
            let value = big_endian(b.take(digit_bytes(n))?);
            digits.push_str(&format!("{value:0n$}"));
        }
        Ok(())
    };
    group(&mut b, whole % 9)?;
    for _ in 0..whole / 9 {
        group(&mut b, 9)?;
    }
    for _ in 0..scale / 9 {
        group(&mut b, 9)?;
    }
    group(&mut b, scale % 9)?;
    let (integer, fraction) = digits.split_at_checked(digits.len().saturating_sub(scale)).ok_or_else(short)?;
    let integer = integer.trim_start_matches('0');
    let mut out = String::from(if negative { "-" } else { "" });
    out.push_str(if integer.is_empty() { "0" } else { integer });
    if scale > 0 {
        out.push('.');
        out.push_str(fraction);
    }
    Ok(out)
}
