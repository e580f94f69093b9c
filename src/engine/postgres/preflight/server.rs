//! The server: whether its log can be followed, and what could take the slot away.

use super::super::session::{Session, number, text_at};
use super::super::stream::names_us;
use super::Facts;
use crate::engine::problems::Problems;
use crate::error::Result;

/// What was read, for the advice that needs the table's size.
pub struct Settings {
    /// None: as much as there is room for.
    keep_bytes: Option<u64>,
    /// Seconds after which a slot that nobody reads is given up; 0: never. From 18 on.
    idle_slot_seconds: u64,
}

const SQL: &str = "SELECT current_setting('wal_level'), \
    current_setting('max_replication_slots')::bigint - (SELECT count(*) FROM pg_replication_slots), \
    current_setting('max_wal_senders')::bigint - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'), \
    (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), \
    coalesce((SELECT setting::bigint FROM pg_settings WHERE name = 'idle_replication_slot_timeout'), 0), \
    current_setting('synchronous_standby_names'), \
    (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout')";

/// What the server's settings alone tell.
pub async fn settings(
    session: &mut Session,
    resuming: bool,
    problems: &mut Problems,
    facts: &mut Facts,
) -> Result<Settings> {
    let row = session.row(SQL).await?;
    let level = text_at(&row, 0).unwrap_or_default();
    if level != "logical" {
        problems.add(
            format!("The server's wal_level is {level}: its log does not tell which rows change."),
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.",
        );
    }
    let (slots, senders): (i64, i64) = (number(&row, 1)?, number(&row, 2)?);
    if slots < 1 && !resuming {
        problems.add(
            "The server has no free replication slot.",
            "Raise max_replication_slots, which needs a restart, or drop a slot that nobody reads \
             (SELECT slot_name, active FROM pg_replication_slots).",
        );
    }
    if senders < 1 {
        problems.add(
            "The server has no free WAL sender, through which its log is read.",
            "Raise max_wal_senders, which needs a restart, or end a reader (SELECT * FROM pg_stat_replication).",
        );
    }
    let standbys = text_at(&row, 5).unwrap_or_default();
    if names_us(&standbys) {
        problems.add(
            format!("synchronous_standby_names is '{standbys}': the server would take osc for a standby that commits wait for."),
            "Name the standbys instead of '*'.",
        );
    }
    facts.synchronous = Some(standbys).filter(|names| !names.is_empty());
    let keep_mb: i64 = number(&row, 3)?;
    Ok(Settings { keep_bytes: u64::try_from(keep_mb).ok().map(|mb| mb << 20), idle_slot_seconds: number(&row, 4)? })
}

/// What is no reason to refuse.
pub fn advise(settings: &Settings, facts: &mut Facts) {
    if let Some(keep) = settings.keep_bytes {
        facts.hints.push(format!(
            "The server keeps at most {} of log for a slot (max_slot_wal_keep_size): when the run is held, or away, while more \
             than that is written, the slot is lost and the run has to be begun anew.",
            super::table::size(keep)
        ));
    }
    if settings.idle_slot_seconds > 0 {
        facts.hints.push(format!(
            "The server gives a slot up that nobody reads for {} s (idle_replication_slot_timeout): a run that is \
             interrupted for longer can't go on.",
            settings.idle_slot_seconds
        ));
    }
    if facts.synchronous.is_none() {
        return;
    }
    facts.hints.push(
        "Commits wait for a standby here. The swap itself does not: when the primary is lost in the moment after it, the standby \
         may still have the table as it was."
            .into(),
    );
}
