//! Marks: transactional messages of our own in the stream, from a session of their own.
//!
//! A mark is a commit like the application's: it waits for the standbys that the server waits for, so its
//! latency is what the application feels. It needs no table. Never on a session that holds the lock: its
//! message would come out only with that transaction's commit. And never non-transactional: such a message took
//! 10.6 s to be flushed (seen).

use std::cell::RefCell;

use super::connect::Address;
use super::names::Names;
use super::session::{Session, is_lost};
use super::sql::text;
use crate::error::Result;
use crate::model::Token;

pub struct Marker {
    address: Address,
    prefix: String,
    life: u64,
    session: RefCell<Option<Session>>,
}

impl Marker {
    /// `life` makes this process's marks its own.
    pub fn new(address: &Address, names: &Names, life: u64) -> Marker {
        Marker { address: address.clone(), prefix: names.marks.clone(), life, session: RefCell::new(None) }
    }

    /// Puts a mark into the stream; returns when its commit has returned.
    pub async fn mark(&self, token: Token) -> Result<()> {
        let kept = self.session.borrow_mut().take();
        let mut session = match kept {
            Some(session) => session,
            None => {
                let mut session = Session::open(&self.address).await?;
                session.exec("SET synchronous_commit = on").await?;
                session
            }
        };
        let content = text(&format!("{}:{}", self.life, token.0));
        let sql = format!("SELECT pg_logical_emit_message(true, {}, {content})", text(&self.prefix));
        let sent = session.exec(&sql).await;
        if !sent.as_ref().is_err_and(is_lost) {
            *self.session.borrow_mut() = Some(session);
        }
        sent.map(drop)
    }
}

/// The number of a mark of this life, from a message's content.
pub fn token(content: &[u8], life: u64) -> Option<Token> {
    let (of, number) = std::str::from_utf8(content).ok()?.split_once(':')?;
    (of.parse() == Ok(life)).then_some(())?;
    number.parse().ok().map(Token)
}
