//! The keys of rows as bytes.
//!
//! Comparable: the number, big end first. Collated: the bytes are no order at all, and a row has as
//! many names as it has spellings.

use super::binlog::Image;
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder, Rows};

/// Odd, so that multiplying by it can be undone.
const SCRAMBLE: u32 = 0x9e37_79b1;

/// The number by which multiplying undoes it.
const fn inverse(of: u32) -> u32 {
    let mut x = of;
    let mut round = 0;
    while round < 5 {
        x = x.wrapping_mul(2u32.wrapping_sub(of.wrapping_mul(x)));
        round += 1;
    }
    x
}

pub fn encode(order: KeyOrder, image: Image) -> Key {
    match order {
        KeyOrder::Bytes => Key::new(&image.id.to_be_bytes()),
        KeyOrder::Unknown => {
            let [a, b, c, d] = image.id.wrapping_mul(SCRAMBLE).to_be_bytes();
            Key::new(&[image.spelling, a, b, c, d])
        }
    }
}

pub fn decode(order: KeyOrder, key: &Key) -> Result<u32> {
    let bytes = match order {
        KeyOrder::Bytes => key.as_bytes(),
        KeyOrder::Unknown => key.as_bytes().get(1..).unwrap_or_default(),
    };
    let number = <[u8; 4]>::try_from(bytes).map(u32::from_be_bytes);
    let number = number.map_err(|_| Error::definite(format!("{key:?} is not a key of this table")))?;
    Ok(match order {
        KeyOrder::Bytes => number,
        KeyOrder::Unknown => number.wrapping_mul(inverse(SCRAMBLE)),
    })
}

/// A set of rows, as the server understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    Range { after: Option<u32>, upto: Option<u32> },
    Ids(Vec<u32>),
}

impl Set {
    pub fn decode(order: KeyOrder, rows: Rows<'_>) -> Result<Set> {
        Ok(match rows {
            Rows::Range(range) => Set::Range {
                after: range.after.as_ref().map(|k| decode(order, k)).transpose()?,
                upto: range.upto.as_ref().map(|k| decode(order, k)).transpose()?,
            },
            Rows::Keys(keys) => Set::of(order, keys)?,
        })
    }

    /// The rows of some keys, each once.
    pub fn of(order: KeyOrder, keys: &[Key]) -> Result<Set> {
        let mut ids = keys.iter().map(|k| decode(order, k)).collect::<Result<Vec<_>>>()?;
        ids.sort_unstable();
        ids.dedup();
        Ok(Set::Ids(ids))
    }

    pub fn contains(&self, id: u32) -> bool {
        match self {
            Set::Range { after, upto } => after.is_none_or(|a| id > a) && upto.is_none_or(|u| id <= u),
            Set::Ids(ids) => ids.binary_search(&id).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_only_bytes_keep_the_order() {
        for order in [KeyOrder::Bytes, KeyOrder::Unknown] {
            for id in [0, 1, 77, 4_000_000_000] {
                let key = encode(order, Image { id, spelling: 1 });
                assert_eq!(decode(order, &key).unwrap(), id);
            }
        }
        let key = |id| encode(KeyOrder::Unknown, Image { id, spelling: 0 });
        assert!((1..100).any(|id| key(id) > key(id + 1)));
    }
}
