//! MySQL and MariaDB.

pub(crate) mod fill;
mod session;
pub(crate) mod statements;
mod values;

pub(crate) use session::Session;
