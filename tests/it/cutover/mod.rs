//! The cutover under 16 writers: many in a row, and with its sessions and its process killed at each
//! step. Never a swap without the final sync, never a write into the old table.

mod kills;
mod many;
mod taken_over;
mod truncated;

use std::time::Duration;

use mysql_async::prelude::Queryable;
use osc_traffic::{Config, FillOptions, Handle, Traffic, fill};

use crate::harness::{Database, Server};

pub const ADD: &str = "ADD COLUMN extra INT NOT NULL DEFAULT 7";
pub const DROP: &str = "DROP COLUMN extra";

/// A database with a filled `orders`.
pub async fn shop(server: &Server, name: &str, rows: u64) -> Database {
    let db = Database::create(server, name).await;
    fill(&db.app_url(), &FillOptions::new(rows)).await.expect("orders is filled");
    db
}

/// 16 writers.
pub async fn writers(db: &Database) -> Handle {
    let config = Config { writers: 16, rate_per_s: 400.0, ..Config::new(db.app_url()) };
    Traffic::start(config).await.expect("the traffic starts")
}

/// Waits until so many more rows are committed.
pub async fn more_rows(traffic: &Handle, rows: u64) {
    let wanted = traffic.progress().committed_rows + rows;
    until("the traffic goes on", async || traffic.progress().committed_rows >= wanted).await;
}

/// Waits for a condition; a minute without it is a failure.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), asked).await.is_err() {
        panic!("waited for a minute: {what}");
    }
}

/// What the catalog says: whether `orders` has the added column, or none when there is no `orders`.
pub async fn has_extra(db: &mut Database) -> Option<bool> {
    let sql = "SELECT SUM(column_name = 'extra') > 0, COUNT(*) FROM information_schema.columns \
               WHERE table_schema = DATABASE() AND table_name = 'orders'";
    let (extra, columns): (Option<bool>, u64) = db.one(sql).await;
    (columns > 0).then_some(extra.unwrap_or(false))
}

/// Which of these connections the server still has.
pub async fn alive(db: &mut Database, ids: &[u32]) -> Vec<u32> {
    let list = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT id FROM {} WHERE id IN ({list})", processlist(db));
    db.admin.query(sql).await.expect("the processlist")
}

pub async fn until_gone(db: &mut Database, ids: &[u32]) {
    until("the connections end", async || alive(db, ids).await.is_empty()).await;
}

/// osc's connections.
pub async fn of_osc(db: &mut Database) -> Vec<u32> {
    let sql = format!("SELECT id FROM {} WHERE user = 'osc_{}'", processlist(db), db.name);
    db.admin.query(sql).await.expect("the processlist")
}

/// The statement that a connection is at.
pub async fn doing(db: &mut Database, id: u32) -> String {
    of_connection(db, id, "info").await
}

/// The state that the server says a connection is in.
pub async fn state(db: &mut Database, id: u32) -> String {
    of_connection(db, id, "state").await
}

async fn of_connection(db: &mut Database, id: u32, column: &str) -> String {
    let sql = format!("SELECT IFNULL({column}, '') FROM {} WHERE id = {id}", processlist(db));
    db.admin.query_first(sql).await.expect("the processlist").unwrap_or_default()
}

/// MySQL's information_schema.processlist fails as a whole while any session's statement has an emoji in
/// it (error 3854), and the traffic's have.
pub fn processlist(db: &Database) -> &'static str {
    match db.server.kind.is_mariadb() {
        true => "information_schema.processlist",
        false => "performance_schema.processlist",
    }
}
