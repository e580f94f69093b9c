//! Who else is there: publications that would carry the shadow, transactions that would be waited for, triggers on DDL, standbys.

use super::super::names::Names;
use super::super::session::{Session, text_at};
use super::Facts;
use crate::engine::problems::Problems;
use crate::error::Result;

/// A transaction that is older than this is worth a word.
const LONG: &str = "30 s";
/// How many of a kind are named.
const TOLD: usize = 5;

pub async fn check(session: &mut Session, names: &Names, problems: &mut Problems, facts: &mut Facts) -> Result<()> {
    publications(session, names, problems, facts).await?;
    transactions(session, facts).await?;
    event_triggers(session, facts).await?;
    standbys(session, facts).await?;
    Ok(())
}

/// A publication of all tables carries the shadow too. Its subscribers have no such table: the subscription stops with an
/// error, and the publisher's log grows.
async fn publications(session: &mut Session, names: &Names, problems: &mut Problems, facts: &mut Facts) -> Result<()> {
    let all = column(session, "SELECT pubname FROM pg_publication WHERE puballtables ORDER BY 1").await?;
    if all.is_empty() {
        return Ok(());
    }
    let readers = format!(
        "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND plugin = 'pgoutput' \
         AND database = current_database() AND slot_name <> {} ORDER BY 1",
        super::super::sql::text(&names.slot)
    );
    let readers = column(session, &readers).await?;
    let named = all.join(", ");
    if readers.is_empty() {
        facts.hints.push(format!(
            "The publication {named} is FOR ALL TABLES, and carries the new table as soon as it is there. Nobody reads it now: \
             let nobody subscribe while the run is on."
        ));
        return Ok(());
    }
    problems.add(
        format!(
            "The publication {named} is FOR ALL TABLES: it would carry the new table while it is filled, and a subscriber \
             (slot {}), who has no such table, would stop.",
            readers.join(", ")
        ),
        "Publish the tables by name, or by their schema, for as long as the run is on.",
    );
    Ok(())
}

/// Whom making the slot, or the cutover, would have to wait for.
async fn transactions(session: &mut Session, facts: &mut Facts) -> Result<()> {
    let sessions = column(
        session,
        &format!(
            "SELECT concat('session ', a.pid, ' of ', coalesce(a.usename, '?'), ', ', a.state, ', since ', \
               date_trunc('second', a.xact_start), ': ', left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80)) \
             FROM pg_stat_activity a WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() \
               AND a.xact_start < clock_timestamp() - interval '{LONG}' \
               AND (a.backend_xid IS NOT NULL OR (a.backend_xmin IS NOT NULL AND a.datname = current_database())) \
             ORDER BY a.xact_start"
        ),
    )
    .await?;
    let prepared = column(
        session,
        "SELECT concat('prepared transaction ''', gid, ''' of ', owner, ', since ', date_trunc('second', prepared)) \
         FROM pg_prepared_xacts ORDER BY prepared",
    )
    .await?;
    let who: Vec<String> = sessions.into_iter().chain(prepared).collect();
    if who.is_empty() {
        return Ok(());
    }
    let more = who.len().saturating_sub(TOLD);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let named = who.into_iter().take(TOLD).collect::<Vec<_>>().join("; ");
    facts
        .hints
        .push(format!("The run can begin, and can swap, only when these transactions have ended: {named}{more}."));
    Ok(())
}

/// They run on osc's statements too, inside the swap's transaction.
async fn event_triggers(session: &mut Session, facts: &mut Facts) -> Result<()> {
    let named =
        column(session, "SELECT evtname FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY 1").await?;
    if !named.is_empty() {
        facts.hints.push(format!(
            "Event triggers ({}) are going to run at osc's own CREATE, ALTER and DROP, those of the swap too: what they take \
             long for, the application waits for, and what they refuse ends the run.",
            named.join(", ")
        ));
    }
    Ok(())
}

/// Who replays the swap, and whether the snapshots there are told here (`fence/snapshots`).
async fn standbys(session: &mut Session, facts: &mut Facts) -> Result<()> {
    let named = async |session: &mut Session, told: &str| {
        let sql = format!(
            "SELECT coalesce(nullif(r.application_name, ''), host(r.client_addr), r.pid::text) \
             FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid \
             WHERE r.replay_lsn IS NOT NULL AND s.slot_type IS DISTINCT FROM 'logical' \
               AND coalesce(s.xmin, r.backend_xmin) IS {told} ORDER BY 1"
        );
        column(session, &sql).await
    };
    let (told, silent) = (named(session, "NOT NULL").await?, named(session, "NULL").await?);
    if !told.is_empty() {
        facts.hints.push(format!(
            "The standby {} tells the primary of its snapshots (hot_standby_feedback): the swap waits for those that are older than \
             the copy, as for those here.",
            told.join(", ")
        ));
    }
    if !silent.is_empty() {
        facts.hints.push(format!(
            "The standby {} does not tell the primary of its snapshots: a transaction there under REPEATABLE READ (pg_dump, a report) \
             that began before the copy was complete, and reads the table for the first time after the swap, finds rows missing or \
             none, without an error, as after a native ALTER that rewrites the table. Let none be open there when the tables are \
             swapped (--postpone-cut-over-flag-file), or set hot_standby_feedback = on there, and osc waits for them.",
            silent.join(", ")
        ));
    }
    Ok(())
}

async fn column(session: &mut Session, sql: &str) -> Result<Vec<String>> {
    Ok(session.rows(sql).await?.iter().filter_map(|row| text_at(row, 0)).collect())
}
