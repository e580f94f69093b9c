//! The replication slot: the server's promise to keep what was not read yet.
//!
//! Made without an exported snapshot: the copy reads by itself, later. What must be true when the copy begins is
//! that each change is either in the stream or visible. The server begins a slot's stream at a point where it
//! knows all running transactions, and that misses one kind: a commit that is in the log already but waits for a
//! standby is neither streamed nor visible (seen). Each such transaction still holds its lock on the table; so
//! after the slot is made, whoever held a write lock on it then is waited for. Transactions that lock it later
//! write after the slot's beginning and are in the stream.
//!
//! Making a slot waits for every transaction of the server that has written, prepared ones too. Who they are is
//! said while it waits, and the wait has a deadline.
//!
//! Write down the slot's name before it is made: a client that is killed then leaves it behind, and it keeps log
//! until the disk is full.

use std::time::{Duration, Instant};

use super::connect::Address;
use super::lsn::Lsn;
use super::names::Names;
use super::session::{self, Session, number, text_at};
use super::sql::{Table, text};
use super::wire::Wire;
use crate::engine::disturbed;
use crate::error::{Error, Result};

/// How often who is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is said.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long a reader of the slot may take to go after it was told to.
const READER: Duration = Duration::from_secs(10);

/// Makes the slot and waits until what it does not carry is visible. Returns where its stream begins.
pub async fn create(address: &Address, names: &Names, patience: Duration) -> Result<Lsn> {
    let deadline = Instant::now() + patience;
    let mut maker = Session::open(address).await?;
    let mut looker = Session::open(address).await?;
    // It waits for others as if for a lock, and the deadline here is the one that says for whom.
    maker.exec("SET lock_timeout = 0").await?;
    let (pid, canceller) = (maker.pid, maker.canceller());
    let sql = format!("SELECT lsn FROM pg_create_logical_replication_slot({}, 'pgoutput')", text(&names.slot));
    let mut waiting = Waiting::new("osc's replication slot can begin only when these transactions have ended");
    let row = {
        let mut making = std::pin::pin!(maker.rows_long(&sql));
        loop {
            tokio::select! {
                made = &mut making => break Some(made.map_err(explain)?.into_iter().next()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let who = blockers(&mut looker, pid).await?;
            waiting.say(&who);
            if Instant::now() > deadline {
                session::cancel(address, canceller.clone()).await?;
                // It may have been made in this moment.
                if making.await.is_ok() {
                    drop(&mut looker, &names.slot).await?;
                }
                break None;
            }
        }
    };
    let Some(row) = row else {
        // The server says that it was cancelled before it takes the half-made slot away; what is said next is answered after.
        maker.exec("SELECT 1").await?;
        return Err(waiting.gave_up(patience));
    };
    let lsn = row.and_then(|row| text_at(&row, 0)).and_then(|t| Lsn::parse(&t));
    let lsn = lsn.ok_or_else(|| Error::definite("The server made a slot and did not say where it begins."))?;
    let settled = wait_for_writers(&mut looker, &names.original, deadline, patience).await;
    if let Err(error) = settled {
        drop(&mut looker, &names.slot).await?;
        return Err(error);
    }
    Ok(lsn)
}

/// Waits until every transaction that holds a write lock on the table now has ended.
async fn wait_for_writers(session: &mut Session, table: &Table, deadline: Instant, patience: Duration) -> Result<()> {
    // One that is prepared meanwhile keeps its virtual number, without a session (seen on 15.18 and 18.6).
    let holders = format!(
        "SELECT DISTINCT l.virtualtransaction, coalesce(l.pid, 0) FROM pg_locks l \
         WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND l.relation = {} AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() \
           AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
        table.regclass()
    );
    let read = async |session: &mut Session| -> Result<Vec<(String, i32)>> {
        let rows = session.rows(&holders).await?;
        rows.iter().map(|row| Ok((text_at(row, 0).unwrap_or_default(), number(row, 1)?))).collect()
    };
    let first = read(session).await?;
    let mut waiting =
        Waiting::new("the copy can begin only when these transactions, which write to the table, have ended");
    let mut now = first.clone();
    loop {
        now.retain(|(one, _)| first.iter().any(|(number, _)| number == one));
        if now.is_empty() {
            return Ok(());
        }
        let pids: Vec<i32> = now.iter().map(|(_, pid)| *pid).collect();
        waiting.say(&describe(session, &pids).await?);
        if Instant::now() > deadline {
            return Err(waiting.gave_up(patience));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        now = read(session).await?;
    }
}

/// Where the slot stands: nothing before it can be had any more.
pub async fn begins_at(wire: &mut Wire, slot: &str) -> Result<Lsn> {
    let sql =
        format!("SELECT confirmed_flush_lsn, {GIVEN_UP} FROM pg_replication_slots s WHERE slot_name = {}", text(slot));
    let row = wire.query(&sql).await?.into_iter().next().unwrap_or_default();
    if let Some(why) = row.get(1).cloned().flatten() {
        return Err(given_up(&why));
    }
    row.first().cloned().flatten().and_then(|t| Lsn::parse(&t)).ok_or_else(|| {
        disturbed(format!("osc's replication slot '{slot}' is gone, and with it the changes since it was read last."))
            .todo("Remove the run with `osc cleanup` and begin anew.")
    })
}

/// An error when the slot has moved beyond the place from which the stream is wanted.
pub fn refuse_gap(begins: Lsn, wanted: Lsn) -> Result<()> {
    if wanted >= begins {
        return Ok(());
    }
    Err(disturbed(format!(
        "osc's replication slot stands at {begins}, beyond the place {wanted} that is needed: what lies between is not there any more."
    ))
    .todo("Remove the run with `osc cleanup` and begin anew."))
}

/// An error when the slot is there.
pub async fn refuse_existing(session: &mut Session, slot: &str) -> Result<()> {
    let sql = format!("SELECT 1 FROM pg_replication_slots WHERE slot_name = {}", text(slot));
    match session.first(&sql).await? {
        None => Ok(()),
        Some(_) => Err(there_already()),
    }
}

fn there_already() -> Error {
    Error::refused("osc's replication slot for this table is there already: another run, or what one left.")
        .todo("See `osc cleanup`.")
}

/// Of a row `s` of pg_replication_slots: why the server has given the slot up, in words; NULL when it has not. The
/// column that tells the reason is there from 17 on.
pub const GIVEN_UP: &str = "CASE WHEN s.wal_status = 'lost' THEN CASE to_jsonb(s) ->> 'invalidation_reason' \
    WHEN 'idle_timeout' THEN 'nobody read it for as long as idle_replication_slot_timeout allows' \
    WHEN 'wal_level_insufficient' THEN 'wal_level is not logical any more' \
    ELSE 'it held more log than max_slot_wal_keep_size allows' END END";

/// The end of a run whose slot is there and of no use any more.
pub fn given_up(why: &str) -> Error {
    disturbed(format!("The server has given osc's replication slot up: {why}."))
        .todo("Remove the run with `osc cleanup`, raise that setting, and begin anew.")
}

/// The same, if it is so.
pub async fn refuse_given_up(session: &mut Session, slot: &str) -> Result<()> {
    let sql = format!("SELECT {GIVEN_UP} FROM pg_replication_slots s WHERE slot_name = {}", text(slot));
    match session.value(&sql).await? {
        Some(why) => Err(given_up(&why)),
        None => Ok(()),
    }
}

/// An expression that says, in words, when the server is about to give the slot up: the copy holds then, which writes
/// most of the log, while the keys that changed are synced, for only that moves the slot. NULL when all is well.
pub fn danger_sql(slot: &str) -> String {
    format!(
        "(SELECT concat('the server is about to give it up (', s.wal_status, ', ', coalesce(s.safe_wal_size, 0) / 1048576, \
           ' MB of log are left to it): raise max_slot_wal_keep_size') \
         FROM pg_replication_slots s, pg_settings k WHERE s.slot_name = {} AND k.name = 'max_slot_wal_keep_size' \
           AND (s.wal_status = 'unreserved' OR s.safe_wal_size < k.setting::bigint * 1048576 / 4))",
        text(slot)
    )
}

/// Removes the slot, and ends whoever reads from it. It may be gone already.
pub async fn drop(session: &mut Session, slot: &str) -> Result<()> {
    let name = text(slot);
    let begun = Instant::now();
    loop {
        let sql = format!("SELECT active_pid FROM pg_replication_slots WHERE slot_name = {name}");
        let Some(row) = session.first(&sql).await? else { return Ok(()) };
        match text_at(&row, 0) {
            None => {
                // By name and only if it is still there and still free: it may have changed in between.
                let sql = format!(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                     WHERE slot_name = {name} AND active_pid IS NULL"
                );
                match session.exec(&sql).await {
                    Ok(_) => {}
                    Err(error) if gone_or_taken(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            Some(_) => {
                end_reader(session, slot).await?;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        if begun.elapsed() > READER {
            return Err(Error::transient(format!(
                "The replication slot '{slot}' is still being read by another connection."
            )));
        }
    }
}

/// Ends the connection that reads from the slot: one of osc's own that the server has not noticed to be dead.
pub async fn end_reader(session: &mut Session, slot: &str) -> Result<()> {
    let sql = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = {} AND active_pid IS NOT NULL",
        text(slot)
    );
    session.exec(&sql).await.map(std::mem::drop)
}

fn gone_or_taken(error: &Error) -> bool {
    session::code(error).is_some_and(|code| matches!(code.code(), "42704" | "55006"))
}

fn explain(error: Error) -> Error {
    match session::code(&error).map(|c| c.code().to_string()).as_deref() {
        Some("53400") => Error::refused("The server has no free replication slot.")
            .todo("Raise max_replication_slots, which needs a restart, or drop a slot that nobody reads.")
            .caused_by(error),
        Some("55000") => Error::refused("The server's log does not carry what logical replication needs.")
            .todo("Set wal_level = logical, which needs a restart.")
            .caused_by(error),
        Some("42501") => Error::refused("osc's account may not make a replication slot.")
            .todo("ALTER ROLE … REPLICATION, as docs/grants/postgres.sql says.")
            .caused_by(error),
        Some("42710") => there_already().caused_by(error),
        _ => error.context("The replication slot could not be made"),
    }
}

/// Who stands in the way of a session, in words.
pub(super) async fn blockers(session: &mut Session, pid: i32) -> Result<Vec<String>> {
    let rows = session.rows(&format!("SELECT unnest(pg_blocking_pids({pid}))")).await?;
    let pids = rows.iter().map(|row| number(row, 0)).collect::<Result<Vec<i32>>>()?;
    describe(session, &pids).await
}

/// A row `a` of pg_stat_activity in words. What an autovacuum says of itself ends with why it does not give way, and two long
/// names may stand before that.
pub(super) const SESSION: &str = "concat('session ', a.pid, ' of ', coalesce(a.usename, '?'), ', ', \
    coalesce(a.state, '?'), ', for ', coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int, 0), ' s: ', \
    left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), \
      CASE WHEN a.backend_type = 'autovacuum worker' THEN 200 ELSE 80 END))";

/// What is to be said beside those who hold a lock, if one of them is a vacuum that is not to be had out of the way.
pub(super) fn wraparound(who: &[String]) -> &'static str {
    match who.iter().any(|one| one.contains("autovacuum: ") && one.contains("(to prevent wraparound)")) {
        true => " A vacuum that prevents wraparound does not give way: it has to be waited for.",
        false => "",
    }
}

/// A row `p` of pg_prepared_xacts in words.
pub(super) const PREPARED: &str = "concat('prepared transaction ''', p.gid, ''' of ', p.owner, ', for ', \
    extract(epoch FROM clock_timestamp() - p.prepared)::int, ' s')";

/// What these sessions are; 0 stands for prepared transactions.
pub(super) async fn describe(session: &mut Session, pids: &[i32]) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let listed = pids.iter().filter(|pid| **pid > 0).map(i32::to_string).collect::<Vec<_>>().join(", ");
    if !listed.is_empty() {
        let sql = format!("SELECT {SESSION} FROM pg_stat_activity a WHERE a.pid IN ({listed}) ORDER BY a.xact_start");
        out.extend(session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)));
    }
    if pids.contains(&0) {
        let sql = format!("SELECT {PREPARED} FROM pg_prepared_xacts p ORDER BY p.prepared");
        out.extend(session.rows(&sql).await?.iter().filter_map(|row| text_at(row, 0)));
    }
    Ok(out)
}

/// Says who is waited for, now and then, and at the end.
struct Waiting {
    what: &'static str,
    who: Vec<String>,
    said: Option<Instant>,
}

impl Waiting {
    fn new(what: &'static str) -> Waiting {
        Waiting { what, who: Vec::new(), said: None }
    }

    fn say(&mut self, who: &[String]) {
        if who.is_empty() {
            return;
        }
        self.who = who.to_vec();
        if self.said.is_none_or(|at| at.elapsed() > SAY_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!("{}: {}", self.what, who.join("; "));
        }
    }

    fn gave_up(&self, patience: Duration) -> Error {
        let who = if self.who.is_empty() { "nobody that osc may see".to_string() } else { self.who.join("; ") };
        Error::refused(format!("After {} s: {}: {who}.", patience.as_secs(), self.what))
            .table("The table is untouched.")
            .todo("End these transactions (COMMIT, ROLLBACK, COMMIT PREPARED), or wait until they have, and try again.")
    }
}
