//! The key of a row, as the core sees it: bytes.
//!
//! An engine encodes the values of the key columns into bytes so that two encodings are equal only
//! if the server takes the keys for equal. Where it can, it also makes the order of the bytes the
//! server's order ([`KeyOrder::Bytes`]); then the core can tell which range a key lies in. Under a
//! collation it can't, and the core works without comparing ([`KeyOrder::Unknown`]).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An encoded key. Cheap to clone: the core keeps each key once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<[u8]>);

/// What the order of two keys' bytes says about the order of their rows on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyOrder {
    /// Byte order is the server's order, and equal keys have equal bytes.
    Bytes,
    /// Nothing: collated strings. Two different encodings may even name the same row.
    Unknown,
}

impl Key {
    pub fn new(bytes: &[u8]) -> Self {
        Key(Arc::from(bytes))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What a key costs in the core's books: its bytes and the entries that point at it.
    pub fn cost_bytes(&self) -> usize {
        self.0.len() + 136
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(")?;
        hex(&self.0).fmt(f)?;
        f.write_str(")")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unhex(&text).ok_or_else(|| serde::de::Error::custom("a key is hexadecimal"))?;
        Ok(Key::new(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_the_checkpoint() {
        let key = Key::new(&[0, 1, 0xfe, 0xff]);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, "\"0001feff\"");
        assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key);
        assert!(serde_json::from_str::<Key>("\"0g\"").is_err());
        assert!(serde_json::from_str::<Key>("\"é1\"").is_err());
    }
}
