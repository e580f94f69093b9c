//! How a life of the process begins: what it finds, and what it makes ready.
//!
//! It waits for whoever holds the table's name (a RENAME of the last life that is still running), then
//! asks the catalog whether the tables are swapped. If not, it raises the epoch and takes the last
//! life's place over, or begins anew: a fresh shadow, a place in the stream, and then the wait for
//! every transaction that was prepared before that place.

use std::rc::Rc;

use super::binlog::Place;
use super::bugs::{Bug, Peek};
use super::dice::sleep_ms;
use super::faults::{Faults, Moment};
use super::feed::{Inbox, SimFeed};
use super::keys::decode;
use super::mirror::SimMirror;
use super::server::Server;
use super::session::{Failure, call};
use super::settle::Settle;
use super::source::SimSource;
use super::state;
use super::table::{Name, Table};
use super::transaction::{Origin, Tx};
use crate::error::{Error, Result};
use crate::model::Checkpoint;
use crate::pipeline::Start;

pub struct Opened {
    pub source: SimSource,
    pub feed: SimFeed,
    pub mirror: SimMirror,
    pub start: Start,
}

/// None: the tables are swapped.
pub async fn open(server: &Rc<Server>, faults: &Rc<Faults>, life: u64) -> Result<Option<Opened>> {
    let looked = again(async || {
        let looking = server.clone();
        call(server, faults, |line| async move {
            line.step().await?;
            let mut tx = Tx::begin(&looking, Origin::Osc);
            tx.open(Name::Original).await?;
            let swapped = looking.catalog.borrow().swapped();
            Ok(swapped)
        })
        .await
    });
    if looked.await? {
        return Ok(None);
    }
    let begun = again(async || {
        let tx_server = server.clone();
        call(server, faults, |line| async move {
            line.step().await?;
            let tx = Tx::begin(&tx_server, Origin::Osc);
            state::begin_life(tx, life, &line).await
        })
        .await
    });
    let (epoch, checkpoint) = begun.await?;
    let position = match &checkpoint {
        Some(_) if server.bugs.has(Bug::ResumeForgets) => Place::start_of(server.binlog.end()).position(),
        Some(checkpoint) => checkpoint.position.clone(),
        None => begin_anew(server, faults, epoch).await?.position(),
    };
    server.trace.say(|| format!("life {life}, epoch {epoch}, begins at {position:?} with {checkpoint:?}"));
    server.check_place();
    let place = Place::parse(&position)?;
    // Marks of another life are not this one's.
    let marks = if server.bugs.has(Bug::TokensReused) { 0 } else { life };
    let inbox = Inbox::new(Settle::new(server.bugs, place));
    let peek = Rc::new(Peek::default());
    let resume: Option<Checkpoint> = checkpoint;
    if let Some(checkpoint) = &resume {
        let frontier = checkpoint.frontier.as_ref().map(|key| decode(server.plan.order, key)).transpose()?;
        peek.reach.set(if checkpoint.copied { Some(u32::MAX) } else { frontier });
    }
    Ok(Some(Opened {
        source: SimSource::new(server.clone(), faults.clone(), inbox.clone(), life, marks, peek.clone()),
        feed: SimFeed::new(server.clone(), faults.clone(), inbox, place, marks, peek.clone()),
        mirror: SimMirror::new(server.clone(), faults.clone(), life, epoch, peek),
        start: Start { position, resume },
    }))
}

/// A new shadow, in place of one that was never begun with. Only for whose life it still is: a process
/// that stood still until another one had taken the run over would take that one's shadow away.
async fn begin_anew(server: &Rc<Server>, faults: &Faults, epoch: u64) -> Result<Place> {
    faults.moment(Moment::Anew);
    let built = again(async || {
        let server = server.clone();
        call(&server.clone(), faults, |line| async move {
            line.step().await?;
            let mut tx = Tx::begin(&server, Origin::Osc);
            if !server.bugs.has(Bug::ShadowRebuiltLate) {
                state::check(&mut tx, epoch).await.map_err(|_| Failure::TakenOver)?;
            }
            let mut catalog = server.catalog.borrow_mut();
            if !catalog.swapped() {
                catalog.drop_name(Name::Shadow);
                catalog.create(Name::Shadow, Table { unbuilt: server.plan.later, ..Table::new(server.plan.unique) });
            }
            Ok(())
        })
        .await
    });
    built.await?;
    let place = Place::start_of(server.binlog.end());
    if !server.bugs.has(Bug::XaOlderIgnored) {
        let older = server.prepared.recover();
        while server.prepared.recover().iter().any(|xid| older.contains(xid)) {
            sleep_ms(3).await;
        }
    }
    Ok(place)
}

async fn again<T>(mut attempt: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T> {
    for _ in 0..200 {
        match attempt().await {
            Err(failure) if Error::from(failure.clone()).kind().retry() => sleep_ms(5).await,
            other => return other.map_err(Error::from),
        }
    }
    Err(Error::stopped("The server could not be reached."))
}
