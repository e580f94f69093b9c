//! A table under traffic, from its filling to the ledger's verdict.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use osc_traffic::{Config, FillOptions, Handle, Mix, Traffic, fill};
use serde_json::Value;

use super::database::Database;
use super::osc::Report;
use super::server::Server;

/// How long something that must happen may take before the test gives up on it.
pub const SOON: Duration = Duration::from_secs(60);

/// The table `orders` with the application at work on it.
pub struct Stage {
    pub db: Database,
    pub traffic: Handle,
}

impl Stage {
    /// Fills the table and starts the traffic, XA transactions included.
    pub async fn new(server: &Server, name: &str, rows: u64) -> Stage {
        Stage::with(server, name, rows, |config| config.xa = true).await
    }

    /// The same, with other traffic.
    pub async fn with(server: &Server, name: &str, rows: u64, change: impl FnOnce(&mut Config)) -> Stage {
        let db = Database::create(server, name).await;
        fill(&db.app_url(), &FillOptions::new(rows)).await.expect("orders is filled");
        let mut config = Config { writers: 4, rate_per_s: 150.0, ..Config::new(db.app_url()) };
        change(&mut config);
        Stage { traffic: Traffic::start(config).await.expect("the traffic starts"), db }
    }

    /// Waits until the application has done so many more operations.
    pub async fn work(&self, operations: u64) {
        let from = self.traffic.progress().operations;
        wait_for("operations of the traffic", async || self.traffic.progress().operations >= from + operations).await;
    }

    /// The run must have swapped the tables; the traffic goes on for a while, and its ledger must be
    /// clean, on the table and on the old one. Returns the summary.
    pub async fn clean(self, report: Report) -> (Database, Value) {
        let report = report.exited(0);
        self.traffic.stamp("swapped");
        self.work(80).await;
        let Stage { mut db, traffic } = self;
        let ledger = traffic.stop().await;
        let url = db.app_url();
        let old = ledger.verify_old(&url, "orders_osc_old", "swapped").await.expect("the old table is read");
        let verdict = ledger.verify(&url, "orders").await.expect("the table is read").with_old(old);
        assert!(verdict.is_clean(), "{verdict}");
        let summary = report.event("summary").clone();
        assert_eq!((&summary["strategy"], &summary["outcome"]), (&"shadow".into(), &"swapped".into()), "{summary}");
        assert!(summary["rows_copied"].as_u64() > Some(0), "nothing was copied: {summary}");
        assert!(summary["changes_seen"].as_u64() > Some(0), "no change came by the stream: {summary}");
        assert!(summary["keys_synced"].as_u64() > Some(0), "no key was synced: {summary}");
        assert_eq!(db.tables().await, ["orders", "orders_osc_old"], "something else is left behind");
        (db, summary)
    }

    /// The run must not have swapped anything: the ledger is clean on the table, which has its old
    /// definition.
    pub async fn untouched(self, before: &str) -> Database {
        self.work(30).await;
        let Stage { mut db, traffic } = self;
        let ledger = traffic.stop().await;
        let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read");
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!(without_counter(&db.show_create("orders").await), without_counter(before));
        db
    }
}

/// Traffic that changes rows and leaves their number as it is.
pub fn updates_only() -> Mix {
    Mix {
        insert: 0,
        insert_explicit: 0,
        update_key: 0,
        upsert: 0,
        replace: 0,
        delete: 0,
        transaction: 0,
        rollback: 0,
        savepoint: 0,
        ..Mix::default()
    }
}

/// SHOW CREATE TABLE without the value that AUTO_INCREMENT has reached.
pub fn without_counter(create: &str) -> String {
    match create.split_once(" AUTO_INCREMENT=") {
        Some((head, tail)) => format!("{head}{}", tail.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => create.to_owned(),
    }
}

/// Asks again and again until it's so; fails when it doesn't come.
pub async fn wait_for(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !so().await {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The server's numbers of the connections of osc's account.
pub async fn osc_connections(db: &mut Database) -> Vec<u64> {
    // MySQL's information_schema.processlist fails while a statement with an emoji runs.
    let (column, table, user) = match db.server.kind.is_mariadb() {
        true => ("id", "information_schema.processlist", "user"),
        false => ("processlist_id", "performance_schema.threads", "processlist_user"),
    };
    let sql = format!("SELECT {column} FROM {table} WHERE {user} = 'osc_{}'", db.name);
    db.admin.query(sql).await.expect("the process list")
}
