//! What happened in all rounds, and whether it was enough to mean something.

use std::collections::BTreeMap;
use std::fmt;

use crate::harness::Kind;
use crate::places::places;
use crate::rounds::{COMPLETE, SHORT};

/// What happened in one round that went well.
#[derive(Debug, Clone, Default)]
pub struct Done {
    pub lives: u64,
    /// Lives that went on with what an earlier one had stored.
    pub resumes: u64,
    /// kill -9 of osc, by failpoint; at any other moment.
    pub at_place: Vec<&'static str>,
    pub at_random: u64,
    /// Blows that came after the run's end, or at a place that the run did not come by.
    pub missed: u64,
    pub server_kills: u64,
    pub cuts: u64,
    pub stalls: u64,
    pub cleanups: u64,
    /// Runs with --drop-old that ended and whose report was lost.
    pub unreported: u64,
    pub rows: u64,
    pub acknowledged_rows: u64,
    pub lost_rows: u64,
    pub failed_by_osc: u64,
    /// Statements and connections of the application that the server's own death ended.
    pub failed_by_server: u64,
    /// Generated keys of transactions that the server's death ended, given once more.
    pub keys_given_twice: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lives, {} resumed, killed at {:?} and {} times elsewhere, {} server kills, {} cuts, {} stalls, \
             {} cleanups, {} missed; {} rows, {} acknowledged changes",
            self.lives,
            self.resumes,
            self.at_place,
            self.at_random,
            self.server_kills,
            self.cuts,
            self.stalls,
            self.cleanups,
            self.missed,
            self.rows,
            self.acknowledged_rows
        )
    }
}

pub struct Tally {
    kind: Kind,
    rounds: u64,
    all: Done,
    places: BTreeMap<&'static str, u64>,
    failed: Vec<u64>,
}

impl Tally {
    pub fn new(kind: Kind) -> Tally {
        let places = places(kind).into_iter().map(|place| (place, 0)).collect();
        Tally { kind, rounds: 0, all: Done::default(), places, failed: Vec::new() }
    }

    pub fn add(&mut self, done: Done) {
        self.rounds += 1;
        for place in &done.at_place {
            *self.places.entry(place).or_default() += 1;
        }
        let all = &mut self.all;
        for (sum, one) in [
            (&mut all.lives, done.lives),
            (&mut all.resumes, done.resumes),
            (&mut all.at_random, done.at_random),
            (&mut all.missed, done.missed),
            (&mut all.server_kills, done.server_kills),
            (&mut all.cuts, done.cuts),
            (&mut all.stalls, done.stalls),
            (&mut all.cleanups, done.cleanups),
            (&mut all.unreported, done.unreported),
            (&mut all.rows, done.rows),
            (&mut all.acknowledged_rows, done.acknowledged_rows),
            (&mut all.lost_rows, done.lost_rows),
            (&mut all.failed_by_osc, done.failed_by_osc),
            (&mut all.failed_by_server, done.failed_by_server),
            (&mut all.keys_given_twice, done.keys_given_twice),
        ] {
            *sum += one;
        }
    }

    pub fn failed(&mut self, number: u64) {
        self.failed.push(number);
    }

    /// Fails unless enough happened.
    pub fn judge(&self) {
        let all = &self.all;
        assert!(self.failed.is_empty(), "rounds that failed: {:?}", self.failed);
        assert_eq!((all.lost_rows, all.failed_by_osc), (0, 0), "rows lost, statements failed");
        if self.rounds < SHORT {
            return;
        }
        let fired: u64 = self.places.values().sum();
        assert!(fired > 0 && all.resumes > 0 && all.server_kills > 0 && all.cuts + all.stalls > 0, "nothing happened");
        if self.rounds >= COMPLETE {
            let missing: Vec<_> = self.places.iter().filter(|(_, n)| **n == 0).map(|(place, _)| *place).collect();
            assert!(missing.is_empty(), "failpoints that did not fire: {missing:?}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.all;
        writeln!(f, "{}: {} rounds, {} lives, {} resumes", self.kind.name(), self.rounds, all.lives, all.resumes)?;
        writeln!(f, "  rounds that failed: {:?}", self.failed)?;
        let killed: u64 = self.places.values().sum();
        writeln!(f, "  osc killed: {killed} times at a failpoint, {} times elsewhere", all.at_random)?;
        for (place, times) in &self.places {
            writeln!(f, "    {place:15} {times}")?;
        }
        writeln!(f, "  server killed: {}; connections cut: {}; stalled: {}", all.server_kills, all.cuts, all.stalls)?;
        writeln!(f, "  cleanups: {}; blows that came too late: {}", all.cleanups, all.missed)?;
        writeln!(f, "  ended with --drop-old, the report lost: {}", all.unreported)?;
        writeln!(f, "  rows: {}; acknowledged changes: {}", all.rows, all.acknowledged_rows)?;
        writeln!(f, "  lost rows: {}", all.lost_rows)?;
        write!(
            f,
            "  application statements failed by osc: {}; ended by the server's own death: {} (and {} of its keys given twice)",
            all.failed_by_osc, all.failed_by_server, all.keys_given_twice
        )
    }
}
