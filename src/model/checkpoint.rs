//! What is stored so that a run can go on after any stop.
//!
//! Two kinds of record: the run's checkpoint, stored now and then, and each copy lane's note, stored
//! in the same transaction as the chunk it speaks of (I4). On resume the notes extend the frontier of
//! the checkpoint as far as their ranges join on without a gap; ranges beyond a gap are copied again.

use serde::{Deserialize, Serialize};

use super::{Key, Phase, Position, Range};

/// The number of the stored format. A run refuses to go on from another one.
pub const FORMAT: u32 = 1;

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

/// The ranges that one copy lane has committed and that no stored checkpoint covers yet, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LaneNote {
    pub done: Vec<Range>,
    /// Rows of those ranges.
    pub rows: u64,
}

impl Checkpoint {
    /// Moves the frontier over every noted range that joins on to it, in any order of notes.
    pub fn absorb(&mut self, notes: &[LaneNote]) {
        while !self.copied {
            let next = notes.iter().flat_map(|n| &n.done).find(|r| r.after == self.frontier);
            match next.map(|r| r.upto.clone()) {
                Some(Some(upto)) => self.frontier = Some(upto),
                Some(None) => self.copied = true,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(after: Option<u8>, upto: Option<u8>) -> Range {
        Range { after: after.map(|b| Key::new(&[b])), upto: upto.map(|b| Key::new(&[b])) }
    }

    fn checkpoint(frontier: Option<u8>) -> Checkpoint {
        Checkpoint {
            format: FORMAT,
            phase: Phase::Copy,
            position: Position(String::new()),
            frontier: frontier.map(|b| Key::new(&[b])),
            copied: false,
            rows_copied: 0,
            keys_synced: 0,
            changes_seen: 0,
        }
    }

    #[test]
    fn notes_extend_the_frontier_up_to_the_first_gap() {
        let notes = [
            LaneNote { done: vec![range(Some(2), Some(3)), range(Some(9), Some(10))], rows: 0 },
            LaneNote { done: vec![range(None, Some(2))], rows: 0 },
        ];
        let mut c = checkpoint(None);
        c.absorb(&notes);
        assert_eq!(c.frontier, Some(Key::new(&[3])));
        assert!(!c.copied);
    }

    #[test]
    fn the_open_end_finishes_the_copy() {
        let mut c = checkpoint(Some(7));
        c.absorb(&[LaneNote { done: vec![range(Some(7), None)], rows: 0 }]);
        assert!(c.copied);
    }
}
