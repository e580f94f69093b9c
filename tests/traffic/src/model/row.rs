//! A row of the table as read back, in one form whatever type osc has given the columns since.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::token::Token;

/// One row of `orders`. Times are microseconds since 1970 (the session's zone is UTC).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Row {
    pub key: i64,
    pub customer: i64,
    pub status: &'static str,
    pub cents: i64,
    pub note: Option<String>,
    pub email: String,
    pub created_us: i64,
    pub updated_us: i64,
    pub version: i64,
    pub token: Token,
}

/// A row that was read: its key, and its values or why they can't be understood. An unreadable
/// value is a finding about that row, never a reason to skip it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub key: i64,
    pub row: Result<Row, String>,
}

impl Row {
    /// A hash of every column, to notice any change of a row that is not the traffic's to touch.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl Seen {
    pub fn token(&self) -> Option<Token> {
        self.row.as_ref().ok().map(|row| row.token)
    }

    /// The row in words, for an example in the verdict.
    pub fn describe(&self) -> String {
        match &self.row {
            Ok(row) => format!(
                "token {} version {} customer {} status {} cents {} email {}",
                row.token, row.version, row.customer, row.status, row.cents, row.email
            ),
            Err(why) => format!("unreadable: {why}"),
        }
    }
}
