//! Compares a table with the ledger.

pub(crate) mod judge;
pub(crate) mod old;
mod show;
#[cfg(test)]
mod tests;
pub(crate) mod verdict;
mod verify;
