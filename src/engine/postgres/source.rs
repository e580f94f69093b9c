//! The table where it is: marks, the ends of ranges, pressure, and the way to the fence.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connect::Address;
use super::fence::snapshots::{self, Since};
use super::fence::{self, PostgresFence, follow};
use super::marks::Marker;
use super::mirror::Rewrite;
use super::session::{Session, is_lost, number, text_at};
use super::slot;
use super::swap::{Check, Swap};
use super::{catalog, dependents, held, state};
use crate::engine::{Patience, Pressure, Source, disturbed};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder, Token};

/// How many times as long as a look at all rows took none is taken again.
const REST: u32 = 20;

pub struct PostgresSource {
    pub(super) address: Address,
    pub(super) rewrite: Rc<Rewrite>,
    pub(super) life: u64,
    /// The table and what hangs on it when the run began; under the fence it must still be that.
    pub(super) fingerprint: String,
    /// What is published, compared as a whole: without it the stream tells nothing.
    pub(super) publication: String,
    /// What the swap consists of, as it was planned last, shortly before the fence.
    pub(super) swap: RefCell<Option<Swap>>,
    /// When the cutover was first thought of: older snapshots would miss the copy.
    pub(super) since: RefCell<Option<Since>>,
    /// When the rows were last looked at for the new foreign keys, and how long that took.
    looked: Cell<Option<(Instant, Duration)>>,
    watch: Watch,
    marker: Marker,
    reader: Kept,
    gauge: Kept,
}

/// What the throttle watches, and who is waited for.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Names out of [`GAUGES`].
    pub gauges: Vec<String>,
    /// How long transactions with a snapshot older than the copy are waited for before the fence.
    pub snapshots: Duration,
}

/// A session that is kept between uses and opened anew after it was lost.
#[derive(Default)]
struct Kept(RefCell<Option<Session>>);

impl Kept {
    async fn with<T>(
        &self,
        open: impl AsyncFnOnce() -> Result<Session>,
        work: impl AsyncFnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let kept = self.0.borrow_mut().take();
        let mut session = match kept {
            Some(session) => session,
            None => open().await?,
        };
        let result = work(&mut session).await;
        if !result.as_ref().is_err_and(is_lost) {
            *self.0.borrow_mut() = Some(session);
        }
        result
    }
}

/// What `--max-load` can be said of: the name, and the condition on pg_stat_activity that is counted. osc's own
/// sessions count like all others.
pub const GAUGES: [(&str, &str); 4] = [
    ("sessions", "TRUE"),
    ("active_sessions", "state = 'active'"),
    ("waiting_sessions", "state = 'active' AND wait_event_type = 'Lock'"),
    ("idle_in_transaction_sessions", "state LIKE 'idle in transaction%'"),
];

impl PostgresSource {
    pub fn new(
        address: Address,
        rewrite: Rc<Rewrite>,
        marker: Marker,
        life: u64,
        fingerprint: String,
        publication: String,
        watch: Watch,
    ) -> Self {
        PostgresSource {
            address,
            rewrite,
            life,
            fingerprint,
            publication,
            swap: RefCell::new(None),
            since: RefCell::new(None),
            looked: Cell::new(None),
            watch,
            marker,
            reader: Kept::default(),
            gauge: Kept::default(),
        }
    }

    /// Everything of the swap that needs no lock.
    async fn prepare(&self, session: &mut Session) -> Result<()> {
        let names = &self.rewrite.names;
        let now = catalog::fingerprint(session, &names.original).await?;
        if now != self.fingerprint {
            return Err(disturbed(format!(
                "{} was altered while the run was on, or something that hangs on it ({}).",
                names.original.bare(),
                catalog::changed(&self.fingerprint, &now)
            ))
            .todo("Remove the run with `osc cleanup` and begin anew."));
        }
        let known = self.since.borrow().clone();
        let since = match known {
            Some(since) => since,
            None => Since::now(session).await?,
        };
        *self.since.borrow_mut() = Some(since.clone());
        // So that the first statements on the new table have good plans.
        let analyzed = session.exec_long(&format!("ANALYZE {}", names.shadow)).await;
        if let Err(error) = analyzed {
            return Err(held::explain_shadow(&self.address, names, error).await);
        }
        let mut swap = dependents::plan(session, names, &self.rewrite.shadow).await?;
        follow::settings(&self.address, session, &mut swap.matviews).await?;
        self.look(&swap.checks).await?;
        // Whoever tidies up after the swap may be another process.
        state::put_after(session, &names.state, self.life, &swap.after, &swap.matviews).await?;
        *self.swap.borrow_mut() = Some(swap);
        snapshots::wait(session, &since, self.watch.snapshots).await
    }

    /// Whether the rows meet the new foreign keys: a look at whole tables, which a swap that is tried again and again must not take
    /// each time.
    async fn look(&self, checks: &[Check]) -> Result<()> {
        if self.looked.get().is_some_and(|(at, took)| at.elapsed() < took * REST) {
            return Ok(());
        }
        let begun = Instant::now();
        dependents::proofs::hold(&self.address, checks).await?;
        self.looked.set(Some((Instant::now(), begun.elapsed())));
        Ok(())
    }

    async fn feel(&self) -> Result<Pressure> {
        let mut counts = Vec::new();
        for name in &self.watch.gauges {
            counts.push((name.clone(), gauge(name)?));
        }
        let open = async || Session::open(&self.address).await;
        let sql = format!(
            "SELECT {LAG}, {}{} FROM pg_stat_activity WHERE backend_type = 'client backend'",
            slot::danger_sql(&self.rewrite.names.slot),
            counts.iter().map(|(_, c)| format!(", count(*) FILTER (WHERE {c})")).collect::<String>()
        );
        let row = self.gauge.with(open, async |session| session.row(&sql).await).await?;
        let replica_lag_ms = Some(number(&row, 0)?);
        let load = counts.into_iter().enumerate().map(|(n, (name, _))| Ok((name, number(&row, n + 2)?)));
        let hold = text_at(&row, 1).map(|danger| format!("replication slot: {danger}"));
        Ok(Pressure { replica_lag_ms, load: load.collect::<Result<_>>()?, hold })
    }
}

/// The lag of the slowest standby; nothing without one. Those that read a logical slot are not standbys: they confirm when
/// it suits them. Nor is pg_receivewal, which never applies anything (its lag grew for ever, and held the copy: seen).
const LAG: &str = "(SELECT coalesce(max(extract(epoch FROM r.replay_lag) * 1000), 0)::bigint FROM pg_stat_replication r \
    WHERE r.replay_lsn IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))";

fn gauge(name: &str) -> Result<&'static str> {
    let found = GAUGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, condition)| *condition).ok_or_else(|| {
        let known = GAUGES.map(|(name, _)| name).join(", ");
        Error::usage(format!("There is no gauge named '{name}' for PostgreSQL.")).todo(format!("It is one of {known}."))
    })
}

impl Source for PostgresSource {
    type Fence = PostgresFence;

    fn key_order(&self) -> KeyOrder {
        self.rewrite.key().order()
    }

    async fn mark(&self, token: Token) -> Result<()> {
        self.marker.mark(token).await
    }

    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>> {
        let open = async || self.rewrite.session(&self.address).await;
        self.reader.with(open, async |session| self.rewrite.read_bound(session, after, rows).await).await
    }

    async fn pressure(&self) -> Result<Pressure> {
        self.feel().await
    }

    async fn before_fence(&self) -> Result<()> {
        let open = async || self.rewrite.session(&self.address).await;
        self.reader.with(open, async |session| self.prepare(session).await).await
    }

    async fn fence(&self, patience: Patience) -> Result<PostgresFence> {
        fence::lock(self, patience).await
    }
}
