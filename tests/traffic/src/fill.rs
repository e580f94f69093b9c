//! Makes the table and fills it, inside the server.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::model::values::{CUSTOMERS, FILL_EPOCH_US};
use crate::server::Session;
use crate::server::statements::{COLUMNS, quote};

/// The smallest key is above this: what the traffic inserts below it comes before the first row.
pub(crate) const HEAD_ROOM: u64 = 1000;
/// After this many keys one is left out: a gap for the traffic's inserts. One more than it is a
/// prime, so that the gaps fall to all connections alike (a key belongs to connection `key % n`).
const GAP_EVERY: u64 = 96;
const CHUNK: u64 = 100_000;

/// What to fill.
#[derive(Clone, Debug)]
pub struct FillOptions {
    pub table: String,
    pub rows: u64,
    /// Drop a table of this name first; otherwise its presence is an error.
    pub replace: bool,
    /// Make `email` unique from the start.
    pub unique_email: bool,
}

impl FillOptions {
    /// Table `orders`, replacing an older one.
    pub fn new(rows: u64) -> FillOptions {
        FillOptions { table: "orders".into(), rows, replace: true, unique_email: false }
    }
}

/// Creates the table and puts `rows` rows into it; gives the time it took.
pub async fn fill(url: &str, options: &FillOptions) -> Result<Duration, Error> {
    let started = Instant::now();
    let table = quote(&options.table)?;
    let mut session = Session::open(url).await?;
    if options.replace {
        session.command(&format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    session.command(&create(&table)).await?;
    let mut from = 0;
    while from < options.rows {
        let to = options.rows.min(from + CHUNK);
        let done = session.command(&chunk(&table, from, to)).await?;
        if done.affected != to - from {
            return Err(Error::Usage(format!("{} rows of {} arrived", done.affected, to - from)));
        }
        from = to;
    }
    // Built after the rows: many times faster than keeping them up row by row.
    let unique = if options.unique_email { ", ADD UNIQUE KEY orders_email (email)" } else { "" };
    session.command(&format!("ALTER TABLE {table} ADD KEY orders_customer (customer_id){unique}")).await?;
    // Fresh statistics, so that the optimizer takes the traffic's statements by their keys.
    session.command(&format!("ANALYZE TABLE {table}")).await?;
    session.close().await?;
    Ok(started.elapsed())
}

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE {table} (
           id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
           customer_id INT NOT NULL,
           status ENUM('new', 'paid', 'shipped', 'done') NOT NULL,
           amount DECIMAL(10, 2) NOT NULL,
           note VARCHAR(120) NULL,
           email VARCHAR(80) NOT NULL,
           created_at DATETIME(6) NOT NULL,
           updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
           version BIGINT NOT NULL,
           token BIGINT UNSIGNED NOT NULL
         ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4"
    )
}

/// Rows number `from` to `to`. The same formulas as in [`crate::model::values`]: the census finds
/// every difference, and [`crate::self_check`] asserts that it finds none.
fn chunk(table: &str, from: u64, to: u64) -> String {
    let digit = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let epoch = FILL_EPOCH_US / 1_000_000;
    let moment =
        format!("FROM_UNIXTIME({epoch}) + INTERVAL (id % 31536000) * 1000000 + (id * 7) % 1000000 MICROSECOND");
    format!(
        "INSERT INTO {table} ({COLUMNS})
         SELECT id, (id * 7919) % {CUSTOMERS}, ELT(1 + id % 4, 'new', 'paid', 'shipped', 'done'),
                ((id * 31) % 1000000) * 0.01,
                IF(id % 7 = 0, NULL, CONCAT('parcel № ', id, REPEAT('·', id % 20))),
                CONCAT('c', id, '@shop.example'), {moment}, {moment}, 1, 9223372036854775808 + id
         FROM (SELECT {HEAD_ROOM} + 1 + n + n DIV {GAP_EVERY} AS id
               FROM (SELECT {from} + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n
                     FROM {digit} a, {digit} b, {digit} c, {digit} e, {digit} f) numbers
               WHERE n < {to}) keys_
         ORDER BY id"
    )
}
