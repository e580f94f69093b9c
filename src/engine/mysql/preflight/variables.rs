//! The server's global variables, read once. A variable that this version doesn't have is just absent.

use std::collections::HashMap;
use std::str::FromStr;

use crate::engine::mysql::session::Session;
use crate::error::Result;

#[derive(Debug, Default)]
pub struct Variables(HashMap<String, String>);

impl Variables {
    pub async fn read(session: &mut Session) -> Result<Variables> {
        let rows: Vec<(String, Option<String>)> = session.all("SHOW GLOBAL VARIABLES").await?;
        Ok(rows.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether one of the names, of which a server has at most a few, stands for something that is on.
    pub fn on(&self, names: &[&str]) -> bool {
        names.iter().filter_map(|n| self.get(n)).any(|v| !matches!(v.to_uppercase().as_str(), "OFF" | "0" | "NO" | ""))
    }

    pub fn off(&self, name: &str) -> bool {
        self.get(name).is_some() && !self.on(&[name])
    }

    pub fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|v| v.parse().ok())
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(rows: I) -> Self {
        Variables(rows.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect())
    }
}
