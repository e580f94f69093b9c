//! The words that the core and the engines share. Nothing here knows a server.

mod checkpoint;
mod key;
mod phase;
mod position;
mod range;
mod seq;

pub use checkpoint::{Checkpoint, FORMAT, LaneNote, Noted};
pub use key::{Key, KeyOrder};
pub use phase::Phase;
pub use position::{Position, Token};
pub use range::{Range, Rows};
pub use seq::Seq;
