//! What a process finds around it, read once, so that everything that depends on it can be tested
//! without touching the environment of the tests.

use std::collections::HashMap;
use std::path::PathBuf;

use super::engine::Engine;
use super::option_file::OptionFile;
use super::secret::Secret;
use crate::error::{Error, Result};

pub const DATABASE_URL: &str = "DATABASE_URL";
pub const OSC_PASSWORD: &str = "OSC_PASSWORD";
pub const MYSQL_PWD: &str = "MYSQL_PWD";
pub const PGPASSWORD: &str = "PGPASSWORD";
const PGPASSFILE: &str = "PGPASSFILE";

/// Has no `Debug`: it may hold passwords.
#[derive(Clone, Default)]
pub struct Environment {
    vars: HashMap<&'static str, Secret>,
    file: OptionFile,
    /// MySQL's file says nothing to the other engines.
    no_file: OptionFile,
    /// PostgreSQL's file of passwords; whether it's there is another matter.
    pub passfile: Option<PathBuf>,
}

impl Environment {
    pub fn of_process() -> Result<Environment> {
        let mut vars = HashMap::new();
        for name in [DATABASE_URL, OSC_PASSWORD, MYSQL_PWD, PGPASSWORD] {
            // An empty variable is a common way to unset one.
            let Some(value) = std::env::var_os(name).filter(|v| !v.is_empty()) else { continue };
            let value = value.into_string().map_err(|_| Error::usage(format!("{name} is not valid UTF-8.")))?;
            vars.insert(name, Secret::new(value));
        }
        let home = std::env::var_os("HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
        let named = std::env::var_os(PGPASSFILE).filter(|v| !v.is_empty()).map(PathBuf::from);
        let passfile = named.or_else(|| home.as_ref().map(|home| home.join(".pgpass")));
        let file = match home {
            Some(home) => OptionFile::read(&home.join(".my.cnf"))?,
            None => OptionFile::default(),
        };
        Ok(Environment { vars, file, no_file: OptionFile::default(), passfile })
    }

    /// The engine that the words are for; MySQL's file is the one place where none needs to be named.
    pub fn engine(&self, url: Option<&str>) -> Engine {
        url.or(self.var(DATABASE_URL)).and_then(Engine::of).unwrap_or_default()
    }

    /// The option file that this engine's users have.
    pub fn file(&self, engine: Engine) -> &OptionFile {
        match engine {
            Engine::MySql => &self.file,
            Engine::Postgres => &self.no_file,
        }
    }

    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(Secret::expose)
    }

    #[cfg(test)]
    pub fn of(vars: &[(&'static str, &str)], file: &str) -> Environment {
        let vars = vars.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
        Environment { vars, file: OptionFile::parse(file).ok().unwrap_or_default(), ..Environment::default() }
    }
}
