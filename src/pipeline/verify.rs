//! The verification: every range is compared on both sides before the first attempt to cut over.
//!
//! Ranges are found and looked at like those of the copy: one after the other, the last one open above,
//! so that together they cover every possible key; sized by time; as many at a time as there are copy
//! lanes; held by the same throttle, and while a commit takes too long; but looks write nothing, so
//! slow commits are not counted against them as they are against chunks. A look is one read of both sides:
//! it takes no lock, stops nobody, and its snapshot is as short as a chunk. What is found to differ becomes a suspect; `suspects` has the
//! proof that tells traffic from a row that is wrong. Meanwhile changes go on being applied.
//!
//! What it shows: of every key, the two sides were equal at the moment of its last look, or the row was
//! moving, and a moving row is synced as a whole. What happens to the shadow after that look by other
//! hands than osc's is not seen. A run that was resumed verifies from the beginning: what an earlier
//! life compared says nothing about what was written after it, and the comparison is cheap.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::planted::Planted;
use super::retry::retrying;
use super::run::{Done, Run};
use super::settings::Settings;
use super::size::Size;
use super::suspects::{Stage, Suspects};
use crate::engine::{Compared, Lane, Mirror, Source};
use crate::error::{Error, Result};
use crate::model::{Key, Range, Rows, Seq};
use crate::operate::stats::Verified;

/// Suspects of one look; a range with more of them is looked at again when these are done with.
const SUSPECTS: usize = 20_000;
/// While suspects cost more than this no further range is looked at.
const SUSPECTS_BYTES: usize = 4 << 20;
/// How often ranges with too many suspects are looked at again, all in all.
const AGAIN: u32 = 1000;

/// Which ranges are found, looked at, and done; and the suspects.
#[derive(Debug)]
pub struct Verify {
    next_after: Option<Key>,
    all_found: bool,
    finding: bool,
    found: VecDeque<Range>,
    /// Those with too many suspects.
    again: VecDeque<Range>,
    times_again: u32,
    idle: Vec<Lane>,
    lanes: usize,
    in_flight: usize,
    size: Size,
    pub(super) suspects: Suspects,
    /// The rows in question are being read for the message.
    showing: bool,
    ranges: u64,
    rows: u64,
}

impl Verify {
    pub fn new(settings: &Settings) -> Verify {
        let idle: Vec<Lane> = (0..settings.copiers).rev().map(Lane).collect();
        Verify {
            next_after: None,
            all_found: false,
            finding: false,
            found: VecDeque::new(),
            again: VecDeque::new(),
            times_again: 0,
            lanes: idle.len(),
            idle,
            in_flight: 0,
            size: Size::new(settings, settings.compare_rows_most),
            suspects: Suspects::new(settings.repair).with(settings.planted),
            showing: false,
            ranges: 0,
            rows: 0,
        }
    }

    /// Where to look for the end of the next range and how many rows on, when it's time to look.
    fn find(&mut self) -> Option<(Option<Key>, u64)> {
        if self.finding || self.all_found || self.found.len() >= self.lanes {
            return None;
        }
        self.finding = true;
        Some((self.next_after.clone(), self.size.rows()))
    }

    pub(super) fn found(&mut self, upto: Option<Key>) {
        self.finding = false;
        let after = std::mem::replace(&mut self.next_after, upto.clone());
        self.all_found = upto.is_none();
        self.found.push_back(Range { after, upto });
    }

    /// The next range to look at, and by whom.
    fn begin(&mut self) -> Option<(Lane, Range)> {
        if self.suspects.cost_bytes() >= SUSPECTS_BYTES {
            return None;
        }
        let from = match self.suspects.is_empty() && !self.again.is_empty() {
            true => &mut self.again,
            false => &mut self.found,
        };
        if from.is_empty() {
            return None;
        }
        let lane = self.idle.pop()?;
        let range = from.pop_front()?;
        self.in_flight += 1;
        Some((lane, range))
    }

    fn looked(&mut self, lane: Lane, range: Range, found: Compared, took: Duration) -> Result<()> {
        self.in_flight -= 1;
        self.idle.push(lane);
        self.size.took(took);
        self.suspects.enter(found.differing);
        if !found.more {
            self.ranges += 1;
            self.rows += found.rows;
            return Ok(());
        }
        self.times_again += 1;
        if self.times_again > AGAIN {
            return Err(Error::different("So many rows differ that the comparison does not come to an end.")
                .table("The table is unchanged; the shadow table and the run's state are kept.")
                .todo("Remove the run with `osc cleanup` and begin anew."));
        }
        self.again.push_back(range);
        Ok(())
    }

    /// Every range was looked at and no suspect is left.
    fn done(&self) -> bool {
        let ranges = self.all_found && self.found.is_empty() && self.again.is_empty() && self.in_flight == 0;
        ranges && self.suspects.is_empty()
    }

    pub(super) fn verified(&self) -> Verified {
        let tally = self.suspects.tally;
        Verified {
            ranges: self.ranges,
            rows: self.rows,
            differing: tally.differing,
            repaired: tally.repaired,
            in_motion: tally.in_motion,
        }
    }
}

/// What was looked at.
#[derive(Debug)]
pub(super) enum Look {
    Range(Range),
    Suspects,
}

impl<'a, S: Source, M: Mirror> Run<'a, S, M> {
    /// Begins what may begin now. True: all is compared, and equal.
    pub(super) fn verify_step(&mut self, now: Instant) -> bool {
        if self.verify.showing || self.held.is_some() || self.paced.is_some() {
            return false;
        }
        if self.verify.suspects.beyond_repair || self.verify.done() && !self.verify.suspects.given_up.is_empty() {
            self.begin_show();
            return false;
        }
        self.begin_looks();
        self.judge_suspects(now);
        self.verify.done() && self.verify.suspects.given_up.is_empty()
    }

    fn begin_looks(&mut self) {
        while let Some((lane, range)) = self.verify.begin() {
            self.begin_look(lane, Look::Range(range));
        }
        if let Some((after, rows)) = self.verify.find() {
            let (source, retries, seed, retried) =
                (self.source, self.settings.retries, self.seed(), self.retried.clone());
            self.operations.push(Box::pin(async move {
                Done::Bound(retrying(retries, seed, &retried, || source.next_range(after.as_ref(), rows)).await)
            }));
        }
    }

    fn begin_look(&mut self, lane: Lane, look: Look) {
        let keys = if let Look::Suspects = look { self.verify.suspects.look() } else { Vec::new() };
        let (mirror, retries, seed, retried) = (self.mirror, self.settings.retries, self.seed(), self.retried.clone());
        self.operations.push(Box::pin(async move {
            let began = Instant::now();
            let rows = match &look {
                Look::Range(range) => Rows::Range(range),
                Look::Suspects => Rows::Keys(&keys),
            };
            let result = retrying(retries, seed, &retried, || mirror.compare(lane, rows, SUSPECTS)).await;
            Done::Looked { lane, look, took: began.elapsed(), result }
        }));
    }

    pub(super) fn looked(&mut self, lane: Lane, look: Look, took: Duration, found: Compared) -> Result<()> {
        match look {
            Look::Range(range) => self.verify.looked(lane, range, found, took),
            Look::Suspects => {
                self.verify.idle.push(lane);
                let mark = self.marks.hurry(Instant::now());
                self.verify.suspects.looked(found.differing, mark);
                Ok(())
            }
        }
    }

    /// Moves the round of suspects on.
    fn judge_suspects(&mut self, now: Instant) {
        let (keys, bytes) = (self.settings.batch_keys, self.settings.batch_bytes);
        self.verify.suspects.begin(keys, bytes, || self.marks.hurry(now));
        let early = self.settings.planted.is(Planted::JudgeUnmarked);
        match self.verify.suspects.stage() {
            Some(Stage::Marked(mark)) if self.marks.passed(*mark) => {
                self.verify.suspects.marked(self.pending.tick());
            }
            Some(Stage::Settling(seq)) if self.settled(*seq) => {
                if let Some(lane) = self.verify.idle.pop() {
                    self.begin_look(lane, Look::Suspects);
                }
            }
            Some(Stage::Judging { mark, .. }) if self.marks.passed(*mark) || early => {
                for key in self.verify.suspects.judge() {
                    tracing::warn!(?key, "a row of the shadow differs; it is synced again");
                    self.pending.deliver(key);
                }
            }
            _ => {}
        }
    }

    /// Everything that was delivered up to here is synced.
    fn settled(&self, seq: Seq) -> bool {
        self.pending.oldest().is_none_or(|oldest| oldest > seq) || self.settings.planted.is(Planted::LookUnsettled)
    }

    /// Reads the rows that the error is to show.
    fn begin_show(&mut self) {
        self.verify.showing = true;
        let keys = self.verify.suspects.given_up.clone();
        let mirror = self.mirror;
        self.operations.push(Box::pin(async move { Done::Shown(mirror.show(Lane(0), &keys).await) }));
    }

    /// The error that a verification ends with.
    pub(super) fn different(&self, shown: Result<Vec<String>>) -> Error {
        let rows = shown.unwrap_or_else(|error| vec![format!("They can't be read just now: {}", error.what())]);
        let suspects = &self.verify.suspects;
        let count = match suspects.tally.differing - suspects.tally.repaired {
            1 => "1 row of the shadow table differs".to_owned(),
            n => format!("{n} rows of the shadow table differ"),
        };
        let tried = if suspects.beyond_repair { ", also after it was synced again" } else { "" };
        let todo = match self.settings.repair {
            true => {
                "Find out who else writes to the shadow table; then remove the run with `osc cleanup` and begin anew."
            }
            false => "Run the same command without --no-repair to have such rows synced again.",
        };
        Error::different(format!("{count} from the table's own{tried}, and no change explains it. {}", rows.join(" ")))
            .table("The table is unchanged; the shadow table and the run's state are kept.")
            .todo(todo)
    }
}
