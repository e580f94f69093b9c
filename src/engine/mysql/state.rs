//! The run's own two tables, beside the table that is changed: what is stored, and by whom.
//!
//! `…_osc_state` holds one row per slot: who the run is, the **epoch**, the checkpoint, a note per copy
//! lane. `…_osc_marks` holds the marks; it is a table of its own because the session that holds the
//! fence locks what it touches, and marks must go on meanwhile.
//!
//! The state table is created before the shadow and dropped after it, so that a process that dies between
//! leaves something that says whose the shadow is.
//!
//! **Nobody goes on with what is another run's.** Between the look at what is there and the first life a process
//! may stand still for as long as it likes (a person is asked), and lose its lock meanwhile; when it goes on, the
//! tables of these names may be those of another run, with another ALTER, whose shadow its own statements would
//! fill with the wrong columns' values. So an announcement carries a token, which is held against the table
//! before anything is built upon it, and a life begins only in the run whose record was looked at: the check
//! and the raise are one transaction, and dropping the table waits for its end. From then on life and epoch decide.
//!
//! **The epoch keeps zombies out.** A transaction whose connection died may still commit later, over a
//! newer sync of the same rows. So every transaction that writes to the shadow first reads the epoch
//! row under a shared lock and checks it; a new life of the process, and a lane that lost its
//! connection, raise the epoch under an exclusive lock. The raise waits for every transaction that
//! passed the check, and none of an older epoch passes it afterwards: after the raise no earlier
//! attempt can commit.

use mysql_async::Row;
use serde::{Deserialize, Serialize};

use super::key::KeySpec;
use super::names::Names;
use super::session::{Session, code};
use super::sql::{Table, text};
use crate::error::{Error, Result};
use crate::model::{Checkpoint, FORMAT, LaneNote, Position};

/// Who the run is: written once, when it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub format: u32,
    /// The run's id, as printed at its start.
    pub id: String,
    /// The table as `db.table`.
    pub table: String,
    /// What stands after ALTER TABLE.
    pub alter: String,
    /// The table's definition when the run began.
    pub fingerprint: String,
    pub key: KeySpec,
    /// The stream's place when the run began, for a point-in-time restore.
    pub started_at: String,
}

const NO_SUCH_TABLE: u16 = 1146;

const ANNOUNCED: &str = "announced";
const RUN: &str = "run";
const EPOCH: &str = "epoch";
const LIFE: &str = "life";
const CHECKPOINT: &str = "checkpoint";

/// Whose state table it is before there is a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced(String);

/// Creates the state table before anything else of a run: from here on the shadow's name is osc's. A state
/// table without a record is a run that never began, and the empty shadow beside it is that run's.
pub async fn announce(session: &mut Session, names: &Names) -> Result<Announced> {
    let [state, _] = create_statements(names);
    session.exec(&state).await?;
    let token = format!("{:016x}", rand::random::<u64>());
    if let Err(error) = put(session, &names.state, ANNOUNCED, &token).await {
        retract(session, names).await?;
        return Err(error);
    }
    Ok(Announced(token))
}

/// Whether the announcement still stands, and nobody else's is in its place.
pub async fn still(session: &mut Session, names: &Names, announced: &Announced) -> Result<()> {
    match get(session, &names.state, ANNOUNCED).await.map_err(overtaken)? {
        Some(token) if token == announced.0 => Ok(()),
        _ => Err(another_run()),
    }
}

/// Takes the announcement back: no shadow is there any more.
pub async fn retract(session: &mut Session, names: &Names) -> Result<()> {
    session.exec(&format!("DROP TABLE IF EXISTS {}", names.state)).await.map(drop)
}

/// Creates the marks' table and writes the run's record, which comes last.
pub async fn create(session: &mut Session, names: &Names, announced: &Announced, record: &RunRecord) -> Result<()> {
    let [_, marks] = create_statements(names);
    still(session, names, announced).await?;
    session.exec(&marks).await?;
    session.exec("START TRANSACTION").await?;
    still(session, names, announced).await?;
    put(session, &names.state, EPOCH, &first_epoch().to_string()).await?;
    put(session, &names.state, RUN, &encode(record)?).await?;
    session.exec("COMMIT").await.map(drop)
}

/// Each run counts its epochs from a place of its own. A process that slept through the removal of its run
/// (`osc cleanup`) finds another run's tables under the same names when it wakes; with epochs from nothing it
/// could take that run's for its own, and store its own progress over the other's.
///
/// Below 2^40: the server adds to it in a text column, which goes through a DOUBLE.
fn first_epoch() -> u64 {
    u64::from(rand::random::<u32>()) << 8
}

/// The statements that create both tables, for the plan too.
pub fn create_statements(names: &Names) -> [String; 2] {
    [
        format!(
            "CREATE TABLE {} (slot VARCHAR(32) NOT NULL PRIMARY KEY, body LONGTEXT NOT NULL) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='osc: state of a run'",
            names.state
        ),
        format!(
            "CREATE TABLE {} (slot INT UNSIGNED NOT NULL PRIMARY KEY, life BIGINT UNSIGNED NOT NULL, \
             token BIGINT UNSIGNED NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) \
             ENGINE=InnoDB COMMENT='osc: marks of a run'",
            names.marks
        ),
    ]
}

/// The run's record, if there is a state table with one.
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

/// The stored checkpoint's place in the stream, if there is one. For a look before the next life begins.
pub async fn position(session: &mut Session, state: &Table) -> Result<Option<Position>> {
    let Some(body) = get(session, state, CHECKPOINT).await? else { return Ok(None) };
    known(decode::<Head>(&body)?.format)?;
    decode::<Checkpoint>(&body).map(|checkpoint| Some(checkpoint.position))
}

/// Begins a new life of the run with this id: raises the epoch, folds the lanes' notes into the checkpoint
/// and deletes them, all in one transaction. Returns the epoch and the checkpoint, if one was stored.
pub async fn begin_life(
    session: &mut Session,
    state: &Table,
    run: &str,
    life: u64,
) -> Result<(u64, Option<Checkpoint>)> {
    session.exec("START TRANSACTION").await?;
    let epoch = bump(session, state).await.map_err(overtaken)?;
    if record(session, state).await?.is_none_or(|record| record.id != run) {
        session.exec("ROLLBACK").await?;
        return Err(another_run());
    }
    put(session, state, LIFE, &life.to_string()).await?;
    let checkpoint = match get(session, state, CHECKPOINT).await? {
        None => None,
        Some(body) => {
            known(decode::<Head>(&body)?.format)?;
            let mut checkpoint: Checkpoint = decode(&body)?;
            let notes = session.all::<String>(&format!("SELECT body FROM {state} WHERE slot LIKE 'lane-%'")).await?;
            let notes = notes.iter().map(|n| decode(n)).collect::<Result<Vec<LaneNote>>>()?;
            checkpoint.absorb(&notes);
            put(session, state, CHECKPOINT, &encode(&checkpoint)?).await?;
            Some(checkpoint)
        }
    };
    session.exec(&format!("DELETE FROM {state} WHERE slot LIKE 'lane-%'")).await?;
    session.exec("COMMIT").await?;
    Ok((epoch, checkpoint))
}

/// Raises the epoch: when this returns no transaction of an earlier epoch can commit any more. A process
/// whose life is over, because another one took the run over, raises nothing and has to stop.
pub async fn raise(session: &mut Session, state: &Table, life: u64) -> Result<u64> {
    session.exec("START TRANSACTION").await?;
    let epoch = bump(session, state).await?;
    if get(session, state, LIFE).await? != Some(life.to_string()) {
        session.exec("ROLLBACK").await?;
        return Err(taken_over());
    }
    session.exec("COMMIT").await?;
    Ok(epoch)
}

/// The statement, for the server to run if it is still this process's life when it gets there, and to refuse
/// else. MariaDB only.
pub fn in_life(state: &Table, life: u64, statement: &str) -> String {
    format!(
        "BEGIN NOT ATOMIC IF (SELECT body FROM {state} WHERE slot = '{LIFE}') = '{life}' THEN {statement}; \
         ELSE SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'another osc process went on with this run'; END IF; END"
    )
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

/// A state table that is gone was removed by another process.
fn overtaken(error: Error) -> Error {
    if code(&error) == Some(NO_SUCH_TABLE) { another_run() } else { error }
}

/// Whose life it is now.
pub async fn life(session: &mut Session, state: &Table) -> Result<Option<u64>> {
    Ok(get(session, state, LIFE).await?.and_then(|life| life.parse().ok()))
}

async fn bump(session: &mut Session, state: &Table) -> Result<u64> {
    session.exec(&format!("UPDATE {state} SET body = body + 1 WHERE slot = '{EPOCH}'")).await?;
    read_epoch(session, state, "FOR UPDATE").await
}

async fn read_epoch(session: &mut Session, state: &Table, lock: &str) -> Result<u64> {
    let row: Option<u64> =
        session.first(&format!("SELECT CAST(body AS UNSIGNED) FROM {state} WHERE slot = '{EPOCH}' {lock}")).await?;
    row.ok_or_else(gone)
}

/// Takes the shared lock on the epoch for the rest of the transaction; returns whether it is still ours.
pub async fn is_current(session: &mut Session, state: &Table, epoch: u64) -> Result<bool> {
    Ok(read_epoch(session, state, "LOCK IN SHARE MODE").await? == epoch)
}

pub async fn put_note(session: &mut Session, state: &Table, lane: u16, note: &LaneNote) -> Result<()> {
    put(session, state, &format!("lane-{lane}"), &encode(note)?).await
}

pub async fn put_checkpoint(session: &mut Session, state: &Table, checkpoint: &Checkpoint) -> Result<()> {
    put(session, state, CHECKPOINT, &encode(checkpoint)?).await
}

async fn put(session: &mut Session, state: &Table, slot: &str, body: &str) -> Result<()> {
    let (slot, body) = (text(slot), text(body));
    let sql = format!("INSERT INTO {state} (slot, body) VALUES ({slot}, {body}) ON DUPLICATE KEY UPDATE body = {body}");
    session.exec(&sql).await.map(drop)
}

async fn get(session: &mut Session, state: &Table, slot: &str) -> Result<Option<String>> {
    let row: Option<Row> = session.first(&format!("SELECT body FROM {state} WHERE slot = {}", text(slot))).await?;
    Ok(row.and_then(|r| r.get_opt::<String, _>(0)).and_then(|r| r.ok()))
}

fn encode<T: Serialize>(value: &T) -> Result<String> {
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
