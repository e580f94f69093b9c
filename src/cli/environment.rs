//! What a process finds around it, read once, so that everything that depends on it can be tested
//! without touching the environment of the tests.

use std::collections::HashMap;
use std::path::PathBuf;

use super::option_file::OptionFile;
use super::secret::Secret;
use crate::error::{Error, Result};

pub const DATABASE_URL: &str = "DATABASE_URL";
pub const OSC_PASSWORD: &str = "OSC_PASSWORD";
pub const MYSQL_PWD: &str = "MYSQL_PWD";

/// Has no `Debug`: it may hold passwords.
#[derive(Clone, Default)]
pub struct Environment {
    vars: HashMap<&'static str, Secret>,
    pub file: OptionFile,
}

impl Environment {
    pub fn of_process() -> Result<Environment> {
        let mut vars = HashMap::new();
        for name in [DATABASE_URL, OSC_PASSWORD, MYSQL_PWD] {
            // An empty variable is a common way to unset one.
            let Some(value) = std::env::var_os(name).filter(|v| !v.is_empty()) else { continue };
            let value = value.into_string().map_err(|_| Error::usage(format!("{name} is not valid UTF-8.")))?;
            vars.insert(name, Secret::new(value));
        }
        let file = match std::env::var_os("HOME").filter(|v| !v.is_empty()) {
            Some(home) => OptionFile::read(&PathBuf::from(home).join(".my.cnf"))?,
            None => OptionFile::default(),
        };
        Ok(Environment { vars, file })
    }

    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(Secret::expose)
    }

    #[cfg(test)]
    pub fn of(vars: &[(&'static str, &str)], file: &str) -> Environment {
        let vars = vars.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
        Environment { vars, file: OptionFile::parse(file).ok().unwrap_or_default() }
    }
}
