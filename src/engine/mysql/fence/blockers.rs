//! Who holds the table while the lock is waited for, in words for the log.

use crate::engine::mysql::preflight::xa;
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::{Table, text};

/// ` (blocked by connection 12 of app@host, in a transaction for 34 s: SELECT …)`, or nothing when the
/// server doesn't tell. Never fails: it's a courtesy.
pub async fn name(session: &mut Session, table: &Table) -> String {
    let sql = if session.flavor.is_mariadb() {
        // Without the metadata_lock_info plugin the holders aren't shown; the oldest transactions are the likely ones.
        "SELECT p.id, CONCAT(p.user, '@', p.host), TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), IFNULL(LEFT(p.info, 80), '(idle)') \
         FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
         WHERE p.id <> CONNECTION_ID() ORDER BY t.trx_started LIMIT 3"
            .to_owned()
    } else {
        format!(
            "SELECT t.processlist_id, CONCAT(t.processlist_user, '@', t.processlist_host), t.processlist_time, \
             IFNULL(LEFT(t.processlist_info, 80), '(idle)') \
             FROM performance_schema.metadata_locks l JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id \
             WHERE l.object_type = 'TABLE' AND l.object_schema = {} AND l.object_name = {} AND l.lock_status = 'GRANTED' \
             AND t.processlist_id <> CONNECTION_ID() LIMIT 3",
            text(table.db.bare()),
            text(table.name.bare())
        )
    };
    let mut held = match session.all::<(u64, String, Option<i64>, String)>(&sql).await {
        Ok(rows) => rows.into_iter().map(one).collect(),
        Err(error) => {
            tracing::debug!(%error, "asking who holds the table");
            Vec::new()
        }
    };
    // A prepared transaction holds its locks without a connection. Of which table, nobody tells.
    match xa::prepared_xa(session).await {
        Ok(xids) if xids.is_empty() => {}
        Ok(xids) => {
            let named: Vec<_> = xids.iter().take(3).map(String::as_str).collect();
            held.push(format!("or by a prepared XA transaction: {}", named.join(" ")));
        }
        Err(error) => tracing::debug!(%error, "asking for prepared XA transactions"),
    }
    if held.is_empty() { String::new() } else { format!(" (held by {})", held.join("; ")) }
}

fn one((id, who, seconds, what): (u64, String, Option<i64>, String)) -> String {
    format!("connection {id} of {who}, for {} s: {what}", seconds.unwrap_or(0))
}
