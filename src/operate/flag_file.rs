//! A file whose presence is an instruction.
//!
//! Looked at no more than ten times a second however often it is asked for, so that a hot loop may
//! ask without thinking and a file on a network mount is not hammered.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct FlagFile {
    path: PathBuf,
    /// What a look that fails (no permission, a stale mount) counts as.
    when_unknown: bool,
    last: Cell<Option<(Instant, bool)>>,
}

impl FlagFile {
    /// A flag that is taken as raised when it can't be looked at: waiting is the harmless answer.
    pub fn holding(path: PathBuf) -> Self {
        FlagFile { path, when_unknown: true, last: Cell::new(None) }
    }

    /// A flag that is taken as not raised when it can't be looked at: what it asks for can't be undone.
    pub fn ending(path: PathBuf) -> Self {
        FlagFile { path, when_unknown: false, last: Cell::new(None) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_raised(&self) -> bool {
        let now = Instant::now();
        if let Some((at, raised)) = self.last.get()
            && now.duration_since(at) < LOOK_EVERY
        {
            return raised;
        }
        let raised = self.path.try_exists().unwrap_or(self.when_unknown);
        self.last.set(Some((now, raised)));
        raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("osc-flag-{}-{name}", std::process::id()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_good_for_a_tenth_of_a_second() {
        let path = path("look");
        let flag = FlagFile::holding(path.clone());
        assert!(!flag.is_raised());
        std::fs::write(&path, b"").unwrap();
        assert!(!flag.is_raised());
        tokio::time::advance(LOOK_EVERY).await;
        assert!(flag.is_raised());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_flag_that_cannot_be_looked_at_is_taken_the_harmless_way() {
        // A path below a file is an error of another kind than "not there"... on Linux it is "not a
        // directory"; a name that is too long is one everywhere.
        let long = std::env::temp_dir().join("x".repeat(300));
        assert!(FlagFile::holding(long.clone()).is_raised());
        assert!(!FlagFile::ending(long).is_raised());
    }
}
