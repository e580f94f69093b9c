//! How fast the copy is now, over the last half minute, and what that says about its end.

use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(30);
/// Samples closer together than this are not worth keeping, which bounds their number.
const STEP: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub struct Rate {
    /// Oldest first; one more than the window holds, so that it is covered to its far end.
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// `at` is the time since the run began; `rows` all that are copied by then.
    pub fn sample(&mut self, at: Duration, rows: u64) {
        if self.samples.back().is_some_and(|(last, _)| at < *last + STEP) {
            return;
        }
        self.samples.push_back((at, rows));
        while self.samples.get(1).is_some_and(|(second, _)| *second + WINDOW <= at) {
            self.samples.pop_front();
        }
    }

    /// None before there are two samples.
    pub fn per_second(&self) -> Option<f64> {
        let ((from, before), (to, now)) = (self.samples.front()?, self.samples.back()?);
        let time = to.checked_sub(*from)?.as_secs_f64();
        (time > 0.0).then(|| now.saturating_sub(*before) as f64 / time)
    }

    /// When this many more rows will be copied. None while nothing moves.
    pub fn time_for(&self, rows: u64) -> Option<Duration> {
        let rate = self.per_second().filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(rows as f64 / rate).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_last_half_minute() {
        let mut rate = Rate::default();
        assert_eq!((rate.per_second(), rate.time_for(1)), (None, None));
        for s in 0..=100 {
            rate.sample(Duration::from_secs(s), s * 1000);
        }
        assert_eq!(rate.per_second(), Some(1000.0));
        assert_eq!(rate.time_for(5000), Some(Duration::from_secs(5)));
        for s in 101..=131 {
            rate.sample(Duration::from_secs(s), 100_000);
        }
        assert_eq!((rate.per_second(), rate.time_for(1)), (Some(0.0), None));
    }

    #[test]
    fn samples_are_bounded() {
        let mut rate = Rate::default();
        for ms in 0..200_000 {
            rate.sample(Duration::from_millis(ms), ms);
        }
        assert!(rate.samples.len() <= 62, "{}", rate.samples.len());
        assert_eq!(rate.per_second().map(f64::round), Some(1000.0));
    }
}
