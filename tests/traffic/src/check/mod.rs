//! Compares a table with the ledger.

pub(crate) mod judge;
pub(crate) mod old;
pub(crate) mod show;
pub(crate) mod verdict;
mod verify;
