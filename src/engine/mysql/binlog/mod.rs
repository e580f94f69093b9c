//! The server's change stream, read by a thread of its own.
//!
//! The thread connects as a replica, decodes ([`super::decode`]) and hands over batches through a
//! bounded channel. When the channel is full it stops reading, and the stream keeps its place on the
//! server: that is the whole back-pressure. When the connection is lost it goes on at the last
//! boundary between transactions that was handed over completely, with its decoder's memory of
//! prepared transactions; only the rows of the transaction that was cut are delivered twice.

pub mod ddl;
pub mod gtid;
pub mod lex;
pub mod outbox;
pub mod position;
pub mod query;
pub mod recover;
pub mod rows;
mod thread;
pub mod value;
pub mod xa;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use tokio::sync::{Notify, oneshot};

use self::position::Spot;
use self::xa::Xid;
use super::connect::Address;
use super::decode::Decoder;
use crate::error::{Error, Result};
use crate::model::{Key, Token};

/// How many batches may wait.
const BATCHES: usize = 256;

/// How the stream is kept alive.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long reconnecting is tried before the run stops.
    pub give_up: Duration,
    /// How long the stream may be silent before its connection is taken for dead.
    pub silence: Duration,
    /// What the keys that wait to be settled may take.
    pub unsettled_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { give_up: Duration::from_secs(60), silence: Duration::from_secs(30), unsettled_bytes: 16 << 20 }
    }
}

/// What the stream says, in its order.
#[derive(Debug)]
pub enum Item {
    /// Keys of changed rows of our table, and how many row changes they stand for.
    Keys { keys: Vec<Key>, changes: u64 },
    /// The keys that follow are those of a prepared transaction: its end stands here, and they wait until the server has carried
    /// it out.
    XaEnd(Xid),
    /// A mark of this life, after its transaction; the stream can be read again from the place. So many
    /// transactions that changed our table were prepared and not decided on when it was committed.
    Mark { token: Token, from: Spot, prepared: usize },
}

/// One delivery of the thread.
#[derive(Debug)]
pub struct Batch {
    /// How many deliveries there were up to and with this one.
    pub number: u64,
    pub item: Result<Item>,
}

/// What both sides see.
#[derive(Debug, Default)]
pub struct Shared {
    /// The number of the last batch that came from the server.
    received: AtomicU64,
    bytes: AtomicU64,
    /// Events that are no heartbeats, over all connections.
    events: AtomicU64,
    /// The channel is full.
    blocked: AtomicBool,
    stop: AtomicBool,
    reconnect: AtomicBool,
    /// Wakes the thread for `stop` and `reconnect`.
    nudge: Notify,
    /// Wakes the async side.
    pub wake: Notify,
}

impl Shared {
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub fn blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }
}

/// The running thread. Dropping it ends it.
pub struct Binlog {
    batches: Receiver<Batch>,
    pub shared: Arc<Shared>,
}

impl Binlog {
    /// Starts the thread; returns when the stream flows from where the decoder stands.
    pub async fn start(address: &Address, decoder: Decoder, options: Options) -> Result<Binlog> {
        let shared = Arc::new(Shared::default());
        let (send, batches) = crossbeam_channel::bounded(BATCHES);
        let (ready, started) = oneshot::channel();
        // Made before the thread: if this future is dropped, so is the handle, and the thread ends.
        let binlog = Binlog { batches, shared: shared.clone() };
        let reader = thread::Reader::new(address.clone(), decoder, options, shared, send);
        std::thread::Builder::new()
            .name("osc-binlog".into())
            .spawn(move || reader.run(ready))
            .map_err(|e| Error::transient("The thread that reads the binlog could not be started.").caused_by(e))?;
        match started.await {
            Ok(result) => result.map(|()| binlog),
            Err(_) => Err(Error::definite("The thread that reads the binlog ended before it began.")),
        }
    }

    /// The next batch, if there is one now.
    pub fn poll(&self) -> Result<Option<Batch>> {
        match self.batches.try_recv() {
            Ok(batch) => Ok(Some(batch)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::stopped("The binlog stream has ended.")),
        }
    }

    /// Makes the thread drop its connection and open another.
    pub fn reconnect(&self) {
        self.shared.reconnect.store(true, Ordering::Relaxed);
        self.shared.nudge.notify_one();
    }
}

impl Drop for Binlog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.nudge.notify_one();
    }
}
