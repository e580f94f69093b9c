//! The server: whether all changes of the table come through its binlog in the order in which they become
//! visible, whether osc may write to it, and whether a lock on it holds back every writer.

use super::variables::Variables;
use crate::engine::mysql::catalog::{Column, TableInfo};
use crate::engine::mysql::flavor::Flavor;
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::{Ident, text};
use crate::engine::problems::Problems;
use crate::error::{Error, Result};

const OLDEST_MYSQL: (u16, u16, u16) = (8, 0, 13);
const OLDEST_MARIADB: (u16, u16, u16) = (10, 6, 0);
/// Servers that speak MySQL's protocol and are something else.
const STRANGERS: [&str; 5] = ["TiDB", "Vitess", "OceanBase", "SingleStore", "StarRocks"];
/// A binlog that is kept for less makes going on with an interrupted run a matter of luck.
const SHORT_BINLOG: u64 = 24 * 3600;

/// Refuses a server that the rest of the questions may not even fit.
pub async fn known(session: &mut Session) -> Result<()> {
    let version: Option<String> = session.first("SELECT VERSION()").await?;
    supported(session.flavor, &version.unwrap_or_default())
}

fn supported(flavor: Flavor, version: &str) -> Result<()> {
    let refuse = |what: String| Err(Error::refused(what).table("Nothing was changed."));
    if let Some(stranger) = STRANGERS.iter().find(|s| version.to_lowercase().contains(&s.to_lowercase())) {
        return refuse(format!("The server is {stranger} ({version}); osc works on MySQL and MariaDB."))
            .map_err(|e| e.todo("Use the server's own way to change a table online."));
    }
    let (oldest, name) = match flavor.is_mariadb() {
        true => (OLDEST_MARIADB, "MariaDB 10.6"),
        false => (OLDEST_MYSQL, "MySQL 8.0.13"),
    };
    if flavor.version < oldest {
        return refuse(format!("The server is {}; osc works on {name} and later.", flavor.name()))
            .map_err(|e| e.todo("Upgrade the server, or use gh-ost or pt-online-schema-change."));
    }
    Ok(())
}

/// What the server's variables alone tell.
pub fn settings(v: &Variables, problems: &mut Problems, hints: &mut Vec<String>) {
    binlog(v, problems);
    writable(v, problems);
    if v.on(&["wsrep_on"]) {
        problems.add(
            "The server is a node of a Galera cluster (wsrep_on=ON): a lock on one node does not hold back the \
             writers on the others, so the tables can't be swapped without losing rows.",
            "Use the cluster's own rolling schema upgrade (wsrep_OSU_method).",
        );
    }
    let group = v.get("group_replication_group_name").is_some_and(|name| !name.is_empty());
    if group && v.off("group_replication_single_primary_mode") {
        problems.add(
            "The server is in a replication group with several primaries: a lock on one does not hold back the \
             writers on the others, so the tables can't be swapped without losing rows.",
            "Switch the group for the time of the run: SELECT group_replication_switch_to_single_primary_mode();",
        );
    }
    if v.get("sync_binlog").is_some_and(|n| n != "1")
        || v.get("innodb_flush_log_at_trx_commit").is_some_and(|n| n != "1")
    {
        hints.push(
            "sync_binlog and innodb_flush_log_at_trx_commit are not both 1: after a crash of the server's machine the \
             change stream may lack what the table has. Begin the run anew then (osc cleanup) instead of going on with it."
                .into(),
        );
    }
    if let Some(seconds) = kept(v).filter(|s| *s < SHORT_BINLOG) {
        hints.push(format!(
            "The server keeps its binary log for {:.1} hours: a run that is interrupted for longer can't go on.",
            seconds as f64 / 3600.0
        ));
    }
    let mode = v.get("sql_mode").unwrap_or_default();
    if !mode.contains("STRICT_TRANS_TABLES") && !mode.contains("STRICT_ALL_TABLES") {
        hints.push(
            "The server's sql_mode is not strict: values that don't fit the new definition are cut to fit, as by a \
             native ALTER."
                .into(),
        );
    }
}

/// For how many seconds, if the server removes its binlog by age.
fn kept(v: &Variables) -> Option<u64> {
    let days = v.get("expire_logs_days").and_then(|d| d.parse::<f64>().ok()).map(|d| (d * 86400.0) as u64);
    let seconds = v.number::<u64>("binlog_expire_logs_seconds");
    let automatic = !v.off("binlog_expire_logs_auto_purge");
    seconds.filter(|s| *s > 0).or(days).filter(|s| *s > 0 && automatic)
}

fn binlog(v: &Variables, problems: &mut Problems) {
    if !v.on(&["log_bin"]) {
        problems.add(
            "The server writes no binary log, through which osc follows the changes of the table.",
            "Start the server with log_bin and binlog_format=ROW.",
        );
        return;
    }
    if let Some(format) = v.get("binlog_format").filter(|f| !f.eq_ignore_ascii_case("ROW")) {
        problems.add(
            format!("The server's binlog_format is {format}: the binary log does not tell which rows change."),
            "SET GLOBAL binlog_format = 'ROW'; then let the application's sessions reconnect: those that are open keep the old format.",
        );
    }
    if v.off("binlog_order_commits") {
        problems.add(
            "binlog_order_commits is OFF: changes become visible in another order than the binary log's, so osc \
             could not tell when a change can be read.",
            "SET GLOBAL binlog_order_commits = ON;",
        );
    }
    if v.on(&["log_bin_compress"]) {
        problems.add(
            "log_bin_compress is ON: osc does not read MariaDB's compressed row events.",
            "SET GLOBAL log_bin_compress = OFF;",
        );
    }
    if let Some(other) = v.get("binlog_storage_engine").filter(|e| !e.is_empty()) {
        problems.add(
            format!("The binary log is kept in {other} (binlog_storage_engine), which osc was never tried with."),
            "Start the server without binlog_storage_engine.",
        );
    }
}

fn writable(v: &Variables, problems: &mut Problems) {
    let closed = ["super_read_only", "read_only", "innodb_read_only"].into_iter().find(|name| v.on(&[name]));
    if let Some(name) = closed {
        problems.add(
            format!("The server is read-only ({name}={}): probably a replica.", v.get(name).unwrap_or("ON")),
            "Run osc on the primary.",
        );
    }
    if v.on(&["transaction_read_only", "tx_read_only"]) {
        problems.add(
            "New sessions are read-only (transaction_read_only=ON).",
            "SET GLOBAL transaction_read_only = OFF; (tx_read_only before MariaDB 11.1)",
        );
    }
}

/// Whether the database as a whole may be written to.
pub async fn database(session: &mut Session, db: &Ident, problems: &mut Problems) -> Result<()> {
    const SYSTEM: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];
    if SYSTEM.iter().any(|s| db.bare().eq_ignore_ascii_case(s)) {
        problems.add(format!("The database {} is the server's own.", db.bare()), "Leave its tables to the server.");
        return Ok(());
    }
    if session.flavor.is_mariadb() || session.flavor.version < (8, 0, 22) {
        return Ok(());
    }
    let options: Option<Option<String>> = session
        .first(&format!(
            "SELECT OPTIONS FROM information_schema.SCHEMATA_EXTENSIONS WHERE SCHEMA_NAME = {}",
            text(db.bare())
        ))
        .await?;
    if options.flatten().is_some_and(|o| o.contains("READ ONLY=1")) {
        problems.add(format!("The database {} is read-only.", db.bare()), format!("ALTER SCHEMA {db} READ ONLY = 0;"));
    }
    Ok(())
}

pub fn time_zone(v: &Variables) -> String {
    let zone = v.get("time_zone").unwrap_or("SYSTEM");
    if zone == "SYSTEM" { v.get("system_time_zone").unwrap_or(zone).to_owned() } else { zone.to_owned() }
}

/// What the table and the server together make worth knowing.
pub fn advise(v: &Variables, table: &TableInfo, hints: &mut Vec<String>) {
    if table.auto_increment.is_some() && v.get("innodb_autoinc_lock_mode").is_some_and(|m| m != "2") {
        hints.push(
            "innodb_autoinc_lock_mode is not 2: the copy's workers take turns on the AUTO_INCREMENT column, so more \
             --threads copy no faster."
                .into(),
        );
    }
    // Such an image of an INSERT has only the columns that were given a value; one that is computed was.
    let constant = |c: &&Column| c.default.as_ref().is_some_and(|d| !d.to_uppercase().starts_with("CURRENT_TIMESTAMP"));
    let primary = table.indexes.iter().filter(|i| i.is_primary()).flat_map(|i| &i.parts);
    let left_out = primary.filter_map(|p| table.column(p.column.as_ref()?)).find(constant);
    if let Some(column) =
        left_out.filter(|_| v.get("binlog_row_image").is_some_and(|i| i.eq_ignore_ascii_case("MINIMAL")))
    {
        hints.push(format!(
            "binlog_row_image is MINIMAL and the key's column {} has a default: an INSERT that leaves it out does not \
             tell its key, and stops the run (the table stays as it is). SET GLOBAL binlog_row_image = FULL; avoids that.",
            column.name
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(extra: &[(&str, &str)]) -> Variables {
        let plain = [
            ("log_bin", "ON"),
            ("binlog_format", "ROW"),
            ("sync_binlog", "1"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("sql_mode", "STRICT_TRANS_TABLES"),
        ];
        plain.iter().chain(extra).map(|(n, v)| (n.to_string(), v.to_string())).collect()
    }

    fn refused(extra: &[(&str, &str)]) -> String {
        let mut problems = Problems::default();
        settings(&variables(extra), &mut problems, &mut Vec::new());
        problems.none_but(()).map_or_else(|e| e.what().to_owned(), |()| String::new())
    }

    #[test]
    fn versions() {
        let check =
            |version: &str| supported(Flavor::parse(version).unwrap(), version).map_err(|e| e.what().to_owned());
        for good in ["8.0.13", "8.0.36-28", "9.7.4", "10.6.0-MariaDB", "11.8.6-MariaDB"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["5.7.44-log", "8.0.12", "10.5.29-MariaDB", "8.0.11-TiDB-v8.5.0", "8.0.30-Vitess"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check("8.0.12").unwrap_err().contains("MySQL 8.0.12; osc works on MySQL 8.0.13"));
    }

    #[test]
    fn what_no_test_server_can_be() {
        assert_eq!(refused(&[]), "");
        assert!(refused(&[("wsrep_on", "ON")]).contains("Galera"));
        let group = ("group_replication_group_name", "aaaa");
        assert!(refused(&[group, ("group_replication_single_primary_mode", "OFF")]).contains("several primaries"));
        assert_eq!(refused(&[group, ("group_replication_single_primary_mode", "ON")]), "");
        assert_eq!(
            refused(&[("group_replication_group_name", ""), ("group_replication_single_primary_mode", "OFF")]),
            ""
        );
        assert!(refused(&[("read_only", "NO_LOCK")]).contains("read-only"));
        assert!(refused(&[("binlog_storage_engine", "innodb")]).contains("binlog_storage_engine"));
    }

    #[test]
    fn how_long_the_binlog_is_kept() {
        assert_eq!(kept(&variables(&[("binlog_expire_logs_seconds", "3600")])), Some(3600));
        assert_eq!(kept(&variables(&[("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "0.5")])), Some(43200));
        assert_eq!(kept(&variables(&[("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "0")])), None);
        let off = ("binlog_expire_logs_auto_purge", "OFF");
        assert_eq!(kept(&variables(&[("binlog_expire_logs_seconds", "3600"), off])), None);
    }
}
