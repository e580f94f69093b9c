//! One connection of the application: its schedule, its statements, its part of the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;

use super::courtesy::Courtesy;
use super::pulse::Pulse;
use crate::config::{Config, Operation};
use crate::error::Error;
use crate::kind::Kind;
use crate::model::row::Seen;
use crate::model::token::Mint;
use crate::record::book::Book;
use crate::record::census::Census;
use crate::record::tally::{Failure, Tally};
use crate::record::timeline::Sample;
use crate::server::{Cell, Connection, Dialect, Done, Ended, Session, Statements};

/// What all connections of a run share.
pub(crate) struct Shared {
    pub config: Config,
    pub dialect: Dialect,
    pub statements: Statements,
    pub census: Arc<Census>,
    pub run: u16,
    pub epoch: Instant,
    pub pulse: Pulse,
    pub courtesy: Courtesy,
    /// The server's number of each lane's connection; 0 while it has none.
    pub connections: Vec<AtomicU32>,
}

/// The server's answer to a statement, as far as the ledger cares.
pub(crate) enum Answer<T> {
    Done(T),
    /// An error, after which the statement has surely had no effect.
    Refused,
    /// An error that a statement may get after it has taken effect.
    Doubtful,
    /// No answer; the connection is gone.
    Lost,
}

pub(crate) struct Lane {
    pub number: u64,
    pub shared: Arc<Shared>,
    pub session: Option<Session>,
    pub book: Book,
    pub rng: StdRng,
    pub mint: Mint,
    pub tally: Tally,
    stop: watch::Receiver<Option<Duration>>,
    samples: Vec<Sample>,
    /// The connection before this one, which the server may not have noticed is gone, and its age.
    former: Option<Connection>,
    /// Of the operation at hand: when its first statement was sent.
    first_sent: Option<Instant>,
}

/// What is left of a lane at the end.
pub(crate) struct LaneRecord {
    pub book: Book,
    pub tally: Tally,
    pub samples: Vec<Sample>,
}

impl Lane {
    pub fn new(
        shared: Arc<Shared>,
        session: Session,
        mint: Mint,
        number: u64,
        stop: watch::Receiver<Option<Duration>>,
    ) -> Lane {
        let lanes = shared.config.lanes();
        let mut lane = Lane {
            number,
            book: Book::new(number, lanes, Arc::clone(&shared.census)),
            rng: StdRng::seed_from_u64(shared.config.seed.wrapping_mul(1_000_003).wrapping_add(number)),
            mint,
            tally: Tally::default(),
            stop,
            samples: Vec::new(),
            session: None,
            former: None,
            first_sent: None,
            shared,
        };
        lane.adopt(session);
        lane
    }

    /// Works by the schedule until stopped: operation n is due at a fixed time, however long the ones
    /// before it took.
    pub async fn run(mut self) -> LaneRecord {
        let writers = f64::from(self.shared.config.writers);
        let interval = writers / self.shared.config.rate_per_s;
        let offset = interval * self.number as f64 / writers;
        let due = |n: u64| Duration::from_secs_f64(offset + interval * n as f64);
        let mut n = 0;
        loop {
            if self.pause_until(due(n)).await || !self.connected(false).await {
                break;
            }
            self.begin_operation();
            self.operation().await;
            self.end_operation(due(n));
            n += 1;
        }
        let stopped = self.stop.borrow().unwrap_or_default();
        while due(n) < stopped {
            self.tally.unserved += 1;
            n += 1;
        }
        self.finish().await
    }

    async fn operation(&mut self) {
        let mix = self.shared.config.mix;
        match mix.at(self.rng.random_range(0..mix.total())) {
            Operation::Read => self.read().await,
            Operation::ReadSecondary => self.read_secondary().await,
            Operation::ReadSnapshot => self.read_snapshot().await,
            Operation::Write(dml) => self.write(dml).await,
            Operation::Transaction(ending) => self.transaction(ending).await,
            Operation::Swap => self.swap().await,
        }
    }

    pub fn begin_operation(&mut self) {
        self.first_sent = None;
    }

    fn end_operation(&mut self, due: Duration) {
        let Some(first_sent) = self.first_sent else { return };
        self.tally.operations += 1;
        let late = first_sent.saturating_duration_since(self.shared.epoch).saturating_sub(due);
        let busy = first_sent.elapsed();
        self.samples.push(Sample::new(due, late, busy));
        self.shared.pulse.operation(self.shared.epoch.elapsed(), late + busy);
    }

    pub async fn finish(mut self) -> LaneRecord {
        if let Some(session) = self.session.take() {
            // Everything is acknowledged by now; how the goodbye goes does not matter.
            let _ = tokio::time::timeout(Duration::from_secs(5), session.close()).await;
        }
        self.connection_id(0);
        LaneRecord { book: self.book, tally: self.tally, samples: self.samples }
    }

    /// Waits for a moment of the schedule; true if the traffic is to stop.
    async fn pause_until(&mut self, due: Duration) -> bool {
        let now = self.shared.epoch.elapsed();
        if due > now { self.pause(due - now).await } else { self.stopping() }
    }

    /// Waits for this long; true, at once, if the traffic is to stop.
    pub async fn pause(&mut self, time: Duration) -> bool {
        // An error means that the handle is gone: stop, too.
        let stopped = self.stop.wait_for(Option::is_some);
        tokio::time::timeout(time, stopped).await.is_ok()
    }

    pub fn stopping(&self) -> bool {
        self.stop.borrow().is_some() || self.stop.has_changed().is_err()
    }

    fn connection_id(&self, id: u32) {
        if let Some(slot) = self.shared.connections.get(self.number as usize) {
            slot.store(id, Ordering::Relaxed);
        }
    }

    pub fn adopt(&mut self, session: Session) {
        self.connection_id(session.connection().id);
        self.session = Some(session);
    }

    /// Connects again if need be. Gives up when the traffic is to stop, unless `insist`, and then
    /// after 20 seconds.
    pub async fn connected(&mut self, insist: bool) -> bool {
        let mut deadline = None;
        let mut wait = Duration::from_millis(20);
        while self.session.is_none() {
            if self.stopping() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + Duration::from_secs(20));
                if !insist || Instant::now() > deadline {
                    return false;
                }
            }
            let config = &self.shared.config;
            let attempt = Session::of_lane(&config.url, self.number, config.async_commits);
            match tokio::time::timeout(Duration::from_secs(10), attempt).await {
                Ok(Ok(session)) => {
                    self.adopt(session);
                    self.former_is_gone().await;
                }
                Ok(Err(_)) | Err(_) => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_millis(500));
                }
            }
        }
        true
    }

    /// Waits until the server has ended the connection before this one: until then it may hold locks
    /// on this lane's rows. Not forever: it may be stuck.
    async fn former_is_gone(&mut self) {
        if let Some(former) = self.former.take() {
            self.ended(former).await;
        }
    }

    /// Waits until the server has ended a connection, for at most 5 seconds.
    pub async fn ended(&mut self, which: Connection) -> Ended {
        for _ in 0..200 {
            let Some(session) = self.session.as_mut() else { return Ended::NotYet };
            match session.ended(which).await {
                Ok(Ended::NotYet) => tokio::time::sleep(Duration::from_millis(25)).await,
                Ok(ended) => return ended,
                Err(_) => {
                    self.drop_session();
                    return Ended::NotYet;
                }
            }
        }
        Ended::NotYet
    }

    /// Gives the connection up without a goodbye.
    pub fn drop_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.former = Some(session.connection());
            self.connection_id(0);
        }
    }

    /// Says goodbye, as an application does that hands its work to another connection.
    pub async fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            self.former = Some(session.connection());
            self.connection_id(0);
            let _ = tokio::time::timeout(Duration::from_secs(5), session.close()).await;
        }
    }

    pub async fn execute(&mut self, kind: Kind, sql: fn(&Statements) -> &str, args: Vec<Cell>) -> Answer<Done> {
        let shared = Arc::clone(&self.shared);
        let Some((mut session, sent)) = self.take_session() else { return Answer::Lost };
        let call = session.execute(sql(&shared.statements), args);
        let result = tokio::time::timeout(shared.config.statement_timeout, call).await;
        self.answered(kind, sent, session, flat(result))
    }

    pub async fn command(&mut self, kind: Kind, sql: &str) -> Answer<Done> {
        let timeout = self.shared.config.statement_timeout;
        let Some((mut session, sent)) = self.take_session() else { return Answer::Lost };
        let result = tokio::time::timeout(timeout, session.command(sql)).await;
        self.answered(kind, sent, session, flat(result))
    }

    pub async fn rows(&mut self, kind: Kind, sql: fn(&Statements) -> &str, args: Vec<Cell>) -> Answer<Vec<Seen>> {
        let shared = Arc::clone(&self.shared);
        let Some((mut session, sent)) = self.take_session() else { return Answer::Lost };
        let call = session.rows(sql(&shared.statements), args);
        let result = tokio::time::timeout(shared.config.statement_timeout, call).await;
        self.answered(kind, sent, session, flat(result))
    }

    /// The session leaves the lane while a statement runs: if its answer never comes, it is gone.
    fn take_session(&mut self) -> Option<(Session, Instant)> {
        let session = self.session.take()?;
        let sent = Instant::now();
        self.first_sent.get_or_insert(sent);
        Some((session, sent))
    }

    /// Books the answer, and the time it took.
    fn answered<T>(&mut self, kind: Kind, sent: Instant, session: Session, result: Result<T, Error>) -> Answer<T> {
        let took = sent.elapsed();
        let sent = sent.saturating_duration_since(self.shared.epoch);
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.tally.time(kind, self.number, micros(sent), micros(took));
        let mut failure = Failure {
            at_ms: (sent + took).as_secs_f64() * 1e3,
            writer: self.number,
            kind: Some(kind),
            code: None,
            text: String::new(),
        };
        match result {
            Ok(answer) => {
                self.session = Some(session);
                self.tally.acknowledge(kind);
                Answer::Done(answer)
            }
            Err(Error::Server { code, text }) => {
                self.session = Some(session);
                self.shared.pulse.failed();
                let doubtful = self.shared.dialect.is_doubtful(&code);
                failure.code = Some(code);
                failure.text = text;
                self.tally.fail(failure);
                if doubtful { Answer::Doubtful } else { Answer::Refused }
            }
            Err(Error::Lost(text) | Error::Usage(text)) => {
                self.session = Some(session);
                self.drop_session();
                self.shared.pulse.lost();
                failure.text = text;
                self.tally.lose(failure);
                Answer::Lost
            }
        }
    }

    /// Since the beginning of the traffic, in milliseconds.
    pub fn now_ms(&self) -> f64 {
        self.shared.epoch.elapsed().as_secs_f64() * 1e3
    }
}

fn flat<T>(result: Result<Result<T, Error>, tokio::time::error::Elapsed>) -> Result<T, Error> {
    result.unwrap_or_else(|_| Err(Error::Lost("no answer within the time limit".into())))
}
