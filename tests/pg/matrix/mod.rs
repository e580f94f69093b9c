//! The matrix: every kind of key and of column change, under traffic, against the native twin.
//!
//! A case is a row of a table: a definition, the values that the traffic uses, an ALTER, and how the run
//! must end. Cases of one file run side by side in one database, and all that failed are reported.
//! `OSC_MATRIX=name,name` runs these alone.

mod case;
mod columns;
mod definitions;
mod keys;
mod runner;
mod traffic;
mod unique;
mod values;

pub use case::{CASE, Case, End};
pub use runner::run;
