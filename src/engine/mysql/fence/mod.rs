//! The lock under which the tables are swapped; the only place that takes one.
//!
//! `LOCK TABLES original WRITE, shadow WRITE` on a session of its own. Table locks are granted in name
//! order and the shadow's name sorts after the original's (see [`super::names`]), so writers queue on
//! the original and find the new table when they wake.
//!
//! **The application never waits longer than it was promised.** While the lock is waited for, its new
//! statements queue behind us, so a watchdog kills the waiting statement after `lock_wait`
//! (`lock_wait_timeout` counts whole seconds). From the grant on another watchdog kills the session after
//! `hold`, whatever the process does meanwhile; a killed or dropped session releases its locks and can't
//! swap. How the tables are swapped under the lock is [`one_session`] for MySQL and [`two_sessions`] for
//! MariaDB, which refuses RENAME under LOCK TABLES.

mod blockers;
mod one_session;
pub mod outcome;
mod two_sessions;

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::binlog::position::describe;
use super::catalog;
use super::connect::Address;
use super::feed::{self, Marks};
use super::flavor::Flavor;
use super::mirror::{DUPLICATE, Rewrite};
use super::names::Names;
use super::session::{Session, code};
use super::source::MySqlSource;
use super::state;
use crate::engine::{Fence, Patience, Swapped};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::model::{Key, Rows};

pub use two_sessions::{SENTRY, remove_sentry, sentry_statement};

/// Keys of one statement of the final sync.
const BATCH: usize = 500;

pub struct MySqlFence {
    session: Session,
    /// A second session: looks, and on MariaDB renames.
    other: Session,
    address: Address,
    rewrite: Rc<Rewrite>,
    marks: Rc<Marks>,
    life: u64,
    fingerprint: String,
    auto_increment: Option<u64>,
    /// The shadow has an AUTO_INCREMENT column.
    counts: bool,
    granted: Instant,
    watchdog: Watchdog,
}

/// Kills a session unless it's told in time that all is well. Dropping it kills at once.
struct Watchdog {
    disarm: Option<oneshot::Sender<()>>,
}

impl Watchdog {
    fn arm(address: Address, id: u32, after: Duration) -> Self {
        let (disarm, disarmed) = oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = tokio::time::timeout(after, disarmed).await {
                return;
            }
            kill(&address, id).await;
        });
        Watchdog { disarm: Some(disarm) }
    }

    fn disarm(mut self) {
        if let Some(disarm) = self.disarm.take() {
            let _ = disarm.send(());
        }
    }
}

/// Ends a connection on the server. Its own account may do that without further privileges.
async fn kill(address: &Address, id: u32) {
    let killed = async { Session::open(address).await?.exec(&format!("KILL CONNECTION {id}")).await };
    match tokio::time::timeout(Duration::from_secs(10), killed).await {
        Ok(Ok(_)) => tracing::debug!(connection = id, "the session that held the lock was ended"),
        // 1094: it's gone already.
        Ok(Err(error)) if code(&error) == Some(1094) => {}
        Ok(Err(error)) => tracing::warn!(%error, connection = id, "the session that held the lock could not be ended"),
        Err(_) => tracing::warn!(connection = id, "the session that held the lock could not be ended in time"),
    }
}

fn lock_statement(names: &Names, flavor: Flavor) -> String {
    let sentry = if flavor.is_mariadb() { format!(", {} WRITE", names.old) } else { String::new() };
    format!("LOCK TABLES {} WRITE, {} WRITE{sentry}", names.original, names.shadow)
}

fn rename_statement(names: &Names) -> String {
    format!("RENAME TABLE {0} TO {1}, {2} TO {0}", names.original, names.old, names.shadow)
}

/// The statements of the cutover, for the plan.
pub fn statements(names: &Names, flavor: Flavor) -> Vec<String> {
    let (lock, rename) = (lock_statement(names, flavor), rename_statement(names));
    if !flavor.is_mariadb() {
        return vec![lock, rename, "UNLOCK TABLES".to_owned()];
    }
    let queued = format!("{rename}  -- in a second session: it queues behind the lock");
    vec![lock, queued, format!("DROP TABLE {}", names.old), "UNLOCK TABLES".to_owned()]
}

/// Takes the lock.
pub async fn lock(source: &MySqlSource, patience: Patience) -> Result<MySqlFence> {
    let names = &source.rewrite.names;
    let mut session = source.rewrite.session(&source.address).await?;
    let mut other = Session::open(&source.address).await?;
    if session.flavor.is_mariadb() {
        two_sessions::put_sentry(&mut other, names).await?;
    }
    // Statements of the final sync are transactions of their own under the table locks: START
    // TRANSACTION would release the locks.
    let ids = [session.id, other.id];
    let id = session.id;
    failpoint::hit("before-lock", &ids).await;
    // Whatever becomes of this process (stopped, cut off from the server): the server itself ends the
    // wait for the lock, and a session that holds it and says nothing.
    let (wait, hold) = (patience.lock_wait.as_secs() + 1, patience.hold.as_secs() + 1);
    session.exec(&format!("SET SESSION lock_wait_timeout = {wait}, wait_timeout = {hold}")).await?;
    let statement = lock_statement(names, session.flavor);
    let granted = {
        let waiting = session.exec(&statement);
        tokio::pin!(waiting);
        let granted = tokio::time::timeout(patience.lock_wait, &mut waiting).await;
        if granted.is_err() {
            // First of all: the application waits.
            let _ = other.exec(&format!("KILL QUERY {id}")).await;
            // Whether the kill or the grant came first: the session is closed, and with it the lock.
            let _ = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        }
        granted
    };
    let Ok(granted) = granted else {
        drop(session);
        let blockers = blockers::name(&mut other, &names.original).await;
        let limit = patience.lock_wait.as_millis();
        return Err(Error::transient(format!("The table could not be locked within {limit} ms{blockers}.")));
    };
    granted?;
    let granted = Instant::now();
    let watchdog = Watchdog::arm(source.address.clone(), id, patience.hold);
    failpoint::hit("lock-granted", &ids).await;
    Ok(MySqlFence {
        session,
        other,
        address: source.address.clone(),
        rewrite: source.rewrite.clone(),
        marks: source.marks.clone(),
        life: source.life,
        fingerprint: source.fingerprint.clone(),
        auto_increment: source.auto_increment,
        counts: source.counts,
        granted,
        watchdog,
    })
}

impl MySqlFence {
    /// Nothing that the stream did not show may have changed the table, and the shadow must be this process's:
    /// one that stood still for long enough may have lost its run to another process, which has perhaps
    /// removed the shadow and built it anew. Under the lock nobody can do that, so one look is enough; it is
    /// the other session's, since the locked one can read the locked tables only.
    async fn undisturbed(&mut self) -> Result<()> {
        if state::life(&mut self.other, &self.rewrite.names.state).await? != Some(self.life) {
            return Err(state::taken_over());
        }
        let (found, _) = catalog::definition(&mut self.session, &self.rewrite.names.original).await?;
        if found != self.fingerprint {
            return Err(crate::engine::disturbed("The table's definition changed while the run was on.")
                .todo("Remove the run with `osc cleanup` and begin anew."));
        }
        match self.marks.prepared() {
            0 => Ok(()),
            open => Err(Error::transient(format!(
                "{open} prepared XA transaction(s) hold changes of the table; they have to be committed or rolled back first."
            ))),
        }
    }

    /// The shadow goes on counting where the table is, or where the ALTER says.
    async fn carry_auto_increment(&mut self) -> Result<()> {
        if !self.counts {
            return Ok(());
        }
        let names = self.rewrite.names.clone();
        let wanted = match self.auto_increment {
            // The server takes no less than one more than the highest number there is: not what the counter was.
            Some(asked) => Some(asked),
            None => {
                let (_, source) = catalog::definition(&mut self.session, &names.original).await?;
                let (_, shadow) = catalog::definition(&mut self.session, &names.shadow).await?;
                source.filter(|source| shadow.unwrap_or(1) < *source)
            }
        };
        match wanted {
            Some(next) => {
                self.session.exec(&format!("ALTER TABLE {} AUTO_INCREMENT = {next}", names.shadow)).await.map(drop)
            }
            None => Ok(()),
        }
    }
}

impl Fence for MySqlFence {
    async fn sync(&mut self, keys: &[Key]) -> Result<()> {
        let ids = [self.session.id, self.other.id];
        failpoint::hit("drained", &ids).await;
        self.undisturbed().await?;
        for keys in keys.chunks(BATCH) {
            self.session.exec_long(&self.rewrite.delete(Rows::Keys(keys))?).await?;
        }
        if !keys.is_empty() {
            failpoint::hit("final-sync", &ids).await;
        }
        for keys in keys.chunks(BATCH) {
            let insert = self.rewrite.insert(&self.rewrite.names.shadow, Rows::Keys(keys))?;
            if let Err(error) = self.session.exec_long(&insert).await {
                return Err(match code(&error) {
                    Some(DUPLICATE) => error
                        .with_kind(Kind::Definite)
                        .context("Two rows of the table have the same value under a unique key of the new definition")
                        .table("The table is unchanged.")
                        .todo("Remove the duplicate and run the same command again."),
                    _ => error,
                });
            }
        }
        self.carry_auto_increment().await?;
        failpoint::hit("synced", &ids).await;
        Ok(())
    }

    async fn swap(mut self) -> Result<Swapped> {
        let position = feed::current_position(&mut self.other).await?;
        let granted = self.granted;
        let rename = rename_statement(&self.rewrite.names);
        let swapped = if self.session.flavor.is_mariadb() {
            let guarded = state::in_life(&self.rewrite.names.state, self.life, &rename);
            two_sessions::rename(&mut self.session, &mut self.other, &self.rewrite.names, &rename, &guarded).await
        } else {
            one_session::rename(&mut self.session, &rename, self.other.id).await
        };
        let held = granted.elapsed();
        match swapped {
            Ok(()) => {
                self.watchdog.disarm();
                Ok(Swapped { held, position: describe(&position) })
            }
            Err(error) => {
                let ids = [self.session.id, self.other.id];
                // Both connections end here, so no statement of theirs can still be waiting for its turn.
                let MySqlFence { session, other, address, rewrite, watchdog, .. } = self;
                drop((session, other, watchdog));
                if outcome::swapped(&address, &rewrite.names, ids).await? {
                    return Ok(Swapped { held, position: describe(&position) });
                }
                Err(error.with_kind(Kind::Transient).context("The tables were not swapped"))
            }
        }
    }

    async fn release(mut self) {
        if self.session.exec("UNLOCK TABLES").await.is_ok() {
            self.watchdog.disarm();
        }
    }
}
