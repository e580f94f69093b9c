//! A histogram of durations: a few kilobytes however long the run is.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer ones are counted as this long.
const LONGEST_US: u64 = 24 * 3600 * 1_000_000;

#[derive(Debug, Clone)]
pub struct Latency {
    /// None when the histogram could not be made: then nothing is measured, and nothing fails.
    histogram: Option<Histogram<u64>>,
}

/// The usual percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Latency {
    pub fn new() -> Self {
        Latency { histogram: Histogram::new_with_bounds(1, LONGEST_US, 2).ok() }
    }

    pub fn record(&mut self, took: Duration) {
        if let Some(histogram) = &mut self.histogram {
            let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).min(LONGEST_US);
            histogram.saturating_record(us);
        }
    }

    pub fn percentiles(&self) -> Percentiles {
        let Some(histogram) = self.histogram.as_ref().filter(|h| !h.is_empty()) else { return Percentiles::default() };
        let max = histogram.max();
        // A bucket's upper edge may lie above the largest value in it.
        let at = |quantile: f64| histogram.value_at_quantile(quantile).min(max) as f64 / 1000.0;
        Percentiles {
            count: histogram.len(),
            p50_ms: at(0.50),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: max as f64 / 1000.0,
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Latency::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_percent() {
        let mut latency = Latency::new();
        for ms in 1..=1000 {
            latency.record(Duration::from_millis(ms));
        }
        let p = latency.percentiles();
        assert_eq!(p.count, 1000);
        for (got, want) in [(p.p50_ms, 500.0), (p.p95_ms, 950.0), (p.p99_ms, 990.0), (p.max_ms, 1000.0)] {
            assert!((got - want).abs() <= want * 0.01, "{got} is not {want}");
        }
    }

    #[test]
    fn the_extremes_are_kept() {
        let mut latency = Latency::new();
        assert_eq!(latency.percentiles(), Percentiles::default());
        latency.record(Duration::ZERO);
        latency.record(Duration::MAX);
        assert_eq!(latency.percentiles().count, 2);
    }
}
