//! What the rounds need to know of PostgreSQL.

use osc_traffic::{FillOptions, fill};

use crate::harness::twin::{definition, records};
use crate::harness::{Database, Kind, Server, get};

/// No death of a server excuses that the application finds no table.
pub const NO_SUCH_TABLE: &str = "42P01";

/// Each leaves an index that is built after the copy.
pub const ALTERS: [&str; 4] = [
    "ADD COLUMN extra integer NOT NULL DEFAULT 7",
    "ADD COLUMN priority smallint NOT NULL DEFAULT 3, ALTER COLUMN note TYPE varchar(300)",
    "ALTER COLUMN id TYPE bigint, ADD COLUMN behind varchar(20) DEFAULT 'x'",
    "ALTER COLUMN amount TYPE numeric(12, 2), ADD COLUMN extra bigint",
];

/// As the page of failpoints calls it.
pub fn server(_kind: Kind) -> &'static str {
    "PostgreSQL"
}

/// The table `orders`, and `twin.orders` of the same definition.
pub struct Site {
    pub db: Database,
}

impl Site {
    pub async fn new(server: &Server, rows: u64) -> Site {
        let db = Database::create(server, "chaos").await;
        fill(&db.app_url(), &FillOptions::new(rows)).await.expect("orders is filled");
        db.as_app(&["CREATE SCHEMA twin"]).await;
        let twin = FillOptions { table: "twin.orders".into(), ..FillOptions::new(0) };
        fill(&db.app_url(), &twin).await.expect("its twin is made");
        db.as_app(&[
            "CREATE MATERIALIZED VIEW by_status AS SELECT status, count(*) AS rows FROM orders GROUP BY status",
            "CREATE UNIQUE INDEX ON by_status (status)",
            "CREATE VIEW over_it AS SELECT sum(rows) AS rows FROM by_status",
        ])
        .await;
        Site { db }
    }

    /// osc's URL by way of another port.
    pub fn url_by(&self, port: u16) -> String {
        format!("postgres://{}@127.0.0.1:{port}/{}", self.db.osc_role(), self.db.name)
    }

    /// The URL of whoever may read the old table.
    pub fn reader_url(&self) -> String {
        self.db.admin_url()
    }

    pub async fn old(&mut self) -> String {
        self.db.old_of("orders").await
    }

    /// After the server's death.
    pub async fn reconnect(&mut self) {
        self.db = self.db.again().await;
    }

    /// A table in one of osc's schemas, if it is there.
    async fn named(&self, schema: &str, table: &str) -> Option<String> {
        let sql = format!(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname ~ '^osc_[0-9a-f]{{16}}{schema}$' AND c.relkind = 'r' AND c.relname = '{table}'"
        );
        get(&self.db.admin, &sql).await
    }

    async fn holds(&self, table: Option<String>, which: &str) -> bool {
        match table {
            Some(table) => get(&self.db.admin, &format!("SELECT 1 FROM {table} {which} LIMIT 1")).await.is_some(),
            None => false,
        }
    }

    /// A run is stored.
    pub async fn is_stored(&mut self) -> bool {
        self.holds(self.named("", "state").await, "WHERE slot = 'run'").await
    }

    /// Rows are in the shadow.
    pub async fn copies(&mut self) -> bool {
        self.holds(self.named("_new", "orders").await, "").await
    }

    pub async fn is_swapped(&mut self) -> bool {
        self.named("_old", "orders").await.is_some()
    }

    /// osc's connections.
    pub async fn sessions(&mut self) -> usize {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.db.osc_role());
        self.db.one(&sql).await
    }

    /// Nothing of osc's is there but the old table, if that is kept.
    pub async fn assert_left(&mut self, old: bool) {
        let left = self.db.leftovers().await;
        assert!(left.len() == usize::from(old) && left.iter().all(|l| l.ends_with("_old")), "left behind: {left:?}");
        assert_eq!(self.db.tables().await.len(), if old { 3 } else { 2 }, "left behind");
        self.assert_followed().await;
    }

    /// The materialized view is over the table that has the name now, and what is over it is over this one.
    async fn assert_followed(&mut self) {
        let leans = "SELECT count(*) FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
            WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 \
            AND (r.ev_class, d.refobjid) IN (('by_status'::regclass, 'public.orders'::regclass), ('over_it'::regclass, 'by_status'::regclass))";
        assert_eq!(self.db.one::<u64>(leans).await, 2, "what is over the table did not follow it");
    }

    /// Advisory locks end with their sessions.
    pub async fn assert_unlocked(&mut self) {
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        assert_eq!(self.db.one::<u64>(locks).await, 0, "a lock is left behind");
    }

    /// Native: the same ALTER on a table with the original's definition and these rows.
    pub async fn assert_twin(&mut self, alter: &str) {
        let columns = self
            .db
            .rows(
                "SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute \
                 WHERE attrelid = 'twin.orders'::regclass AND attnum > 0 AND NOT attisdropped",
            )
            .await;
        let cells: Vec<(String, String)> =
            columns.into_iter().filter_map(|row| Some((row.first()?.clone()?, row.get(1)?.clone()?))).collect();
        let names = cells.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let values = cells.iter().map(|(name, kind)| format!("{name}::text::{kind}")).collect::<Vec<_>>().join(", ");
        self.db
            .run(&[
                "SET timezone = 'UTC'",
                &format!("INSERT INTO twin.orders ({names}) SELECT {values} FROM public.orders"),
                &format!("ALTER TABLE twin.orders {alter}"),
            ])
            .await;
        let plain = |lines: Vec<String>| -> Vec<String> {
            lines.into_iter().map(|line| line.replace("twin.", "").replace("public.", "")).collect()
        };
        let (ours, native) =
            (plain(definition(&self.db, "public.orders").await), plain(definition(&self.db, "twin.orders").await));
        assert_eq!(ours, native, "the definitions differ (ours, native)");
        let (ours, native) =
            (records(&self.db, "public.orders", "true").await, records(&self.db, "twin.orders", "true").await);
        assert!(!ours.is_empty(), "no rows to compare");
        self.db.run(&["REFRESH MATERIALIZED VIEW CONCURRENTLY by_status"]).await;
        assert_eq!(self.db.one::<u64>("SELECT rows::bigint FROM over_it").await, ours.len() as u64);
        assert_eq!(ours, native, "the rows differ (ours, native)");
    }
}
