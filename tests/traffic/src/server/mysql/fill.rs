//! The table in the words of MySQL and MariaDB.

use super::statements::quote;
use crate::error::Error;
use crate::fill::{GAP_EVERY, HEAD_ROOM};
use crate::model::values::{CUSTOMERS, FILL_EPOCH_US};
use crate::server::dialect::Filling;
use crate::server::statements::COLUMNS;

pub(crate) fn filling(name: &str, unique_email: bool) -> Result<Filling, Error> {
    let table = quote(name)?;
    let unique = if unique_email { ", ADD UNIQUE KEY orders_email (email)" } else { "" };
    Ok(Filling {
        drop: vec![format!("DROP TABLE IF EXISTS {table}")],
        create: vec![create(&table)],
        after: vec![
            format!("ALTER TABLE {table} ADD KEY orders_customer (customer_id){unique}"),
            // Fresh statistics, so that the optimizer takes the traffic's statements by their keys.
            format!("ANALYZE TABLE {table}"),
        ],
        chunk: Box::new(move |from, to| chunk(&table, from, to)),
    })
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
