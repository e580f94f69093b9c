//! The server: what its parts share.
//!
//! Everything that happens on it happens in tasks of its own (the application's, and those of the
//! statements that a client has sent), so a client that goes away leaves its statements behind.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::binlog::Binlog;
use super::bugs::Bugs;
use super::dice::Dice;
use super::ledger::Ledger;
use super::locks::{Holder, Locks};
use super::plan::Plan;
use super::prepared::Prepared;
use super::report::Counts;
use super::state::{self, Store};
use super::table::{Catalog, Table};
use super::trace::Trace;
use super::transaction::Parts;

pub struct Server {
    pub plan: Rc<Plan>,
    pub bugs: Bugs,
    pub dice: Dice,
    pub locks: Locks,
    pub binlog: Binlog,
    pub catalog: RefCell<Catalog>,
    pub store: RefCell<Store>,
    pub prepared: Prepared,
    pub ledger: RefCell<Ledger>,
    pub trace: Trace,
    /// Commits that stand in the stream and are not visible yet, in the order of the stream.
    pub(super) committing: RefCell<VecDeque<Committing>>,
    counts: RefCell<Counts>,
    /// The life that swapped the tables.
    pub swapped_by: Cell<Option<u64>>,
    /// The most keys of one delivery so far.
    pub largest_delivery: Cell<u64>,
    holders: Cell<Holder>,
    values: Cell<u64>,
    violation: RefCell<Option<String>>,
}

/// A commit between the stream and visibility.
#[derive(Debug)]
pub struct Committing {
    pub entry: usize,
    pub at: tokio::time::Instant,
    /// It becomes visible in its own time, not in its turn.
    pub loose: bool,
    pub parts: Parts,
}

impl Server {
    pub fn new(plan: Rc<Plan>, bugs: Bugs, dice: Dice, trace: Trace) -> Rc<Server> {
        Rc::new(Server {
            catalog: RefCell::new(Catalog::new(Table::new(plan.source_unique()))),
            store: RefCell::new(state::blank(bugs, &dice)),
            plan,
            bugs,
            dice,
            locks: Locks::default(),
            binlog: Binlog::default(),
            prepared: Prepared::default(),
            ledger: RefCell::new(Ledger::default()),
            trace,
            committing: RefCell::new(VecDeque::new()),
            counts: RefCell::new(Counts::default()),
            swapped_by: Cell::new(None),
            largest_delivery: Cell::new(0),
            holders: Cell::new(1),
            values: Cell::new(1),
            violation: RefCell::new(None),
        })
    }

    pub fn next_holder(&self) -> Holder {
        self.holders.replace(self.holders.get() + 1)
    }

    /// A value that no write had before.
    pub fn next_value(&self) -> u64 {
        self.values.replace(self.values.get() + 1)
    }

    /// Something was seen that must never be; the first one is kept.
    pub fn violated(&self, what: String) {
        let mut violation = self.violation.borrow_mut();
        if violation.is_none() {
            self.trace.say(|| format!("VIOLATED: {what}"));
            *violation = Some(what);
        }
    }

    pub fn violation(&self) -> Option<String> {
        self.violation.borrow().clone()
    }

    pub fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.borrow_mut())
    }

    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }
}
