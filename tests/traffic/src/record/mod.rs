//! What the server acknowledged, and when: the ledger.

pub(crate) mod book;
pub(crate) mod census;
pub(crate) mod draft;
pub(crate) mod ledger;
pub(crate) mod stamp;
pub(crate) mod tally;
pub(crate) mod timeline;
