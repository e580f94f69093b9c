//! The lock under which the tables are swapped; the only place that takes one.
//!
//! One transaction on a session of its own, from the first lock to the swap: a session that is lost, killed or too slow
//! rolls back, and was never there. What it locks and runs is a [`Swap`], planned before; how it locks is [`locks`].
//!
//! **Under the lock** the world is looked at once more: the life is still this process's (its row is kept until the
//! commit, so nobody can take the run over in between), the table and all that hangs on it are what they were when the
//! swap was planned, what is published of it too, and nobody holds a snapshot from before the copy. The stream is
//! drained by the core meanwhile. No barrier is needed here: a writer gives its lock up only after it has become visible.
//!
//! **The application never waits longer than it was promised.** A [`watchdog`] ends the session after `hold`; if
//! this process can't, the server does it itself half a second later.
//!
//! **The outcome is exact**: the swap's transaction writes the row by which everybody later tells ([`outcome`]).
//! It commits with local durability: a standby that is away must not keep readers waiting behind the lock. Whoever
//! wants to know that the standby has it too waits for a mark.

pub mod follow;
pub mod locks;
pub mod outcome;
pub mod snapshots;
mod watchdog;

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::catalog;
use super::connect::Address;
use super::mirror::Rewrite;
use super::publication;
use super::session::{Session, code};
use super::source::PostgresSource;
use super::state;
use super::swap::Swap;
use crate::engine::{Fence, Patience, Swapped, disturbed};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::model::{Key, Rows};
use outcome::{Backend, SWAPPED};
use snapshots::Since;
use watchdog::Watchdog;

/// Keys of one statement of the final sync.
const BATCH: usize = 500;
/// How long giving the lock back may take before the watchdog does it.
const RELEASE: Duration = Duration::from_millis(500);

pub struct PostgresFence {
    session: Session,
    holder: Backend,
    /// The numbers of this session and of the watchdog's.
    ids: [u32; 2],
    address: Address,
    rewrite: Rc<Rewrite>,
    life: u64,
    fingerprint: String,
    publication: String,
    since: Option<Since>,
    swap: Swap,
    granted: Instant,
    watchdog: Watchdog,
}

/// Takes the lock.
pub async fn lock(source: &PostgresSource, patience: Patience) -> Result<PostgresFence> {
    let swap = source.swap.borrow().clone();
    let swap = swap.ok_or_else(|| Error::transient("The swap is not planned yet."))?;
    let names = &source.rewrite.names;
    let mut session = source.rewrite.session(&source.address).await?;
    let mut other = Session::open(&source.address).await?;
    let holder = Backend::of(&mut session).await?;
    let ids = [session.pid.unsigned_abs(), other.pid.unsigned_abs()];
    failpoint::hit("before-lock", &ids).await;
    let granted = locks::take(&mut session, &mut other, names, &swap, patience).await?;
    let left = patience.hold.saturating_sub(granted.elapsed());
    let watchdog = Watchdog::arm(source.address.clone(), other, holder.clone(), left);
    failpoint::hit("lock-granted", &ids).await;
    Ok(PostgresFence {
        session,
        holder,
        ids,
        address: source.address.clone(),
        rewrite: source.rewrite.clone(),
        life: source.life,
        fingerprint: source.fingerprint.clone(),
        publication: source.publication.clone(),
        since: source.since.borrow().clone(),
        swap,
        granted,
        watchdog,
    })
}

impl PostgresFence {
    /// Under the lock nobody can change what is looked at here, but for grants and the like, which take none: so this
    /// comes as late as can be.
    async fn undisturbed(&mut self) -> Result<()> {
        let names = self.rewrite.names.clone();
        let life = match self.session.value(&state::life_for_share(&names.state)).await {
            // Not even the schema is there: somebody has cleaned up.
            Err(error) if code(&error).is_some_and(|c| ["42P01", "3F000"].contains(&c.code())) => None,
            other => other?,
        };
        if life != Some(self.life.to_string()) {
            return Err(state::taken_over());
        }
        let again = "Remove the run with `osc cleanup` and begin anew.";
        let now = catalog::fingerprint(&mut self.session, &names.original).await?;
        if now != self.fingerprint {
            return Err(disturbed(format!(
                "{} was altered while the run was on, or something that hangs on it ({}).",
                names.original.bare(),
                catalog::changed(&self.fingerprint, &now)
            ))
            .todo(again));
        }
        if publication::fingerprint(&mut self.session, &names.publication).await? != self.publication {
            return Err(disturbed("Somebody changed or dropped osc's publication while the run was on.").todo(again));
        }
        if let Some(since) = &self.since {
            let who = snapshots::older(&mut self.session, since).await?;
            if !who.is_empty() {
                return Err(snapshots::older_error(&who));
            }
        }
        Ok(())
    }

    /// Everything of the swap but its COMMIT. Returns where the log stood.
    async fn write(&mut self) -> Result<String> {
        let position = self.session.value("SELECT pg_current_wal_insert_lsn()").await?.unwrap_or_default();
        state::put(&mut self.session, &self.rewrite.names.state, SWAPPED, &self.life.to_string()).await?;
        self.session.exec_all(&self.swap.statements).await?;
        Ok(position)
    }
}

impl Fence for PostgresFence {
    async fn sync(&mut self, keys: &[Key]) -> Result<()> {
        failpoint::hit("drained", &self.ids).await;
        self.undisturbed().await?;
        if self.rewrite.shadow.deferred {
            self.session.exec("SET CONSTRAINTS ALL IMMEDIATE").await?;
        }
        for keys in keys.chunks(BATCH) {
            self.session.exec_long(&self.rewrite.delete(Rows::Keys(keys))?).await?;
        }
        if !keys.is_empty() {
            failpoint::hit("final-sync", &self.ids).await;
        }
        for keys in keys.chunks(BATCH) {
            let insert = self.rewrite.insert(&self.rewrite.names.shadow, Rows::Keys(keys))?;
            self.session.exec_long(&insert).await.map_err(explain)?;
        }
        failpoint::hit("synced", &self.ids).await;
        Ok(())
    }

    async fn swap(mut self) -> Result<Swapped> {
        let position = match self.write().await {
            Ok(position) => position,
            Err(error) => {
                self.release().await;
                let error = error.context("The tables were not swapped");
                return Err(if error.kind() == Kind::Transient {
                    error
                } else {
                    error.table("The table is unchanged.")
                });
            }
        };
        failpoint::hit("renamed", &self.ids).await;
        let committed = self.session.exec("COMMIT").await;
        let held = self.granted.elapsed();
        let swapped = Swapped { held, position };
        match committed {
            Ok(_) => {
                self.watchdog.disarm();
                Ok(swapped)
            }
            // Whatever the answer was: a session can be ended after its commit, before it says so.
            Err(error) => {
                let PostgresFence { session, address, rewrite, watchdog, holder, .. } = self;
                drop((session, watchdog));
                match outcome::swapped(&address, &rewrite.names, &holder).await? {
                    true => Ok(swapped),
                    false if error.kind() == Kind::Definite && code(&error).is_some() => {
                        Err(error.context("The tables were not swapped").table("The table is unchanged."))
                    }
                    false => Err(error.with_kind(Kind::Transient).context("The tables were not swapped")),
                }
            }
        }
    }

    async fn release(mut self) {
        if let Ok(Ok(_)) = tokio::time::timeout(RELEASE, self.session.exec("ROLLBACK")).await {
            self.watchdog.disarm();
        }
    }
}

/// Under the lock, after all keys' rows were deleted, a conflict is true.
fn explain(error: Error) -> Error {
    let duplicate = code(&error).is_some_and(|c| ["23505", "23P01"].contains(&c.code()));
    let doing = match duplicate {
        true => "Two rows of the table have the same value under a unique index of the new definition",
        false => "A row can't be copied into the new table",
    };
    match error.kind() {
        Kind::Definite => error
            .context(doing)
            .table("The table is unchanged.")
            .todo("Change the row, or the ALTER, and run the same command again; a native ALTER would fail in the same place."),
        _ => error,
    }
}
