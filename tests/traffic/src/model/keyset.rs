//! A set of keys as bitmaps of 65,536: a million rows are 128 kB, and far-apart keys cost no more.

use std::collections::BTreeMap;

const BITS: u32 = 16;
const WORDS: usize = 1 << (BITS - 6);

/// A set of 64-bit keys.
#[derive(Clone, Default)]
pub(crate) struct KeySet {
    blocks: BTreeMap<i64, Box<[u64; WORDS]>>,
    len: u64,
}

fn split(key: i64) -> (i64, usize, u64) {
    let low = (key & ((1 << BITS) - 1)) as usize;
    (key >> BITS, low >> 6, 1 << (low & 63))
}

impl KeySet {
    pub fn insert(&mut self, key: i64) {
        let (block, word, bit) = split(key);
        let words = self.blocks.entry(block).or_insert_with(|| Box::new([0; WORDS]));
        if words[word] & bit == 0 {
            words[word] |= bit;
            self.len += 1;
        }
    }

    /// Takes the key out; says whether it was in.
    pub fn remove(&mut self, key: i64) -> bool {
        let (block, word, bit) = split(key);
        let Some(words) = self.blocks.get_mut(&block) else { return false };
        let was = words[word] & bit != 0;
        if was {
            words[word] &= !bit;
            self.len -= 1;
        }
        was
    }

    pub fn contains(&self, key: i64) -> bool {
        let (block, word, bit) = split(key);
        self.blocks.get(&block).is_some_and(|words| words[word] & bit != 0)
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// The keys in rising order.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.blocks.iter().flat_map(|(block, words)| {
            words.iter().enumerate().filter(|(_, bits)| **bits != 0).flat_map(move |(at, bits)| {
                let base = (block << BITS) | ((at as i64) << 6);
                let bits = *bits;
                (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| base | bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let keys = [i64::MIN, -65_537, -1, 0, 63, 64, 65_535, 65_536, 1_000_000, i64::MAX];
        let mut set = KeySet::default();
        for key in keys.iter().chain(&keys) {
            set.insert(*key);
        }
        assert_eq!(set.len(), keys.len() as u64);
        assert_eq!(set.iter().collect::<Vec<_>>(), keys);
        assert!(!set.contains(1));
        assert!(set.remove(0) && !set.remove(0));
        assert!(!set.contains(0) && set.contains(63));
        assert_eq!(set.len(), keys.len() as u64 - 1);
    }
}
