//! A hot standby of a test's own server: readers on it, while the table changes on the primary.

use std::process::{Child, Command, Stdio};

use tokio_postgres::{Client, Config, Error, NoTls};

use super::instance::{db, project};
use super::server::Server;
use super::wait_for;

/// In a directory of the primary's, reached by its socket alone. Dropping it stops it; the data goes with the primary.
pub struct Standby {
    child: Child,
    dir: String,
    port: u16,
}

impl Standby {
    /// A copy of the server as it is now, called `far` there, with options (`-c`, `name=value`).
    pub async fn of(server: &Server, options: &[&str]) -> Standby {
        server.run(&["CREATE ROLE standby LOGIN REPLICATION PASSWORD 'standby'"]).await;
        let dir = format!("{}/standby", server.value("SOCKET"));
        let port = server.port();
        let data = format!("{dir}/data");
        let source = format!("host=127.0.0.1 port={port} user=standby password=standby application_name=far");
        db(&["run", &server.name, "pg_basebackup", "-D", &data, "-R", "-X", "stream", "-c", "fast", "-d", &source]);
        // Not less of anything than the primary has, or it does not start.
        let most = ["max_connections=300", "max_wal_senders=40", "max_prepared_transactions=40", "wal_level=logical"];
        let place = [format!("port={port}"), "listen_addresses=".into(), format!("unix_socket_directories={dir}")];
        let mut command = Command::new(project().join("scripts/db"));
        command.args(["run", &server.name, "postgres.bin", "-D", &data]);
        for option in most.iter().copied().chain(place.iter().map(String::as_str)) {
            command.args(["-c", option]);
        }
        let log = std::fs::File::create(std::env::temp_dir().join(format!("osc-{}-standby.log", server.name)));
        let log = log.expect("a file for what it says");
        let child =
            command.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let standby = Standby { child, dir, port };
        wait_for("the standby", async || standby.try_connect("postgres").await.is_ok()).await;
        standby
    }

    /// May be refused while the replay is in the way.
    pub async fn try_connect(&self, database: &str) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host_path(&self.dir).port(self.port).user("postgres").dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub async fn connect(&self, database: &str) -> Client {
        self.try_connect(database).await.expect("the standby lets readers in")
    }

    /// Waits until it has replayed all that the primary has written by now.
    pub async fn replayed(&self, server: &Server) {
        let primary = server.admin("postgres").await;
        let here = self.connect("postgres").await;
        let written = super::get(&primary, "SELECT pg_current_wal_lsn()").await.expect("a place");
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        wait_for("the standby's replay", async || super::get(&here, &sql).await.as_deref() == Some("t")).await;
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // INT is a fast shutdown; the script has become the server.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
