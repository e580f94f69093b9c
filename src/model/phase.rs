//! Where a run is. Persisted with the checkpoint; all legal transitions stand in one match.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Ranges are copied while changes are applied.
    Copy,
    /// Every range is copied; indexes that were left for now are built, one after the other, and changes
    /// are applied between them.
    Index,
    /// All is built; the stream is being caught up with.
    CatchUp,
    /// Caught up; every range is compared on both sides, and what differs is synced again.
    Verify,
    /// Waiting for the word to cut over, still applying.
    Ready,
    /// Trying to lock, drain, sync and swap.
    Cutover,
    /// The tables are swapped.
    Swapped,
}

impl Phase {
    /// Whether a run may go from this phase to `next`.
    pub fn may_become(self, next: Phase) -> bool {
        use Phase::*;
        matches!(
            (self, next),
            (Copy, Index)
                | (Index, CatchUp)
                | (CatchUp, Verify)
                | (CatchUp, Ready)
                | (Verify, Ready)
                | (Ready, Cutover)
                | (Cutover, Ready)
                | (Cutover, Swapped)
        )
    }

    pub fn name(self) -> &'static str {
        match self {
            Phase::Copy => "copy",
            Phase::Index => "index",
            Phase::CatchUp => "catch-up",
            Phase::Verify => "verify",
            Phase::Ready => "ready",
            Phase::Cutover => "cutover",
            Phase::Swapped => "swapped",
        }
    }
}
