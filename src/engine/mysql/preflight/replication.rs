//! What the server leaves out of its binlog, where its own changes come from, and who reads them.

use mysql_async::Row;

use super::grants::Held;
use super::variables::Variables;
use crate::engine::mysql::session::Session;
use crate::engine::problems::Problems;
use crate::error::Result;

/// Filters, and what the server receives from and sends to others. Returns how many read its binlog.
pub async fn check(
    session: &mut Session,
    v: &Variables,
    held: &Held,
    problems: &mut Problems,
    hints: &mut Vec<String>,
) -> Result<u64> {
    if held.on_server("REPLICATION CLIENT") {
        filters(session, problems).await?;
        if is_replica(session).await? {
            let logs = v.on(&["log_replica_updates", "log_slave_updates"]);
            let what = "The server is itself a replica";
            if logs {
                hints.push(format!(
                    "{what}: the change stays on it and its own replicas, and comes not from its source."
                ));
            } else {
                problems.add(
                    format!(
                        "{what}, and does not write what it receives to its own binary log (log_slave_updates=OFF)."
                    ),
                    "Run osc on the primary, or start this server with log_slave_updates=ON.",
                );
            }
        }
    }
    if !held.on_server("PROCESS") {
        return Ok(0);
    }
    let readers = session.connections().await?.iter().filter(|c| c.command.starts_with("Binlog Dump")).count() as u64;
    if readers > 0 {
        hints.push(format!(
            "{readers} {} the server's binary log. Replicas with filters must let the tables that osc makes pass; \
             with --replica and --max-lag-millis the run waits for a replica that lags.",
            if readers == 1 { "connection reads" } else { "connections read" }
        ));
    }
    Ok(readers)
}

async fn filters(session: &mut Session, problems: &mut Problems) -> Result<()> {
    let rows = session.rows(session.flavor.binlog_status()).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    for (column, option) in [("Binlog_Do_DB", "binlog_do_db"), ("Binlog_Ignore_DB", "binlog_ignore_db")] {
        let value = row.get_opt::<Option<String>, _>(column).and_then(|v| v.ok()).flatten().unwrap_or_default();
        if !value.is_empty() {
            problems.add(
                format!("The server leaves changes out of its binary log ({option}={value})."),
                format!("Start the server without {option}."),
            );
        }
    }
    Ok(())
}

/// Whether the server applies changes of another one. Needs REPLICATION CLIENT on MySQL.
pub async fn is_replica(session: &mut Session) -> Result<bool> {
    if session.flavor.is_mariadb() {
        // SHOW SLAVE STATUS would need one more privilege. Only replication that runs is counted.
        let running: Option<(String, u64)> = session.first("SHOW GLOBAL STATUS LIKE 'Slaves_running'").await?;
        return Ok(running.is_some_and(|(_, n)| n > 0));
    }
    let sql = if session.flavor.version >= (8, 0, 22) { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
    let rows = session.rows(sql).await?;
    // The channels of a replication group are not a source.
    let channel = |row: &Row| row.get_opt::<String, _>("Channel_Name").and_then(|c| c.ok()).unwrap_or_default();
    Ok(rows.iter().any(|row| !channel(row).starts_with("group_replication_")))
}

pub fn semi_sync(v: &Variables) -> bool {
    v.on(&["rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled"])
}
