//! What a run stores of itself, in a schema of its own, and by whom.
//!
//! `state` holds one row per slot: who the run is, the **epoch**, the checkpoint, a note per copy lane.
//!
//! The state is made in one transaction with the shadow, and dropped after it, after the slot and the publication too, so
//! that a process that dies between leaves something that says whose they are.
//!
//! **Nobody goes on with what is another run's.** Between the look at what is there and the first life a process may
//! stand still for as long as it likes, and lose its lock meanwhile; what has these names then may be another
//! run's, with another ALTER. So a run is made only where no state is, and a life begins only in the run whose
//! record was looked at: the check and the raise are one transaction. From then on life and epoch decide.
//!
//! **The epoch keeps zombies out.** A transaction whose connection died may still commit later, over a newer
//! sync of the same rows. So every transaction that writes to the shadow first reads the epoch's row FOR SHARE
//! and compares it; a new life of the process, and a lane that lost its connection, raise it by an UPDATE. The
//! UPDATE waits for every transaction that holds the row, and a FOR SHARE that waited for the UPDATE reads what
//! that has written (READ COMMITTED). So after the raise no earlier attempt can commit.
//!
//! A raise can't be kept waiting for ever by one reader after the other, although the server lets new readers pass a
//! waiting writer: all readers are lanes of one process, and each of them raises first once a lane was lost.

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::dependents::matviews::Matview;
use super::feed::Followed;
use super::identity::Found;
use super::names::Names;
use super::session::{Session, code, text_at};
use super::shadow::Shadow;
use super::sql::{Table, text};
use crate::error::{Error, Result};
use crate::model::{Checkpoint, FORMAT, LaneNote};

/// Who the run is: written once, when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub format: u32,
    /// The run's id, as printed at its start.
    pub id: String,
    /// The table as `database.schema.table`.
    pub table: String,
    /// What stands after ALTER TABLE.
    pub alter: String,
    /// The table, and all that hangs on it, when the run began.
    pub fingerprint: String,
    /// The table as the stream knows it.
    pub found: Found,
    pub shadow: Shadow,
    /// The log's place when the run began, for a point-in-time restore.
    pub started_at: String,
}

const RUN: &str = "run";
const EPOCH: &str = "epoch";
const LIFE: &str = "life";
const CHECKPOINT: &str = "checkpoint";
const FOLLOWED: &str = "followed";
const AFTER: &str = "after";
const MATVIEWS: &str = "matviews";

/// Creates the schema with an empty table, in the caller's transaction, before anything else of a run.
pub async fn create(session: &mut Session, names: &Names) -> Result<()> {
    session.exec_all(&create_statements(names)).await.map_err(|error| match code(&error).map(SqlState::code) {
        // The schema is there: made by another process since this one looked.
        Some("42P06" | "42P07" | "23505") => another_run(),
        _ => error,
    })
}

/// Removes the state, last of all: nothing else of the run is there any more.
pub async fn retract(session: &mut Session, names: &Names) -> Result<()> {
    let drops =
        [format!("DROP TABLE IF EXISTS {}", names.state), format!("DROP SCHEMA IF EXISTS {}", names.state.schema)];
    session.transaction(async |session| session.exec_all(&drops).await).await
}

/// Writes the run's record with its first epoch, in the caller's transaction.
pub async fn put_record(session: &mut Session, state: &Table, record: &RunRecord) -> Result<()> {
    put(session, state, EPOCH, &first_epoch().to_string()).await?;
    put(session, state, RUN, &encode(record)?).await
}

/// Each run counts its epochs from a place of its own. A process that slept through the removal of its run
/// (`osc cleanup`) finds another run's tables under the same names when it wakes; with epochs from nothing it
/// could take that run's for its own, and store its own progress over the other's.
fn first_epoch() -> u64 {
    u64::from(rand::random::<u32>()) << 8
}

/// The statements that create it, for the plan too.
pub fn create_statements(names: &Names) -> Vec<String> {
    let mut statements = names.create_schema(&names.state.schema).to_vec();
    // Every row is small and rewritten all the time: room on the page keeps it there.
    statements.push(format!(
        "CREATE TABLE {} (slot text PRIMARY KEY, body text NOT NULL) WITH (fillfactor = 20)",
        names.state
    ));
    statements
}

/// Whether there is a state to read.
pub async fn exists(session: &mut Session, names: &Names) -> Result<bool> {
    let sql = format!("SELECT 1 WHERE to_regclass({}) IS NOT NULL", text(&names.state.to_string()));
    Ok(session.first(&sql).await?.is_some())
}

/// The run's record, if there is one.
pub async fn record(session: &mut Session, state: &Table) -> Result<Option<RunRecord>> {
    let Some(body) = get(session, state, RUN).await? else { return Ok(None) };
    let head: Head = decode(&body)?;
    known(head.format)?;
    decode(&body).map(Some)
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

fn known(format: u32) -> Result<()> {
    if format == FORMAT {
        return Ok(());
    }
    Err(Error::refused(format!("The run was stored in format {format}; this osc reads format {FORMAT} only."))
        .table("The table is unchanged.")
        .todo("Go on with the version of osc that began it, or remove it with `osc cleanup` and begin anew."))
}

/// What the slot and the publication were when they were made: from then on nothing is missed.
pub async fn put_followed(session: &mut Session, state: &Table, followed: &Followed) -> Result<()> {
    put(session, state, FOLLOWED, &encode(followed)?).await
}

/// None: a process died before they were known to be complete, and before anything was copied.
pub async fn followed(session: &mut Session, state: &Table) -> Result<Option<Followed>> {
    get(session, state, FOLLOWED).await?.map(|body| decode(&body)).transpose()
}

/// What is left to do after the swap, known before it. Only of the life that has the run.
pub async fn put_after(
    session: &mut Session,
    state: &Table,
    life: u64,
    after: &[String],
    matviews: &[Matview],
) -> Result<()> {
    let (after, matviews) = (encode(after)?, encode(matviews)?);
    let put_if_ours = async |session: &mut Session| {
        if session.value(&life_for_share(state)).await? != Some(life.to_string()) {
            return Err(taken_over());
        }
        put(session, state, AFTER, &after).await?;
        put(session, state, MATVIEWS, &matviews).await
    };
    session.transaction(put_if_ours).await
}

pub async fn after(session: &mut Session, state: &Table) -> Result<Vec<String>> {
    Ok(get(session, state, AFTER).await?.map(|body| decode(&body)).transpose()?.unwrap_or_default())
}

/// Materialized views that have to be led to the new table, known before the swap.
pub async fn matviews(session: &mut Session, state: &Table) -> Result<Vec<Matview>> {
    Ok(get(session, state, MATVIEWS).await?.map(|body| decode(&body)).transpose()?.unwrap_or_default())
}

/// Begins a new life of the run with this id: raises the epoch, folds the lanes' notes into the checkpoint and
/// deletes them, all in one transaction. Returns the epoch and the checkpoint, if one was stored.
pub async fn begin_life(
    session: &mut Session,
    state: &Table,
    run: &str,
    life: u64,
) -> Result<(u64, Option<Checkpoint>)> {
    let begin = async |session: &mut Session| {
        let epoch = bump(session, state).await.map_err(overtaken)?;
        if record(session, state).await?.is_none_or(|record| record.id != run) {
            return Err(another_run());
        }
        put(session, state, LIFE, &life.to_string()).await?;
        let checkpoint = match get(session, state, CHECKPOINT).await? {
            None => None,
            Some(body) => {
                known(decode::<Head>(&body)?.format)?;
                let mut checkpoint: Checkpoint = decode(&body)?;
                let notes = session.rows(&format!("SELECT body FROM {state} WHERE slot LIKE 'lane-%'")).await?;
                let notes = notes.iter().filter_map(|row| text_at(row, 0));
                let notes = notes.map(|n| decode(&n)).collect::<Result<Vec<LaneNote>>>()?;
                checkpoint.absorb(&notes);
                put(session, state, CHECKPOINT, &encode(&checkpoint)?).await?;
                Some(checkpoint)
            }
        };
        session.exec(&format!("DELETE FROM {state} WHERE slot LIKE 'lane-%'")).await?;
        Ok((epoch, checkpoint))
    };
    session.transaction(begin).await
}

/// Raises the epoch: when this returns no transaction of an earlier epoch can commit any more. A process
/// whose life is over, because another one took the run over, raises nothing and has to stop.
pub async fn raise(session: &mut Session, state: &Table, life: u64) -> Result<u64> {
    let raise = async |session: &mut Session| {
        let epoch = bump(session, state).await?;
        match self::life(session, state).await? == Some(life) {
            true => Ok(epoch),
            false => Err(taken_over()),
        }
    };
    session.transaction(raise).await
}

/// The query whose one value is the life that has the run. Keeps it from ending until the transaction does.
pub fn life_for_share(state: &Table) -> String {
    format!("SELECT body FROM {state} WHERE slot = '{LIFE}' FOR SHARE")
}

/// Ends the life of whoever has it, before anything that is the run's is removed.
pub async fn end_life(session: &mut Session, state: &Table) -> Result<()> {
    session.exec(&format!("DELETE FROM {state} WHERE slot = '{LIFE}'")).await.map(drop)
}

/// What ends a process whose life is over.
pub fn taken_over() -> Error {
    Error::stopped("Another osc process went on with this run.")
        .table("The table is unchanged by this process.")
        .todo("Look at the other process; one run of a table is enough.")
}

fn another_run() -> Error {
    Error::stopped("What this process found is not there any more: another osc process was at work meanwhile.")
        .table("The table is unchanged by this process.")
        .todo("Look at the other run; when it has ended, run the same command again if it is still wanted.")
}

/// A state that is gone was removed by another process.
fn overtaken(error: Error) -> Error {
    if code(&error) == Some(&SqlState::UNDEFINED_TABLE) { another_run() } else { error }
}

/// Whose life it is now.
pub async fn life(session: &mut Session, state: &Table) -> Result<Option<u64>> {
    Ok(get(session, state, LIFE).await?.and_then(|life| life.parse().ok()))
}

async fn bump(session: &mut Session, state: &Table) -> Result<u64> {
    let sql = format!("UPDATE {state} SET body = (body::bigint + 1)::text WHERE slot = '{EPOCH}' RETURNING body");
    epoch_of(session.value(&sql).await?)
}

fn epoch_of(body: Option<String>) -> Result<u64> {
    body.and_then(|epoch| epoch.parse().ok()).ok_or_else(gone)
}

/// Takes the shared lock on the epoch for the rest of the transaction; returns whether it is still ours.
pub async fn is_current(session: &mut Session, state: &Table, epoch: u64) -> Result<bool> {
    let sql = format!("SELECT body FROM {state} WHERE slot = '{EPOCH}' FOR SHARE");
    Ok(epoch_of(session.value(&sql).await?)? == epoch)
}

pub async fn put_note(session: &mut Session, state: &Table, lane: u16, note: &LaneNote) -> Result<()> {
    put(session, state, &format!("lane-{lane}"), &encode(note)?).await
}

pub async fn put_checkpoint(session: &mut Session, state: &Table, checkpoint: &Checkpoint) -> Result<()> {
    put(session, state, CHECKPOINT, &encode(checkpoint)?).await
}

pub(super) async fn put(session: &mut Session, state: &Table, slot: &str, body: &str) -> Result<()> {
    let (slot, body) = (text(slot), text(body));
    let sql = format!(
        "INSERT INTO {state} (slot, body) VALUES ({slot}, {body}) ON CONFLICT (slot) DO UPDATE SET body = excluded.body"
    );
    session.exec(&sql).await.map(drop)
}

pub(super) async fn get(session: &mut Session, state: &Table, slot: &str) -> Result<Option<String>> {
    session.value(&format!("SELECT body FROM {state} WHERE slot = {}", text(slot))).await
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::definite("The run's state could not be written as JSON.").caused_by(e))
}

fn decode<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T> {
    serde_json::from_str(body).map_err(|e| {
        Error::refused("The run's stored state can't be read.")
            .table("The table is unchanged.")
            .todo("Remove the run with `osc cleanup` and begin anew.")
            .caused_by(e)
    })
}

fn gone() -> Error {
    Error::definite("The run's state table has lost its rows: somebody else removed them.")
        .table("The table is unchanged.")
        .todo("Remove what is left with `osc cleanup` and begin anew.")
}
