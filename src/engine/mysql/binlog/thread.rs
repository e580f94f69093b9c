//! The thread that holds the replication connection.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, Sender};
use futures_util::{FutureExt, StreamExt};
use mysql_async::{BinlogStream, BinlogStreamRequest};
use rand::Rng;
use tokio::sync::oneshot;

use super::position::Spot;
use super::recover;
use super::xa::Xid;
use super::{Batch, Options, Shared};
use crate::engine::mysql::connect::Address;
use crate::engine::mysql::decode::Decoder;
use crate::engine::mysql::failover;
use crate::engine::mysql::session::{Session, code, sort};
use crate::error::{Error, Kind, Result};

/// How long a key may wait for its batch to fill while other events keep coming.
const LINGER: Duration = Duration::from_millis(10);
/// How often the server says that it is there; oftener if silence is not to last long.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the server may take to begin the stream: it may have to look for the place in a long file.
const BEGIN: Duration = Duration::from_secs(60);

pub(super) struct Reader {
    address: Address,
    decoder: Decoder,
    options: Options,
    shared: Arc<Shared>,
    send: Sender<Batch>,
    server_id: u32,
    delivered: u64,
}

/// Why a connection ended.
enum End {
    /// Nobody listens any more.
    Stopped,
    /// Another connection may do better.
    Lost(Error),
    /// No connection will.
    Fatal(Error),
}

impl Reader {
    pub(super) fn new(
        address: Address,
        decoder: Decoder,
        options: Options,
        shared: Arc<Shared>,
        send: Sender<Batch>,
    ) -> Reader {
        // One number for all connections of this reader, so that the server ends a dead one when the
        // next comes; high, where people do not number their replicas.
        let server_id = rand::rng().random_range(0x8000_0000..=u32::MAX - 1);
        Reader { address, decoder, options, shared, send, server_id, delivered: 0 }
    }

    pub(super) fn run(mut self, ready: oneshot::Sender<Result<()>>) {
        let (shared, send) = (self.shared.clone(), self.send.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|e| Error::transient("The binlog reader could not be set up.").caused_by(e))?;
            let end = runtime.block_on(self.work(ready));
            // What is left are connections that say goodbye.
            runtime.shutdown_timeout(Duration::from_millis(100));
            end
        }));
        let error = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            // The driver's decoder unwraps here and there.
            Err(panic) => {
                Error::definite(format!("The binlog reader met something it can't handle: {}", words(&*panic)))
            }
        };
        let number = shared.received() + 1;
        let mut batch = Batch { number, item: Err(error) };
        while !shared.stop.load(Ordering::Relaxed) {
            match send.send_timeout(batch, Duration::from_millis(100)) {
                Err(SendTimeoutError::Timeout(back)) => batch = back,
                _ => break,
            }
        }
        drop(send);
        shared.wake.notify_one();
    }

    /// Connects, again and again, until the end.
    async fn work(&mut self, ready: oneshot::Sender<Result<()>>) -> Result<()> {
        let mut ready = Some(ready);
        let mut lost_since: Option<Instant> = None;
        let mut attempt = 0;
        loop {
            let error = match self.connection(&mut ready, &mut lost_since, &mut attempt).await {
                End::Stopped => return Ok(()),
                End::Fatal(error) | End::Lost(error) if ready.is_some() => {
                    if let Some(ready) = ready.take() {
                        // The receiver may have gone; then there is nobody to tell.
                        let _ = ready.send(Err(error));
                    }
                    return Ok(());
                }
                End::Fatal(error) => return Err(error),
                End::Lost(error) => error,
            };
            let since = *lost_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.options.give_up {
                return Err(Error::stopped(format!(
                    "The binlog connection was lost and did not come back within {} s.",
                    self.options.give_up.as_secs()
                ))
                .todo("When the server answers again, run the same command: it goes on where it stopped.")
                .caused_by(error));
            }
            tracing::warn!(error = %error, at = %self.decoder.boundary().describe(), "the binlog connection was lost");
            let pause = Duration::from_millis(100 << attempt.min(6)).min(Duration::from_secs(5));
            attempt += 1;
            if self.rest(pause.mul_f64(rand::rng().random_range(0.5..1.0))).await {
                return Ok(());
            }
        }
    }

    /// Waits; true when told to stop.
    async fn rest(&self, pause: Duration) -> bool {
        let until = tokio::time::Instant::now() + pause;
        while !self.shared.stop.load(Ordering::Relaxed) {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return false,
                () = self.shared.nudge.notified() => {}
            }
        }
        true
    }

    /// One connection from its beginning to its end.
    async fn connection(
        &mut self,
        ready: &mut Option<oneshot::Sender<Result<()>>>,
        lost_since: &mut Option<Instant>,
        attempt: &mut u32,
    ) -> End {
        self.shared.reconnect.store(false, Ordering::Relaxed);
        let heartbeat = HEARTBEAT.min(self.options.silence / 4);
        let opening =
            tokio::time::timeout(BEGIN, open(&self.address, self.decoder.boundary(), self.server_id, heartbeat));
        let opened = tokio::select! {
            biased;
            () = stopped(&self.shared) => return End::Stopped,
            opened = opening => opened,
        };
        let (mut stream, server, prepared) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return sorted(error),
            Err(_) => return End::Lost(Error::transient("The server did not begin the binlog stream in time.")),
        };
        if let Err(error) = self.decoder.reconnected(server, &prepared) {
            return End::Fatal(error);
        }
        let begun = self.decoder.boundary().clone();
        loop {
            let next = match stream.next().now_or_never() {
                Some(next) => next,
                None => {
                    self.decoder.out.flush();
                    if !self.hand_over() {
                        return End::Stopped;
                    }
                    tokio::select! {
                        biased;
                        () = self.shared.nudge.notified() => {
                            if self.shared.stop.load(Ordering::Relaxed) {
                                return End::Stopped;
                            }
                            if self.shared.reconnect.load(Ordering::Relaxed) {
                                return End::Lost(Error::transient("The stream seemed dead."));
                            }
                            continue;
                        }
                        next = tokio::time::timeout(self.options.silence, stream.next()) => match next {
                            Ok(next) => next,
                            Err(_) => return End::Lost(Error::transient("The stream was silent for too long.")),
                        },
                    }
                }
            };
            let event = match next {
                Some(Ok(event)) => event,
                Some(Err(error)) => return sorted(sort(error)),
                None => return End::Lost(Error::transient("The server ended the binlog stream.")),
            };
            let kind = event.header().event_type_raw();
            self.shared.bytes.fetch_add(u64::from(event.header().event_size()), Ordering::Relaxed);
            if !matches!(kind, 27 | 41) {
                self.shared.events.fetch_add(1, Ordering::Relaxed);
            }
            if let Err(error) = self.decoder.event(&event) {
                // What came before the disturbance is worth its place in the queue, the rest is not.
                return End::Fatal(error);
            }
            if lost_since.is_some() && (matches!(kind, 27 | 41) || *self.decoder.boundary() != begun) {
                // Not earlier: an event that can't be read would be met again and again.
                (*lost_since, *attempt) = (None, 0);
            }
            if kind == 15 {
                // The place was found: the server has begun to send.
                if let Some(ready) = ready.take()
                    && ready.send(Ok(())).is_err()
                {
                    return End::Stopped;
                }
            }
            if self.decoder.out.waiting_since().is_some_and(|since| since.elapsed() >= LINGER) {
                self.decoder.out.flush();
            }
            if !self.hand_over() {
                return End::Stopped;
            }
        }
    }

    /// Hands over what is finished, waiting for room if need be; false when told to stop.
    fn hand_over(&mut self) -> bool {
        if self.shared.stop.load(Ordering::Relaxed) {
            return false;
        }
        while let Some(item) = self.decoder.out.pop() {
            self.delivered += 1;
            if !self.deliver(Batch { number: self.delivered, item: Ok(item) }) {
                return false;
            }
        }
        true
    }

    fn deliver(&self, mut batch: Batch) -> bool {
        // Before it is in the channel: it has come from the server, which is what the number means.
        self.shared.received.store(batch.number, Ordering::Release);
        loop {
            match self.send.send_timeout(batch, Duration::from_millis(100)) {
                Ok(()) => {
                    self.shared.blocked.store(false, Ordering::Relaxed);
                    self.shared.wake.notify_one();
                    return true;
                }
                Err(SendTimeoutError::Timeout(back)) => {
                    self.shared.blocked.store(true, Ordering::Relaxed);
                    batch = back;
                }
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                return false;
            }
        }
    }
}

async fn stopped(shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        shared.nudge.notified().await;
    }
}

/// Opens the stream at a boundary; returns it with the server's identity and what it had prepared before.
async fn open(
    address: &Address,
    from: &Spot,
    server_id: u32,
    heartbeat: Duration,
) -> Result<(BinlogStream, String, Vec<Xid>)> {
    let mut session = Session::open(address).await?;
    let server = session.identity().await?;
    failover::prove(&mut session, from, &server).await?;
    let prepared = recover::prepared(&mut session).await?;
    // A slow reader makes the server wait in its write; heartbeats tell a quiet server from a dead one.
    let heartbeat = heartbeat.as_nanos();
    let sets = format!(
        "SET SESSION net_write_timeout = 3600, @master_heartbeat_period = {heartbeat}, \
         @source_heartbeat_period = {heartbeat}, @mariadb_slave_capability = 4"
    );
    session.exec(&sets).await?;
    let mut request = BinlogStreamRequest::new(server_id);
    request = match &from.gtid {
        Some(set) => request.with_gtid().with_gtid_set(set.sids()),
        None => request.with_filename(from.file.as_bytes()).with_pos(from.pos),
    };
    let stream = session.into_conn().get_binlog_stream(request).await.map_err(sort)?;
    Ok((stream, server, prepared))
}

/// Whether another connection may do better.
fn sorted(error: Error) -> End {
    match (code(&error), error.kind()) {
        (Some(1236), _) if error.what().contains("same server") => End::Lost(error),
        (Some(1236), _) => End::Fatal(no_binlog(error)),
        (_, Kind::Transient | Kind::Refused) => End::Lost(error),
        (Some(_), Kind::Definite) => End::Lost(error),
        _ => End::Fatal(error),
    }
}

/// The server won't send its binlog from where osc has to go on.
fn no_binlog(error: Error) -> Error {
    let gone = ["purged", "not find first log", "not find GTID"].iter().any(|words| error.what().contains(words));
    let (what, todo) = if gone {
        (
            "The server no longer has the binlog from where osc has to go on.".to_string(),
            "Remove the run with `osc cleanup`, then run the command again: it begins anew. Let the server keep its \
             binlog for longer than the change takes (binlog_expire_logs_seconds).",
        )
    } else {
        (
            format!("The server can't send its binlog from where osc has to go on: {}", error.what()),
            "Remove the run with `osc cleanup`, then run the command again: it begins anew.",
        )
    };
    Error::definite(what)
        .table("The table was not swapped and is as the application left it.")
        .todo(todo)
        .caused_by(error)
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| s.to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".into())
}
