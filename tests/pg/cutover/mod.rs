//! The cutover, disturbed in every way that could be thought of: swapped and complete, or not swapped and untouched;
//! and the application waits no longer than it was promised.

mod blocked;
mod foreign;
mod kills;
mod matviews;
mod parents;
mod snapshots;
mod stopped;

use std::time::Duration;

use crate::harness::{Database, Kind, Server};

pub const ADD: &str = "ADD COLUMN extra int NOT NULL DEFAULT 7";
pub const ROWS: u64 = 2000;
/// Beside what is promised: the round trips of a machine that is busy with other tests.
pub const BUSY: Duration = Duration::from_millis(700);

/// A table whose rows each say how often they were written.
pub async fn shop(kind: Kind, name: &str) -> Database {
    on(&Server::shared(kind), name).await
}

pub async fn on(server: &Server, name: &str) -> Database {
    let db = Database::create(server, name).await;
    db.as_app(&[
        "CREATE TABLE orders (id bigint PRIMARY KEY, version int NOT NULL DEFAULT 0)",
        &format!("INSERT INTO orders SELECT g FROM generate_series(1, {ROWS}) g"),
    ])
    .await;
    db
}

pub async fn has_extra(db: &Database) -> bool {
    let sql = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.orders'::regclass AND attname = 'extra'";
    db.one::<u32>(sql).await == 1
}

/// Every acknowledged statement of the prober's is there, and every row.
pub async fn complete(db: &Database, key: i64, answered: u64) {
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, ROWS);
    assert_eq!(db.one::<u64>(&format!("SELECT version FROM orders WHERE id = {key}")).await, answered);
}

/// Whether a session is there.
pub async fn is_alive(db: &Database, pid: u32) -> bool {
    db.one::<u32>(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")).await == 1
}
