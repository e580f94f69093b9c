//! What is stored so that a run can go on after any stop.
//!
//! Two kinds of record: the run's checkpoint, stored now and then, and each copy lane's note, stored
//! in the same transaction as the chunk it speaks of (I4). A new life folds the notes into the
//! checkpoint as far as their ranges join on to its frontier without a gap ([`Checkpoint::absorb`]),
//! **stores that and deletes the notes in one transaction before it reads anything**; ranges beyond a
//! gap are copied again. The deletion is not tidiness: a note that outlived its life would later be
//! taken for a copy of a range in which the new life had meanwhile dropped keys as "still to be copied".

use serde::{Deserialize, Serialize};

use super::{Key, Phase, Position, Range};

/// The number of the stored format. A run refuses to go on from another one.
pub const FORMAT: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub format: u32,
    pub phase: Phase,
    /// The stream is read from here again; everything before it is durably in the target or lies
    /// beyond the frontier.
    pub position: Position,
    /// Every key up to and with this one is copied; none: nothing is.
    pub frontier: Option<Key>,
    /// The last, open-ended range is copied too.
    pub copied: bool,
    /// Rows copied so far, over all lives of the run.
    pub rows_copied: u64,
    /// Keys synced from the stream so far, over all lives of the run.
    pub keys_synced: u64,
    /// Changes of the table seen in the stream so far, over all lives of the run.
    pub changes_seen: u64,
}

/// A range that was committed, and the rows it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub range: Range,
    pub rows: u64,
}

/// The ranges that one copy lane has committed and that no stored checkpoint covers yet, oldest first.
/// The rows of the newest are filled in by the mirror, which alone knows them before the commit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LaneNote {
    pub done: Vec<Noted>,
}

impl Checkpoint {
    /// The checkpoint of a run that has not copied anything.
    pub fn new(position: Position) -> Self {
        Checkpoint {
            format: FORMAT,
            phase: Phase::Copy,
            position,
            frontier: None,
            copied: false,
            rows_copied: 0,
            keys_synced: 0,
            changes_seen: 0,
        }
    }

    /// Moves the frontier over every noted range that joins on to it, in any order of notes.
    pub fn absorb(&mut self, notes: &[LaneNote]) {
        while !self.copied {
            let Some(next) = notes.iter().flat_map(|n| &n.done).find(|n| n.range.after == self.frontier) else {
                return;
            };
            self.rows_copied += next.rows;
            match &next.range.upto {
                Some(upto) => self.frontier = Some(upto.clone()),
                None => self.copied = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(after: Option<u8>, upto: Option<u8>) -> Noted {
        let range = Range { after: after.map(|b| Key::new(&[b])), upto: upto.map(|b| Key::new(&[b])) };
        Noted { range, rows: 10 }
    }

    #[test]
    fn notes_extend_the_frontier_up_to_the_first_gap() {
        let notes = [
            LaneNote { done: vec![noted(Some(2), Some(3)), noted(Some(9), Some(10))] },
            LaneNote { done: vec![noted(None, Some(2))] },
        ];
        let mut c = Checkpoint::new(Position(String::new()));
        c.absorb(&notes);
        assert_eq!((c.frontier, c.copied, c.rows_copied), (Some(Key::new(&[3])), false, 20));
    }

    #[test]
    fn the_open_end_finishes_the_copy() {
        let mut c = Checkpoint::new(Position(String::new()));
        c.frontier = Some(Key::new(&[7]));
        c.absorb(&[LaneNote { done: vec![noted(Some(7), None)] }]);
        assert!(c.copied);
    }
}
