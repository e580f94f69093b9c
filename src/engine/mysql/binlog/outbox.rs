//! What the decoder has found and the thread has not handed over yet.

use std::collections::VecDeque;
use std::time::Instant;

use super::Item;
use crate::model::Key;

/// How many keys and bytes one batch may hold.
const BATCH_KEYS: usize = 500;
const BATCH_BYTES: usize = 64 << 10;

/// Items that are ready, and the batch of keys that is being filled.
#[derive(Default)]
pub struct Outbox {
    items: VecDeque<Item>,
    keys: Vec<Key>,
    bytes: usize,
    changes: u64,
    since: Option<Instant>,
}

impl Outbox {
    /// Counts row changes for the batch that is being filled.
    pub fn count(&mut self, changes: u64) {
        self.changes += changes;
    }

    /// Adds all keys of a transaction that was decided on.
    pub fn extend(&mut self, keys: Vec<Key>, changes: u64) {
        self.count(changes);
        keys.into_iter().for_each(|key| self.push(key));
    }

    /// Adds an item that is no batch of keys, behind all keys so far.
    pub fn put(&mut self, item: Item) {
        self.flush();
        self.items.push_back(item);
    }

    /// The next finished item.
    pub fn pop(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Since when a key has been waiting for its batch to fill.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.since
    }

    /// Adds a key to the batch.
    pub fn push(&mut self, key: Key) {
        // An UPDATE names its row twice, and a hot row comes in runs.
        if self.keys.last() == Some(&key) {
            return;
        }
        self.bytes += key.as_bytes().len() + 40;
        self.keys.push(key);
        self.since.get_or_insert_with(Instant::now);
        if self.keys.len() >= BATCH_KEYS || self.bytes >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Finishes the batch that is being filled.
    pub fn flush(&mut self) {
        if !self.keys.is_empty() || self.changes > 0 {
            self.items.push_back(Item::Keys { keys: std::mem::take(&mut self.keys), changes: self.changes });
        }
        (self.bytes, self.changes, self.since) = (0, 0, None);
    }
}
