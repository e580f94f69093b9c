//! The task that reads the change stream, keeps the connection, and answers the server.
//!
//! A task of its own because the core stops asking for events when it has enough keys, and the server must hear
//! from us all the same. What it has decoded waits in a queue that is bounded in bytes. When the queue stays full
//! it lets the connection go: a walsender that can't send would keep a server from shutting down. The next
//! connection, when there is room, goes on behind the last transaction that was read to its end: nothing but a
//! part of one transaction comes again. The slot itself stays where the core's stored place is; should this
//! process die, the next one reads from there.
//!
//! The server asks for nothing while it is answered, so that it lives has to be asked: each answer asks back.
//! How long it may then be silent is more than its own `wal_sender_timeout`: it reads no answers for half
//! of that while it decodes a large transaction of other tables, and a connection given up in that time
//! would begin the same work anew.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::connect::Address;
use super::decode::{Decoder, Item};
use super::lsn::{Lsn, Spot};
use super::names::Names;
use super::session::Session;
use super::slot;
use super::wire::{Frame, System, Wire, said};
use crate::engine::disturbed;
use crate::error::{Error, Kind, Result};

/// How a stream behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What may wait in the queue.
    pub queue_bytes: usize,
    /// How long connecting again may fail before the run ends.
    pub give_up: Duration,
    /// How long the server may say nothing.
    pub silence: Duration,
    /// How long a full queue may hold the server's sender.
    pub held: Duration,
    /// How often the server is answered.
    pub answer_every: Duration,
    /// How often the table is looked at; the slot and the publication at every tenth look.
    pub look_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            queue_bytes: 16 << 20,
            give_up: Duration::from_secs(300),
            silence: Duration::from_secs(75),
            held: Duration::from_secs(10),
            answer_every: Duration::from_secs(5),
            look_every: Duration::from_millis(100),
        }
    }
}

/// How long an answer may take to be sent, and the stream to begin.
const QUICK: Duration = Duration::from_secs(20);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// What the task, the watch and the feed share.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    /// Something came, or failed.
    pub wake: Notify,
    /// Something was taken out, or is to be confirmed.
    room: Notify,
    bytes: AtomicU64,
    connections: AtomicU64,
    walsender: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    queued_bytes: usize,
    failed: Option<Error>,
    durable: Lsn,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest item that is handed out by `ready`.
    pub fn pop_if(&self, ready: impl FnOnce(&Item) -> bool) -> Option<Item> {
        let mut state = self.state();
        if !ready(state.queue.front()?) {
            return None;
        }
        let item = state.queue.pop_front()?;
        state.queued_bytes = state.queued_bytes.saturating_sub(cost(&item));
        drop(state);
        self.room.notify_one();
        Some(item)
    }

    /// The transaction that the oldest item waits for.
    pub fn waits_for(&self) -> Option<u32> {
        match self.state().queue.front()? {
            Item::Keys { xid, .. } => Some(*xid),
            Item::Mark { .. } => None,
        }
    }

    /// Ends the stream with a reason; the first one stays.
    pub fn fail(&self, error: Error) {
        self.state().failed.get_or_insert(error);
        self.wake.notify_one();
    }

    pub fn failure(&self) -> Option<Error> {
        self.state().failed.take()
    }

    /// The core has stored this place: what lies before it is not needed any more.
    pub fn stored(&self, durable: Lsn) {
        {
            let mut state = self.state();
            state.durable = state.durable.max(durable);
        }
        self.room.notify_one();
    }

    fn has_room(&self, limit: usize) -> bool {
        self.state().queued_bytes < limit
    }

    fn put(&self, items: Vec<Item>) {
        if items.is_empty() {
            return;
        }
        let mut state = self.state();
        for item in items {
            state.queued_bytes += cost(&item);
            state.queue.push_back(item);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Bytes that came from the server.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many times the stream was begun.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// The server's process that sends, 0 when there is none.
    pub fn walsender(&self) -> u64 {
        self.walsender.load(Ordering::Relaxed)
    }
}

fn cost(item: &Item) -> usize {
    match item {
        Item::Keys { keys, .. } => 96 + keys.iter().map(|k| k.as_bytes().len() + 40).sum::<usize>(),
        Item::Mark { .. } => 64,
    }
}

/// Reads the stream until it is dropped or has failed.
pub struct Stream {
    pub shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream {
    /// Opens the stream; returns when it flows.
    pub async fn start(
        address: &Address,
        names: &Names,
        decoder: Decoder,
        origin: Option<&Spot>,
        options: Options,
    ) -> Result<(Stream, System)> {
        let shared = Arc::new(Shared::default());
        let mut task = Task {
            address: address.clone(),
            names: names.clone(),
            options,
            shared: shared.clone(),
            decoder,
            system: origin.map(|spot| System { server: spot.server.clone(), timeline: spot.timeline }),
            answered: Instant::now(),
            confirmed: Lsn(0),
            heard: Lsn(0),
        };
        let wire = task.connect_patiently().await?;
        let system = task.system.clone().ok_or_else(|| Error::definite("The stream's server has no name."))?;
        let task = tokio::spawn(async move {
            if let Err(error) = task.run(wire).await {
                task.shared.fail(error);
            }
        });
        Ok((Stream { shared, task }, system))
    }
}

struct Task {
    address: Address,
    names: Names,
    options: Options,
    shared: Arc<Shared>,
    decoder: Decoder,
    /// The server whose history the places of this stream belong to.
    system: Option<System>,
    answered: Instant,
    confirmed: Lsn,
    /// How far the server says that its stream has come.
    heard: Lsn,
}

impl Task {
    async fn run(&mut self, first: Wire) -> Result<()> {
        let mut wire = first;
        loop {
            self.shared.walsender.store(u64::try_from(wire.pid).unwrap_or_default(), Ordering::Relaxed);
            let ended = self.follow(&mut wire).await;
            drop(wire);
            self.shared.walsender.store(0, Ordering::Relaxed);
            // What was read of an unfinished transaction is true all the same.
            self.decoder.restart();
            self.shared.put(self.decoder.take());
            match ended {
                Ok(Ended::Held) => {
                    while !self.shared.has_room(self.options.queue_bytes) {
                        self.shared.room.notified().await;
                    }
                }
                Err(error) => {
                    let error = self.sort(error);
                    if error.kind() != Kind::Transient {
                        return Err(error);
                    }
                    tracing::warn!(%error, "the change stream broke: connecting again");
                }
            }
            wire = self.connect_patiently().await?;
        }
    }

    /// Connects, again and again while it fails for reasons that may pass.
    async fn connect_patiently(&mut self) -> Result<Wire> {
        let since = Instant::now();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let error = match self.connect().await {
                Ok(wire) => return Ok(wire),
                Err(error) => self.sort(error),
            };
            if error.kind() != Kind::Transient {
                return Err(error);
            }
            if since.elapsed() > self.options.give_up {
                return Err(error
                    .with_kind(Kind::Stopped)
                    .context("The change stream could not be opened again")
                    .table("The table was not swapped and is as the application left it.")
                    .todo("Run the same command again when the server can be reached: it goes on from where it was."));
            }
            tracing::debug!(%error, "the change stream can't be opened yet");
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    async fn connect(&mut self) -> Result<Wire> {
        let mut wire = Wire::open(&self.address).await?;
        let found = wire.identify().await?;
        match &self.system {
            Some(known) if *known != found => {
                return Err(Error::stopped(format!(
                    "Another server, or another history of it, answers at {} now: {} on timeline {} instead of {} on timeline {}.",
                    self.address.describe(),
                    found.server,
                    found.timeline,
                    known.server,
                    known.timeline
                ))
                .table("The table was not swapped.")
                .todo("Remove the run with `osc cleanup` and begin anew: a replication slot's stream does not survive a failover."));
            }
            _ => self.system = Some(found),
        }
        refuse_as_standby(&mut wire).await?;
        // Asked for a place before the slot's, the server would begin at the slot's and not say so.
        let begins = slot::begins_at(&mut wire, &self.names.slot).await?;
        slot::refuse_gap(begins, self.decoder.at())?;
        self.heard = Lsn(0);
        let started =
            tokio::time::timeout(QUICK, wire.start(&self.names.slot, &self.names.publication, self.decoder.at()));
        match started.await {
            Err(_) => Err(Error::transient("The server did not begin the change stream in time.")),
            Ok(Err(error)) => {
                if said(&error).is_some_and(|said| said.code == "55006") {
                    // A connection of ours that the server has not noticed to be dead. The slot's name is this
                    // run's, so it can be nobody else's.
                    let mut session = Session::open(&self.address).await?;
                    slot::end_reader(&mut session, &self.names.slot).await?;
                    return Err(error.with_kind(Kind::Transient));
                }
                if said(&error).is_some_and(|said| said.code == "55000") {
                    // Given up in this moment: the server's words don't tell why.
                    let mut session = Session::open(&self.address).await?;
                    slot::refuse_given_up(&mut session, &self.names.slot).await?;
                }
                Err(error)
            }
            Ok(Ok(())) => {
                self.shared.connections.fetch_add(1, Ordering::Relaxed);
                self.answer(&mut wire).await?;
                Ok(wire)
            }
        }
    }

    /// Reads until the connection fails, or the queue has been full for too long.
    async fn follow(&mut self, wire: &mut Wire) -> Result<Ended> {
        let mut heard = Instant::now();
        let mut full_since: Option<Instant> = None;
        let mut counted = 0;
        loop {
            let room = self.shared.has_room(self.options.queue_bytes);
            match (room, full_since) {
                (true, _) => full_since = None,
                (false, None) => full_since = Some(Instant::now()),
                (false, Some(since)) if since.elapsed() > self.options.held => return Ok(Ended::Held),
                (false, Some(_)) => heard = Instant::now(),
            }
            let due = self.options.answer_every.saturating_sub(self.answered.elapsed());
            let wait = due.min(Duration::from_secs(1));
            let mut answer = due.is_zero();
            tokio::select! {
                biased;
                frame = wire.receive(), if room => {
                    heard = Instant::now();
                    self.shared.bytes.fetch_add(wire.received_bytes - counted, Ordering::Relaxed);
                    counted = wire.received_bytes;
                    match frame? {
                        Frame::Data(message) => {
                            let read = self.decoder.read(&message);
                            self.shared.put(self.decoder.take());
                            read?;
                        }
                        Frame::Alive { upto, answer: asked } => {
                            // All before it has been read, so that is what was received: a server that is
                            // shutting down waits to hear it.
                            self.heard = upto;
                            answer |= asked;
                        }
                    }
                }
                () = self.shared.room.notified() => {
                    // Not at every stored place: a few a second are plenty.
                    answer |= self.shared.state().durable > self.confirmed;
                }
                () = tokio::time::sleep(wait) => {}
            }
            if heard.elapsed() > self.options.silence {
                return Err(Error::transient("The server has been silent for too long."));
            }
            if answer {
                self.answer(wire).await?;
            }
        }
    }

    async fn answer(&mut self, wire: &mut Wire) -> Result<()> {
        let durable = self.shared.state().durable;
        let moved = (durable > self.confirmed).then_some(durable);
        match tokio::time::timeout(QUICK, wire.confirm(self.heard.max(self.decoder.at()), moved)).await {
            Err(_) => return Err(Error::transient("The server takes no answers.")),
            Ok(sent) => sent?,
        }
        (self.confirmed, self.answered) = (self.confirmed.max(durable), Instant::now());
        Ok(())
    }

    /// What the server's refusals to stream mean.
    fn sort(&self, error: Error) -> Error {
        let Some(said) = said(&error) else { return error };
        let gone = match said.code.as_str() {
            // No such slot; or no such publication, which is also what a stream meets when `watch` has removed it.
            "42704" => true,
            // The publication's or the slot's state, or a log that is gone.
            "55000" | "58P01" => true,
            _ => false,
        };
        if !gone {
            return error;
        }
        let what = format!("The change stream is gone: {}.", said.message);
        disturbed(what).todo("Remove the run with `osc cleanup` and begin anew.").caused_by(error)
    }
}

enum Ended {
    /// There was no room for too long.
    Held,
}

/// A stream that counts as a synchronous standby would answer for the durability of the application's commits, or
/// hold them up. `confirm` keeps the server from it; a setting that names everybody is refused all the same, here and
/// when `watch` sees it.
async fn refuse_as_standby(wire: &mut Wire) -> Result<()> {
    let rows = wire.query("SHOW synchronous_standby_names").await?;
    let names = rows.into_iter().flatten().flatten().next().unwrap_or_default();
    if names_us(&names) {
        return Err(Error::refused(format!(
            "synchronous_standby_names is '{names}': the server would take osc for a standby that commits wait for."
        ))
        .todo("Name the standbys in synchronous_standby_names instead of '*'."));
    }
    Ok(())
}

/// Whether this setting of synchronous_standby_names would match our connection.
pub fn names_us(setting: &str) -> bool {
    let words = setting.split([',', '(', ')']).map(|word| word.trim().trim_matches('"'));
    words.into_iter().any(|word| word == "*" || word.eq_ignore_ascii_case("osc"))
}

#[cfg(test)]
mod tests {
    use super::names_us;

    #[test]
    fn everybody_is_us() {
        for setting in ["*", "ANY 1 (far, \"*\")", "FIRST 2 (*)", "2(a,OSC)"] {
            assert!(names_us(setting), "{setting}");
        }
        for setting in ["", "far", "ANY 1 (far, \"a*\")", "FIRST 2 (oscar, s2)"] {
            assert!(!names_us(setting), "{setting}");
        }
    }
}
