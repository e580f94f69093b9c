//! The copy's side of the books: which ranges are found, in flight, committed, and how large the
//! next one is.
//!
//! Ranges are found one after the other, each beginning where the last one ended, the last one open
//! above, so that together they cover every possible key. They begin in that order but may commit in
//! another; `frontier` moves over committed ranges only as far as they join on. A lane's note carries
//! what that lane has committed beyond the frontier of the last **stored** checkpoint, so that
//! checkpoint and notes together always name every committed range that a resume may skip.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::planted::Planted;
use super::settings::Settings;
use super::size::Size;
use crate::engine::Lane;
use crate::model::{Checkpoint, Key, LaneNote, Noted, Range};

/// A range to copy, and by whom.
#[derive(Debug)]
pub struct Job {
    pub lane: Lane,
    pub range: Range,
    number: u64,
    /// What the lane's note says once this range is committed.
    pub note: LaneNote,
}

#[derive(Debug)]
pub struct Copy {
    frontier: Option<Key>,
    copied: bool,
    /// Where the next range to find begins.
    next_after: Option<Key>,
    all_found: bool,
    finding: bool,
    found: VecDeque<Range>,
    idle: Vec<Lane>,
    /// What each lane has committed, with the ranges' numbers, less what a stored checkpoint covers.
    notes: Vec<Vec<(u64, Noted)>>,
    /// The number of the next range to begin, and of the first that the frontier has not passed.
    begun: u64,
    passed: u64,
    /// Committed ranges that the frontier has not passed, by number.
    ahead: BTreeMap<u64, Range>,
    in_flight: usize,
    size: Size,
    pub rows_copied: u64,
    planted: Planted,
}

impl Copy {
    pub fn new(from: &Checkpoint, settings: &Settings) -> Self {
        Copy {
            frontier: from.frontier.clone(),
            copied: from.copied,
            next_after: from.frontier.clone(),
            all_found: from.copied,
            finding: false,
            found: VecDeque::new(),
            idle: (0..settings.copiers).rev().map(Lane).collect(),
            notes: vec![Vec::new(); usize::from(settings.copiers)],
            begun: 0,
            passed: 0,
            ahead: BTreeMap::new(),
            in_flight: 0,
            size: Size::new(settings, settings.chunk_rows_most),
            rows_copied: from.rows_copied,
            planted: settings.planted,
        }
    }

    /// Where to look for the end of the next range and how many rows on, when it's time to look.
    pub fn look(&mut self) -> Option<(Option<Key>, u64)> {
        if self.finding || self.all_found || self.found.len() >= self.notes.len() {
            return None;
        }
        self.finding = true;
        Some((self.next_after.clone(), self.size.rows()))
    }

    /// The end of the next range was found; none: it's the last one.
    pub fn found(&mut self, upto: Option<Key>) {
        self.finding = false;
        let after = std::mem::replace(&mut self.next_after, upto.clone());
        self.all_found = upto.is_none();
        self.found.push_back(Range { after, upto });
    }

    /// The next range to copy, if there is one and a lane for it. A resume copies again what is committed
    /// beyond the frontier. That can be every range begun there but the first, so of these there are no
    /// more than lanes: one chunk a lane at most.
    pub fn begin(&mut self) -> Option<Job> {
        if self.found.is_empty() || self.begun - self.passed > self.notes.len() as u64 {
            return None;
        }
        let lane = self.idle.pop()?;
        let range = self.found.pop_front()?;
        let mut done: Vec<Noted> = self.notes[usize::from(lane.0)].iter().map(|(_, n)| n.clone()).collect();
        if self.planted.is(Planted::NoteOnlyNewest) {
            done.clear();
        }
        done.push(Noted { range: range.clone(), rows: 0 });
        self.in_flight += 1;
        let number = self.begun;
        self.begun += 1;
        Some(Job { lane, range, number, note: LaneNote { done } })
    }

    /// A job was committed with so many rows, in so much time.
    pub fn committed(&mut self, job: Job, rows: u64, took: Duration) {
        self.in_flight -= 1;
        self.rows_copied += rows;
        self.notes[usize::from(job.lane.0)].push((job.number, Noted { range: job.range.clone(), rows }));
        self.idle.push(job.lane);
        if self.planted.is(Planted::FrontierOverGap) && job.range.upto > self.frontier {
            self.frontier = job.range.upto.clone();
        }
        self.ahead.insert(job.number, job.range);
        while let Some(range) = self.ahead.remove(&self.passed) {
            self.passed += 1;
            match range.upto {
                Some(upto) => self.frontier = Some(upto),
                None => self.copied = true,
            }
        }
        self.size.took(took);
    }

    /// Chunks are to take this part of their time from now on.
    pub fn aim(&mut self, part: f64) {
        self.size.aim(part);
    }

    /// How many ranges the frontier has passed; to be given to [`Copy::stored`].
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// A checkpoint taken when the frontier had passed so many ranges is stored: the notes need no
    /// longer name those.
    pub fn stored(&mut self, passed: u64) {
        for note in &mut self.notes {
            note.retain(|(number, _)| *number >= passed);
        }
    }

    pub fn frontier(&self) -> Option<&Key> {
        self.frontier.as_ref()
    }

    /// Every range is committed.
    pub fn copied(&self) -> bool {
        self.copied
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The rows that the next range should have.
    pub fn chunk_rows(&self) -> u64 {
        self.size.rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Position;

    fn key(b: u8) -> Key {
        Key::new(&[b])
    }

    fn settings(copiers: u16) -> Settings {
        Settings { copiers, chunk_rows: Some(10), ..Settings::default() }
    }

    #[test]
    fn the_frontier_waits_for_the_gap_to_close() {
        let start = Checkpoint::new(Position(String::new()));
        let mut copy = Copy::new(&start, &settings(2));
        assert_eq!(copy.look(), Some((None, 10)));
        assert_eq!(copy.look(), None, "one look at a time");
        copy.found(Some(key(1)));
        assert_eq!(copy.look(), Some((Some(key(1)), 10)));
        copy.found(None);
        let (first, second) = (copy.begin().unwrap(), copy.begin().unwrap());
        copy.committed(second, 5, Duration::ZERO);
        assert_eq!((copy.frontier(), copy.copied()), (None, false));
        copy.committed(first, 10, Duration::ZERO);
        assert_eq!((copy.frontier(), copy.copied(), copy.rows_copied), (Some(&key(1)), true, 15));
    }

    #[test]
    fn notes_forget_only_what_a_stored_checkpoint_covers() {
        let start = Checkpoint::new(Position(String::new()));
        let mut copy = Copy::new(&start, &settings(1));
        let one = |copy: &mut Copy, end: Option<u8>| {
            copy.look();
            copy.found(end.map(key));
            let job = copy.begin().unwrap();
            let noted = job.note.done.len();
            copy.committed(job, 1, Duration::ZERO);
            noted
        };
        one(&mut copy, Some(1));
        let taken = copy.passed();
        one(&mut copy, Some(2));
        copy.stored(taken);
        assert_eq!(one(&mut copy, None), 2, "the range after the checkpoint, and this one");
    }
}
