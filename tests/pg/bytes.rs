//! What an application's changes cost on the wire: keys, not rows.

use std::net::SocketAddr;

use crate::harness::{Database, Kind, Osc, Server, blocking, on_both};
use crate::network::Proxy;

/// All that osc receives: the stream, and the answers to its own statements.
const MOST: u64 = 10_000_000;

async fn updates_of_wide_rows_cost_as_much_as_their_keys(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "bytes").await;
    db.as_app(&[
        "CREATE TABLE wide (id bigint PRIMARY KEY, v integer NOT NULL, filler text NOT NULL)",
        "ALTER TABLE wide ALTER filler SET STORAGE PLAIN",
        "INSERT INTO wide SELECT i, 0, repeat(md5(i::text), 94) FROM generate_series(1, 4000) i",
    ])
    .await;
    let server: SocketAddr = ([127, 0, 0, 1], db.server.port()).into();
    let proxy = Proxy::to(server).await;
    let url = db.osc_url().replace(&format!(":{}/", db.server.port()), &format!(":{}/", proxy.port));
    // Without TLS, which makes a record of each message: 14.0 MB were seen with it in the place of 9.5.
    let url = format!("{url}?sslmode=disable");
    let osc = Osc::alter(&db, "public.wide", "ALTER COLUMN v TYPE bigint").env("DATABASE_URL", &url).postponed();
    let mut running = blocking(move || {
        let mut running = osc.start();
        running.until_phase("ready");
        running
    })
    .await;
    let before = proxy.received();
    for round in 1..=50 {
        let sql = format!("UPDATE wide SET v = {round}, filler = repeat(md5((id + {round})::text), 94)");
        db.as_app(&[&sql]).await;
    }
    running = blocking(move || {
        running.until("200000 changes", |e| e["changes_seen"].as_u64() >= Some(200_000));
        running
    })
    .await;
    let bytes = proxy.received() - before;
    running.go();
    let report = blocking(move || running.wait()).await.exited(0);
    println!(
        "{kind:?}: {bytes} bytes for 200000 updates of rows of 3 kB, {} keys synced",
        report.event("summary")["keys_synced"]
    );
    assert!(bytes < MOST, "{bytes} bytes came");
    let wrong = "SELECT count(*) FROM wide WHERE v <> 50 OR filler <> repeat(md5((id + 50)::text), 94)";
    assert_eq!(db.one::<u64>(wrong).await, 0);
}

on_both!(updates_of_wide_rows_cost_as_much_as_their_keys);
