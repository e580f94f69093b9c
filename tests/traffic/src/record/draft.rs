//! The changes of an operation that has not been acknowledged as committed yet.

use crate::model::state::State;
use crate::model::token::Token;

/// What the ledger holds of a key that the traffic has written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    Present(State),
    /// With the token drawn for the DELETE, which the server never saw: it gives the order.
    Deleted(Token),
}

impl Entry {
    pub fn state(&self) -> Option<State> {
        match self {
            Entry::Present(state) => Some(*state),
            Entry::Deleted(_) => None,
        }
    }

    /// The token of the write that made it so.
    pub fn token(&self) -> Token {
        match self {
            Entry::Present(state) => state.token,
            Entry::Deleted(token) => *token,
        }
    }
}

/// Uncommitted changes, seen by the later statements of the same transaction.
#[derive(Clone, Default, Debug)]
pub(crate) struct Draft {
    changes: Vec<(i64, Entry)>,
    /// Keys that the server chose.
    generated: Vec<i64>,
}

impl Draft {
    pub fn set(&mut self, key: i64, entry: Entry) {
        match self.changes.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = entry,
            None => self.changes.push((key, entry)),
        }
    }

    /// A row whose key came from AUTO_INCREMENT.
    pub fn set_generated(&mut self, key: i64, state: State) {
        self.generated.push(key);
        self.set(key, Entry::Present(state));
    }

    pub fn get(&self, key: i64) -> Option<Entry> {
        self.changes.iter().find(|(k, _)| *k == key).map(|(_, entry)| *entry)
    }

    pub fn changes(&self) -> &[(i64, Entry)] {
        &self.changes
    }

    pub fn is_generated(&self, key: i64) -> bool {
        self.generated.contains(&key)
    }
}
