//! Instances of servers, as `scripts/db` starts them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `scripts/db` and returns what it printed.
pub fn db(arguments: &[&str]) -> String {
    let output = Command::new(project().join("scripts/db")).args(arguments).output().expect("scripts/db runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "scripts/db {arguments:?}: {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// A running server, by what `scripts/db` says of it.
#[derive(Debug, Clone)]
pub struct Instance {
    pub name: String,
    values: HashMap<String, String>,
}

impl Instance {
    /// One that tests share, started by the first that asks for it.
    pub fn shared(kind: &str, name: &str) -> Instance {
        static STARTED: OnceLock<Mutex<HashMap<String, Instance>>> = OnceLock::new();
        let mut started = STARTED.get_or_init(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
        let start = || Instance::parse(kind, &db(&["start", kind, "--name", name]));
        started.entry(name.to_owned()).or_insert_with(start).clone()
    }

    /// A new one with options for the server.
    pub fn new(kind: &str, name: &str, options: &[&str]) -> Instance {
        db(&["remove", name]);
        let mut arguments = vec!["start", kind, "--name", name, "--"];
        arguments.extend(options);
        Instance::parse(kind, &db(&arguments))
    }

    fn parse(kind: &str, printed: &str) -> Instance {
        let values: HashMap<String, String> =
            printed.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let name = values.get("NAME").cloned().unwrap_or_else(|| kind.to_owned());
        Instance { name, values }
    }

    pub fn value(&self, key: &str) -> &str {
        self.values.get(key).unwrap_or_else(|| panic!("scripts/db printed no {key}"))
    }

    pub fn port(&self) -> u16 {
        self.value("PORT").parse().expect("a port")
    }
}
