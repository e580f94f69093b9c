//! The swap, with its answer or without.
//!
//! With one session, RENAME is done by the session that holds the locks. With two (MariaDB), a second
//! session's RENAME queues behind the locks; a **sentry** under the old table's name makes it fail as
//! long as it is there; the holder checks that it waits for the original, drops the sentry, unlocks. The
//! RENAME's exclusive wait goes before the application's shared ones.
//!
//! Whatever went wrong: both sessions are ended, and when they are gone the catalog says what was done.

use std::rc::Rc;
use std::time::Duration;

use super::bugs::Bug;
use super::dice::sleep_ms;
use super::faults::{Moment, Risk};
use super::fence::{Session, SimFence};
use super::locks::LockId;
use super::server::Server;
use super::session::{Failure, Line, call, risky};
use super::table::Name;
use crate::engine::Swapped;
use crate::error::{Error, Kind, Result};

/// How long the RENAME of the second session may wait for its locks.
const QUEUE: Duration = Duration::from_millis(200);
/// How often the catalog is asked before the outcome counts as unknown.
const LOOKS: u32 = 20;

pub async fn swap(fence: SimFence) -> Result<Swapped> {
    let other = Session::new(&fence.server);
    fence.faults.moment(Moment::Swap);
    if let Some(after) = fence.faults.fence_dies() {
        fence.session.dies(after / 4);
        // The process stood still between the last statement under the lock and the swap.
        if fence.server.dice.chance(500) {
            sleep_ms(after).await;
        }
    }
    let done = if fence.server.plan.two_sessions { by_two(&fence, &other).await } else { by_one(&fence).await };
    let held = fence.held();
    let swapped = Swapped { held, position: String::new() };
    let Err(failure) = done else {
        fence.session.kill();
        return Ok(swapped);
    };
    fence.server.count(|c| c.swaps_unanswered += u64::from(failure == Failure::Lost));
    fence.server.trace.say(|| format!("the swap had no good answer: {failure:?}"));
    let outcome = outcome(&fence, &other).await;
    fence.server.count(|c| c.fence_retries += u64::from(outcome != Ok(true)));
    match outcome {
        Ok(true) => Ok(swapped),
        Ok(false) => Err(Error::from(failure).with_kind(Kind::Transient).context("The tables were not swapped")),
        Err(failure) => Err(Error::from(failure).with_kind(Kind::Ambiguous)),
    }
}

fn rename(server: &Server, life: u64) -> Result<(), Failure> {
    if !server.catalog.borrow_mut().swap() {
        return Err(Failure::Refused("a table of the old name exists"));
    }
    server.ledger.borrow_mut().swapped();
    server.swapped_by.set(Some(life));
    server.trace.say(|| "the tables are swapped".to_owned());
    Ok(())
}

async fn by_one(fence: &SimFence) -> Result<(), Failure> {
    let (server, session, life) = (fence.server.clone(), fence.session.clone(), fence.life);
    risky(&fence.server, &fence.faults, Risk::Swap, |line| async move {
        let running = session.running();
        line.step().await?;
        if !server.bugs.has(Bug::SwapWithoutLock) && !session.holds_locks() {
            return Err(Failure::Killed);
        }
        // From here on a kill is noticed too late: the locks are held until the statement ends.
        line.step().await?;
        rename(&server, life)?;
        drop(running);
        session.kill();
        line.step().await
    })
    .await
}

async fn by_two(fence: &SimFence, other: &Rc<Session>) -> Result<(), Failure> {
    let (server, renamer, life) = (fence.server.clone(), other.clone(), fence.life);
    let renamed = risky(&fence.server, &fence.faults, Risk::Swap, |line| queue(server, renamer, life, line));
    let (server, holder, renamer) = (fence.server.clone(), fence.session.clone(), other.id);
    let unlocked = risky(&fence.server, &fence.faults, Risk::Swap, |line| let_go(server, holder, renamer, line));
    tokio::pin!(renamed);
    tokio::select! {
        biased;
        renamed = &mut renamed => return renamed,
        unlocked = unlocked => unlocked?,
    }
    renamed.await
}

/// The second session's RENAME.
async fn queue(server: Rc<Server>, renamer: Rc<Session>, life: u64, line: Rc<Line>) -> Result<(), Failure> {
    let _running = renamer.running();
    line.step().await?;
    renamer.look()?;
    // In the statement itself: nobody can stand still between this and the RENAME.
    if !server.bugs.has(Bug::RenameUnguarded) && server.store.borrow().life != life {
        return Err(Failure::TakenOver);
    }
    let wrong = server.bugs.has(Bug::NamesSortBefore);
    let order = if wrong { [Name::Shadow, Name::Original] } else { [Name::Original, Name::Shadow] };
    let mut outcome = Ok(());
    for name in order {
        outcome = renamer.lock(name, QUEUE).await.and_then(|()| renamer.look());
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = rename(&server, life);
    }
    renamer.unlock();
    outcome
}

/// The holder's part: it lets go once the RENAME waits where it should.
async fn let_go(server: Rc<Server>, holder: Rc<Session>, renamer: u64, line: Rc<Line>) -> Result<(), Failure> {
    let _running = holder.running();
    let mut looks = 0;
    let waits = || match server.locks.waits(renamer) {
        Some(LockId::Name(Name::Original)) => true,
        other => other.is_some() && server.bugs.has(Bug::NamesSortBefore),
    };
    while !waits() {
        looks += 1;
        if looks > 200 {
            return Err(Failure::Refused("the RENAME did not queue up"));
        }
        sleep_ms(1).await;
        line.step().await?;
        holder.look()?;
    }
    if !holder.holds_locks() {
        return Err(Failure::Killed);
    }
    line.step().await?;
    // Another exclusive wait (LOCK TABLES, TRUNCATE) would be served, and write, before the RENAME.
    let others_first = server.locks.others_first(renamer) && !server.bugs.has(Bug::NamesSortBefore);
    if others_first && !server.bugs.has(Bug::OthersGoFirst) {
        return Err(Failure::Refused("somebody else waits for the whole table"));
    }
    server.catalog.borrow_mut().drop_sentry();
    line.step().await?;
    holder.look()?;
    holder.unlock();
    Ok(())
}

/// What the catalog says once neither session can do anything any more.
async fn outcome(fence: &SimFence, other: &Session) -> Result<bool, Failure> {
    if !fence.server.bugs.has(Bug::LookTooEarly) {
        fence.session.kill();
        other.kill();
        while !fence.session.gone() || !other.gone() {
            sleep_ms(1).await;
        }
    }
    let mut last = Failure::Lost;
    for _ in 0..LOOKS {
        let server = fence.server.clone();
        let looked = call(&fence.server, &fence.faults, |line| async move {
            line.step().await?;
            let swapped = server.catalog.borrow().swapped();
            Ok(swapped)
        });
        match looked.await {
            Ok(swapped) => return Ok(swapped),
            Err(failure) => last = failure,
        }
        sleep_ms(5).await;
    }
    Err(last)
}
