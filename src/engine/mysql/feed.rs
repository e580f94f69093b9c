//! The feed: keys out of the binlog, held back until every new read sees their change.
//!
//! The server sends a transaction when it is in the binlog, which can be seconds before the storage
//! engine commits it. A key that is acted on before that is a change lost. So keys wait here until
//! they are settled, and what settles them are marks: commits of our own to the mark table. The one
//! fact all rests on: commits become visible in the order of the binlog (`binlog_order_commits=ON` in
//! MySQL; always in MariaDB).
//!
//! Let M be a mark whose commit has returned, so all that lies before M in the binlog is visible.
//!
//! (a) Whatever we had received when M was sent was in the binlog by then. M was not: it had yet to be
//! executed. So what we had received lies before M, whether or not M has come out of the stream yet,
//! and it is settled. This holds for rows of a transaction whose end we have not received: the
//! server sends nothing of a transaction before all of it is in the binlog, in one piece. It is what
//! keeps a transaction larger than our memory moving.
//!
//! (b) When M has come out of the stream, all that came out before M lies before M in the binlog, and
//! it is settled. A reconnect begins at the boundary after the last transaction that was handed over,
//! so nothing comes out of the stream out of order, except a part of one transaction that comes again.
//!
//! Neither half is enough alone: seen but not returned may be invisible still; returned but not seen
//! says nothing of what arrives later. Rows of prepared XA transactions are the exception to the
//! fact, twice: they are logged at XA PREPARE, so the decoder moves them to where their XA COMMIT
//! stands in the binlog; and there they wait until [`Recover`] knows that it was carried out.
//!
//! Everything that was received has a number, and "settled" is a number too: the larger of what (a)
//! and (b) have proved. What waits is bounded in bytes; at the limit nothing more is taken from the
//! thread, which then stops reading. By (a) the next mark to return frees all that waits.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::binlog::position::Spot;
use super::binlog::recover::Recover;
use super::binlog::{Batch, Binlog, Item, Options, Shared};
use super::connect::Address;
use super::decode::{Decoder, KeyReader, Watch};
use super::flavor::Flavor;
use super::session::Session;
use super::sql::Table;
use crate::engine::{Event, Feed};
use crate::error::{Error, Result};
use crate::model::{Position, Token};

/// How many times in a row a new connection may bring no mark.
const FRUITLESS: u32 = 3;

/// What is known about the marks of this life. Whoever sends a mark says so here.
pub struct Marks {
    state: RefCell<MarkState>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct MarkState {
    /// Sent, not returned yet: what we had received when it was sent.
    sent: BTreeMap<Token, u64>,
    /// Returned, not seen in the stream yet.
    returned: BTreeMap<Token, Instant>,
    /// Seen in the stream, not returned yet: its number.
    seen: BTreeMap<Token, u64>,
    /// All up to and with this number is settled.
    settled: u64,
    /// Prepared transactions with changes of the table that were open at the last mark handed out.
    prepared: usize,
}

impl MarkState {
    fn settle(&mut self, upto: u64) {
        self.settled = self.settled.max(upto);
    }
}

impl Marks {
    /// To be called before the mark's statement goes out.
    pub fn sent(&self, token: Token) {
        self.state.borrow_mut().sent.insert(token, self.shared.received());
    }

    /// To be called when the mark's commit has returned, with success.
    pub fn returned(&self, token: Token) {
        let mut state = self.state.borrow_mut();
        if let Some(received) = state.sent.remove(&token) {
            state.settle(received);
        }
        match state.seen.remove(&token) {
            Some(number) => state.settle(number),
            None => {
                state.returned.insert(token, Instant::now());
            }
        }
        self.shared.wake.notify_one();
    }

    /// To be called when a mark failed, or its outcome is unknown: it settles nothing.
    pub fn failed(&self, token: Token) {
        self.state.borrow_mut().sent.remove(&token);
    }

    /// The mark came out of the stream.
    fn seen(&self, token: Token, number: u64) {
        let mut state = self.state.borrow_mut();
        if state.returned.remove(&token).is_some() {
            state.settle(number);
        } else {
            state.seen.insert(token, number);
        }
    }

    /// How many prepared transactions with changes of the table were open when the mark that was handed
    /// out last was committed.
    pub fn prepared(&self) -> usize {
        self.state.borrow().prepared
    }

    fn settled(&self) -> u64 {
        self.state.borrow().settled
    }

    /// For how long the oldest returned mark has not come out of the stream.
    fn overdue(&self) -> Option<Duration> {
        self.state.borrow().returned.values().min().map(Instant::elapsed)
    }
}

/// The change stream of one table.
pub struct MySqlFeed {
    binlog: Binlog,
    marks: Rc<Marks>,
    options: Options,
    /// What was taken from the thread and is not settled yet, in order.
    queue: VecDeque<Batch>,
    queued_bytes: usize,
    changes: u64,
    at: Spot,
    quiet: Quiet,
    recover: Recover,
}

/// Watches for a connection that only seems to live.
struct Quiet {
    events: u64,
    since: Instant,
    fruitless: u32,
}

impl MySqlFeed {
    /// Opens the stream, at `from` or at the current end of the binlog; returns when it flows.
    pub async fn open(
        address: &Address,
        flavor: Flavor,
        ours: &Table,
        marks_table: &Table,
        reader: Box<dyn KeyReader>,
        life: u64,
        from: Option<&Position>,
    ) -> Result<(MySqlFeed, Rc<Marks>, Position)> {
        MySqlFeed::open_with(address, flavor, ours, marks_table, reader, life, from, Options::default()).await
    }

    /// The same with other limits.
    #[allow(clippy::too_many_arguments)]
    pub async fn open_with(
        address: &Address,
        flavor: Flavor,
        ours: &Table,
        marks_table: &Table,
        reader: Box<dyn KeyReader>,
        life: u64,
        from: Option<&Position>,
        options: Options,
    ) -> Result<(MySqlFeed, Rc<Marks>, Position)> {
        let mut session = Session::open(address).await?;
        let start = match from {
            Some(position) => Spot::parse(position)?,
            None => current_spot(&mut session).await?,
        };
        let names: Option<u8> = session.first("SELECT @@GLOBAL.lower_case_table_names").await?;
        drop(session);
        let watch = Watch {
            ours: ours.clone(),
            marks: marks_table.clone(),
            reader,
            life,
            fold_names: names != Some(0),
            hidden_hashes: flavor.is_mariadb(),
        };
        let binlog = Binlog::start(address, Decoder::new(watch, start.clone()), options).await?;
        let marks = Rc::new(Marks { state: RefCell::default(), shared: binlog.shared.clone() });
        let position = start.to_position();
        let feed = MySqlFeed {
            binlog,
            marks: marks.clone(),
            options,
            queue: VecDeque::new(),
            queued_bytes: 0,
            changes: 0,
            at: start,
            recover: Recover::new(address, options.give_up),
            quiet: Quiet { events: 0, since: Instant::now(), fruitless: 0 },
        };
        Ok((feed, marks, position))
    }

    /// How many row changes of the table were delivered.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many bytes came from the server.
    pub fn bytes(&self) -> u64 {
        self.binlog.shared.bytes()
    }

    /// Where the last delivered mark stood, for people.
    pub fn position_text(&self) -> String {
        self.at.describe()
    }

    /// Takes from the thread what there is room for.
    fn take_in(&mut self) -> Result<()> {
        while self.queued_bytes < self.options.unsettled_bytes {
            let Some(batch) = self.binlog.poll()? else { break };
            match &batch.item {
                // There is nothing to wait for: the run ends.
                Err(_) => return batch.item.map(drop),
                Ok(Item::Mark { token, .. }) => {
                    self.quiet.fruitless = 0;
                    self.marks.seen(*token, batch.number);
                }
                Ok(Item::XaEnd(xid)) => self.recover.add(batch.number, xid.clone()),
                Ok(Item::Keys { .. }) => {}
            }
            self.queued_bytes += cost(&batch);
            self.queue.push_back(batch);
        }
        Ok(())
    }

    /// The next event that is settled.
    fn hand_out(&mut self) -> Option<Event> {
        let settled = self.marks.settled();
        while self.queue.front().is_some_and(|b| b.number <= settled && (!self.recover.is_open(b.number))) {
            let batch = self.queue.pop_front()?;
            self.queued_bytes = self.queued_bytes.saturating_sub(cost(&batch));
            match batch.item {
                Ok(Item::Keys { keys, changes }) => {
                    self.changes += changes;
                    if !keys.is_empty() {
                        return Some(Event::Keys(keys));
                    }
                }
                Ok(Item::Mark { token, from, prepared }) => {
                    self.marks.state.borrow_mut().prepared = prepared;
                    let position = from.to_position();
                    self.at = from;
                    return Some(Event::Mark { token, position });
                }
                Ok(Item::XaEnd(_)) | Err(_) => {}
            }
        }
        None
    }

    /// A mark has returned long ago and nothing comes: the connection is dead on one side.
    fn check_alive(&mut self) -> Result<()> {
        let shared = &self.binlog.shared;
        let held = shared.blocked() || self.queued_bytes >= self.options.unsettled_bytes;
        if shared.events() != self.quiet.events || held {
            (self.quiet.events, self.quiet.since) = (shared.events(), Instant::now());
            return Ok(());
        }
        let silence = self.options.silence;
        if self.marks.overdue().is_some_and(|age| age > silence) && self.quiet.since.elapsed() > silence {
            self.quiet.since = Instant::now();
            self.quiet.fruitless += 1;
            if self.quiet.fruitless > FRUITLESS {
                return Err(Error::definite("osc's own marks do not come out of the server's binlog.")
                    .table("The table was not swapped and is as the application left it.")
                    .todo("Look for a binlog filter (binlog_do_db, binlog_ignore_db), and whether the server is the one that is written to."));
            }
            tracing::warn!("a mark has not come out of the binlog for {} s: connecting again", silence.as_secs());
            self.binlog.reconnect();
        }
        Ok(())
    }
}

impl Feed for MySqlFeed {
    async fn next(&mut self) -> Result<Event> {
        loop {
            // When much is ready, the tasks that send marks must have their turn too.
            tokio::task::coop::consume_budget().await;
            self.take_in()?;
            if let Some(event) = self.hand_out() {
                return Ok(event);
            }
            self.check_alive()?;
            // All state is in self; a wake-up that is lost with this future costs a second at most.
            tokio::select! {
                () = self.binlog.shared.wake.notified() => {}
                known = std::future::poll_fn(|context| self.recover.poll(context)) => known?,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

fn cost(batch: &Batch) -> usize {
    match &batch.item {
        Ok(Item::Keys { keys, .. }) => 64 + keys.iter().map(|k| k.as_bytes().len() + 40).sum::<usize>(),
        _ => 256,
    }
}

/// Where the binlog ends now.
pub async fn current_position(session: &mut Session) -> Result<Position> {
    Ok(current_spot(session).await?.to_position())
}

async fn current_spot(session: &mut Session) -> Result<Spot> {
    let off =
        || Error::refused("The server writes no binlog.").todo("Start it with log_bin, and with binlog_format = ROW.");
    let server = session.identity().await?;
    let gtids = match session.flavor.is_mariadb() {
        true => false,
        false => session.first::<String>("SELECT @@GLOBAL.gtid_mode").await?.is_some_and(|mode| mode == "ON"),
    };
    let status = session.flavor.binlog_status();
    let row = session.rows(status).await?.into_iter().next().ok_or_else(off)?;
    let file: String = row.get_opt(0).and_then(|v| v.ok()).ok_or_else(off)?;
    let pos: u64 = row.get_opt(1).and_then(|v| v.ok()).ok_or_else(off)?;
    // The server reads the set before the offset, so the set can lack transactions before the offset,
    // never the other way round; it is the set that the stream is asked for.
    let set: Option<String> = row.get_opt(4).and_then(|v| v.ok());
    let gtid = set.filter(|_| gtids).and_then(|text| super::binlog::gtid::GtidSet::parse(&text));
    Ok(Spot { file, pos, gtid, server })
}
