//! The core: one loop that owns all state of a run, and the books that it keeps.
//!
//! source → feed → [`pending`] → mirror → target. Everything here runs on one thread and knows the
//! engines only through their traits, so the same code runs on a simulated server.

pub mod compare;
pub mod copy;
pub mod cutover;
pub mod marks;
pub mod pace;
pub mod pending;
pub mod places;
pub mod planted;
pub mod retry;
pub mod run;
pub mod settings;
pub mod size;
pub mod suspects;
pub mod verify;

pub use planted::Planted;
pub use run::{Outcome, Start, run};
pub use settings::Settings;
