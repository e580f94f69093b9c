//! The groups `[client]` and `[osc]` of `~/.my.cnf`, read as MySQL's own programs read them.
//!
//! `[osc]` outweighs `[client]`. Names in `[client]` that osc doesn't know belong to other programs and
//! are passed over; in `[osc]` they are mistakes, and said.

use std::path::Path;

use crate::error::{Error, Result};

/// What the file is called in messages.
pub const SHOWN: &str = "~/.my.cnf";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Osc,
    Client,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Osc => "osc",
            Group::Client => "client",
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    group: Group,
    name: String,
    value: String,
    line: usize,
}

/// Has no `Debug`: one of the values may be a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OptionFile {
    entries: Vec<Entry>,
}

impl OptionFile {
    /// Reads the file; one that isn't there is an empty one.
    pub fn read(path: &Path) -> Result<OptionFile> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(OptionFile::default()),
            Err(e) => {
                tracing::warn!("{SHOWN} can't be read and is passed over: {e}");
                return Ok(OptionFile::default());
            }
        };
        if world_may_write(path) {
            tracing::warn!("{SHOWN} can be written by anybody and is passed over, as MySQL's programs do");
            return Ok(OptionFile::default());
        }
        OptionFile::parse(&text)
    }

    pub fn parse(text: &str) -> Result<OptionFile> {
        let mut entries = Vec::new();
        let mut group = None;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';', '!']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                group = match name.split(']').next().map(str::trim) {
                    Some("osc") => Some(Group::Osc),
                    Some("client") => Some(Group::Client),
                    _ => None,
                };
                continue;
            }
            let Some(group) = group else { continue };
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let name = name.trim().to_ascii_lowercase().replace('_', "-");
            if name.is_empty() {
                return Err(Error::usage(format!("Line {} of {SHOWN} has a value without a name.", at + 1)));
            }
            entries.push(Entry { group, name, value: unquote(value.trim()), line: at + 1 });
        }
        Ok(OptionFile { entries })
    }

    /// The last value of this name, of `[osc]` if it stands there.
    pub fn get(&self, name: &str) -> Option<(&str, Group)> {
        self.all(name).pop()
    }

    /// The value of this name in `[osc]`.
    pub fn own(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|(_, group)| *group == Group::Osc).map(|(value, _)| value)
    }

    /// All values of this name in the group that counts, in their order.
    pub fn all(&self, name: &str) -> Vec<(&str, Group)> {
        let of = |group| self.entries.iter().filter(move |e| e.group == group && e.name == name);
        let group = if of(Group::Osc).next().is_some() { Group::Osc } else { Group::Client };
        of(group).map(|e| (e.value.as_str(), group)).collect()
    }

    /// Whether `[osc]` holds only these names.
    pub fn check_names(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        match self.entries.iter().find(|e| e.group == Group::Osc && !known(&e.name)) {
            None => Ok(()),
            Some(e) => Err(Error::usage(format!(
                "Line {} of {SHOWN} sets '{}' in [osc], which osc doesn't know.",
                e.line, e.name
            ))
            .todo("Correct or remove the line; `osc config show` lists the settings there are.")),
        }
    }
}

/// Takes off quotes, or a comment behind an unquoted value, and resolves the escapes that MySQL knows.
fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some(end) = inner.rfind(quote)
        {
            return unescape(&inner[..end]);
        }
    }
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    unescape(value[..end].trim_end())
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('s') => out.push(' '),
            Some(c @ ('\\' | '"' | '\'')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn world_may_write(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o002 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> OptionFile {
        OptionFile::parse(text).ok().unwrap()
    }

    #[test]
    fn groups_names_and_comments() {
        let file = read(
            "# c\n; c\n!includedir /etc/x\nhost=nowhere\n[mysqld]\nport=1\n[client]\nhost = a\nuser=b # c\nssl_mode=x\n\
             compress\n[osc]\nHOST=c\n[client]\nuser=d\n",
        );
        assert_eq!(file.get("host"), Some(("c", Group::Osc)));
        assert_eq!(file.get("user"), Some(("d", Group::Client)));
        assert_eq!(file.get("ssl-mode"), Some(("x", Group::Client)));
        assert_eq!(file.get("compress"), Some(("", Group::Client)));
        assert_eq!(file.get("port"), None);
        assert_eq!((file.own("host"), file.own("user")), (Some("c"), None));
    }

    #[test]
    fn passwords_survive_quotes_and_escapes() {
        let of = |line: &str| read(&format!("[client]\npassword={line}\n")).get("password").map(|(v, _)| v.to_owned());
        assert_eq!(of("\"a#b;c\"").as_deref(), Some("a#b;c"));
        assert_eq!(of("'a \" b'").as_deref(), Some("a \" b"));
        assert_eq!(of("a#b").as_deref(), Some("a#b"));
        assert_eq!(of("a\\sb\\\\c\\x").as_deref(), Some("a b\\c\\x"));
        assert_eq!(of("a=b").as_deref(), Some("a=b"));
    }

    #[test]
    fn a_misspelt_name_is_said_only_in_our_own_group() {
        let known = |name: &str| name == "threads";
        assert!(read("[client]\nthreds=1\n[osc]\nthreads=2\n").check_names(known).is_ok());
        let error = read("[osc]\nthreds=2\n").check_names(known).unwrap_err();
        assert!(error.what().contains("Line 2") && error.what().contains("threds"), "{error}");
    }
}
