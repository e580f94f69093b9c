//! Rules of the core that can be left out, to see that the simulation notices it.
//!
//! Only with the feature `sim`, which builds for tests have; in any other [`Planted::is`] is a constant
//! `false`, and the branches that ask it are gone.

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    #[default]
    Nothing,
    /// The first range reads before a first mark came back.
    NoGate,
    /// A key of a range in flight is dropped, as if that range would still read it.
    DropHeld,
    /// The keys that a range held are dropped when it has committed.
    ForgetHeld,
    /// Keys that can't be compared are compared with the frontier all the same.
    CompareUncomparable,
    /// Keys that can't be compared don't wait for the ranges in flight.
    NoBarrier,
    /// Several batches of keys that can't be compared are in flight.
    ParallelUncomparable,
    /// A key is synced while an earlier sync of it is in flight.
    OverlapKeys,
    /// A key is synced while the range that holds it is in flight.
    OverlapRange,
    /// A delivery of a key that is in flight counts as covered by that sync.
    FlyingCovers,
    /// The end of a sync erases a newer delivery of its keys.
    ForgetNewer,
    /// The latest place may be stored, whatever waits.
    PlaceAsDelivered,
    /// Keys in flight don't hold the place back.
    PlaceWithoutFlying,
    /// Keys that a range holds don't hold the place back.
    PlaceWithoutHeld,
    /// The frontier moves over ranges that are still in flight.
    FrontierOverGap,
    /// A lane's note has only its newest range.
    NoteOnlyNewest,
    /// The notes forget what a checkpoint covers before that is stored.
    NotesForgetEarly,
    /// The keys of a final sync that failed are not put back.
    ForgetAfterFailedSwap,
    /// One index is built after the copy, whatever else there is to build.
    BuildOnce,
    /// The lock is asked for while syncs are in flight.
    NotQuiet,
    /// The swap does not wait for a mark.
    SkipDrain,
    /// The drain waits for a mark that was sent before the lock was granted.
    DrainByOldMark,
    /// The keys that wait are not synced under the fence.
    SkipFinalSync,
    /// The feed is read whatever the pending keys cost.
    NoLimit,
    /// A suspect is looked at again before what was delivered is synced.
    LookUnsettled,
    /// A suspect is judged before the mark that was sent after its second look came out.
    JudgeUnmarked,
    /// A suspect is judged as if it had not been delivered meanwhile.
    JudgeMoved,
}

impl Planted {
    pub const ALL: &'static [Planted] = &[
        Planted::NoGate,
        Planted::DropHeld,
        Planted::ForgetHeld,
        Planted::CompareUncomparable,
        Planted::NoBarrier,
        Planted::ParallelUncomparable,
        Planted::OverlapKeys,
        Planted::OverlapRange,
        Planted::FlyingCovers,
        Planted::ForgetNewer,
        Planted::PlaceAsDelivered,
        Planted::PlaceWithoutFlying,
        Planted::PlaceWithoutHeld,
        Planted::FrontierOverGap,
        Planted::NoteOnlyNewest,
        Planted::NotesForgetEarly,
        Planted::ForgetAfterFailedSwap,
        Planted::BuildOnce,
        Planted::NotQuiet,
        Planted::SkipDrain,
        Planted::DrainByOldMark,
        Planted::SkipFinalSync,
        Planted::NoLimit,
        Planted::LookUnsettled,
        Planted::JudgeUnmarked,
        Planted::JudgeMoved,
    ];

    #[inline(always)]
    pub fn is(self, rule: Planted) -> bool {
        cfg!(feature = "sim") && self == rule
    }
}
