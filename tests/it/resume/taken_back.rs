//! MariaDB that dies takes back the ends of XA transactions that it had answered and logged. Here it is made to: its engine
//! writes nothing down for half a minute.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use crate::harness::server::db as scripts_db;
use crate::harness::{Database, Kind, Osc, OwnServer, Running, Server, wait_for};

const ALTER: &str = "ADD COLUMN more INT NOT NULL DEFAULT 7";

/// Committed and then rolled back; the other way round; committed twice.
const TRANSACTIONS: usize = 3;

/// For how long a run is watched that must not go on.
const HELD: Duration = Duration::from_secs(3);

struct Crash {
    server: OwnServer,
    db: Database,
}

impl Crash {
    async fn new(name: &str) -> Crash {
        let server = Server::own(Kind::MariaDb, name, &[]);
        let mut db = Database::create(&server, "taken_back").await;
        db.run(&[
            "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)",
            "INSERT INTO t SELECT seq, 0 FROM seq_1_to_3000",
        ])
        .await;
        Crash { server, db }
    }

    fn alter(&self) -> Osc {
        // Not the comparison is to find it.
        Osc::alter(&self.db, "t", ALTER).args(["--no-verify"])
    }

    async fn ready(&self) -> Running {
        let mut run = self.alter().postponed().start();
        run.until_phase("ready");
        run
    }

    async fn prepared(&mut self) -> usize {
        self.db.rows("XA RECOVER").await.len()
    }

    /// Three transactions, each ended; osc has seen it.
    async fn work(&mut self) {
        let statements = |at: usize| {
            let id = at + 1;
            [
                format!("XA START 'x{at}'"),
                format!("UPDATE t SET v = 1 WHERE id = {id}"),
                format!("INSERT INTO t VALUES (9000 + {id}, 1)"),
                format!("XA END 'x{at}'"),
                format!("XA PREPARE 'x{at}'"),
            ]
        };
        self.db.run(&["SET GLOBAL innodb_flush_log_at_trx_commit = 0"]).await;
        for at in 0..TRANSACTIONS {
            let mut application = self.server.admin().await;
            application.query_drop("USE taken_back").await.expect("the database");
            for statement in statements(at) {
                application.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
            }
        }
        // Until this is written down.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        self.db.run(&["SET GLOBAL innodb_flush_log_at_timeout = 30"]).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.db.run(&["XA COMMIT 'x0'", "XA ROLLBACK 'x1'", "XA COMMIT 'x2'"]).await;
        assert_eq!(self.prepared().await, 0);
        let synced = "SELECT COUNT(*) FROM t_osc_new WHERE v = 1";
        wait_for("the rows in the shadow", async || self.db.admin.query_first(synced).await.ok().flatten() == Some(4))
            .await;
    }

    async fn crash(&mut self) {
        scripts_db(&["stop", &self.server.name, "--kill"]);
        scripts_db(&["restart", &self.server.name]);
        self.db.admin = self.server.admin().await;
        self.db.run(&["USE taken_back"]).await;
        assert_eq!(self.prepared().await, TRANSACTIONS, "the server has not taken the ends back");
    }

    async fn end(&mut self) {
        self.db.run(&["XA ROLLBACK 'x0'", "XA COMMIT 'x1'", "XA COMMIT 'x2'"]).await;
    }

    /// The table has been swapped, and what was decided last is what it holds.
    async fn right(&mut self) {
        let rows = |table: &str| format!("SELECT id, v FROM {table} WHERE v <> 0 OR id > 3000 ORDER BY id");
        let now: Vec<(i32, i32)> = self.db.admin.query(rows("t")).await.expect("the rows");
        assert_eq!(now, [(2, 1), (3, 1), (9002, 1), (9003, 1)]);
        let old: Vec<(i32, i32)> = self.db.admin.query(rows("t_osc_old")).await.expect("the rows");
        assert_eq!(old, now);
        let (rows, seven): (u64, i64) = self.db.one("SELECT COUNT(*), MIN(more) FROM t").await;
        assert_eq!((rows, seven), (3002, 7));
    }
}

/// It asks the server what is prepared before anybody has ended it.
#[tokio::test]
async fn while_osc_lives() {
    let mut c = Crash::new("taken-back-lives").await;
    let run = c.ready().await;
    c.work().await;
    c.crash().await;
    run.go();
    tokio::time::sleep(HELD).await;
    assert!(c.db.tables().await.contains(&"t_osc_new".to_owned()), "it has swapped too early");
    c.end().await;
    run.wait().exited(0);
    c.right().await;
}

/// All has ended again when it comes back: the second ends are in the binlog.
#[tokio::test]
async fn while_osc_stands_still() {
    let mut c = Crash::new("taken-back-still").await;
    let run = c.ready().await;
    c.work().await;
    run.signal("-STOP");
    c.crash().await;
    c.end().await;
    run.signal("-CONT");
    run.go();
    run.wait().exited(0);
    c.right().await;
}

/// osc dies with the server; the next life begins before the transactions end, and after.
#[tokio::test]
async fn with_osc() {
    for before in [true, false] {
        let mut c = Crash::new(&format!("taken-back-{before}")).await;
        let run = c.ready().await;
        c.work().await;
        run.signal("-KILL");
        run.wait();
        c.crash().await;
        if !before {
            c.end().await;
        }
        let run = c.alter().start();
        if before {
            tokio::time::sleep(HELD).await;
            assert!(c.db.tables().await.contains(&"t_osc_new".to_owned()), "it has swapped too early");
            c.end().await;
        }
        let report = run.wait().exited(0);
        assert_eq!(report.event("summary")["resumed"], true);
        c.right().await;
    }
}

/// osc outlives the server, and dies before they end: what it has stored meanwhile is no place behind them.
#[tokio::test]
async fn before_osc() {
    let mut c = Crash::new("taken-back-before").await;
    let run = c.ready().await;
    c.work().await;
    c.crash().await;
    tokio::time::sleep(HELD).await;
    run.signal("-KILL");
    run.wait();
    let run = c.alter().start();
    tokio::time::sleep(HELD).await;
    assert!(c.db.tables().await.contains(&"t_osc_new".to_owned()), "it has swapped too early");
    c.end().await;
    run.wait().exited(0);
    c.right().await;
}

/// Nobody ends them again: the run stops, and goes on when somebody has.
#[tokio::test]
async fn long_for_good() {
    let mut c = Crash::new("taken-back-for-good").await;
    let run = c.ready().await;
    c.work().await;
    c.crash().await;
    run.go();
    let report = run.wait().exited(5);
    assert!(report.says("stands in the binlog, but the server has it prepared"), "{}", report.stderr);
    c.end().await;
    c.alter().run().exited(0);
    c.right().await;
}
