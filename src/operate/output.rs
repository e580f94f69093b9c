//! How a process speaks, and the two streams it speaks on.
//!
//! Standard output carries what was asked for: the plan, the summary, and under `--json` the events.
//! Standard error carries the rest: progress for people, log lines, errors. Every line passes the
//! filter against passwords.

use std::io::IsTerminal;

use serde::Serialize;

use super::redact::scrub;
use super::writer::{Stream, deliver, flush, post};

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

/// A line, or several, on standard output. Waits until they are written, so not for the core.
pub fn say(text: &str) {
    deliver(Stream::Out, scrub(text).into_owned());
}

/// The same on standard error.
pub fn tell(text: &str) {
    deliver(Stream::Err, scrub(text).into_owned());
}

/// A line on standard error, from anywhere: never waits, and is dropped if nobody reads.
pub fn note(text: &str) {
    post(Stream::Err, scrub(text).into_owned());
}

/// Waits until all that was said is written: the last thing that a process does.
pub fn finish() {
    flush();
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
