//! Rows, and the small numbers that stand for them.

pub(crate) mod keyset;
pub(crate) mod row;
pub(crate) mod state;
pub(crate) mod token;
pub(crate) mod values;
