//! The application that the traffic plays.

mod courtesy;
pub(crate) mod lane;
mod pick;
mod plan;
pub(crate) mod pulse;
mod read;
pub(crate) mod traffic;
mod transaction;
mod write;
mod xa;
