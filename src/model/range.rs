//! Sets of rows that one sync works on.

use serde::{Deserialize, Serialize};

use super::Key;

/// The keys above `after` up to and with `upto`; an open end where there is none. The first range of
/// a table is open below and the last is open above, so together the ranges cover every possible key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub after: Option<Key>,
    pub upto: Option<Key>,
}

impl Range {
    /// Whether the key lies in the range. Has a meaning only under [`super::KeyOrder::Bytes`].
    pub fn contains(&self, key: &Key) -> bool {
        self.after.as_ref().is_none_or(|after| key > after) && self.upto.as_ref().is_none_or(|upto| key <= upto)
    }
}

/// What a sync makes equal: all rows of a range, or the rows of some keys.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    Range(&'a Range),
    Keys(&'a [Key]),
}
