//! How an error is told: what happened, what state the table is in, what to do.

use serde::Serialize;

use crate::error::{Error, Kind};
use crate::operate::output::{Output, json_line, tell};

#[derive(Serialize)]
struct Told<'a> {
    kind: &'static str,
    exit: u8,
    what: &'a str,
    table: Option<&'a str>,
    todo: Option<&'a str>,
    causes: Vec<String>,
}

/// Tells the error on standard error.
pub fn tell_error(error: &Error, output: Output) {
    tell(&text(error, output));
}

fn text(error: &Error, output: Output) -> String {
    let told = Told {
        kind: kind_name(error.kind()),
        exit: error.kind().exit(),
        what: error.what(),
        table: error.table_state().or(untouched(error.kind())),
        todo: error.what_to_do(),
        causes: error.causes(),
    };
    if output.json {
        return json_line("error", &told);
    }
    let mut lines = vec![format!("osc: {}", told.what)];
    lines.extend(told.table.map(|s| format!("     {s}")));
    lines.extend(told.todo.map(|s| format!("     {s}")));
    if output.verbose > 0 {
        lines.extend(told.causes.iter().map(|cause| format!("     because: {cause}")));
    }
    lines.join("\n")
}

/// These kinds end a process before it has changed anything.
fn untouched(kind: Kind) -> Option<&'static str> {
    matches!(kind, Kind::Usage | Kind::Refused).then_some("Nothing was changed.")
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Transient => "transient",
        Kind::Definite => "failed",
        Kind::Refused => "refused",
        Kind::Different => "different",
        Kind::Usage => "usage",
        Kind::Ambiguous => "unknown",
        Kind::Stopped => "stopped",
        Kind::Aborted => "aborted",
    }
}

/// A bug of osc's own broke the process off. Told as an unknown outcome: it may have been anywhere.
pub fn from_panic(payload: &(dyn std::any::Any + Send)) -> Error {
    let said = payload.downcast_ref::<&str>().map(ToString::to_string);
    let said = said.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".into());
    Error::ambiguous(format!("osc met a bug of its own: {said}."))
        .table("The table is either swapped or as it was, and nothing in between.")
        .todo("Look at the table's definition; if it is the old one, run the same command again; and report the bug.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Error {
        let cause = std::io::Error::other("the disk is full");
        Error::definite("The copy failed.").table("The table is as it was.").todo("Make room.").caused_by(cause)
    }

    #[test]
    fn people_read_three_sentences_and_causes_on_request() {
        let plain = text(&error(), Output::default());
        assert_eq!(plain, "osc: The copy failed.\n     The table is as it was.\n     Make room.");
        let verbose = text(&error(), Output { verbose: 1, ..Output::default() });
        assert!(verbose.ends_with("\n     because: the disk is full"));
        assert!(text(&Error::usage("No."), Output::default()).ends_with("Nothing was changed."));
    }

    #[test]
    fn programs_read_one_line() {
        let line = text(&error(), Output { json: true, ..Output::default() });
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["event"], &read["exit"], &read["kind"]), (&"error".into(), &1.into(), &"failed".into()));
        assert_eq!(read["causes"][0], "the disk is full");
    }
}
