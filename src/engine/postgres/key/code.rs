//! Key values as bytes and back.
//!
//! Values come as the server prints them under the pinned settings, from the stream and from queries alike,
//! and go back as literals of their type. What has an order of bytes that is the server's is encoded so that
//! the bytes have it; all else travels as its text, and says that it has no order.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a column's values are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// smallint, integer, bigint.
    Integer,
    Uuid,
    Bytea,
    /// Strings that compare by their bytes: text and varchar under the collation C.
    Bytes,
    /// The printed value: equal texts are equal values, nothing more.
    Printed,
}

impl Form {
    pub fn ordered(self) -> bool {
        self != Form::Printed
    }

    /// Appends a value's encoding. No encoding is the beginning of another one.
    pub fn encode(self, value: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let bad = || {
            let shown = String::from_utf8_lossy(value);
            Error::definite(format!("A key came as '{shown}', which osc can't read as {self:?}."))
        };
        match self {
            Form::Integer => {
                let number: i64 = std::str::from_utf8(value).ok().and_then(|t| t.parse().ok()).ok_or_else(bad)?;
                out.extend((number as u64 ^ 1 << 63).to_be_bytes());
            }
            Form::Uuid => {
                let digits: Vec<u8> = value.iter().copied().filter(|b| *b != b'-').collect();
                let bytes = unhex(&digits).filter(|bytes| bytes.len() == 16).ok_or_else(bad)?;
                out.extend(bytes);
            }
            Form::Bytea => {
                let digits = value.strip_prefix(b"\\x").ok_or_else(bad)?;
                escape(&unhex(digits).ok_or_else(bad)?, out);
            }
            Form::Bytes | Form::Printed => {
                std::str::from_utf8(value).map_err(|_| bad())?;
                escape(value, out);
            }
        }
        Ok(())
    }

    /// Takes one value off the front; as the server would print it.
    pub fn decode(self, bytes: &mut &[u8]) -> Option<String> {
        match self {
            Form::Integer => {
                let (first, rest) = bytes.split_first_chunk::<8>()?;
                *bytes = rest;
                Some(((u64::from_be_bytes(*first) ^ 1 << 63) as i64).to_string())
            }
            Form::Uuid => {
                let (first, rest) = bytes.split_first_chunk::<16>()?;
                *bytes = rest;
                Some(hex(first))
            }
            Form::Bytea => Some(format!("\\x{}", hex(&unescape(bytes)?))),
            Form::Bytes | Form::Printed => String::from_utf8(unescape(bytes)?).ok(),
        }
    }
}

/// A zero byte becomes 00 FF, the end is 00 01: so a beginning sorts before what it begins.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 1]);
}

fn unescape(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if *first == 0 {
            let (second, rest) = bytes.split_first()?;
            *bytes = rest;
            match second {
                0xff => out.push(0),
                1 => return Some(out),
                _ => return None,
            }
        } else {
            out.push(*first);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(form: Form, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        form.encode(value.as_bytes(), &mut out).unwrap();
        let mut rest = out.as_slice();
        let back = form.decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(back, value.replace('-', if form == Form::Uuid { "" } else { "-" }));
        out
    }

    #[test]
    fn order_is_kept() {
        let ints = ["-9223372036854775808", "-1", "0", "1", "9223372036854775807"];
        assert!(ints.windows(2).all(|w| code(Form::Integer, w[0]) < code(Form::Integer, w[1])));
        let texts = ["", "\u{1}", "a", "a\u{1}", "ab", "b", "é"];
        assert!(texts.windows(2).all(|w| code(Form::Bytes, w[0]) < code(Form::Bytes, w[1])));
        let blobs = ["\\x", "\\x00", "\\x0000", "\\x0001", "\\x01", "\\xff", "\\xff00"];
        assert!(blobs.windows(2).all(|w| code(Form::Bytea, w[0]) < code(Form::Bytea, w[1])));
    }

    #[test]
    fn what_is_no_value_is_said_so() {
        for (form, value) in [(Form::Integer, "1.5"), (Form::Uuid, "12"), (Form::Bytea, "00"), (Form::Bytea, "\\x0")] {
            assert!(form.encode(value.as_bytes(), &mut Vec::new()).is_err());
        }
        assert_eq!(Form::Bytes.decode(&mut &b"a\0"[..]), None);
        code(Form::Uuid, "0b0e0d8a-1111-2222-3333-444455556666");
    }
}
