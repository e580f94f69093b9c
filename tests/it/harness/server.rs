//! Real servers, started by `scripts/db`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use mysql_async::prelude::Queryable;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    MySql,
    MariaDb,
    MariaDb118,
}

impl Kind {
    /// The servers that every test of the quick tier runs on.
    pub const QUICK: [Kind; 2] = [Kind::MySql, Kind::MariaDb];

    pub fn name(self) -> &'static str {
        match self {
            Kind::MySql => "mysql",
            Kind::MariaDb => "mariadb",
            Kind::MariaDb118 => "mariadb118",
        }
    }

    pub fn is_mariadb(self) -> bool {
        self != Kind::MySql
    }
}

/// A running server.
#[derive(Debug, Clone)]
pub struct Server {
    pub kind: Kind,
    pub name: String,
    values: HashMap<String, String>,
}

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

impl Server {
    /// The server of this kind that all tests share. Its global settings are nobody's to change.
    pub fn shared(kind: Kind) -> Server {
        Server::started(kind, kind.name())
    }

    /// Another one, to share by tests that use no XA: a transaction that is prepared anywhere on a server
    /// keeps a run from beginning.
    pub fn without_xa(kind: Kind) -> Server {
        Server::started(kind, &format!("without-xa-{}", kind.name()))
    }

    fn started(kind: Kind, name: &str) -> Server {
        static STARTED: OnceLock<Mutex<HashMap<String, Server>>> = OnceLock::new();
        let mut started = STARTED.get_or_init(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
        let start = || Server::parse(kind, &db(&["start", kind.name(), "--name", name]));
        started.entry(name.to_owned()).or_insert_with(start).clone()
    }

    /// A server of a test's own, with options. Dropping the guard removes it with its data.
    pub fn own(kind: Kind, name: &str, options: &[&str]) -> OwnServer {
        let name = format!("{name}-{}", kind.name());
        db(&["remove", &name]);
        let mut arguments = vec!["start", kind.name(), "--name", &name, "--"];
        arguments.extend(options);
        OwnServer(Server::parse(kind, &db(&arguments)))
    }

    fn parse(kind: Kind, printed: &str) -> Server {
        let values: HashMap<String, String> =
            printed.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let name = values.get("NAME").cloned().unwrap_or_else(|| kind.name().to_owned());
        Server { kind, name, values }
    }

    pub fn value(&self, key: &str) -> &str {
        self.values.get(key).unwrap_or_else(|| panic!("scripts/db printed no {key}"))
    }

    pub fn port(&self) -> u16 {
        self.value("PORT").parse().expect("a port")
    }

    /// A connection as the administrator.
    pub async fn admin(&self) -> mysql_async::Conn {
        self.connect("root", None, None).await
    }

    pub async fn connect(&self, user: &str, password: Option<&str>, database: Option<&str>) -> mysql_async::Conn {
        let opts = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port())
            .user(Some(user))
            .pass(password)
            .db_name(database)
            .prefer_socket(false)
            .max_allowed_packet(Some(1 << 30));
        mysql_async::Conn::new(opts).await.unwrap_or_else(|e| panic!("connecting to {} as {user}: {e}", self.name))
    }

    /// Runs statements as the administrator.
    pub async fn run(&self, statements: &[&str]) {
        let mut admin = self.admin().await;
        for statement in statements {
            admin.query_drop(*statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
    }
}

pub struct OwnServer(Server);

impl std::ops::Deref for OwnServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        db(&["remove", &self.0.name]);
    }
}
