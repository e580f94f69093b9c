//! The simulation: the real core on a simulated server, many seeds, with teeth.
//!
//! `scripts/sim` runs more of it; `docs/simulation.md` says what is simulated and what each planted bug
//! stands for.

mod batch;
mod harness;
mod replay;
mod teeth;
