//! Verbs whose names are kept for what is not built yet. Each says what to use in its place, where
//! there is something.

use super::args::Verb;
use crate::error::Error;

pub fn name(verb: &Verb) -> Option<&'static str> {
    Some(match verb {
        Verb::Alter(_) | Verb::Check(_) | Verb::Verify(_) => return None,
        Verb::Cleanup(_) | Verb::Config(_) | Verb::Completions { .. } => return None,
        Verb::Status(_) => "status",
        Verb::Pause(_) => "pause",
        Verb::Resume(_) => "resume",
        Verb::Set(_) => "set",
        Verb::Cutover(_) => "cutover",
        Verb::Abort(_) => "abort",
        Verb::Move(_) => "move",
        Verb::Revert(_) => "revert",
        Verb::Migrate(_) => "migrate",
        Verb::Backfill(_) => "backfill",
        Verb::Purge(_) => "purge",
        Verb::Diff(_) => "diff",
        Verb::Lint(_) => "lint",
        Verb::Rehearse(_) => "rehearse",
    })
}

pub fn refusal(name: &str) -> Error {
    let instead = match name {
        "status" => "A run shows its progress where it was started; with --json, in lines for a program.",
        "pause" => "Start the run with --throttle-flag-file FILE, and create the file to hold it.",
        "resume" => {
            "Remove the file of --throttle-flag-file to let a held run go on; repeat its `osc alter` command to go \
             on with one that was stopped."
        }
        "set" => {
            "Stop the run with Ctrl-C and repeat its `osc alter` command with other values: it goes on where it was."
        }
        "cutover" => "Start the run with --postpone-cut-over-flag-file FILE, and remove the file to let it cut over.",
        "abort" => {
            "Stop the run with Ctrl-C, or with the file of --panic-flag-file, then remove its copy with `osc cleanup`."
        }
        "lint" => "Use `osc check` or `osc alter --dry-run`, which need the server.",
        "rehearse" => "Use `osc alter --no-cut-over`, which does everything but the swap.",
        "migrate" => "Use `osc alter`, once for each table.",
        _ => "There is nothing in osc to use in its place yet.",
    };
    Error::refused(format!("`osc {name}` is not built yet.")).todo(instead)
}
