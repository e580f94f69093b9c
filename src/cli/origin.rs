//! Where a setting came from, for `osc config show` and for messages about a value.

use std::fmt;

use serde::{Serialize, Serializer};

use super::option_file::{Group, SHOWN};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Flag(&'static str),
    Env(&'static str),
    File(Group),
    /// PostgreSQL's file of passwords.
    PassFile,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "--{name}"),
            Origin::Env(name) => f.write_str(name),
            Origin::File(group) => write!(f, "{SHOWN} [{}]", group.name()),
            Origin::PassFile => f.write_str(super::pgpass::SHOWN),
            Origin::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

/// A setting as it is shown. Never has a secret in it: `value` is none for what is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: &'static str,
    pub value: Option<String>,
    pub from: Origin,
}

impl Row {
    pub fn new(name: &'static str, value: Option<String>, from: Origin) -> Self {
        Row { name, value, from }
    }
}
