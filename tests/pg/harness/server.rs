//! Real servers, started by `scripts/db`.

use tokio_postgres::Client;

use super::instance::Instance;
pub use super::instance::{db, project};
use super::sql;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 18.
    Postgres,
    /// 15, the oldest that osc works on.
    Postgres15,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Postgres => "postgres",
            Kind::Postgres15 => "postgres15",
        }
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
    /// The server of this kind that all tests share. Its settings are nobody's to change. `OSC_TEST_SERVER=NAME` takes
    /// the instance NAME-KIND in its place: for two checkouts that are tested at the same time.
    pub fn shared(kind: Kind) -> Server {
        let name = match std::env::var("OSC_TEST_SERVER") {
            Ok(prefix) => format!("{prefix}-{}", kind.name()),
            Err(_) => kind.name().to_owned(),
        };
        Server::of(kind, Instance::shared(kind.name(), &name))
    }

    /// A server of a test's own, with options (`-c`, `name=value`, …). Dropping the guard removes it with its data.
    pub fn own(kind: Kind, name: &str, options: &[&str]) -> OwnServer {
        let name = format!("{name}-{}", kind.name());
        OwnServer(Server::of(kind, Instance::new(kind.name(), &name, options)))
    }

    fn of(kind: Kind, instance: Instance) -> Server {
        Server { kind, name: instance.name.clone(), instance }
    }

    /// What `scripts/db` says of it: PORT, PID, DATADIR, SOCKET, LOG, OSC_CA.
    pub fn value(&self, key: &str) -> &str {
        self.instance.value(key)
    }

    pub fn port(&self) -> u16 {
        self.instance.port()
    }

    /// A connection as the superuser.
    pub async fn admin(&self, database: &str) -> Client {
        sql::connect(&format!("postgres://postgres@127.0.0.1:{}/{database}", self.port())).await
    }

    /// Runs statements as the superuser, in database postgres.
    pub async fn run(&self, statements: &[&str]) {
        let admin = self.admin("postgres").await;
        for statement in statements {
            sql::run(&admin, statement).await;
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
