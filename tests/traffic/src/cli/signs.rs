//! Files that stand for signals, so that a shell script can steer the traffic.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use osc_traffic::{Error, Handle};

/// The files that are looked for, and what has been seen.
pub struct Signs {
    until: Option<PathBuf>,
    swapped: Option<PathBuf>,
    stamps: Option<PathBuf>,
    stamped: HashSet<String>,
}

impl Signs {
    /// A sign that is there from the beginning is left from another time: refused, since it would
    /// stamp a phase that has not happened, or end the traffic before it began.
    pub fn new(until: Option<PathBuf>, swapped: Option<PathBuf>, stamps: Option<PathBuf>) -> Result<Signs, Error> {
        for file in until.iter().chain(&swapped) {
            if file.exists() {
                return Err(Error::Usage(format!("{} exists already", file.display())));
            }
        }
        if let Some(dir) = &stamps {
            std::fs::create_dir_all(dir).map_err(|e| Error::Usage(format!("{}: {e}", dir.display())))?;
            if let Some(name) = names(dir)?.first() {
                return Err(Error::Usage(format!("{} exists already", dir.join(name).display())));
            }
        }
        Ok(Signs { until, swapped, stamps, stamped: HashSet::new() })
    }

    /// Looks for new signs and stamps them; true if the traffic is to end.
    pub fn look(&mut self, traffic: &Handle) -> Result<bool, Error> {
        if let Some(dir) = &self.stamps {
            for name in names(dir)? {
                if self.stamped.insert(name.clone()) {
                    traffic.stamp(&name);
                }
            }
        }
        if self.swapped.as_ref().is_some_and(|file| file.exists()) && self.stamped.insert("swapped".into()) {
            traffic.stamp("swapped");
        }
        Ok(self.until.as_ref().is_some_and(|file| file.exists()))
    }
}

/// In the order of their age, so that two that came at once are stamped in their order.
fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |e: std::io::Error| Error::Usage(format!("{}: {e}", dir.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        names.push((modified, entry.file_name().to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}
