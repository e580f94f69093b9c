//! Real servers, started by `scripts/db`.

use mysql_async::prelude::Queryable;

use super::instance::Instance;
pub use super::instance::{db, project};

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
    instance: Instance,
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
        Server::of(kind, Instance::shared(kind.name(), name))
    }

    fn of(kind: Kind, instance: Instance) -> Server {
        Server { kind, name: instance.name.clone(), instance }
    }

    /// A server of a test's own, with options. Dropping the guard removes it with its data.
    pub fn own(kind: Kind, name: &str, options: &[&str]) -> OwnServer {
        let name = format!("{name}-{}", kind.name());
        OwnServer(Server::of(kind, Instance::new(kind.name(), &name, options)))
    }

    pub fn value(&self, key: &str) -> &str {
        self.instance.value(key)
    }

    pub fn port(&self) -> u16 {
        self.instance.port()
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
