//! The table where it is: marks, the ends of ranges, pressure, and the way to the fence.

use std::cell::RefCell;
use std::rc::Rc;

use super::catalog;
use super::connect::Address;
use super::feed::Marks;
use super::fence::{self, MySqlFence};
use super::mirror::Rewrite;
use super::session::{Session, code, is_lost};
use super::sql::text;
use crate::engine::{Patience, Pressure, Source};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder, Token};

const NO_SUCH_DATABASE: u16 = 1049;
const NO_SUCH_TABLE: u16 = 1146;

pub struct MySqlSource {
    pub(super) address: Address,
    pub(super) rewrite: Rc<Rewrite>,
    pub(super) marks: Rc<Marks>,
    pub(super) life: u64,
    /// The table's definition when the run began; under the fence it must still be that.
    pub(super) fingerprint: String,
    /// What `AUTO_INCREMENT=n` of the ALTER asks for.
    pub(super) auto_increment: Option<u64>,
    /// The shadow has an AUTO_INCREMENT column.
    pub(super) counts: bool,
    replicas: Vec<Replica>,
    gauges: Vec<String>,
    marker: Kept,
    reader: Kept,
    gauge: Kept,
}

/// A session that is kept between uses and opened anew after it was lost.
struct Kept {
    session: RefCell<Option<Session>>,
    /// Keys with dates like 2024-00-00 are compared with, whatever the sql_mode says of them.
    any_date: bool,
}

struct Replica {
    address: Address,
    kept: Kept,
}

impl Kept {
    fn new() -> Self {
        Kept { session: RefCell::new(None), any_date: false }
    }

    fn with_any_date() -> Self {
        Kept { any_date: true, ..Kept::new() }
    }

    async fn open(&self, address: &Address) -> Result<Session> {
        let mut session = Session::open(address).await?;
        if self.any_date {
            session.allow_any_date().await?;
        }
        Ok(session)
    }

    async fn with<T>(&self, address: &Address, work: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let kept = self.session.borrow_mut().take();
        let mut session = match kept {
            Some(session) => session,
            None => self.open(address).await?,
        };
        let result = work(&mut session).await;
        if !result.as_ref().is_err_and(is_lost) {
            *self.session.borrow_mut() = Some(session);
        }
        result
    }
}

/// What the throttle watches.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub replicas: Vec<Address>,
    /// Names of status variables.
    pub gauges: Vec<String>,
}

impl MySqlSource {
    #[expect(clippy::too_many_arguments, reason = "the parts of a source are what its one caller has")]
    pub fn new(
        address: Address,
        rewrite: Rc<Rewrite>,
        marks: Rc<Marks>,
        life: u64,
        fingerprint: String,
        auto_increment: Option<u64>,
        counts: bool,
        watch: Watch,
    ) -> Self {
        let replicas = watch.replicas.into_iter().map(|address| Replica { address, kept: Kept::new() }).collect();
        MySqlSource {
            address,
            rewrite,
            marks,
            life,
            fingerprint,
            auto_increment,
            counts,
            replicas,
            gauges: watch.gauges,
            marker: Kept::new(),
            reader: Kept::with_any_date(),
            gauge: Kept::new(),
        }
    }

    async fn load(&self) -> Result<Vec<(String, f64)>> {
        if self.gauges.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.gauges.iter().map(|g| text(g)).collect::<Vec<_>>().join(", ");
        let sql = format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({names})");
        let rows: Vec<(String, String)> =
            self.gauge.with(&self.address, async |session| session.all(&sql).await).await?;
        let mut load = Vec::new();
        for gauge in &self.gauges {
            let found = rows.iter().find(|(name, _)| name.eq_ignore_ascii_case(gauge));
            let value = found.and_then(|(_, v)| v.parse::<f64>().ok()).ok_or_else(|| {
                Error::usage(format!("The server has no numeric status variable named '{gauge}'."))
                    .todo("See SHOW GLOBAL STATUS for the names.")
            })?;
            load.push((gauge.clone(), value));
        }
        Ok(load)
    }

    /// The age of the newest mark on the slowest replica: marks are replicated like any change.
    async fn replica_lag_ms(&self) -> Result<Option<u64>> {
        let marks = &self.rewrite.names.marks;
        let sql = format!(
            "SELECT CAST(GREATEST(0, TIMESTAMPDIFF(MICROSECOND, MAX(at), UTC_TIMESTAMP(6))) AS UNSIGNED) FROM {marks}"
        );
        let mut worst = None;
        for replica in &self.replicas {
            let asked = replica.kept.with(&replica.address, async |session| session.first::<Option<u64>>(&sql).await);
            let age = match asked.await {
                // Not even the table has arrived.
                Err(error) if matches!(code(&error), Some(NO_SUCH_DATABASE | NO_SUCH_TABLE)) => None,
                other => other?,
            };
            // No mark has arrived there yet: as far behind as can be.
            worst = worst.max(Some(age.flatten().map_or(u64::MAX, |us| us / 1000)));
        }
        Ok(worst)
    }
}

impl Source for MySqlSource {
    type Fence = MySqlFence;

    fn key_order(&self) -> KeyOrder {
        self.rewrite.key.order
    }

    async fn mark(&self, token: Token) -> Result<()> {
        let (marks, life, token_) = (&self.rewrite.names.marks, self.life, token.0);
        let sql = format!(
            "INSERT INTO {marks} (slot, life, token, at) VALUES (0, {life}, {token_}, UTC_TIMESTAMP(6)) \
             ON DUPLICATE KEY UPDATE life = VALUES(life), token = VALUES(token), at = VALUES(at)"
        );
        self.marks.sent(token);
        match self.marker.with(&self.address, async |session| session.exec(&sql).await).await {
            Ok(_) => {
                self.marks.returned(token);
                Ok(())
            }
            Err(error) => {
                self.marks.failed(token);
                Err(error)
            }
        }
    }

    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>> {
        let (key, sql) = (&self.rewrite.key, self.rewrite.bound(after, rows)?);
        let row = self.reader.with(&self.address, async |session| session.rows(&sql).await).await?.into_iter().next();
        row.map(|row| key.read_row(&row, 0)).transpose()
    }

    async fn pressure(&self) -> Result<Pressure> {
        Ok(Pressure { replica_lag_ms: self.replica_lag_ms().await?, load: self.load().await?, hold: None })
    }

    async fn before_fence(&self) -> Result<()> {
        let names = &self.rewrite.names;
        self.reader
            .with(&self.address, async |session| {
                let (found, _) = catalog::definition(session, &names.original).await?;
                if found != self.fingerprint {
                    return Err(crate::engine::disturbed("The table's definition changed while the run was on.")
                        .todo("Remove the run with `osc cleanup` and begin anew."));
                }
                session.exec_long(&format!("ANALYZE NO_WRITE_TO_BINLOG TABLE {}", names.shadow)).await.map(drop)
            })
            .await
    }

    async fn fence(&self, patience: Patience) -> Result<MySqlFence> {
        fence::lock(self, patience).await
    }
}
