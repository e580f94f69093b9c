//! From a request to the parts of a run, and from the run's end back to a tidy server.
//!
//! [`Prepared::look`] refuses or plans and changes nothing that stays: the shadow is built and dropped
//! again, so that the plan is what the server itself made of the ALTER. [`Prepared::begin`] builds it for
//! good, or takes over what an earlier life of the same run left.
//!
//! The order in `begin` matters. The state comes first and the record last of what is only osc's own: a state without a
//! record is a run that never began. Only then the publication is made, which the application's statements meet, and
//! the slot, which keeps log for as long as it is there: whoever dies now has left word whose they are. That both are
//! complete is stored last (`followed`); until then nothing was copied, and the next life makes them anew.
//! The publication is committed before the slot is made: the other way round 15's stream is stuck for ever and 18
//! skips changes (seen).

use std::rc::Rc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::connect::Address;
use super::feed::{self, PostgresFeed};
use super::fence::{follow, locks, outcome};
use super::finished;
use super::identity::{self, Found};
use super::lanes::{Desk, Lanes};
use super::marks::Marker;
use super::mirror::{PostgresMirror, Rewrite};
use super::names::Names;
use super::preflight::{self, Facts};
use super::run_lock::RunLock;
use super::session::{Session, text_at};
use super::shadow::Shadow;
use super::source::{PostgresSource, Watch};
use super::sql::{Table, list, text};
use super::state::{self, RunRecord};
use super::stream::Options;
use super::{catalog, cleanup, dependents, held, slot};
use crate::engine::Lane;
use crate::engine::opening::{self, Begun, Look};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::model::{FORMAT, KeyOrder, Rows};
use crate::pipeline::{Settings, Start};
use crate::plan::Plan;

/// What one chunk's transaction may write: a standby that replays it, and whoever waits for that, waits for it as a whole.
const CHUNK_BYTES: u64 = 8 << 20;

/// For how long tidying up after the swap is tried, and from one try to the next.
const TIDYING: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Which change, where.
#[derive(Debug, Clone)]
pub struct Request {
    pub address: Address,
    /// As the catalog spells it.
    pub table: Table,
    pub alter: String,
    pub watch: Watch,
}

/// A change that was looked at: it can run.
pub struct Prepared {
    request: Request,
    session: Session,
    lock: RunLock,
    names: Names,
    facts: Facts,
    found: Found,
    fingerprint: String,
    shadow: Shadow,
    /// The run that this one goes on with.
    earlier: Option<RunRecord>,
}

/// What is left to do after a run.
pub struct Finish {
    address: Address,
    names: Names,
    alter: String,
}

impl Prepared {
    pub async fn look(request: Request) -> Result<Look<Prepared>> {
        let mut session = Session::open(&request.address).await?;
        let server = session.identity().await?;
        let request = Request { address: request.address.pinned(&server), ..request };
        let names = Names::of(request.address.database(), &request.table);
        let address = request.address.clone();
        match Prepared::look_at(session, request, names.clone()).await {
            Err(error) => Err(held::explain(&address, &names, error).await),
            looked => looked,
        }
    }

    async fn look_at(mut session: Session, request: Request, names: Names) -> Result<Look<Prepared>> {
        let lock = RunLock::take(&request.address, &names).await?;
        let finish = || Finish { address: request.address.clone(), names: names.clone(), alter: request.alter.clone() };
        let earlier = earlier(&mut session, &finish()).await?;
        if earlier.is_some() {
            if outcome::is_swapped(&mut session, &names).await? {
                return Ok(Look::SwappedBefore(Box::new(finish())));
            }
            slot_is_there(&mut session, &names).await?;
        } else if finished::is_done(&mut session, &names, &request.alter).await? {
            return Ok(Look::DoneBefore(Box::new(finish())));
        }
        let found = identity::find(&mut session, &names.original).await?;
        let facts = preflight::check(&mut session, &names, &found, earlier.is_some()).await?;
        let fingerprint = catalog::fingerprint(&mut session, &names.original).await?;
        let shadow = match &earlier {
            Some(record) => {
                same_run(record, &request, &found, &fingerprint)?;
                record.shadow.clone()
            }
            None => Shadow::look(&mut session, &names, &found, &request.alter).await?,
        };
        let prepared = Prepared { request, session, lock, names, facts, found, fingerprint, shadow, earlier };
        Ok(Look::Prepared(Box::new(prepared)))
    }
}

/// A run's state, its shadow and its record, in one transaction: all of it is there, or nothing. Where somebody else's
/// state is there already, that is another run's.
async fn first(session: &mut Session, request: &Request, run: Unbegun) -> Result<RunRecord> {
    let started_at = session.value("SELECT pg_current_wal_insert_lsn()").await?.unwrap_or_default();
    let Unbegun { names, found, fingerprint } = run;
    let make = async |session: &mut Session| {
        state::create(session, &names).await?;
        let shadow = Shadow::build(session, &names, &found, &request.alter).await?;
        failpoint::hit("shadow-built", &[]).await;
        let record = RunRecord {
            format: FORMAT,
            id: format!("{:08x}", rand::rng().random::<u32>()),
            table: names.original.bare(),
            alter: request.alter.clone(),
            fingerprint,
            found,
            shadow,
            started_at,
        };
        state::put_record(session, &names.state, &record).await?;
        Ok(record)
    };
    let record = session.transaction(make).await?;
    failpoint::hit("run-stored", &[]).await;
    Ok(record)
}

/// What was found of a table whose run has not begun.
struct Unbegun {
    names: Names,
    found: Found,
    fingerprint: String,
}

impl opening::Prepared for Prepared {
    type Source = PostgresSource;
    type Feed = PostgresFeed;
    type Mirror = PostgresMirror;
    type Finish = Finish;
    type Lock = RunLock;

    fn plan(&self) -> Result<Plan> {
        let (names, swap) = (&self.names, &self.shadow.swap);
        let rewrite = Rewrite::new(names.clone(), self.shadow.clone());
        let whole = crate::engine::whole();
        let mut statements = Vec::new();
        if self.earlier.is_none() {
            statements.extend(state::create_statements(names));
            statements.extend(self.shadow.statements.iter().cloned());
            statements.push(format!("CREATE PUBLICATION {} FOR TABLE ONLY {}", names.publication, names.original));
            statements.push(format!("SELECT pg_create_logical_replication_slot({}, 'pgoutput')", text(&names.slot)));
        }
        statements.push(format!("{}  -- for each range of keys", rewrite.delete(Rows::Range(&whole))?));
        statements.push(format!(
            "{}  -- for each range of keys, and for the keys that change meanwhile",
            rewrite.insert(&names.shadow, Rows::Range(&whole))?
        ));
        statements.extend(self.shadow.later.iter().flat_map(|index| index.statements.iter().cloned()));
        statements.push(format!("ANALYZE {}", names.shadow));
        statements.push("BEGIN  -- the cutover, to the COMMIT".to_owned());
        statements.extend(locks::patient(names, swap).into_iter().map(|(_, lock)| lock));
        for part in [&swap.first, &swap.tables, &swap.statements] {
            statements.extend(part.iter().cloned());
        }
        statements.push("COMMIT".to_owned());
        statements.extend(swap.after.iter().cloned());
        for matview in &swap.matviews {
            statements.extend(matview.make.iter().cloned());
            statements.push(format!("REFRESH MATERIALIZED VIEW {}", matview.twin));
            statements.extend(follow::place_statements(names, matview));
        }
        statements.push(format!("SELECT pg_drop_replication_slot({})", text(&names.slot)));
        statements.push(format!("DROP SCHEMA {}, {}", names.shadow.schema, names.state.schema));
        let key = self.shadow.key.columns.iter().map(|c| c.name.bare());
        let mut facts = vec![
            ("server".to_owned(), format!("PostgreSQL {}", self.session.version)),
            ("rows".to_owned(), format!("about {}", self.facts.rows)),
            ("key".to_owned(), format!("{} ({})", list(key), order(self.shadow.key.order()))),
            ("shadow table".to_owned(), names.shadow.bare()),
            ("old table".to_owned(), names.old.bare()),
        ];
        if let Some(record) = &self.earlier {
            facts.push(("goes on with run".to_owned(), format!("{}, begun at {}", record.id, record.started_at)));
        }
        Ok(Plan {
            strategy: "shadow",
            why: "a copy of the table is built beside it, kept up to date by logical replication, and swapped in"
                .to_owned(),
            table: names.original.bare(),
            facts,
            statements,
            warnings: self.facts.hints.iter().chain(&self.shadow.warnings).cloned().collect(),
        })
    }

    async fn begin(self, settings: &mut Settings) -> Result<Begun<Prepared>> {
        let (address, names) = (self.request.address.clone(), self.names.clone());
        match self.begin_life(settings).await {
            Err(error) => Err(held::explain(&address, &names, error).await),
            begun => begun,
        }
    }
}

impl Prepared {
    async fn begin_life(self, settings: &mut Settings) -> Result<Begun<Prepared>> {
        let Prepared { request, mut session, mut lock, names, facts, found, fingerprint, shadow, earlier } = self;
        let finish = Finish { address: request.address.clone(), names: names.clone(), alter: request.alter.clone() };
        let record = match &earlier {
            Some(record) => record.clone(),
            // Now too: not to copy for hours what can't be swapped in the end.
            None => {
                dependents::proofs::hold(&request.address, &shadow.swap.checks).await?;
                first(&mut session, &request, Unbegun { names: names.clone(), found, fingerprint }).await?
            }
        };
        drop(shadow);
        let life = rand::rng().random::<u64>() >> 1;
        let (epoch, checkpoint) = state::begin_life(&mut session, &names.state, &record.id, life).await?;
        lock.of_life(life);
        if outcome::is_swapped(&mut session, &names).await? {
            // An earlier process's COMMIT was on its way when this one looked.
            return Err(Error::stopped("The tables were swapped in this moment, by an earlier process of this run.")
                .table(format!("{} has the new definition.", names.original.bare()))
                .todo("Run the same command again: it tidies up."));
        }
        let key = record.shadow.key.clone();
        let followed = match state::followed(&mut session, &names.state).await? {
            Some(followed) => followed,
            None => {
                if earlier.is_some() {
                    // An earlier life may have made one of them, or both.
                    feed::remove(&request.address, &names).await?;
                }
                match feed::prepare(&request.address, &names, &record.found, &key, feed::PATIENCE).await {
                    Ok(followed) => {
                        failpoint::hit("slot-made", &[]).await;
                        state::put_followed(&mut session, &names.state, &followed).await?;
                        followed
                    }
                    Err(error) => {
                        // Nothing was copied yet, so there is nothing to go on with.
                        opening::Finish::unswapped(&finish).await?;
                        return Err(error);
                    }
                }
            }
        };
        let from = checkpoint.as_ref().map(|stored| &stored.position);
        let (feed, handle, position) =
            PostgresFeed::open(&request.address, &names, &followed, &key, life, from, Options::default()).await?;
        let per_row = facts.bytes / facts.rows.max(1);
        settings.chunk_rows_most = (CHUNK_BYTES / per_row.max(1)).clamp(1, settings.chunk_rows_most);
        if key.order() == KeyOrder::Unknown || !record.shadow.unique.is_empty() {
            // Two appliers can't tell their keys apart under a collation, and deadlock on unique values that rows
            // swap (seen).
            settings.appliers = 1;
        }
        let rewrite = Rc::new(Rewrite::new(names.clone(), record.shadow.clone()));
        let store = settings.copiers + settings.appliers;
        let desk = Desk { address: request.address.clone(), rewrite: rewrite.clone(), life };
        let lanes = Lanes::new(desk, store + 2, epoch);
        let mirror = PostgresMirror::new(rewrite.clone(), lanes, Lane(store), handle);
        let source = PostgresSource::new(
            request.address.clone(),
            rewrite,
            Marker::new(&request.address, &names, life),
            life,
            record.fingerprint.clone(),
            followed.publication.clone(),
            request.watch,
        );
        let start = Start { position, resume: checkpoint };
        let started_at = record.started_at.clone();
        Ok(Begun { source, feed, mirror, start, finish, lock, rows: facts.rows, started_at })
    }
}

fn order(order: KeyOrder) -> &'static str {
    match order {
        KeyOrder::Bytes => "compared by osc",
        KeyOrder::Unknown => "compared by the server alone",
    }
}

/// The record of an interrupted run. A state without one is a run that never began: removed.
async fn earlier(session: &mut Session, finish: &Finish) -> Result<Option<RunRecord>> {
    let names = &finish.names;
    if !state::exists(session, names).await? {
        return Ok(None);
    }
    let Some(record) = state::record(session, &names.state).await? else {
        opening::Finish::unswapped(finish).await?;
        tracing::info!("an earlier run was cut off before it began; what it left was removed");
        return Ok(None);
    };
    if record.table != names.original.bare() {
        return Err(Error::refused(format!("The run stored in {} is of {}.", names.state.bare(), record.table))
            .table("Nothing was changed.")
            .todo("Finish or clean up that run first."));
    }
    Ok(Some(record))
}

/// A run whose slot is gone can't go on: what changed meanwhile is nowhere to be had.
async fn slot_is_there(session: &mut Session, names: &Names) -> Result<()> {
    if state::followed(session, &names.state).await?.is_none() {
        return Ok(());
    }
    let (given_up, name) = (slot::GIVEN_UP, text(&names.slot));
    let sql = format!("SELECT {given_up} FROM pg_replication_slots s WHERE slot_name = {name}");
    let why = match session.first(&sql).await?.map(|row| text_at(&row, 0)) {
        None => "is not there any more".to_owned(),
        Some(Some(why)) => format!("was given up by the server ({why})"),
        Some(None) => return Ok(()),
    };
    Err(Error::refused(format!(
        "The interrupted run can't go on: its replication slot '{}' {why}, and with it the changes since the run was interrupted.",
        names.slot
    ))
    .table("The table is unchanged; the interrupted run's tables are kept.")
    .todo("Remove the run with `osc cleanup` and begin anew."))
}

/// Only the same change of the same table can be gone on with.
fn same_run(record: &RunRecord, request: &Request, found: &Found, fingerprint: &str) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::refused(what)
            .table("The table is unchanged; the interrupted run's tables are kept.")
            .todo("Run `osc cleanup` to remove the interrupted run, then begin anew."))
    };
    if record.alter != request.alter {
        return refuse(format!("A run with another ALTER was interrupted on this table: {}.", record.alter));
    }
    if record.found != *found || record.fingerprint != fingerprint {
        return refuse(format!(
            "The table, or something that hangs on it, changed since the run was interrupted ({}).",
            catalog::changed(&record.fingerprint, fingerprint)
        ));
    }
    Ok(())
}

impl Finish {
    /// Every statement may be said again. The slot goes first: it keeps log.
    async fn tidied(&self, drop_old: bool) -> Result<()> {
        feed::remove(&self.address, &self.names).await?;
        let mut session = Session::open(&self.address).await?;
        let names = &self.names;
        cleanup::finish_swap(&mut session, names).await?;
        // Without CASCADE: should something of the new table's be in there still, it would go with it.
        session
            .exec(&format!("DROP SCHEMA IF EXISTS {}", names.shadow.schema))
            .await
            .map_err(|error| error.context("osc's own schema could not be removed"))?;
        if drop_old {
            cleanup::drop_schema(&mut session, &names.old.schema).await?;
            failpoint::hit("old-dropped", &[]).await;
        } else {
            finished::note(&mut session, names, &self.alter).await?;
        }
        state::retract(&mut session, names).await
    }
}

impl opening::Finish for Finish {
    fn old_table(&self) -> String {
        self.names.old.bare()
    }

    fn drop_old_statement(&self) -> String {
        format!("DROP TABLE {}; DROP SCHEMA {}", self.names.old, self.names.old.schema)
    }

    async fn swapped(&self, drop_old: bool) -> Result<()> {
        failpoint::hit("before-tidy", &[]).await;
        let until = Instant::now() + TIDYING;
        loop {
            match self.tidied(drop_old).await {
                Err(error) if error.kind().retry() && Instant::now() < until => {
                    tracing::info!(%error, "tidying up after the swap is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn drop_old(&self) -> Result<()> {
        cleanup::drop_schema(&mut Session::open(&self.address).await?, &self.names.old.schema).await
    }

    async fn unswapped(&self) -> Result<()> {
        let mut session = Session::open(&self.address).await?;
        if state::exists(&mut session, &self.names).await? {
            state::end_life(&mut session, &self.names.state).await?;
        }
        slot::drop(&mut session, &self.names.slot).await?;
        super::publication::drop(&mut session, &self.names.publication).await?;
        cleanup::drop_schema(&mut session, &self.names.shadow.schema).await?;
        state::retract(&mut session, &self.names).await
    }
}
