//! Named places where a test stops the process or ends it: `docs/failpoints.md` lists them.
//!
//! `OSC_FAILPOINT=name=pause:FILE;name=exit:CODE`. **pause** writes FILE, with the connections that take
//! part at this place, and waits until FILE is gone; the rest of the process goes on meanwhile. **exit**
//! ends the process there and then, without closing or undoing anything. Each acts once. They are
//! compiled in always, so that what is tested is what is shipped; without the variable a place costs one
//! load, and there is none on the way of a row.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

pub const VARIABLE: &str = "OSC_FAILPOINT";

/// Every place, in the order in which a run comes by.
pub const NAMES: [&str; 18] = [
    "shadow-built",
    "run-stored",
    "slot-made",
    "chunk-synced",
    "keys-synced",
    "index-built",
    "comparing",
    "before-lock",
    "lock-granted",
    "drained",
    "final-sync",
    "synced",
    "rename-queued",
    "sentry-dropped",
    "renamed",
    "before-tidy",
    "follower-made",
    "old-dropped",
];

const LOOK_EVERY: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Pause(PathBuf),
    Exit(i32),
}

type Armed = Vec<(String, Action)>;

static ARMED: OnceLock<Mutex<Armed>> = OnceLock::new();

/// Reads the variable, once per process. A name that isn't one is refused: its test would prove nothing.
pub fn arm() -> Result<()> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    let armed = parse(&text).map_err(|what| Error::usage(format!("{VARIABLE}: {what}.")))?;
    if !armed.is_empty() {
        tracing::warn!("{VARIABLE} is set: this run stops or ends where a test wants it to");
        let _ = ARMED.set(Mutex::new(armed));
    }
    Ok(())
}

fn parse(text: &str) -> Result<Armed, String> {
    let one = |part: &str| {
        let (name, action) = part.split_once('=').ok_or_else(|| format!("'{part}' is not name=action"))?;
        if !NAMES.contains(&name) {
            return Err(format!("there is no failpoint '{name}'"));
        }
        let action = match action.split_once(':') {
            Some(("pause", file)) => Action::Pause(PathBuf::from(file)),
            Some(("exit", code)) => Action::Exit(code.parse().map_err(|_| format!("'{code}' is no exit code"))?),
            _ => return Err(format!("'{action}' is neither pause:FILE nor exit:CODE")),
        };
        Ok((name.to_owned(), action))
    };
    text.split(';').filter(|part| !part.is_empty()).map(one).collect()
}

/// Comes by a place; `ids` are the connections that take part.
pub async fn hit(name: &'static str, ids: &[u32]) {
    let Some(armed) = ARMED.get() else { return };
    let action = {
        let mut armed = armed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = armed.iter().position(|(armed, _)| armed == name) else { return };
        armed.remove(at).1
    };
    match action {
        Action::Exit(code) => std::process::exit(code),
        Action::Pause(file) => pause(name, &file, ids).await,
    }
}

async fn pause(name: &str, file: &Path, ids: &[u32]) {
    tracing::warn!(failpoint = name, "paused");
    let ids = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    // Written aside, so that who sees it can read it.
    let aside = file.with_extension("part");
    if let Err(error) = std::fs::write(&aside, ids).and_then(|()| std::fs::rename(&aside, file)) {
        tracing::error!(%error, failpoint = name, "the file could not be written");
        return;
    }
    while file.exists() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tracing::warn!(failpoint = name, "going on");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_or_refused() {
        let armed = parse("drained=pause:/tmp/a;renamed=exit:9").unwrap();
        assert_eq!(armed[0], ("drained".to_owned(), Action::Pause("/tmp/a".into())));
        assert_eq!(armed[1], ("renamed".to_owned(), Action::Exit(9)));
        for bad in ["nowhere=exit:1", "drained", "drained=stop", "drained=exit:x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_documentation_lists_every_place() {
        let page = include_str!("../docs/failpoints.md");
        for name in NAMES {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
