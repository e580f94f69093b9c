//! How fast the copy may go, by what it does to the application's commits.
//!
//! The marks are commits like the application's own, so what they take is what it feels. When one
//! takes longer than the limit, or is under way for longer, no chunk begins; once it has returned, the
//! copy rests for as long as it had made the commit wait, half a second at most. From then on it works for half of the time
//! that it did before, in chunks half as long, and each commit in time gives it back a little. So a
//! server whose log or disk the copy has filled gets the time to empty it, and the copy settles at
//! the pace that the server can bear.
//!
//! A server may be slow for reasons of its own, a far replica or a full disk, and a copy that waits
//! for it to become faster would wait for ever. What commits take while no chunk is under way is
//! not the copy's doing: twice that is the limit where it's more than the configured one.

use std::time::Duration;

use tokio::time::Instant;

/// The longest rest after one slow commit.
const LONGEST_REST: Duration = Duration::from_millis(500);
/// The least part of the time that the copy works: where commits are slow now and then by themselves it pays
/// for what it has not done, and must come to an end all the same.
const LEAST: f64 = 1.0 / 4.0;
/// What a commit in time gives back: with ten marks a second, all of it within ten seconds. A redo log
/// that was full is full again after some seconds at the old pace.
const GAIN: f64 = 0.008;
/// The weight of one commit in what they take at rest.
const WEIGHT: f64 = 0.2;

#[derive(Debug)]
pub struct Pace {
    /// None: commits may take as long as they like.
    limit: Option<Duration>,
    /// What a commit takes while no chunk is under way.
    at_rest: Duration,
    rest_until: Instant,
    /// When a chunk was last under way.
    busy: Option<Instant>,
    part: f64,
    slow: Duration,
}

impl Pace {
    pub fn new(limit: Option<Duration>, now: Instant) -> Self {
        Pace { limit, at_rest: Duration::ZERO, rest_until: now, busy: None, part: 1.0, slow: Duration::ZERO }
    }

    /// Chunks are under way now.
    pub fn busy(&mut self, now: Instant) {
        self.busy = Some(now);
    }

    /// A chunk of one of `lanes` ended.
    pub fn chunk(&mut self, took: Duration, lanes: u16, now: Instant) {
        self.busy = Some(now);
        let rest = took.mul_f64((1.0 / self.part - 1.0) / f64::from(lanes));
        self.rest_until = self.rest_until.max(now) + rest.min(LONGEST_REST);
    }

    /// A mark's commit returned after `took`.
    pub fn returned(&mut self, took: Duration, now: Instant) {
        let alone = self.busy.is_none_or(|busy| now.checked_sub(took).is_some_and(|sent| sent > busy));
        if alone {
            self.at_rest = self.at_rest.mul_f64(1.0 - WEIGHT) + took.mul_f64(WEIGHT);
        }
        let Some(limit) = self.limit() else { return };
        if took <= limit {
            self.part = (self.part + GAIN).min(1.0);
        } else if !alone {
            self.part = (self.part / 2.0).max(LEAST);
            self.rest_until = now + took.min(LONGEST_REST);
            self.slow = took;
        }
    }

    fn limit(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.max(self.at_rest * 2))
    }

    /// Why no chunk may begin now; `waiting` is how long the mark under way has waited for its commit.
    pub fn holds(&self, waiting: Duration, now: Instant) -> Option<String> {
        let limit = self.limit()?;
        let slow = if waiting > limit { waiting } else { self.slow };
        (waiting > limit || now < self.rest_until).then(|| {
            format!("commit latency: a commit took {} ms, the limit is {} ms", slow.as_millis(), limit.as_millis())
        })
    }

    /// The part of the time that the copy works, and of the configured time that a chunk should take.
    pub fn part(&self) -> f64 {
        self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_slow_commit_makes_the_copy_rest_and_its_chunks_shorter() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(100 * MS), start);
        pace.busy(start);
        assert_eq!(pace.holds(100 * MS, start), None);
        assert!(pace.holds(101 * MS, start).is_some(), "while the commit is still under way");
        let now = start + 300 * MS;
        pace.busy(now);
        pace.returned(300 * MS, now);
        assert_eq!(pace.part(), 0.5);
        assert!(pace.holds(Duration::ZERO, now + 299 * MS).is_some());
        assert_eq!(pace.holds(Duration::ZERO, now + 300 * MS), None);
        pace.chunk(200 * MS, 2, now + 300 * MS);
        assert!(pace.holds(Duration::ZERO, now + 399 * MS).is_some(), "two lanes that rest half of the time");
        assert_eq!(pace.holds(Duration::ZERO, now + 400 * MS), None);
        for _ in 0..130 {
            pace.returned(MS, now);
        }
        assert_eq!(pace.part(), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_commits_take_without_the_copy_is_not_held_against_it() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(100 * MS), start);
        for _ in 0..20 {
            pace.returned(200 * MS, start);
        }
        assert_eq!((pace.part(), pace.holds(300 * MS, start)), (1.0, None));
        pace.busy(start);
        pace.returned(390 * MS, start + 390 * MS);
        assert_eq!(pace.part(), 1.0, "less than twice as long as without the copy");
        assert!(pace.holds(450 * MS, start).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_holds() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        pace.busy(start);
        pace.returned(9000 * MS, start);
        assert_eq!((pace.part(), pace.holds(9000 * MS, start)), (1.0, None));
    }
}
