//! The stream's reader: reads ahead in a task of its own, delivers what is settled.
//!
//! It may fall behind, lose its connection and read again from an earlier transaction, or be cut off
//! for good. Its memory is bounded: with a full inbox it does not read on, and rule (a) of `settle` is
//! what empties the inbox again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::binlog::{Image, Place, What};
use super::bugs::{Bug, Peek};
use super::dice::Span;
use super::faults::Faults;
use super::keys::encode;
use super::server::Server;
use super::settle::{Piece, Settle};
use crate::engine::{Event, Feed, disturbed};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder};

/// What the reader, the deliveries, the marks and the fence share.
pub struct Inbox {
    pub settle: RefCell<Settle>,
    pub news: Notify,
    room: Notify,
    end: Cell<Option<End>>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Lost,
    Truncated,
}

impl Inbox {
    pub fn new(settle: Settle) -> Rc<Inbox> {
        Rc::new(Inbox { settle: RefCell::new(settle), news: Notify::new(), room: Notify::new(), end: Cell::new(None) })
    }
}

pub struct SimFeed {
    server: Rc<Server>,
    faults: Rc<Faults>,
    inbox: Rc<Inbox>,
    reader: JoinHandle<()>,
}

impl SimFeed {
    pub fn new(
        server: Rc<Server>,
        faults: Rc<Faults>,
        inbox: Rc<Inbox>,
        start: Place,
        life: u64,
        peek: Rc<Peek>,
    ) -> Self {
        let reader = Reader {
            server: server.clone(),
            faults: faults.clone(),
            inbox: inbox.clone(),
            first: start.boundary(),
            at: Place::start_of(start.boundary()),
            life,
            reconnects: 0,
            behind: false,
            peek,
        };
        SimFeed { server, faults, inbox, reader: tokio::task::spawn_local(reader.read()) }
    }
}

impl Drop for SimFeed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Feed for SimFeed {
    async fn next(&mut self) -> Result<Event> {
        loop {
            self.faults.step().await;
            match self.inbox.end.get() {
                Some(End::Lost) => return Err(Error::stopped("The stream's connection was lost and stayed lost.")),
                Some(End::Truncated) => return Err(disturbed("The table was truncated.")),
                None => {}
            }
            let most = self.server.plan.event_keys as usize;
            let news = self.inbox.news.notified();
            let event = self.inbox.settle.borrow_mut().next(most);
            // Also when nothing came of what was taken out (the end of a transaction that was rolled back).
            self.inbox.room.notify_one();
            // No await from here on: the event is taken out, and this future may be dropped at any await.
            if let Some(event) = event {
                self.server.trace.say(|| format!("delivered {event:?}"));
                if let Event::Keys(keys) = &event {
                    let delivered = keys.len() as u64;
                    self.server.count(|c| c.changes += delivered);
                    self.server.largest_delivery.set(self.server.largest_delivery.get().max(delivered));
                }
                return Ok(event);
            }
            news.await;
        }
    }
}

/// Asks the server which transactions are still prepared, until the ended ones are not.
async fn recover(server: Rc<Server>, inbox: Rc<Inbox>) {
    while inbox.settle.borrow().ending() {
        server.dice.pause(Span(1, 5)).await;
        let still = server.prepared.recover();
        inbox.settle.borrow_mut().recovered(&still);
        inbox.news.notify_one();
    }
}

struct Reader {
    server: Rc<Server>,
    faults: Rc<Faults>,
    inbox: Rc<Inbox>,
    first: usize,
    at: Place,
    life: u64,
    reconnects: u64,
    /// A backlog is being sent.
    behind: bool,
    peek: Rc<Peek>,
}

/// A reader that is more entries behind does not dawdle.
const BACKLOG: usize = 100;

/// In one life; a stream that is lost all the time would never get on.
const MOST_RECONNECTS: u64 = 12;

impl Reader {
    async fn read(mut self) {
        loop {
            if self.at.entry >= self.server.binlog.end() {
                self.server.binlog.grown.notified().await;
            }
            // A backlog is sent as fast as it can be, to its end; a stream slower than osc's own marks, or one
            // that stays behind by as much for ever, would never let a run come to an end (seed 9425).
            let backlog = self.server.binlog.end().saturating_sub(self.at.entry);
            self.behind = backlog > BACKLOG || self.behind && backlog > 1;
            let behind = self.behind;
            self.server.dice.pause(if behind { Span(0, 0) } else { self.server.plan.stream }).await;
            if !behind && self.server.dice.chance(self.server.plan.stream_lag_pm) {
                self.server.dice.pause(self.server.plan.stream_lag).await;
            }
            // A connection is not lost once for each entry of a backlog: no life would get behind one (seed 4006310).
            if !behind && self.faults.stream_ends() {
                self.inbox.end.set(Some(End::Lost));
                self.inbox.news.notify_one();
                return;
            }
            if self.reconnects < MOST_RECONNECTS && self.faults.reconnect() {
                self.reconnects += 1;
                self.server.dice.pause(Span(0, 20)).await;
                self.reconnect();
            }
            let mut rows = 0;
            while rows < self.server.plan.stream_rows {
                while self.inbox.settle.borrow().waiting() >= self.server.plan.inbox {
                    self.inbox.room.notified().await;
                }
                let Some(read) = self.read_piece(self.server.plan.stream_rows - rows) else { break };
                rows += read;
                self.inbox.news.notify_one();
            }
        }
    }

    /// Another connection: reads again from the last delivered transaction, or one before it.
    fn reconnect(&mut self) {
        let (earliest, latest) = self.inbox.settle.borrow_mut().reconnect();
        let back = self.server.dice.below(1 + latest.saturating_sub(earliest.max(self.first)) as u64) as usize;
        self.at = Place::start_of(latest - back);
        self.server.count(|c| c.reconnects += 1);
        self.server.trace.say(|| format!("the feed reads again from {}", self.at.entry));
    }

    /// Reads at most so many rows of one entry; returns how many there were, at least one.
    fn read_piece(&mut self, most: u64) -> Option<u64> {
        let (server, begin) = (self.server.clone(), self.at);
        let order = server.plan.order;
        let (piece, rows, whole) = server.binlog.with(begin.entry, |what| match what {
            What::Rows(rows) if rows.is_empty() => (Piece::Nothing, 1, true),
            What::Rows(rows) => {
                let upto = rows.len().min(begin.row + most as usize);
                let part = &rows[begin.row.min(upto)..upto];
                let keys = match server.bugs.has(Bug::DropUnsettled) && order == KeyOrder::Bytes {
                    true => part.iter().filter(|i| Some(i.id) <= self.peek.reach.get()).copied().collect(),
                    false => part.to_vec(),
                };
                let piece = if keys.is_empty() { Piece::Nothing } else { Piece::Keys(names(order, &keys)) };
                (piece, part.len() as u64, upto == rows.len())
            }
            What::Prepare { xid, rows } => (Piece::Prepare(*xid, names(order, rows)), rows.len() as u64, true),
            What::End { xid, commit } => (Piece::End(*xid, *commit), 1, true),
            What::Mark { life, token } if *life == self.life => (Piece::Mark(*token), 1, true),
            What::Mark { .. } => (Piece::Nothing, 1, true),
            What::Truncate => {
                if !server.bugs.has(Bug::TruncateUnseen) {
                    self.inbox.end.set(Some(End::Truncated));
                }
                (Piece::Nothing, 1, true)
            }
        })?;
        self.at = if whole {
            Place::start_of(begin.entry + 1)
        } else {
            Place { entry: begin.entry, row: begin.row + rows as usize }
        };
        if let Piece::Keys(keys) = &piece
            && !server.is_visible(begin.entry)
        {
            server.count(|c| c.settled_late += keys.len() as u64);
        }
        let ended = matches!(piece, Piece::End(..));
        self.inbox.settle.borrow_mut().receive(piece, begin, self.at);
        if ended {
            tokio::task::spawn_local(recover(server, self.inbox.clone()));
        }
        Some(rows.max(1))
    }
}

fn names(order: KeyOrder, rows: &[Image]) -> Vec<Key> {
    rows.iter().map(|image| encode(order, *image)).collect()
}
