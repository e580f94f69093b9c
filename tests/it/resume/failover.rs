//! The primary changes between two lives: what is proved to be whole is gone on with, the rest refused.

use mysql_async::prelude::Queryable;
use osc_traffic::{Config, FillOptions, Handle, Ledger, Traffic, fill};

use super::{ALTER, copied};
use crate::harness::server::db as scripts_db;
use crate::harness::{Database, Kind, Osc, OwnServer, Replica, Server};
use crate::network::{Mode, Proxy};

const ROWS: u64 = 8000;

/// A primary and its replica, and the application at work.
struct Pair {
    source: OwnServer,
    replica: Replica,
    db: Database,
    traffic: Option<Handle>,
}

async fn work(url: String, seed: u64) -> Handle {
    let config = Config { writers: 4, rate_per_s: 150.0, seed, ..Config::new(url) };
    Traffic::start(config).await.expect("the traffic starts")
}

impl Pair {
    async fn new(kind: Kind, name: &str) -> Pair {
        let server = |part: &str| format!("{}-{part}", name.replace('_', "-"));
        let source = Server::own(kind, &server("a"), &[]);
        let replica = Replica::of(&source, &server("b")).await;
        let db = Database::create(&source, name).await;
        fill(&db.app_url(), &FillOptions::new(ROWS)).await.expect("orders is filled");
        let traffic = Some(work(db.app_url(), 1).await);
        Pair { source, replica, db, traffic }
    }

    /// The command, with both servers named.
    fn alter(&self) -> Osc {
        let (a, b, name) = (self.source.port(), self.replica.server.port(), &self.db.name);
        let url = format!("mysql://osc_{name}@127.0.0.1:{a},127.0.0.1:{b}/{name}");
        Osc::alter(&self.db, "orders", ALTER).args(["--chunk-size", "50", "--threads", "2"]).env("DATABASE_URL", &url)
    }

    /// A life that is cut off in the middle of the copy; the replica stops receiving after a quarter, if asked to.
    async fn half(&mut self, behind: bool) {
        let run = self.alter().start();
        if behind {
            copied(&mut self.db, ROWS / 4).await;
            self.replica.say("STOP REPLICA IO_THREAD").await;
        }
        copied(&mut self.db, ROWS / 2).await;
        super::kill(&mut self.db, run).await;
    }

    async fn quiet(&mut self) -> Ledger {
        self.traffic.take().expect("traffic").stop().await
    }

    /// The primary dies.
    fn die(&self) {
        scripts_db(&["stop", &self.source.name, "--kill"]);
    }

    /// The database on the replica.
    async fn other(&self) -> Database {
        let server: &Server = &self.replica.server;
        let mut admin = server.admin().await;
        admin.query_drop(format!("USE {}", self.db.name)).await.expect("the database was replicated");
        Database { server: server.clone(), name: self.db.name.clone(), admin }
    }

    /// The same command goes on on the replica, under traffic, and ends with a table that is whole.
    async fn goes_on(&self) {
        let mut db = self.other().await;
        let there: u64 = super::count(&mut db, "orders_osc_new").await;
        let traffic = work(db.app_url(), 2).await;
        super::wait_for("the traffic", async || traffic.progress().operations > 20).await;
        let osc = self.alter();
        let report = tokio::task::block_in_place(|| osc.run()).exited(0);
        traffic.stamp("swapped");
        let until = traffic.progress().operations + 100;
        super::wait_for("the traffic", async || traffic.progress().operations > until).await;
        let ledger = traffic.stop().await;
        let url = db.app_url();
        let old = ledger.verify_old(&url, "orders_osc_old", "swapped").await.expect("the old table is read");
        let verdict = ledger.verify(&url, "orders").await.expect("the table is read").with_old(old);
        assert!(verdict.is_clean(), "{verdict}");
        let summary = report.event("summary");
        assert_eq!((&summary["outcome"], &summary["resumed"]), (&"swapped".into(), &true.into()), "{summary}");
        assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
        let now = summary["rows_copied_now"].as_u64().expect("counted");
        println!("{there} of about {ROWS} rows were there after the failover, {now} were copied on");
        assert!(there > ROWS / 10 && now + there < ROWS + 1000, "{now} rows were copied, {there} were there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_on_a_replica_that_has_it_all() {
    let mut pair = Pair::new(Kind::MySql, "failover_whole").await;
    pair.half(false).await;
    let ledger = pair.quiet().await;
    pair.replica.catch_up(&pair.source).await;
    pair.die();
    pair.replica.promote().await;
    let verdict = ledger.verify(&pair.other().await.app_url(), "orders").await.expect("the table is read");
    assert!(verdict.is_clean(), "{verdict}");
    pair.goes_on().await;
}

/// An asynchronous failover loses the last of the application's writes, and the last chunks. What there is fits
/// together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_on_a_replica_that_was_behind() {
    let mut pair = Pair::new(Kind::MySql, "failover_behind").await;
    pair.half(true).await;
    pair.quiet().await;
    let received = super::wait_for("what was received to be applied", async || {
        let mut admin = pair.replica.server.admin().await;
        let row: mysql_async::Row = admin.query_first("SHOW REPLICA STATUS").await.expect("a replica").expect("a row");
        let says: String = row.get("Replica_SQL_Running_State").expect("a state");
        says.contains("has read all relay log")
    });
    received.await;
    pair.die();
    pair.replica.promote().await;
    let mut other = pair.other().await;
    let (here, there) = (ROWS / 2, super::count(&mut other, "orders_osc_new").await);
    assert!(there < here, "the replica was not behind");
    pair.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_proved_is_refused() {
    let mut pair = Pair::new(Kind::MySql, "failover_refused").await;
    pair.half(false).await;
    pair.quiet().await;
    pair.replica.catch_up(&pair.source).await;
    pair.replica.say("SET GLOBAL read_only = OFF").await;
    let refused = |exit: i32, says: &str| {
        let report = pair.alter().run().exited(exit);
        assert!(report.says(says), "{says}: {}", report.stderr);
    };
    refused(3, "More than one server of the list can be written to");
    pair.replica.say("SET GLOBAL read_only = ON").await;
    pair.die();
    refused(5, "No server of the list can be written to");
    // Not a primary yet: it would apply what its source sends, also to the shadow.
    pair.replica.say("SET GLOBAL read_only = OFF").await;
    refused(1, "still applies changes of another server");
    pair.replica.promote().await;

    let mut other = pair.other().await;
    let tables = other.tables().await;
    let uuid: String = {
        let stored: String = other.one("SELECT body FROM orders_osc_state WHERE slot = 'checkpoint'").await;
        let (_, rest) = stored.split_once("gtid\\\":\\\"").expect("a set of GTIDs");
        rest.split(':').next().expect("a server").to_owned()
    };
    let place = |from: &str, to: &str| {
        format!(
            "UPDATE orders_osc_state SET body = REPLACE(body, '{uuid}:{from}', '{uuid}:{to}') WHERE slot = 'checkpoint'"
        )
    };
    other.run(&[&place("1-", "1-9")]).await;
    assert_eq!(other.admin.affected_rows(), 1);
    refused(1, "it lacks transactions that the old one had");
    other.run(&[&place("1-9", "1-")]).await;
    // A replica that applied a later transaction and not the ones before it.
    let gap = format!("SET SESSION gtid_next = '{uuid}:999999'");
    other.run(&[&gap, "BEGIN", "COMMIT", "SET SESSION gtid_next = 'AUTOMATIC'"]).await;
    refused(1, "there are gaps in what it has");
    assert_eq!(other.tables().await, tables, "nothing was touched");
    // The way out that is offered.
    let clean = |verb: &str| {
        let url = format!("mysql://osc_{0}@127.0.0.1:{1}/{0}", other.name, other.server.port());
        Osc::new(&other, verb).env("DATABASE_URL", &url)
    };
    clean("cleanup").args(["--yes"]).run().exited(0);
    pair.alter().run().exited(0);
    assert_eq!(other.tables().await, ["orders", "orders_osc_old"]);
}

/// A name, or a proxy, that leads to the new primary in the middle of a run: what this process believes to be
/// copied may be missing there, so it ends, and the next one goes on with what is stored there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_process_stays_with_its_server() {
    let mut pair = Pair::new(Kind::MySql, "failover_proxy").await;
    let at = |server: &Server| std::net::SocketAddr::from(([127, 0, 0, 1], server.port()));
    let proxy = Proxy::to(at(&pair.source)).await;
    let url = format!("mysql://osc_{0}@127.0.0.1:{1}/{0}", pair.db.name, proxy.port);
    let mut run = pair.alter().env("DATABASE_URL", &url).postponed().start();
    copied(&mut pair.db, ROWS / 4).await;
    // The replica misses what comes now, and the chunks with it.
    pair.replica.say("STOP REPLICA IO_THREAD").await;
    copied(&mut pair.db, ROWS / 2).await;
    pair.quiet().await;
    pair.replica.promote().await;
    proxy.lead_to(at(&pair.replica.server));
    proxy.set(Mode::Cut(proxy.connections()));
    run.pass_over();
    let report = tokio::task::block_in_place(|| run.wait()).exited(5);
    assert!(report.says("Another server answers") && report.says("the same command"), "{}", report.stderr);
    // Nothing of the first process's reaches the new primary.
    let mut other = pair.other().await;
    let there = super::count(&mut other, "orders_osc_new").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(super::count(&mut other, "orders_osc_new").await, there);
    pair.die();
    pair.goes_on().await;
}

/// MariaDB's GTIDs don't say which transactions are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mariadb_another_server_is_refused() {
    let mut pair = Pair::new(Kind::MariaDb, "failover_maria").await;
    pair.half(false).await;
    pair.quiet().await;
    pair.replica.catch_up(&pair.source).await;
    pair.die();
    pair.replica.promote().await;
    let mut other = pair.other().await;
    let tables = other.tables().await;
    let report = pair.alter().run().exited(1);
    assert!(report.says("without GTIDs its history can't be compared"), "{}", report.stderr);
    assert!(report.says("osc cleanup"), "{}", report.stderr);
    assert_eq!(other.tables().await, tables, "nothing was touched");
}
