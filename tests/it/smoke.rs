//! The shortest whole run: alter a table under traffic, with the ledger through the swap.

use std::time::Duration;

use osc_traffic::{Config, FillOptions, Traffic, fill};

use crate::harness::{Database, Kind, Osc, Server};

async fn alter_under_traffic(kind: Kind) {
    let server = Server::shared(kind);
    let mut db = Database::create(&server, "smoke").await;
    fill(&db.app_url(), &FillOptions::new(20_000)).await.expect("orders is filled");
    let traffic = Traffic::start(Config { writers: 8, rate_per_s: 300.0, xa: true, ..Config::new(db.app_url()) }).await;
    let traffic = traffic.expect("the traffic starts");
    let alter = "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3, MODIFY note VARCHAR(300), ADD INDEX (created_at)";
    let osc = Osc::alter(&db, "orders", alter).args(["--chunk-size", "500"]);
    let report = tokio::task::spawn_blocking(move || osc.run()).await.expect("osc ran").exited(0);
    traffic.stamp("swapped");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ledger = traffic.stop().await;
    let old = ledger.verify_old(&db.app_url(), "orders_osc_old", "swapped").await.expect("the old table is read");
    let verdict = ledger.verify(&db.app_url(), "orders").await.expect("the table is read").with_old(old);
    assert!(verdict.is_clean(), "{verdict}");

    let summary = report.event("summary");
    assert_eq!(summary["strategy"], "shadow");
    assert!(summary["rows_copied"].as_u64() >= Some(15_000), "{summary}");
    assert!(summary["changes_seen"].as_u64() > Some(0), "no change came by the stream: {summary}");
    assert!(summary["keys_synced"].as_u64() > Some(0), "no key was synced: {summary}");
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"], "nothing else is left behind");
    assert!(db.show_create("orders").await.contains("`priority`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_altered_under_traffic_on_mysql() {
    alter_under_traffic(Kind::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_altered_under_traffic_on_mariadb() {
    alter_under_traffic(Kind::MariaDb).await;
}
