//! How a process speaks, and the two streams it speaks on.
//!
//! Standard output carries what was asked for: the plan, the summary, and under `--json` the events.
//! Standard error carries the rest: progress for people, log lines, errors. A reader that goes away
//! (`osc alter … | head`) must not end a run that changes a table, so writes that fail are let be;
//! `println!` would panic there.

use std::io::{IsTerminal, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;
use serde::Serialize;

use super::redact::scrub;

/// The choices of the command line on how to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
    pub verbose: u8,
    /// A progress bar, where there is a terminal for it.
    pub progress: bool,
}

impl Default for Output {
    fn default() -> Self {
        Output { json: false, quiet: false, verbose: 0, progress: true }
    }
}

/// The terminal is one, so what draws on it is one too.
static SCREEN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A line, or several, on standard output.
pub fn say(text: &str) {
    let text = scrub(text);
    SCREEN.suspend(|| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    });
}

/// A line, or several, on standard error, above the progress bar when there is one.
pub fn tell(text: &str) {
    let text = scrub(text);
    SCREEN.suspend(|| {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    });
}

/// One JSON line on standard output.
pub fn event(name: &str, body: &impl Serialize) {
    say(&json_line(name, body));
}

/// The line of an event: the body's fields after `"event"`.
pub fn json_line(name: &str, body: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Event<'a, B> {
        event: &'a str,
        #[serde(flatten)]
        body: B,
    }
    let whole = serde_json::to_string(&Event { event: name, body });
    whole.unwrap_or_else(|e| serde_json::json!({"event": name, "unprintable": e.to_string()}).to_string())
}

/// Whether somebody sits there who can be asked: the question goes to standard error, so that
/// standard output may be redirected.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(json_line("x", &serde_json::json!({"a": "b\nc"})), r#"{"event":"x","a":"b\nc"}"#);
        assert!(json_line("x", &3).starts_with(r#"{"event":"x","unprintable""#));
    }
}
