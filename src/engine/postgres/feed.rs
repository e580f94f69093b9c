//! The feed: keys out of the change stream, held back until every new read sees their change.
//!
//! What came out of the stream waits in one queue, in the order of the commits. Its front leaves when a
//! snapshot sees its transaction (see `barrier`); a mark leaves when all before it has left. So what is
//! delivered is settled, and a mark says that everything before it was delivered. The transaction's number
//! comes before its rows, so a transaction larger than the queue moves through it in parts.
//!
//! **Places.** A mark's place is behind its own transaction. All before it has been delivered by then, and the
//! server sends again everything that commits after it. The slot is moved to the place that the core has stored
//! and no further ([`Handle::stored`]): what is unsynced when a process dies comes again. Only a stored place that
//! is on disk may be said: a synchronous commit must have come after the syncs that it speaks of (seen: a sync
//! that was committed asynchronously, a slot that had moved, and a crash lost a key).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::barrier::Barrier;
use super::connect::Address;
use super::decode::{Decoder, Item, Watched};
use super::identity::{self, Found};
use super::key::KeyShape;
use super::lsn::{Lsn, Spot};
use super::names::Names;
use super::publication;
use super::session::Session;
use super::slot;
use super::sql::Ident;
use super::stream::{Options, Shared, Stream};
use super::watch::Watch;
use super::wire::System;
use crate::engine::{Event, Feed, disturbed};
use crate::error::Result;
use crate::model::{Key, Position};

/// How many keys are delivered at once.
const DELIVERY_KEYS: usize = 500;
/// How long making the publication and the slot may take, most of it waiting for others.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What whoever stores places tells the feed.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// This place is on the server's disk, and so is everything that was synced before it.
    pub fn stored(&self, position: &Position) -> Result<()> {
        self.0.stored(Spot::parse(position)?.lsn());
        Ok(())
    }
}

/// The change stream of one table.
pub struct PostgresFeed {
    stream: Stream,
    _watch: Watch,
    barrier: Barrier,
    system: System,
    changes: u64,
    at: Lsn,
}

/// A table whose changes are being kept for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    pub found: Found,
    /// The publication as it was made; compared as a whole.
    pub publication: String,
    /// Where the stream begins.
    pub begins: Lsn,
}

/// Publishes the table and makes the slot: from the return on, every change is in the stream or visible.
pub async fn prepare(
    address: &Address,
    names: &Names,
    found: &Found,
    key: &KeyShape,
    patience: Duration,
) -> Result<Followed> {
    let mut session = Session::open(address).await?;
    // Before the publication is touched: it may be that of a run which is alive.
    slot::refuse_existing(&mut session, &names.slot).await?;
    let probe = key.columns.first().map(|c| c.name.clone()).unwrap_or(Ident::new(""));
    publication::create(&mut session, names, found, &probe).await?;
    match slot::create(address, names, patience).await {
        Ok(begins) => {
            let publication = publication::fingerprint(&mut session, &names.publication).await?;
            Ok(Followed { found: found.clone(), publication, begins })
        }
        Err(error) => {
            publication::drop(&mut session, &names.publication).await?;
            Err(error)
        }
    }
}

/// Takes away what `prepare` made.
pub async fn remove(address: &Address, names: &Names) -> Result<()> {
    let mut session = Session::open(address).await?;
    slot::drop(&mut session, &names.slot).await?;
    publication::drop(&mut session, &names.publication).await
}

impl PostgresFeed {
    /// Opens the stream, at `from` or where the slot begins; returns when it flows.
    pub async fn open(
        address: &Address,
        names: &Names,
        followed: &Followed,
        key: &KeyShape,
        life: u64,
        from: Option<&Position>,
        options: Options,
    ) -> Result<(PostgresFeed, Handle, Position)> {
        let origin = from.map(Spot::parse).transpose()?;
        let mut session = Session::open(address).await?;
        let again = identity::find(&mut session, &names.original).await?;
        let published = publication::fingerprint(&mut session, &names.publication).await?;
        if again != followed.found || published != followed.publication {
            return Err(disturbed(format!(
                "The table {}, or what is published of it, was altered in the meantime.",
                names.original.bare()
            ))
            .todo("Remove the run with `osc cleanup` and begin anew."));
        }
        drop(session);
        let start = match &origin {
            Some(spot) => spot.lsn(),
            None => followed.begins,
        };
        let watched = Watched {
            oid: followed.found.oid,
            table: names.original.bare(),
            key: key.clone(),
            marks: names.marks.clone(),
            life,
        };
        let (stream, system) =
            Stream::start(address, names, Decoder::new(watched, start), origin.as_ref(), options).await?;
        let pinned = address.pinned(&system.server);
        let watch = Watch::start(&pinned, names, followed, options.look_every, stream.shared.clone());
        let handle = Handle(stream.shared.clone());
        let position = Spot::new(&system.server, system.timeline, start).to_position();
        let barrier = Barrier::new(&pinned, options.give_up);
        let feed = PostgresFeed { stream, _watch: watch, barrier, system, changes: 0, at: start };
        Ok((feed, handle, position))
    }

    /// How many row changes of the table were delivered.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many bytes came from the server.
    pub fn bytes(&self) -> u64 {
        self.stream.shared.bytes()
    }

    /// How many times the stream was begun.
    pub fn connections(&self) -> u64 {
        self.stream.shared.connections()
    }

    /// The server's process that sends, 0 when there is none.
    pub fn walsender(&self) -> u64 {
        self.stream.shared.walsender()
    }

    /// Where the last delivered mark stood, for people.
    pub fn position_text(&self) -> String {
        self.at.to_string()
    }

    /// The next event that is settled; keys of several transactions at once.
    fn hand_out(&mut self) -> Option<Event> {
        let mut out: Vec<Key> = Vec::new();
        while out.len() < DELIVERY_KEYS {
            let barrier = &self.barrier;
            let first = out.is_empty();
            let item = self.stream.shared.pop_if(|item| match item {
                Item::Keys { xid, .. } => barrier.sees(*xid),
                Item::Mark { .. } => first,
            });
            match item {
                Some(Item::Keys { keys, changes, .. }) => {
                    self.changes += changes;
                    out.extend(keys);
                }
                Some(Item::Mark { token, after }) => {
                    self.at = after;
                    let spot = Spot::new(&self.system.server, self.system.timeline, after);
                    return Some(Event::Mark { token, position: spot.to_position() });
                }
                None => break,
            }
        }
        (!out.is_empty()).then_some(Event::Keys(out))
    }
}

impl Feed for PostgresFeed {
    async fn next(&mut self) -> Result<Event> {
        loop {
            // When much is ready, the tasks that send marks must have their turn too.
            tokio::task::coop::consume_budget().await;
            if let Some(event) = self.hand_out() {
                self.barrier.progressed();
                return Ok(event);
            }
            if let Some(error) = self.stream.shared.failure() {
                return Err(error);
            }
            let unsettled = self.stream.shared.waits_for().is_some();
            // All state is in self; a wake-up that is lost with this future costs a second at most.
            tokio::select! {
                () = self.stream.shared.wake.notified(), if !unsettled => {}
                asked = std::future::poll_fn(|context| self.barrier.poll(context)), if unsettled => asked?,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}
