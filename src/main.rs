//! The process: words in, exit code out.

use std::panic::catch_unwind;
use std::process::ExitCode;

use osc::cli;
use osc::operate::output::finish;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let output = cli::output_of(&words);
    let done = catch_unwind(|| cli::run(words)).unwrap_or_else(|payload| Err(cli::failure::from_panic(&*payload)));
    match done {
        Ok(()) => {
            finish();
            ExitCode::SUCCESS
        }
        Err(error) => {
            cli::failure::tell_error(&error, output);
            ExitCode::from(error.kind().exit())
        }
    }
}
