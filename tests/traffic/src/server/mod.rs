//! The seam to the servers: connections, SQL texts and values. Nothing outside of this module names
//! a driver or a dialect; another engine is another set of the files in `mysql` and `postgres`.

mod cell;
mod dialect;
mod mysql;
mod postgres;
mod session;
pub(crate) mod statements;

pub(crate) use cell::Cell;
pub(crate) use dialect::Dialect;
pub(crate) use session::{Connection, Done, Ended, Handover, Session};
pub(crate) use statements::Statements;
