//! The command line: words in, a checked request out, and one function per verb that runs it.
//!
//! `args` is what clap reads, `request` what a verb gets; between them stand the settings (flag, file,
//! default) and the connection (URL, environment, option file). Nothing here knows an engine but the
//! verbs that open one.

pub mod alter;
mod args;
mod ask;
pub mod check;
pub mod cleanup;
mod config;
pub mod connection;
mod engine;
mod environment;
pub mod failure;
mod option_file;
mod origin;
mod pgpass;
mod plan_view;
pub mod request;
mod reserved;
mod runtime;
mod secret;
mod server_url;
mod servers;
mod settings;
pub mod table_name;
mod value;
pub mod verify;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

pub use connection::Connection;
pub use secret::Secret;
pub use settings::Chunk;

use crate::error::{Error, Result};
use crate::failpoint;
use crate::operate::log;
use crate::operate::output::{Output, say};

/// Reads the words and does what they say.
pub fn run(words: Vec<OsString>) -> Result<()> {
    let args::Words { global, verb } = match args::Words::try_parse_from(words) {
        Ok(words) => words,
        Err(error) => return not_understood(error),
    };
    let output =
        Output { json: global.json, quiet: global.quiet, verbose: global.verbose, progress: !global.no_progress };
    log::start(output)?;
    failpoint::arm()?;
    if let Some(name) = reserved::name(&verb) {
        return Err(reserved::refusal(name));
    }
    let env = environment::Environment::of_process()?;
    match verb {
        args::Verb::Alter(words) => alter::run(request::alter(words, &global, &env, output)?),
        args::Verb::Check(words) => check::run(request::check(words, &global, &env, output)?),
        args::Verb::Verify(words) => verify::run(request::verify(words, &global, &env, output)?),
        args::Verb::Cleanup(words) => cleanup::run(request::cleanup(words, &global, &env, output)?),
        args::Verb::Config(args::Config::Show(tuning)) => config::show(&tuning, &global, &env, output),
        args::Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::Words::command(), "osc", &mut script);
            say(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
        // The reserved ones, which were answered above.
        _ => Ok(()),
    }
}

/// Help and the version are answers; everything else is a wrong word.
fn not_understood(error: clap::Error) -> Result<()> {
    let text = error.render().to_string();
    if !error.use_stderr() {
        say(text.trim_end());
        return Ok(());
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Error::usage("The verb is missing.").todo("`osc --help` lists them; the usual one is `osc alter`."));
    }
    let text = text.trim().trim_start_matches("error: ");
    let (what, todo) = match text.split_once("\n\nFor more information, try") {
        Some((what, how)) => (what, format!("For more, try{how}")),
        None => (text, String::from("For more, try '--help'.")),
    };
    Err(Error::usage(what.trim_end()).todo(todo))
}

/// What the words say about how to speak, for errors that come up before they were understood.
pub fn output_of(words: &[OsString]) -> Output {
    let is_v = |word: &str| {
        let short = word.strip_prefix('-').is_some_and(|vs| !vs.is_empty() && vs.bytes().all(|b| b == b'v'));
        short || word == "--verbose"
    };
    let has = |is: &dyn Fn(&str) -> bool| words.iter().skip(1).filter_map(|word| word.to_str()).any(is);
    Output { json: has(&|word| word == "--json"), quiet: false, verbose: u8::from(has(&is_v)), progress: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_clap_agree_with_each_other() {
        args::Words::command().debug_assert();
    }

    #[test]
    fn how_to_speak_is_known_before_the_words_are() {
        let of = |words: &[&str]| output_of(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(of(&["osc", "status", "--json"]).json);
        assert!(!of(&["osc", "alter"]).json);
        assert_eq!(of(&["osc", "-vv", "--nonsense"]).verbose, 1);
        assert_eq!(of(&["osc", "verify", "-x", "é"]).verbose, 0);
    }
}
