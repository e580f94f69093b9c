//! The table where it is: marks, ends of ranges, load, and the way to the fence.

use std::ops::Bound;
use std::rc::Rc;

use super::binlog::{Image, What};
use super::bugs::Peek;
use super::faults::Faults;
use super::feed::Inbox;
use super::fence::{self, SimFence};
use super::keys::{decode, encode};
use super::locks::{LockId, Mode};
use super::server::Server;
use super::session::call;
use super::table::Name;
use super::transaction::{Origin, Tx};
use crate::engine::{Patience, Pressure, Source};
use crate::error::{Error, Result};
use crate::model::{Key, KeyOrder, Token};

/// In one of so many times that the server is loaded it is the engine itself that holds, and the copy alone.
const ENDANGERED: u64 = 3;

/// The gauge that the throttle watches, and the value at which it holds.
pub const GAUGE: &str = "Threads_running";
pub const LOADED: u64 = 20;

pub struct SimSource {
    pub(super) server: Rc<Server>,
    pub(super) faults: Rc<Faults>,
    pub(super) inbox: Rc<Inbox>,
    pub(super) life: u64,
    /// The number that this life's marks carry.
    marks: u64,
    peek: Rc<Peek>,
}

impl SimSource {
    pub fn new(
        server: Rc<Server>,
        faults: Rc<Faults>,
        inbox: Rc<Inbox>,
        life: u64,
        marks: u64,
        peek: Rc<Peek>,
    ) -> Self {
        SimSource { server, faults, inbox, life, marks, peek }
    }
}

impl Source for SimSource {
    type Fence = SimFence;

    fn key_order(&self) -> KeyOrder {
        self.server.plan.order
    }

    async fn mark(&self, token: Token) -> Result<()> {
        self.inbox.settle.borrow_mut().sent(token.0);
        let (server, life) = (self.server.clone(), self.marks);
        call(&self.server, &self.faults, |line| async move {
            line.step().await?;
            let mut tx = Tx::begin(&server, Origin::Osc);
            tx.lock(LockId::Mark, Mode::Exclusive).await?;
            line.step().await?;
            tx.commit_as(What::Mark { life, token: token.0 }).await;
            Ok(())
        })
        .await?;
        self.inbox.settle.borrow_mut().returned(token.0);
        self.inbox.news.notify_one();
        Ok(())
    }

    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>> {
        let order = self.server.plan.order;
        let after = after.map(|key| decode(order, key)).transpose()?;
        let (server, peek) = (self.server.clone(), self.peek.clone());
        let found = call(&self.server, &self.faults, |line| async move {
            line.step().await?;
            let mut tx = Tx::begin(&server, Origin::Osc);
            let table = tx.open(Name::Original).await?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let (found, last) = {
                let catalog = server.catalog.borrow();
                let table = &catalog.table(table).rows;
                let mut range = table.range((from, Bound::Unbounded));
                let nth = range.nth(rows.saturating_sub(1) as usize);
                (nth.map(|(id, row)| Image { id: *id, spelling: row.spelling }), table.keys().last().copied())
            };
            if found.is_none() {
                peek.last_key.set(last);
            }
            server.dice.pause(server.plan.read).await;
            line.step().await?;
            Ok(found)
        })
        .await?;
        Ok(found.map(|image| encode(order, image)))
    }

    async fn pressure(&self) -> Result<Pressure> {
        self.faults.step().await;
        self.server.dice.pause(self.server.plan.reply).await;
        if self.faults.hiccup() {
            return Err(Error::transient("The load could not be read."));
        }
        let loaded = self.faults.on() && self.server.dice.chance(self.server.plan.loaded_pm);
        let endangered = loaded
            && self.server.count(|c| {
                c.throttled += 1;
                let endangered = c.throttled.is_multiple_of(ENDANGERED);
                c.endangered += u64::from(endangered);
                endangered
            });
        let hold = endangered.then(|| "log: the server is about to give it up".to_owned());
        let value = if loaded { LOADED } else { 1 };
        Ok(Pressure { load: vec![(GAUGE.to_owned(), value as f64)], hold, ..Pressure::default() })
    }

    async fn before_fence(&self) -> Result<()> {
        self.faults.step().await;
        self.server.dice.pause(self.server.plan.read).await;
        if self.faults.hiccup() {
            return Err(Error::transient("The statistics could not be made."));
        }
        Ok(())
    }

    async fn fence(&self, patience: Patience) -> Result<SimFence> {
        fence::lock(self, patience).await
    }
}
