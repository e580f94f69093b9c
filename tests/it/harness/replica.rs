//! A real replica.

use mysql_async::prelude::Queryable;

use super::server::{OwnServer, Server};

/// A server that replicates everything of another one, and can take its place.
pub struct Replica {
    pub server: OwnServer,
    mariadb: bool,
}

impl Replica {
    /// A second server that replicates everything from the first one's beginning.
    pub async fn of(source: &Server, name: &str) -> Replica {
        let mariadb = source.kind.is_mariadb();
        let server = Server::own(source.kind, name, &["--read-only=ON"]);
        let address = format!("127.0.0.1' , %_PORT = {}, %_USER = 'root', %_SSL = 1", source.port());
        let change = match mariadb {
            true => format!("CHANGE MASTER TO %_HOST = '{address}, %_USE_GTID = slave_pos").replace('%', "MASTER"),
            false => {
                format!("CHANGE REPLICATION SOURCE TO %_HOST = '{address}, %_AUTO_POSITION = 1").replace('%', "SOURCE")
            }
        };
        let replica = Replica { server, mariadb };
        replica.server.run(&[&change, &replica.words("START REPLICA")]).await;
        replica
    }

    fn words(&self, statement: &str) -> String {
        if self.mariadb { statement.replace("REPLICA", "SLAVE") } else { statement.to_owned() }
    }

    pub async fn say(&self, statement: &str) {
        self.server.run(&[&self.words(statement)]).await;
    }

    /// Waits until it has all that its source has committed until now.
    pub async fn catch_up(&self, source: &Server) {
        let mut there = self.server.admin().await;
        let mut here = source.admin().await;
        let set = if self.mariadb { "SELECT @@GLOBAL.gtid_current_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
        let all: String = here.query_first(set).await.expect("the source's GTIDs").expect("a row");
        let reached = match self.mariadb {
            true => format!("SELECT MASTER_GTID_WAIT('{all}', 60) = 0"),
            false => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{all}', 60) = 0"),
        };
        let reached: Option<bool> = there.query_first(reached).await.expect("the replica waits");
        assert_eq!(reached, Some(true), "the replica lags");
    }

    /// Makes it the primary, with what it has.
    pub async fn promote(&self) {
        self.say("STOP REPLICA").await;
        self.say("RESET REPLICA ALL").await;
        self.server.run(&["SET GLOBAL read_only = OFF"]).await;
    }
}
