//! What the rounds need to know of MySQL and MariaDB.

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use osc::engine::mysql::fence::SENTRY;
use osc::engine::mysql::names::lock_name;
use osc::engine::mysql::sql::Table;
use osc_traffic::{FillOptions, fill};

use crate::harness::stage::{osc_connections, without_counter};
use crate::harness::twin::assert_twin_but;
use crate::harness::{Database, Kind, Server};

/// No death of a server excuses that the application finds no table.
pub const NO_SUCH_TABLE: &str = "1146";

pub const ALTERS: [&str; 4] = [
    "ADD COLUMN extra INT NOT NULL DEFAULT 7",
    "ADD COLUMN priority TINYINT NOT NULL DEFAULT 3, MODIFY note VARCHAR(300)",
    "ADD COLUMN ahead VARCHAR(20) DEFAULT 'x' FIRST, ADD INDEX chaos (customer_id, id)",
    "DROP INDEX orders_customer, ADD COLUMN extra BIGINT",
];

/// As the page of failpoints calls it.
pub fn server(kind: Kind) -> &'static str {
    if kind.is_mariadb() { "MariaDB" } else { "MySQL" }
}

/// The table `orders`, and `plain` of the same definition.
pub struct Site {
    pub db: Database,
}

impl Site {
    pub async fn new(server: &Server, rows: u64) -> Site {
        let mut db = Database::create(server, "chaos").await;
        fill(&db.app_url(), &FillOptions::new(rows)).await.expect("orders is filled");
        db.run(&["CREATE TABLE plain LIKE orders"]).await;
        Site { db }
    }

    /// osc's URL by way of another port.
    pub fn url_by(&self, port: u16) -> String {
        format!("mysql://osc_{0}@127.0.0.1:{port}/{0}", self.db.name)
    }

    /// The URL of whoever may read the old table.
    pub fn reader_url(&self) -> String {
        self.db.app_url()
    }

    pub async fn old(&mut self) -> String {
        "orders_osc_old".into()
    }

    /// After the server's death.
    pub async fn reconnect(&mut self) {
        self.db.admin = self.db.server.admin().await;
        let usage = format!("USE {}", self.db.name);
        self.db.run(&[&usage]).await;
    }

    /// A run is stored.
    pub async fn is_stored(&mut self) -> bool {
        let stored = "SELECT COUNT(*) FROM orders_osc_state WHERE slot = 'run'";
        let stored: Option<u64> = self.db.admin.query_first(stored).await.unwrap_or(None);
        stored == Some(1)
    }

    /// Rows are in the shadow.
    pub async fn copies(&mut self) -> bool {
        let row: Option<u8> = self.db.admin.query_first("SELECT 1 FROM orders_osc_new LIMIT 1").await.unwrap_or(None);
        row.is_some()
    }

    pub async fn is_swapped(&mut self) -> bool {
        let tables = self.db.tables().await;
        !tables.iter().any(|t| t == "orders_osc_new") && tables.len() > 2
    }

    /// osc's connections.
    pub async fn sessions(&mut self) -> usize {
        osc_connections(&mut self.db).await.len()
    }

    /// Nothing of osc's is there but the old table, if that is kept.
    pub async fn assert_left(&mut self, old: bool) {
        let kept: &[&str] = if old { &["orders", "orders_osc_old", "plain"] } else { &["orders", "plain"] };
        assert_eq!(self.db.tables().await, kept, "left behind");
        let sentries = format!(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_comment = '{SENTRY}'"
        );
        assert_eq!(self.db.one::<u64>(&sentries).await, 0, "a sentry is left behind");
    }

    pub async fn assert_unlocked(&mut self) {
        let lock = lock_name(&Table::new(&self.db.name, "orders"));
        assert_eq!(self.db.one::<u64>(&format!("SELECT IS_FREE_LOCK('{lock}')")).await, 1, "a lock is left behind");
    }

    /// Native: the same ALTER on a table with the original's definition and these rows.
    pub async fn assert_twin(&mut self, alter: &str) {
        let columns: Vec<Row> = self.db.rows("SHOW COLUMNS FROM plain").await;
        let columns: Vec<String> =
            columns.iter().map(|row| format!("`{}`", row.get::<String, _>(0).expect("a name"))).collect();
        let columns = columns.join(", ");
        self.db.run(&[&format!("INSERT INTO plain ({columns}) SELECT {columns} FROM orders")]).await;
        assert_twin_but(&mut self.db, "orders", "plain", alter, without_counter).await;
    }
}
