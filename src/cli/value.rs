//! What a value of the command line or of an option file may be.
//!
//! Each parser answers with what is allowed, as the end of a sentence ("must be …"); the caller knows
//! the name and where the value came from.

use std::path::{Path, PathBuf};

use crate::operate::throttle::Limit;

/// A whole number between the two, both allowed.
pub fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|n| digits && (least..=most).contains(n));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// `Threads_running=25,Threads_connected=500`.
pub fn limits(text: &str) -> Result<Vec<Limit>, String> {
    const GRAMMAR: &str = "must be a list of NAME=LIMIT with commas between, such as \
                           Threads_running=25,Threads_connected=500, where NAME is a status variable of the \
                           server and LIMIT a whole number from 1 on";
    let mut limits: Vec<Limit> = Vec::new();
    for part in text.split(',') {
        let (name, at) = part.split_once('=').ok_or(GRAMMAR)?;
        let (name, at) = (name.trim(), whole(at.trim(), 1, u64::MAX).map_err(|_| GRAMMAR)?);
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(GRAMMAR.into());
        }
        if limits.iter().any(|l| l.name.eq_ignore_ascii_case(name)) {
            return Err(format!("must name {name} only once"));
        }
        limits.push(Limit { name: name.into(), at });
    }
    Ok(limits)
}

/// The path of a file that need not exist, in a directory that must.
pub fn flag_file(text: &str) -> Result<PathBuf, String> {
    const WANTED: &str = "must name a file in a directory that exists";
    let path = std::path::absolute(Path::new(text)).map_err(|_| WANTED)?;
    let in_directory = path.parent().is_some_and(Path::is_dir);
    if path.file_name().is_none() || text.ends_with('/') || !in_directory || path.is_dir() {
        return Err(WANTED.into());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_in_their_range() {
        assert_eq!(whole("1", 1, 64), Ok(1));
        assert_eq!(whole("64", 1, 64), Ok(64));
        for bad in ["0", "65", "", "-1", "+1", "1.0", "0x1", " 1", "99999999999999999999", "１"] {
            assert_eq!(whole(bad, 1, 64), Err("must be a whole number from 1 to 64".into()), "{bad}");
        }
    }

    #[test]
    fn limits_are_read_as_gh_ost_reads_them() {
        let read = limits("Threads_running=25, Threads_connected=500").unwrap();
        let shown: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["Threads_running=25", "Threads_connected=500"]);
        for bad in
            ["", "Threads_running", "=25", "Threads_running=", "a=1,,b=2", "a=-1", "a=0", "a=1.5", "1a=2", "a b=2"]
        {
            assert!(limits(bad).is_err(), "{bad}");
        }
        assert_eq!(limits("a=1,A=2"), Err("must name A only once".into()));
    }

    #[test]
    fn a_flag_file_lies_in_a_directory() {
        let dir = std::env::temp_dir();
        let inside = dir.join("osc-no-such-flag");
        assert_eq!(flag_file(inside.to_str().unwrap()), Ok(inside));
        assert!(flag_file("osc-no-such-flag").unwrap().is_absolute());
        for bad in ["", "/", "/nowhere/at/all/flag", dir.to_str().unwrap(), "nowhere/flag", "/tmp/x/"] {
            assert!(flag_file(bad).is_err(), "{bad}");
        }
    }
}
