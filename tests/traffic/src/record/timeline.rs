//! When operations were due, sent and answered; latencies over any window of the run.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One operation, in 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When the schedule wanted it, in microseconds since the start.
    pub due_us: u64,
    /// How long after that its first statement was sent.
    pub late_us: u32,
    /// From the first statement sent to the last answer.
    pub busy_us: u32,
}

impl Sample {
    pub fn new(due: Duration, late: Duration, busy: Duration) -> Sample {
        let small = |d: Duration| u32::try_from(d.as_micros()).unwrap_or(u32::MAX);
        Sample { due_us: micros(due), late_us: small(late), busy_us: small(busy) }
    }

    fn end_us(&self) -> u64 {
        self.due_us + u64::from(self.late_us) + u64::from(self.busy_us)
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

/// Latencies of the operations that overlap a window: those that were due, waited or ran in it. So
/// one that was held up by the cutover belongs to the cutover, whenever it was due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub name: String,
    pub from_ms: f64,
    pub to_ms: f64,
    /// From the moment the schedule wanted the operation: what a user would feel.
    pub from_schedule: Latency,
    /// From the moment its first statement was sent.
    pub from_send: Latency,
    /// The longest time in the window in which no operation at all was answered.
    pub longest_silence_ms: f64,
}

pub(crate) fn window(samples: &[Sample], name: &str, from: Duration, to: Duration) -> Window {
    let (from_us, to_us) = (micros(from), micros(to));
    let inside = || samples.iter().filter(|s| s.due_us < to_us && s.end_us() >= from_us);
    let mut ends: Vec<u64> = inside().map(Sample::end_us).filter(|end| *end < to_us).collect();
    ends.sort_unstable();
    let mut silence = 0;
    let mut last = from_us;
    for end in ends.into_iter().chain([to_us]) {
        silence = silence.max(end.saturating_sub(last));
        last = last.max(end);
    }
    Window {
        name: name.to_owned(),
        from_ms: from.as_secs_f64() * 1e3,
        to_ms: to.as_secs_f64() * 1e3,
        from_schedule: latency(inside().map(|s| s.end_us() - s.due_us)),
        from_send: latency(inside().map(|s| u64::from(s.busy_us))),
        longest_silence_ms: silence as f64 / 1e3,
    }
}

/// Percentiles of microseconds. The maximum and the mean are exact, the rest to three digits.
fn latency(us: impl Iterator<Item = u64>) -> Latency {
    let Ok(mut histogram) = Histogram::<u64>::new(3) else { return Latency::default() };
    let (mut count, mut sum, mut max) = (0, 0, 0);
    for us in us {
        // Grows with the values: `saturating_record` would cut them off instead. With a resizable
        // histogram it can't fail.
        let _ = histogram.record(us);
        count += 1;
        sum += us;
        max = max.max(us);
    }
    if count == 0 {
        return Latency::default();
    }
    let at = |q: f64| histogram.value_at_quantile(q).min(max) as f64 / 1e3;
    Latency {
        count,
        mean_ms: sum as f64 / count as f64 / 1e3,
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: max as f64 / 1e3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sample(due: u32, late: u32, busy: u32) -> Sample {
        Sample::new(MS * due, MS * late, MS * busy)
    }

    #[test]
    fn a_stalled_operation_counts_where_it_stalled() {
        let samples = [sample(0, 0, 2), sample(90, 0, 300), sample(100, 290, 2), sample(500, 0, 4)];
        let stall = window(&samples, "stall", MS * 200, MS * 300);
        assert_eq!((stall.from_schedule.count, stall.from_schedule.max_ms), (2, 300.0));
        assert_eq!(stall.from_send.max_ms, 300.0);
        assert_eq!(stall.longest_silence_ms, 100.0);
        let calm = window(&samples, "calm", MS * 400, MS * 600);
        assert_eq!((calm.from_schedule.count, calm.from_schedule.max_ms), (1, 4.0));
        assert_eq!(calm.longest_silence_ms, 104.0);
    }

    #[test]
    fn being_late_counts_from_the_schedule_only() {
        let all = window(&[sample(0, 50, 3)], "all", Duration::ZERO, MS * 100);
        assert_eq!((all.from_schedule.max_ms, all.from_send.max_ms), (53.0, 3.0));
    }

    #[test]
    fn percentiles_are_of_all_sizes() {
        let samples: Vec<Sample> = (1..=1000).map(|ms| sample(0, 0, ms)).collect();
        let all = window(&samples, "all", Duration::ZERO, MS * 2000).from_send;
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(near(all.p50_ms, 500.0) && near(all.p99_ms, 990.0) && near(all.p999_ms, 999.0), "{all:?}");
        assert_eq!((all.max_ms, all.mean_ms, all.count), (1000.0, 500.5, 1000));
    }

    #[test]
    fn an_empty_window_says_so() {
        let none = window(&[], "none", Duration::ZERO, MS);
        assert_eq!(none.from_send, Latency::default());
    }
}
