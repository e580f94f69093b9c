//! The progress of a run, shown while it runs: a bar on a terminal, lines elsewhere, JSON for programs.
//!
//! It has a thread of its own, so that neither a slow terminal holds up the core nor a busy core the
//! display; the two meet in a watch channel, whose latest snapshot is all that counts.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::watch;

use super::output::{Output, event, tell};
use super::rate::Rate;
use super::stats::Snapshot;
use super::words::{count, duration};
use super::writer::screen;
use crate::model::Phase;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two plain lines, and between two JSON ones, when the phase stays the same.
const LINE_EVERY: Duration = Duration::from_secs(5);
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// A display that runs. Stops when it is dropped, too.
#[derive(Debug)]
pub struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show. Progress is a help, so a display that can't be started is none, not an error.
    pub fn start(snapshots: watch::Receiver<Snapshot>, output: Output) -> Progress {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = (!output.quiet)
            .then(|| {
                let named = std::thread::Builder::new().name("osc-progress".into());
                named.spawn(move || show(&snapshots, &stopped, Display::new(output))).ok()
            })
            .flatten();
        Progress { stop, thread }
    }

    /// Shows the last snapshot and ends; what is said next stands below it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A display that panicked is no reason for the run to.
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn show(snapshots: &watch::Receiver<Snapshot>, stop: &AtomicBool, mut display: Display) {
    let mut rate = Rate::default();
    loop {
        let last = stop.load(Ordering::Relaxed);
        let now = snapshots.borrow().clone();
        if now.phase == Phase::Copy {
            rate.sample(now.elapsed, now.rows_copied);
        }
        display.show(&View::new(&now, &rate), last);
        if last {
            return;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// A snapshot with what follows from it and the ones before.
#[derive(Debug, Serialize)]
struct View {
    phase: &'static str,
    rows_copied: u64,
    estimated_rows: Option<u64>,
    keys_synced: u64,
    changes_seen: u64,
    rows_compared: u64,
    pending_keys: u64,
    chunk_rows: u64,
    rows_per_second: Option<u64>,
    eta_seconds: Option<u64>,
    lag_ms: u64,
    held: Option<String>,
    cutover_attempts: u64,
    retries: u64,
    elapsed_ms: u64,
    #[serde(skip)]
    copying: bool,
    #[serde(skip)]
    verifying: bool,
    #[serde(skip)]
    lag: Duration,
}

impl View {
    fn new(now: &Snapshot, rate: &Rate) -> View {
        let copying = now.phase == Phase::Copy;
        let left = now.estimated_rows.filter(|_| copying).map(|all| all.saturating_sub(now.rows_copied));
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        View {
            phase: now.phase.name(),
            rows_copied: now.rows_copied,
            estimated_rows: now.estimated_rows,
            keys_synced: now.keys_synced,
            changes_seen: now.changes_seen,
            rows_compared: now.rows_compared,
            pending_keys: now.pending_keys,
            chunk_rows: now.chunk_rows,
            rows_per_second: rate.per_second().filter(|_| copying).map(|r| r.round() as u64),
            // The estimate may be low: then the end is near, but nobody knows when.
            eta_seconds: left.filter(|left| *left > 0).and_then(|left| rate.time_for(left)).map(|eta| eta.as_secs()),
            lag_ms: millis(now.lag),
            held: now.held.clone(),
            cutover_attempts: now.cutover_attempts,
            retries: now.retries,
            elapsed_ms: millis(now.elapsed),
            copying,
            verifying: now.phase == Phase::Verify,
            lag: now.lag,
        }
    }

    /// In whole percent, and never all of it while rows are still copied or compared.
    fn percent(&self) -> Option<u64> {
        let done = match (self.copying, self.verifying) {
            (true, _) => self.rows_copied,
            (_, true) => self.rows_compared,
            _ => return Some(100),
        };
        let all = self.estimated_rows.filter(|all| *all > 0)?;
        Some((u128::from(done) * 100 / u128::from(all)).min(99) as u64)
    }

    /// What stands behind the phase.
    fn words(&self) -> String {
        let mut parts = Vec::new();
        // First, because a narrow terminal cuts off the end.
        parts.extend(self.held.as_ref().map(|held| format!("held by {held}")));
        match (self.copying, self.estimated_rows) {
            (_, all) if self.verifying => {
                let all = all.map(|all| format!(" of about {}", count(all))).unwrap_or_default();
                parts.push(format!("{}{all} rows compared", count(self.rows_compared)));
            }
            (true, Some(all)) => parts.push(format!("{} of about {} rows", count(self.rows_copied), count(all))),
            _ => parts.push(format!("{} rows copied", count(self.rows_copied))),
        }
        parts.extend(self.rows_per_second.map(|r| format!("{} rows/s", count(r))));
        parts.extend(self.eta_seconds.map(|s| format!("{} left", duration(Duration::from_secs(s)))));
        parts.push(format!("lag {}", duration(self.lag)));
        if self.pending_keys > 0 {
            parts.push(format!("{} keys waiting", count(self.pending_keys)));
        }
        if self.cutover_attempts > 1 {
            parts.push(format!("{} cutover attempts", self.cutover_attempts));
        }
        parts.join(", ")
    }

    fn line(&self) -> String {
        match self.percent().filter(|_| self.copying || self.verifying) {
            Some(percent) => format!("{} {percent}%: {}", self.phase, self.words()),
            None => format!("{}: {}", self.phase, self.words()),
        }
    }
}

enum Display {
    Bar(ProgressBar),
    Lines(Due),
    Events(Due),
}

impl Display {
    fn new(output: Output) -> Display {
        if output.json {
            return Display::Events(Due::every(EVENT_EVERY));
        }
        let style = ProgressStyle::with_template("{prefix:8} [{bar:20}] {percent:>3}% {wide_msg}");
        match style {
            Ok(style) if output.progress && std::io::stderr().is_terminal() => {
                let bar = screen().add(ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::hidden()));
                bar.set_style(style.progress_chars("=> "));
                Display::Bar(bar)
            }
            _ => Display::Lines(Due::every(LINE_EVERY)),
        }
    }

    fn show(&mut self, view: &View, last: bool) {
        match self {
            Display::Bar(bar) => {
                bar.set_prefix(view.phase);
                bar.set_position(view.percent().unwrap_or(0));
                bar.set_message(view.words());
                if last {
                    bar.finish_and_clear();
                    screen().remove(bar);
                    tell(&view.line());
                }
            }
            Display::Lines(due) => {
                if due.now(view.phase, last) {
                    tell(&view.line());
                }
            }
            Display::Events(due) => {
                if due.now(view.phase, last) {
                    event("progress", view);
                }
            }
        }
    }
}

/// When the next line is due: after a while, at a change of phase, and at the end.
struct Due {
    every: Duration,
    last: Option<(Instant, &'static str)>,
}

impl Due {
    fn every(every: Duration) -> Due {
        Due { every, last: None }
    }

    fn now(&mut self, phase: &'static str, last: bool) -> bool {
        let due = last || self.last.is_none_or(|(at, was)| was != phase || at.elapsed() >= self.every);
        if due {
            self.last = Some((Instant::now(), phase));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::stats::Stats;

    fn view(phase: Phase, rows: u64, all: Option<u64>) -> View {
        let mut stats = Stats::new();
        (stats.phase, stats.rows_copied, stats.estimated_rows) = (phase, rows, all);
        stats.lag(Duration::from_millis(12));
        stats.publish();
        let mut rate = Rate::default();
        rate.sample(Duration::ZERO, 0);
        rate.sample(Duration::from_secs(10), 10_000);
        View::new(&stats.watch().borrow(), &rate)
    }

    #[test]
    fn a_line_reads_well() {
        let line = view(Phase::Copy, 41_200, Some(100_000)).line();
        assert_eq!(line, "copy 41%: 41,200 of about 100,000 rows, 1,000 rows/s, 58 s left, lag 12.0 ms");
        let ready = View { held: Some("the postpone flag file".into()), ..view(Phase::Ready, 10, Some(9)) };
        assert_eq!(ready.line(), "ready: held by the postpone flag file, 10 rows copied, lag 12.0 ms");
    }

    #[test]
    fn an_estimate_that_was_too_low_promises_nothing() {
        let over = view(Phase::Copy, 200, Some(100));
        assert_eq!((over.percent(), over.eta_seconds), (Some(99), None));
        assert_eq!(view(Phase::Copy, 200, None).percent(), None);
        assert_eq!(view(Phase::Copy, 0, Some(0)).percent(), None);
        assert_eq!(view(Phase::CatchUp, 0, None).percent(), Some(100));
    }

    #[test]
    fn lines_come_at_changes_of_phase_and_at_the_end() {
        let mut due = Due::every(Duration::from_secs(60));
        let got = [("copy", false), ("copy", false), ("ready", false), ("ready", false), ("ready", true)];
        assert_eq!(got.map(|(phase, last)| due.now(phase, last)), [true, false, true, false, true]);
    }

    #[test]
    fn a_display_stops_when_it_is_told_and_when_it_is_dropped() {
        let stats = Stats::new();
        let quiet = Output { progress: false, ..Output::default() };
        Progress::start(stats.watch(), quiet).stop();
        drop(Progress::start(stats.watch(), quiet));
    }
}
