//! The verdict for people.

use std::fmt::{Display, Formatter, Result};

use super::verdict::Verdict;
use crate::record::tally::{Failure, Findings};

/// How many examples of each finding are shown.
const SHOWN: usize = 5;

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let word = match (self.is_clean(), self.is_lossless()) {
            (true, _) => "clean",
            (false, true) => "lossless, but not unnoticed",
            (false, false) => "NOT CLEAN",
        };
        writeln!(f, "verdict        {word}")?;
        for gap in &self.vacuous {
            writeln!(f, "vacuous        {gap}")?;
        }
        writeln!(
            f,
            "traffic        {} operations in {:.1} s, {:.0}/s of {:.0}/s wanted, {} unserved",
            self.operations, self.elapsed_s, self.rate_per_s, self.target_rate_per_s, self.unserved
        )?;
        writeln!(
            f,
            "acknowledged   {} row changes committed, {} rolled back, {} reads compared",
            self.committed_rows, self.rolled_back_rows, self.reads_compared
        )?;
        let kinds: Vec<String> = self.acknowledged.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        writeln!(f, "statements     {}", kinds.join(", "))?;
        writeln!(
            f,
            "table          {} rows read, {} counted, {} keys touched",
            self.rows_read, self.rows_counted, self.keys_touched
        )?;
        failures(f, "failed", self.failed, &self.failures)?;
        failures(f, "connections", self.connections_lost, &self.breaks)?;
        findings(f, "lost", &self.lost)?;
        findings(f, "stale", &self.stale)?;
        findings(f, "phantom", &self.phantom)?;
        findings(f, "changed", &self.changed)?;
        findings(f, "misread", &self.misread)?;
        findings(f, "behind", &self.behind)?;
        findings(f, "surprised", &self.surprised)?;
        findings(f, "reused keys", &self.reused)?;
        writeln!(f, "unknown        {} unanswered, {} of them applied", self.unknown, self.unknown_applied)?;
        if let Some(old) = &self.old {
            let after = old.keys_written_after;
            writeln!(f, "old table      {}: {} rows, {after} keys written since the swap", old.table, old.rows)?;
            findings(f, "  newer", &old.newer)?;
            findings(f, "  unexplained", &old.unexplained)?;
        }
        self.latencies(f)
    }
}

impl Verdict {
    fn latencies(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "latency, ms          window (s)  operations      p50      p95      p99     p999      max  max from send"
        )?;
        for w in &self.windows {
            let (due, sent) = (&w.from_schedule, &w.from_send);
            let span = format!("{:.1}-{:.1}", w.from_ms / 1e3, w.to_ms / 1e3);
            writeln!(
                f,
                "  {:<16} {span:>12} {:>11} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>14.1}",
                w.name, due.count, due.p50_ms, due.p95_ms, due.p99_ms, due.p999_ms, due.max_ms, sent.max_ms
            )?;
        }
        let slowest = self.slowest.iter().take(SHOWN);
        let slowest: Vec<String> =
            slowest.map(|s| format!("{} {:.0} ms at {:.1} s", s.kind, s.took_ms, s.sent_at_ms / 1e3)).collect();
        writeln!(f, "slowest        {}", slowest.join(", "))
    }
}

fn findings(f: &mut Formatter<'_>, name: &str, findings: &Findings) -> Result {
    writeln!(f, "{name:<14} {}", findings.count)?;
    for example in findings.examples.iter().take(SHOWN) {
        write!(f, "    id {}: {}", example.key, example.what)?;
        match &example.seen {
            Some(seen) => writeln!(f, " [{seen}]")?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

fn failures(f: &mut Formatter<'_>, name: &str, count: u64, failures: &[Failure]) -> Result {
    writeln!(f, "{name:<14} {count}")?;
    for failure in failures.iter().take(SHOWN) {
        let kind = failure.kind.map_or("-".to_owned(), |kind| kind.to_string());
        let code = failure.code.as_deref().unwrap_or("-");
        writeln!(f, "    {:.1} s, {kind}, error {code}: {}", failure.at_ms / 1e3, failure.text)?;
    }
    Ok(())
}
