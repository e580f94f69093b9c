//! The server's change stream.
//!
//! One entry a transaction, in the order of the log. An entry is readable as soon as it stands here,
//! which is before its transaction is visible (see `commit`). A place is an entry and a row in it;
//! a reader that is sent to a place inside a transaction finds nothing of it, as with a real server,
//! where the description of the table stands before the first row.

use std::cell::RefCell;

use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::model::Position;

pub type Xid = u64;

/// The key of a row as a row event has it: which row, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    pub id: u32,
    pub spelling: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A transaction's changes of the table; none when it only changed other tables.
    Rows(Vec<Image>),
    /// The changes of a transaction that is not committed yet.
    Prepare {
        xid: Xid,
        rows: Vec<Image>,
    },
    /// The end of a prepared transaction.
    End {
        xid: Xid,
        commit: bool,
    },
    Mark {
        life: u64,
        token: u64,
    },
    /// A statement on the table without rows.
    Truncate,
}

/// A place between two entries, or inside of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub entry: usize,
    pub row: usize,
}

impl Place {
    pub fn start_of(entry: usize) -> Self {
        Place { entry, row: 0 }
    }

    pub fn position(self) -> Position {
        Position(format!("{}:{}", self.entry, self.row))
    }

    pub fn parse(position: &Position) -> Result<Self> {
        let parsed = position
            .0
            .split_once(':')
            .and_then(|(entry, row)| Some(Place { entry: entry.parse().ok()?, row: row.parse().ok()? }));
        parsed.ok_or_else(|| Error::definite(format!("'{}' is not a place of this stream", position.0)))
    }

    /// Where a reader that is sent here begins.
    pub fn boundary(self) -> usize {
        if self.row == 0 { self.entry } else { self.entry + 1 }
    }
}

#[derive(Debug, Default)]
pub struct Binlog {
    entries: RefCell<Vec<What>>,
    pub grown: Notify,
}

impl Binlog {
    /// Appends an entry and returns its number.
    pub fn append(&self, what: What) -> usize {
        let mut entries = self.entries.borrow_mut();
        entries.push(what);
        self.grown.notify_waiters();
        entries.len() - 1
    }

    pub fn end(&self) -> usize {
        self.entries.borrow().len()
    }

    pub fn with<T>(&self, entry: usize, look: impl FnOnce(&What) -> T) -> Option<T> {
        self.entries.borrow().get(entry).map(look)
    }

    /// Looks at every entry from a number on.
    pub fn scan(&self, from: usize, mut look: impl FnMut(usize, &What)) {
        for (at, what) in self.entries.borrow().iter().enumerate().skip(from) {
            look(at, what);
        }
    }
}
