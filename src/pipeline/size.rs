//! How many rows the next range has, so that it takes about as long as it should.

use std::time::Duration;

use super::settings::Settings;

/// A range that is sized by time begins with so many rows and never has fewer than `FEWEST`.
const FIRST: u64 = 1000;
const FEWEST: u64 = 100;

#[derive(Debug)]
pub struct Size {
    rows: u64,
    most: u64,
    fixed: bool,
    target: Duration,
    /// The part of the target that ranges should take now.
    part: f64,
}

impl Size {
    pub fn new(settings: &Settings, most: u64) -> Size {
        let most = most.max(1);
        Size {
            rows: settings.chunk_rows.unwrap_or(FIRST.min(most)),
            most,
            fixed: settings.chunk_rows.is_some(),
            target: settings.chunk_time,
            part: 1.0,
        }
    }

    /// The rows that the next range should have.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ranges approach the target time by at most doubling or halving, so that one slow or lucky
    /// range doesn't make the next one ten times too long.
    pub fn took(&mut self, took: Duration) {
        if !self.fixed {
            let target = self.target.as_secs_f64() * self.part;
            let ratio = (target / took.as_secs_f64().max(0.001)).clamp(0.5, 2.0);
            self.rows = ((self.rows as f64 * ratio) as u64).clamp(FEWEST.min(self.most), self.most);
        }
    }

    /// Ranges are to take this part of their time from now on.
    pub fn aim(&mut self, part: f64) {
        self.part = part;
    }
}
