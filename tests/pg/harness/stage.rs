//! A table under traffic, from its filling to the ledger's verdict.

use osc_traffic::{Config, FillOptions, Handle, Mix, Traffic, Verdict, fill};
use serde_json::Value;

use super::database::Database;
use super::osc::Report;
use super::server::Server;
use super::twin::definition;
use super::wait_for;

/// The table `orders` with the application at work on it.
pub struct Stage {
    pub db: Database,
    pub traffic: Handle,
}

impl Stage {
    /// Fills the table and starts the traffic, two-phase commits included.
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

    /// Columns, indexes and constraints of `orders`.
    pub async fn definition(&self) -> Vec<String> {
        definition(&self.db, "public.orders").await
    }

    /// The run must have swapped the tables; the traffic goes on for a while, and its ledger must be
    /// clean, on the table and on the old one. Returns the summary.
    pub async fn clean(self, report: Report) -> (Database, Value) {
        let (db, _, summary) = self.judged(report).await;
        (db, summary)
    }

    /// The same, with the ledger's verdict.
    pub async fn judged(self, report: Report) -> (Database, Verdict, Value) {
        let report = report.exited(0);
        self.traffic.stamp("swapped");
        self.work(80).await;
        let Stage { db, traffic } = self;
        let ledger = traffic.stop().await;
        // The application may not look into osc's schema.
        let url = db.admin_url();
        let old = ledger.verify_old(&url, &db.old_of("orders").await, "swapped").await.expect("the old table is read");
        let verdict = ledger.verify(&url, "orders").await.expect("the table is read").with_old(old);
        assert!(verdict.is_clean(), "{verdict}");
        let summary = report.event("summary").clone();
        assert_eq!((&summary["strategy"], &summary["outcome"]), (&"shadow".into(), &"swapped".into()), "{summary}");
        assert!(summary["rows_copied"].as_u64() > Some(0), "nothing was copied: {summary}");
        assert!(summary["changes_seen"].as_u64() > Some(0), "no change came by the stream: {summary}");
        assert!(summary["keys_synced"].as_u64() > Some(0), "no key was synced: {summary}");
        let left = db.leftovers().await;
        assert!(left.len() == 1 && left[0].ends_with("_old"), "something else is left behind: {left:?}");
        (db, verdict, summary)
    }

    /// The run must not have swapped anything: the ledger is clean on the table, which has its old
    /// definition.
    pub async fn untouched(self, before: &[String]) -> Database {
        self.work(30).await;
        let now = self.definition().await;
        let Stage { db, traffic } = self;
        let ledger = traffic.stop().await;
        let verdict = ledger.verify(&db.admin_url(), "orders").await.expect("the table is read");
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!(now, before);
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
