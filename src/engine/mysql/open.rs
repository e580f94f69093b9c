//! From a request to the parts of a run, and from the run's end back to a tidy server.
//!
//! [`Prepared::look`] refuses or plans and changes nothing that stays: the shadow is built and dropped
//! again, so that the plan is what the server itself made of the ALTER. [`Prepared::begin`] builds it for
//! good, or takes over what an earlier life of the same run left.
//!
//! The order in `begin` matters. The stream is opened before anything is copied, and its place is the
//! run's first checkpoint. Prepared XA transactions are looked for **after** the stream was opened: what
//! was prepared before its place is logged before it, and would become visible without a trace in it,
//! so the copy begins only when those have ended.

use std::rc::Rc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::alter::{Alter, Dialect};
use super::binlog::position::{Spot, describe};
use super::connect::Address;
use super::feed::{self, MySqlFeed};
use super::fence::{outcome, sentry_statement};
use super::key::{Conditions, KeySpec};
use super::lanes::{Desk, Lanes};
use super::mirror::{MySqlMirror, Rewrite};
use super::names::Names;
use super::preflight::{self, Facts};
use super::run_lock::RunLock;
use super::session::Session;
use super::shadow::Shadow;
use super::source::{MySqlSource, Watch};
use super::sql::{Ident, Table};
use super::state::{self, RunRecord};
use super::{cleanup, failover, finished};
use crate::engine::Lane;
use crate::engine::opening::{self, Begun, Look};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::model::{FORMAT, KeyOrder, Position, Rows};
use crate::pipeline::{Settings, Start};
use crate::plan::Plan;

/// What one chunk's transaction may write: its rows go into the binlog in one piece, and the application's
/// commits wait for that piece.
const CHUNK_BYTES: u64 = 8 << 20;

/// What one statement of the comparison reads of each side: short statements, so that the last ones end at about
/// the same time in every lane.
const COMPARED_BYTES: u64 = 8 << 20;

/// For how long tidying up after the swap is tried, and from one try to the next.
const TIDYING: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Which change, where.
#[derive(Debug, Clone)]
pub struct Request {
    pub address: Address,
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
    alter: Alter,
    shadow: Shadow,
    key: KeySpec,
    /// The run that this one goes on with.
    earlier: Option<RunRecord>,
}

/// What is left to do after a run.
pub struct Finish {
    address: Address,
    names: Names,
    flavor: super::flavor::Flavor,
}

impl Prepared {
    pub async fn look(request: Request) -> Result<Look<Prepared>> {
        let mut session = Session::open(&request.address).await?;
        let request = Request { table: preflight::spelled(&mut session, &request.table).await?, ..request };
        let names = Names::of(&request.table)?;
        let server = session.identity().await?;
        let request = Request { address: request.address.pinned(&server), ..request };
        let lock = RunLock::take(&request.address, &names.original).await?;
        let earlier = earlier(&mut session, &names).await?;
        let finish = |session: &Session| Finish {
            address: request.address.clone(),
            names: names.clone(),
            flavor: session.flavor,
        };
        if let Some(record) = &earlier {
            outcome::settled(&mut session).await?;
            if outcome::is_swapped(&mut session, &names).await?
                || outcome::is_swapped_and_dropped(&mut session, &names, &record.fingerprint).await?
            {
                return Ok(Look::SwappedBefore(Box::new(finish(&session))));
            }
            if let Some(position) = state::position(&mut session, &names.state).await? {
                failover::prove(&mut session, &Spot::parse(&position)?, &server).await?;
            }
        }
        let dialect = Dialect::of(&mut session).await?;
        let alter = Alter::parse(&request.alter, &names.original, dialect);
        if let (None, Ok(alter)) = (&earlier, &alter)
            && finished::is_done(&mut session, &names, alter).await?
        {
            return Ok(Look::DoneBefore(Box::new(finish(&session))));
        }
        let facts = preflight::check(&mut session, &names, earlier.is_some()).await?;
        let alter = alter?;
        let shadow = match &earlier {
            Some(record) => {
                same_run(record, &request, &facts)?;
                Shadow::read(&mut session, &names, &facts.table, &alter).await?
            }
            None => {
                let announced = state::announce(&mut session, &names).await?;
                let built = Shadow::build(&mut session, &names, &facts.table, &alter).await;
                state::still(&mut session, &names, &announced).await?;
                if built.is_ok() {
                    session.exec(&format!("DROP TABLE IF EXISTS {}", names.shadow)).await?;
                }
                state::retract(&mut session, &names).await?;
                built?
            }
        };
        let key = match &earlier {
            Some(record) => record.key.clone(),
            None => shadow.choose_key(&facts.table, conditions(&facts))?,
        };
        Ok(Look::Prepared(Box::new(Prepared { request, session, lock, names, facts, alter, shadow, key, earlier })))
    }

    fn rewrite(&self) -> Rewrite {
        Rewrite::new(self.names.clone(), &self.shadow, self.key.clone())
    }
}

impl opening::Prepared for Prepared {
    type Source = MySqlSource;
    type Feed = MySqlFeed;
    type Mirror = MySqlMirror;
    type Finish = Finish;
    type Lock = RunLock;

    fn plan(&self) -> Result<Plan> {
        let rewrite = self.rewrite();
        let whole = crate::engine::whole();
        let flavor = self.facts.flavor;
        let mut statements = Vec::new();
        if self.earlier.is_none() {
            statements.push(format!("CREATE TABLE {} LIKE {}", self.names.shadow, self.names.original));
            statements.push(format!("ALTER TABLE {} {}", self.names.shadow, self.alter.text(Ident::clone)));
            statements.extend(state::create_statements(&self.names));
        }
        statements.push(format!("{}  -- for each range of keys", rewrite.delete(Rows::Range(&whole))?));
        statements.push(format!(
            "{}  -- for each range of keys, and for the keys that change meanwhile",
            rewrite.insert(&self.names.shadow, Rows::Range(&whole))?
        ));
        statements.push(format!("ANALYZE NO_WRITE_TO_BINLOG TABLE {}", self.names.shadow));
        if flavor.is_mariadb() {
            statements.push(sentry_statement(&self.names));
        }
        statements.extend(super::fence::statements(&self.names, flavor));
        statements.push(format!("DROP TABLE {}, {}", self.names.marks, self.names.state));
        let mut facts = vec![
            ("server".to_owned(), flavor.name()),
            ("rows".to_owned(), format!("about {}", self.facts.table.rows)),
            ("key".to_owned(), format!("{} ({})", rewrite.key.index.bare(), order(rewrite.key.order))),
            ("shadow table".to_owned(), self.names.shadow.bare()),
            ("old table".to_owned(), self.names.old.bare()),
        ];
        if let Some(record) = &self.earlier {
            facts.push(("goes on with run".to_owned(), format!("{}, begun at {}", record.id, record.started_at)));
        }
        Ok(Plan {
            strategy: "shadow",
            why: "a copy of the table is built beside it, kept up to date from the binary log, and swapped in"
                .to_owned(),
            table: self.names.original.bare(),
            facts,
            statements,
            warnings: self.facts.hints.iter().chain(&self.shadow.warnings).cloned().collect(),
        })
    }

    async fn begin(self, settings: &mut Settings) -> Result<Begun<Prepared>> {
        let rewrite = Rc::new(self.rewrite());
        let Prepared { request, mut session, mut lock, names, facts, alter, shadow, key, earlier } = self;
        let run = if let Some(record) = earlier {
            record.id
        } else {
            let announced = state::announce(&mut session, &names).await?;
            if let Err(error) = Shadow::build(&mut session, &names, &facts.table, &alter).await {
                state::still(&mut session, &names, &announced).await?;
                state::retract(&mut session, &names).await?;
                return Err(error);
            }
            failpoint::hit("shadow-built", &[]).await;
            let record = RunRecord {
                format: FORMAT,
                id: format!("{:08x}", rand::rng().random::<u32>()),
                table: names.original.bare(),
                alter: request.alter.clone(),
                fingerprint: facts.table.fingerprint.clone(),
                key: key.clone(),
                started_at: describe(&feed::current_position(&mut session).await?),
            };
            state::create(&mut session, &names, &announced, &record).await?;
            failpoint::hit("run-stored", &[]).await;
            record.id
        };
        let life = rand::rng().random::<u64>() >> 1;
        let (epoch, checkpoint) = state::begin_life(&mut session, &names.state, &run, life).await?;
        lock.of_life(&names.state, life);
        let from = match &checkpoint {
            Some(stored) => Some(here(&mut session, &stored.position).await?),
            None => None,
        };
        let (feed, marks, position) = MySqlFeed::open(
            &request.address,
            facts.flavor,
            &names.original,
            &names.marks,
            Box::new(key.clone()),
            life,
            from.as_ref(),
        )
        .await?;
        if checkpoint.is_none() {
            preflight::xa::wait(&mut session).await?;
        }
        let per_row = facts.table.data_bytes / facts.table.rows.max(1);
        settings.compare_rows_most = (COMPARED_BYTES / per_row.max(1)).clamp(1, settings.compare_rows_most);
        settings.chunk_rows_most = (CHUNK_BYTES / per_row.max(1)).clamp(1, settings.chunk_rows_most);
        if key.order == KeyOrder::Unknown || facts.flavor.is_mariadb() {
            // Two appliers deadlock on MariaDB, and can't tell their keys apart under a collation.
            settings.appliers = 1;
        }
        let store = settings.copiers + settings.appliers;
        let desk = Desk { address: request.address.clone(), rewrite: rewrite.clone(), life };
        let lanes = Lanes::new(desk, store + 1, epoch);
        let mirror = MySqlMirror::new(rewrite.clone(), lanes, Lane(store));
        let started_at = describe(&position);
        let source = MySqlSource::new(
            request.address.clone(),
            rewrite,
            marks,
            life,
            facts.table.fingerprint.clone(),
            alter.auto_increment,
            shadow.info.columns.iter().any(|c| c.auto_increment),
            request.watch,
        );
        let finish = Finish { address: request.address, names, flavor: facts.flavor };
        let start = Start { position, resume: checkpoint };
        Ok(Begun { source, feed, mirror, start, finish, lock, rows: facts.table.rows, started_at })
    }
}

fn conditions(facts: &Facts) -> Conditions {
    Conditions { full_image: facts.row_image.eq_ignore_ascii_case("FULL"), strict: facts.strict() }
}

/// The stored place as one of this server: what is before it is here too ([`failover`]).
async fn here(session: &mut Session, position: &Position) -> Result<Position> {
    let server = session.identity().await?;
    let spot = Spot::parse(position)?;
    failover::prove(session, &spot, &server).await?;
    Ok(Spot { server, ..spot }.to_position())
}

/// The record of an interrupted run. A state table without one is a run that never began: removed.
async fn earlier(session: &mut Session, names: &Names) -> Result<Option<RunRecord>> {
    if !super::catalog::exists(session, &names.state).await? {
        return Ok(None);
    }
    if cleanup::remove_unbegun(session, names).await? {
        tracing::info!("an earlier run was cut off before it began; what it left was removed");
        return Ok(None);
    }
    let record = state::record(session, &names.state).await?;
    match record {
        Some(record) if record.table == names.original.bare() => Ok(Some(record)),
        Some(record) => {
            Err(Error::refused(format!("The run stored in {} is of {}.", names.state.bare(), record.table))
                .table("Nothing was changed.")
                .todo("Finish or clean up that run first."))
        }
        None => Ok(None),
    }
}

/// Only the same change of the same table can be gone on with.
fn same_run(record: &RunRecord, request: &Request, facts: &Facts) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::refused(what)
            .table("The table is unchanged; the interrupted run's tables are kept.")
            .todo("Run `osc cleanup` to remove the interrupted run, then begin anew."))
    };
    if record.alter != request.alter {
        return refuse(format!("A run with another ALTER was interrupted on this table: {}.", record.alter));
    }
    if record.fingerprint != facts.table.fingerprint {
        return refuse("The table's definition changed since the run was interrupted.".to_owned());
    }
    Ok(())
}

fn order(order: KeyOrder) -> &'static str {
    match order {
        KeyOrder::Bytes => "compared by osc",
        KeyOrder::Unknown => "compared by the server alone",
    }
}

impl Finish {
    /// Every statement may be said again.
    async fn tidied(&self, drop_old: bool) -> Result<()> {
        let mut session = Session::open(&self.address).await?;
        if drop_old {
            session.exec_long(&format!("DROP TABLE IF EXISTS {}", self.names.old)).await?;
            failpoint::hit("old-dropped", &[]).await;
        }
        self.tidy(&mut session).await
    }

    async fn tidy(&self, session: &mut Session) -> Result<()> {
        let sql = format!("DROP TABLE IF EXISTS {}, {}", self.names.marks, self.names.state);
        session.exec(&sql).await.map(drop)
    }
}

impl opening::Finish for Finish {
    fn old_table(&self) -> String {
        self.names.old.bare()
    }

    fn drop_old_statement(&self) -> String {
        format!("DROP TABLE {}", self.names.old)
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
        let mut session = Session::open(&self.address).await?;
        session.exec_long(&format!("DROP TABLE IF EXISTS {}", self.names.old)).await.map(drop)
    }

    async fn unswapped(&self) -> Result<()> {
        let mut session = Session::open(&self.address).await?;
        session.exec_long(&format!("DROP TABLE IF EXISTS {}", self.names.shadow)).await?;
        if self.flavor.is_mariadb() {
            super::fence::remove_sentry(&mut session, &self.names).await?;
        }
        self.tidy(&mut session).await
    }
}
