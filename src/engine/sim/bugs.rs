//! Planted bugs: what the simulation must be able to find.
//!
//! Each is one rule left out of the engine's part. A test demands that each is found; a rule whose
//! absence nobody notices is either needless or not simulated.

use std::cell::Cell;

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Keys are delivered as they come.
    NoSettling,
    /// A key that no range has reached is dropped as it comes, before it is settled.
    DropUnsettled,
    /// A mark settles when it comes out of the stream, without its commit having returned.
    SettledWhenSeen,
    /// A mark settles what was received when its commit returned, not what was when it was sent.
    SettledWhenReturned,
    /// The server makes commits visible in another order than that of the stream.
    BinlogOrderOff,
    /// The keys of a prepared transaction settle like those of a committed one.
    XaAtPrepare,
    /// A mark's place does not care for transactions that are still prepared.
    PlacePastPrepare,
    /// Transactions that were prepared before the stream began are not waited for.
    XaOlderIgnored,
    /// The end of a prepared transaction settles like any commit, as if it were visible in its turn.
    XaEndInOrder,
    /// Under the lock nobody looks whether another process has taken the run over.
    FenceOfThePast,
    /// The second session's RENAME does not look whether another process has taken the run over.
    RenameUnguarded,
    /// The fence does not look for prepared transactions.
    FencePastPrepared,
    /// A mark's place is as far as the reader has read.
    PlaceOfReader,
    /// A mark's place is after the last delivered row, perhaps inside a transaction.
    PlaceInTransaction,
    /// After a reconnect the reader goes on where it was; what waited to be settled is gone.
    ReconnectSkips,
    /// After a reconnect the stream is read again from before a mark that was delivered.
    ReconnectPastMark,
    /// The marks of an earlier life count as this one's.
    TokensReused,
    /// Statements on the table without rows are not noticed.
    TruncateUnseen,
    /// Nothing keeps the transactions of lost connections from committing.
    ZombiesWithoutEpoch,
    /// The epoch is read without a lock.
    EpochReadUnlocked,
    /// Each run counts its epochs from nothing.
    EpochFromNothing,
    /// A new life raises the epoch, a lost connection within a life does not.
    EpochOnlyNewLife,
    /// A process whose run another one took over may raise the epoch.
    AnyoneRaises,
    /// A process that stood still builds the shadow anew although another one works on it.
    ShadowRebuiltLate,
    /// The lane's note is committed before its chunk.
    NoteBeforeData,
    /// The notes of an earlier life are not deleted.
    NotesKept,
    /// The last range ends at the last key that was there when it was found.
    LastRangeClosed,
    /// The copy only inserts what is not there.
    CopyOnlyInserts,
    /// A unique conflict is skipped, as INSERT IGNORE does.
    IgnoreConflicts,
    /// A row that stands in the way of a unique value is deleted without another look at it.
    DisplaceByKey,
    /// What is judged by a look at the source is locked only after that look.
    LookBeforeLock,
    /// Rows that the new definition can't hold are skipped.
    SkipUnfit,
    /// The final sync is done with the lock given back, which is then taken again.
    FinalSyncOutside,
    /// The final sync takes two spellings of a key for two rows.
    SpellingsApart,
    /// The swap does not need the lock.
    SwapWithoutLock,
    /// After a swap without an answer the catalog is read while the statement may still be running.
    LookTooEarly,
    /// Names that sort before the original: the RENAME queues on the wrong one.
    NamesSortBefore,
    /// The RENAME is let go although somebody else waits for the whole table before it.
    OthersGoFirst,
    /// No sentry: the RENAME that is queued goes through when the holder dies.
    NoSentry,
    /// A new life reads the stream from where it is now, not from the stored place.
    ResumeForgets,
}

use Bug::*;

impl Bug {
    pub const ALL: &[Bug] = &[
        NoSettling,
        DropUnsettled,
        SettledWhenSeen,
        SettledWhenReturned,
        BinlogOrderOff,
        XaAtPrepare,
        PlacePastPrepare,
        XaOlderIgnored,
        XaEndInOrder,
        FenceOfThePast,
        RenameUnguarded,
        FencePastPrepared,
        PlaceOfReader,
        PlaceInTransaction,
        ReconnectSkips,
        ReconnectPastMark,
        TokensReused,
        TruncateUnseen,
        ZombiesWithoutEpoch,
        EpochReadUnlocked,
        EpochFromNothing,
        EpochOnlyNewLife,
        AnyoneRaises,
        ShadowRebuiltLate,
        NoteBeforeData,
        NotesKept,
        LastRangeClosed,
        CopyOnlyInserts,
        IgnoreConflicts,
        DisplaceByKey,
        LookBeforeLock,
        SkipUnfit,
        FinalSyncOutside,
        SpellingsApart,
        SwapWithoutLock,
        LookTooEarly,
        NamesSortBefore,
        OthersGoFirst,
        NoSentry,
        ResumeForgets,
    ];
}

/// What only planted bugs look at, in one life.
#[derive(Debug, Default)]
pub struct Peek {
    /// The last key there was when the last range was found.
    pub last_key: Cell<Option<u32>>,
    /// The last key of the ranges that were begun.
    pub reach: Cell<Option<u32>>,
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bugs(u64);

impl Bugs {
    pub const NONE: Bugs = Bugs(0);

    pub const fn one(bug: Bug) -> Self {
        Bugs(1 << bug as u64)
    }

    pub const fn with(self, bug: Bug) -> Self {
        Bugs(self.0 | 1 << bug as u64)
    }

    pub const fn has(self, bug: Bug) -> bool {
        self.0 & (1 << bug as u64) != 0
    }
}
