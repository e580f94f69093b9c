//! Asking the person at the terminal, once.

use std::io::{BufRead, Write};

use crate::error::{Error, Result};
use crate::operate::output::can_ask;

/// Asks for a yes where there is somebody to ask; elsewhere the command itself is the yes.
///
/// Ask before signals are listened for: until then Ctrl-C simply ends the process.
pub fn confirm(question: &str) -> Result<()> {
    if !can_ask() {
        return Ok(());
    }
    let mut screen = std::io::stderr().lock();
    let _ = write!(screen, "{question} [y/N] ").and_then(|()| screen.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match (read, is_yes(&answer)) {
        (Ok(_), true) => Ok(()),
        _ => Err(Error::aborted("The answer was not yes.").table("Nothing was changed.")),
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes(" Y\n") && is_yes("yes\r\n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("n") && !is_yes("yess"));
    }
}
