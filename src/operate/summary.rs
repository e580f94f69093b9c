//! What is said of a run at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::latency::Percentiles;
use super::output::{Output, event, say};
use super::stats::{Stats, Verified};
use super::words::{count, duration, millis};

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum End {
    /// The table has the new schema.
    Swapped {
        /// Where the old table is; none when it was dropped.
        #[serde(flatten)]
        old: Option<OldTable>,
    },
    /// It had the new schema before this run began.
    AlreadyThere {
        #[serde(flatten)]
        old: Option<OldTable>,
    },
    /// Everything was done but the swap, as asked for.
    NotSwapped,
    /// It can go on.
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OldTable {
    #[serde(rename = "old_table")]
    pub name: String,
    /// The statement that drops it.
    #[serde(rename = "drop_old_table")]
    pub drop: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub table: String,
    pub strategy: &'static str,
    #[serde(flatten)]
    pub end: End,
    pub resumed: bool,
    /// Over all lives of the run, as are the keys and the changes; the rest is of this life.
    pub rows_copied: u64,
    pub keys_synced: u64,
    pub changes_seen: u64,
    pub changes_overlapping: u64,
    pub rows_copied_now: u64,
    pub verified: Verified,
    pub elapsed_ms: u64,
    /// How long each phase took.
    pub phase_ms: BTreeMap<&'static str, u64>,
    pub held_ms: BTreeMap<String, u64>,
    pub lag_max_ms: u64,
    pub chunks: Percentiles,
    /// Of osc's own small commits: what a commit of the application felt.
    pub commits: Percentiles,
    pub retries: u64,
    pub lock_held_ms: Option<f64>,
    pub cutover_attempts: u64,
    pub position_at_start: Option<String>,
    pub position_at_swap: Option<String>,
}

impl Summary {
    pub fn new(table: impl Into<String>, strategy: &'static str, end: End, stats: &Stats) -> Summary {
        let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Summary {
            table: table.into(),
            strategy,
            end,
            resumed: stats.resumed,
            rows_copied: stats.rows_copied,
            keys_synced: stats.keys_synced,
            changes_seen: stats.changes_seen,
            changes_overlapping: stats.changes_overlapping,
            rows_copied_now: stats.rows_copied_now(),
            verified: stats.verified,
            elapsed_ms: whole(stats.elapsed()),
            phase_ms: stats.phases().into_iter().map(|(phase, time)| (phase, whole(time))).collect(),
            held_ms: stats.holds().into_iter().map(|(kind, time)| (kind, whole(time))).collect(),
            lag_max_ms: whole(stats.lag_max()),
            chunks: stats.chunk_latency().percentiles(),
            commits: stats.mark_latency().percentiles(),
            retries: stats.retries,
            lock_held_ms: stats.lock_held_for().map(|time| time.as_secs_f64() * 1000.0),
            cutover_attempts: stats.cutover_attempts,
            position_at_start: stats.position_at_start.clone(),
            position_at_swap: stats.position_at_swap.clone(),
        }
    }

    /// Says it on standard output.
    pub fn show(&self, output: Output) {
        if output.json {
            event("summary", self);
        } else {
            say(&self.text());
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![self.headline()];
        if !matches!(self.end, End::AlreadyThere { .. }) {
            self.figures(&mut lines);
        }
        if let End::Swapped { old: Some(old) } | End::AlreadyThere { old: Some(old) } = &self.end {
            let kept = format!("{} is kept; to drop it: {};", old.name, old.drop.trim_end_matches(';'));
            lines.push(format!("  {:13} {kept}", "old table"));
        }
        lines.join("\n")
    }

    fn figures(&self, lines: &mut Vec<String>) {
        let mut line = |name: &str, value: String| lines.push(format!("  {name:13} {value}"));
        line(
            "strategy",
            format!("{}{}", self.strategy, if self.resumed { ", resumed from an earlier life" } else { "" }),
        );
        line("rows copied", count(self.rows_copied));
        line("keys synced", format!("{}, of {} changes seen", count(self.keys_synced), count(self.changes_seen)));
        line("compared", self.compared());
        line("time", duration(Duration::from_millis(self.elapsed_ms)));
        if !self.held_ms.is_empty() {
            let holds: Vec<_> = self
                .held_ms
                .iter()
                .map(|(kind, ms)| format!("{kind} for {}", duration(Duration::from_millis(*ms))))
                .collect();
            line("held", holds.join(", "));
        }
        line("stream lag", format!("at most {}", duration(Duration::from_millis(self.lag_max_ms))));
        line("chunks", spread(&self.chunks));
        line("commits", spread(&self.commits));
        if self.retries > 0 {
            line("retries", count(self.retries));
        }
        if let Some(held) = self.lock_held_ms {
            let attempts = if self.cutover_attempts == 1 { "attempt" } else { "attempts" };
            line("cutover", format!("lock held for {}, {} {attempts}", millis(held), self.cutover_attempts));
        }
        for (name, position) in [("at start", &self.position_at_start), ("at swap", &self.position_at_swap)] {
            if let Some(position) = position {
                line(name, position.clone());
            }
        }
    }

    fn compared(&self) -> String {
        let v = &self.verified;
        if v.ranges == 0 {
            return "nothing: the copy was not verified".into();
        }
        let found = match (v.differing, v.repaired) {
            (0, _) => "no difference".into(),
            (wrong, repaired) => format!("{} differed, {} of them repaired", count(wrong), count(repaired)),
        };
        format!("{} rows in {} ranges, {found}", count(v.rows), count(v.ranges))
    }

    fn headline(&self) -> String {
        match &self.end {
            End::Swapped { old: Some(_) } => format!("Done: {} has the new schema.", self.table),
            End::Swapped { old: None } => {
                format!("Done: {} has the new schema; the old table was dropped.", self.table)
            }
            End::AlreadyThere { .. } => {
                format!("Nothing to do: {} has the new schema already; an earlier run made it.", self.table)
            }
            End::NotSwapped => format!("Done, but not swapped, as asked for: {} is unchanged.", self.table),
            End::Stopped => format!("Stopped: {} is unchanged; the same command goes on from here.", self.table),
        }
    }
}

fn spread(p: &Percentiles) -> String {
    if p.count == 0 {
        return "none".into();
    }
    let (p50, p95, p99, max) = (millis(p.p50_ms), millis(p.p95_ms), millis(p.p99_ms), millis(p.max_ms));
    format!("{}: p50 {p50}, p95 {p95}, p99 {p99}, max {max}", count(p.count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::output::json_line;

    fn stats() -> Stats {
        let mut stats = Stats::new();
        stats.rows_copied = 1_000_000;
        stats.keys_synced = 12;
        stats.changes_seen = 34;
        stats.cutover_attempts = 2;
        stats.verified = Verified { ranges: 7, rows: 1_000_001, differing: 2, repaired: 2, in_motion: 9 };
        stats.chunk(500, Duration::from_millis(480));
        stats.lock_held(Duration::from_micros(23_400));
        stats.position_at_swap = Some("binlog.000002:4567".into());
        stats
    }

    fn old() -> End {
        let drop = "DROP TABLE `shop`.`orders_osc_old`".into();
        End::Swapped { old: Some(OldTable { name: "shop.orders_osc_old".into(), drop }) }
    }

    #[tokio::test(start_paused = true)]
    async fn people_read_what_happened_and_what_is_left_to_do() {
        let text = Summary::new("shop.orders", "shadow", old(), &stats()).text();
        let want = "Done: shop.orders has the new schema.
  strategy      shadow
  rows copied   1,000,000
  keys synced   12, of 34 changes seen
  compared      1,000,001 rows in 7 ranges, 2 differed, 2 of them repaired
  time          0 ms
  stream lag    at most 0 ms
  chunks        1: p50 480 ms, p95 480 ms, p99 480 ms, max 480 ms
  commits       none
  cutover       lock held for 23.4 ms, 2 attempts
  at swap       binlog.000002:4567
  old table     shop.orders_osc_old is kept; to drop it: DROP TABLE `shop`.`orders_osc_old`;";
        // The histogram rounds to a percent.
        assert_eq!(text.replace("481 ms", "480 ms").replace("479 ms", "480 ms"), want);
    }

    #[test]
    fn programs_read_flat_fields() {
        let read = |end| {
            let line = json_line("summary", &Summary::new("shop.orders", "shadow", end, &stats()));
            serde_json::from_str::<serde_json::Value>(&line).unwrap()
        };
        let swapped = read(old());
        assert_eq!((&swapped["outcome"], &swapped["rows_copied"]), (&"swapped".into(), &1_000_000.into()));
        assert_eq!(swapped["drop_old_table"], "DROP TABLE `shop`.`orders_osc_old`");
        assert_eq!(swapped["chunks"]["count"], 1);
        assert_eq!((&swapped["verified"]["repaired"], &swapped["phase_ms"]["copy"]), (&2.into(), &0.into()));
        assert_eq!(read(End::AlreadyThere { old: None })["outcome"], "already-there");
        assert_eq!(read(End::NotSwapped)["outcome"], "not-swapped");
        assert_eq!(read(End::Swapped { old: None })["old_table"], serde_json::Value::Null);
    }
}
