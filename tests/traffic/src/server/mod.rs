//! The seam to the server: connections, SQL texts and values. Nothing outside of this module names
//! a driver or a dialect; another engine is another set of these files.

mod cell;
mod session;
pub(crate) mod statements;

pub(crate) use cell::Cell;
pub(crate) use session::{Connection, Done, Ended, Handover, Session};
pub(crate) use statements::Statements;
