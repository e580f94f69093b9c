//! What surrounds a run: throttle, control, numbers.

pub mod control;
pub mod stats;
pub mod throttle;
