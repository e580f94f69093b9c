//! Prepared XA transactions: their rows come with XA PREPARE, their outcome later, elsewhere.
//!
//! The keys of a prepared transaction wait here for its XA COMMIT; a later mark settles nothing of
//! them before. While one waits, a position from which the stream may be read again after a restart
//! lies before its XA PREPARE, or its rows would be skipped.
//!
//! **An end that is taken back.** MariaDB that dies right after an XA COMMIT or XA ROLLBACK, which was answered and stands
//! in the binlog, may have the transaction prepared again when it is back (seen on 10.11.18, once in some fifty
//! kills). Whoever then commits it changes rows that no event tells of. So the ends of the last transactions are
//! remembered, and an XA COMMIT of one of them ends the run.

use std::collections::VecDeque;

use super::lex::Token;
use super::position::Spot;
use crate::engine::disturbed;
use crate::error::Result;
use crate::model::Key;

/// What the waiting keys may take before the run gives up.
const LIMIT: usize = 64 << 20;

/// Of how many transactions that changed our table the end is remembered: of more than a server can have ended in the
/// moment before it dies.
const ENDED: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xid {
    pub format: u32,
    pub gtrid: Vec<u8>,
    pub bqual: Vec<u8>,
}

impl Xid {
    /// Reads `X'…',X'…',n`, as the servers write it into the binlog; the last two may be missing.
    pub fn from_tokens(tokens: &[Token]) -> Option<Xid> {
        let mut parts = tokens.split(|t| *t == Token::Symbol(b','));
        let gtrid = literal(parts.next()?)?;
        let bqual = match parts.next() {
            Some(part) => literal(part)?,
            None => Vec::new(),
        };
        let format = match parts.next() {
            // XA COMMIT … ONE PHASE: the number comes first.
            Some([Token::Word(number), ..]) => number.parse().ok()?,
            Some(_) => return None,
            None => 1,
        };
        Some(Xid { format, gtrid, bqual })
    }

    /// The text in which the server's statements name it.
    pub fn describe(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        format!("X'{}',X'{}',{}", hex(&self.gtrid), hex(&self.bqual), self.format)
    }
}

fn literal(tokens: &[Token]) -> Option<Vec<u8>> {
    match tokens {
        [Token::Text(text), ..] => Some(text.clone()),
        [Token::Word(x), Token::Text(digits), ..] if x.eq_ignore_ascii_case("x") => {
            let digit = |b: &u8| char::from(*b).to_digit(16);
            digits
                .chunks(2)
                .map(|pair| match pair {
                    [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
                    _ => None,
                })
                .collect()
        }
        _ => None,
    }
}

struct Waiting {
    xid: Xid,
    keys: Vec<Key>,
    changes: u64,
    /// The boundary before its XA PREPARE.
    before: Spot,
}

/// The prepared transactions that changed our table, oldest first.
#[derive(Default)]
pub struct Prepared {
    waiting: Vec<Waiting>,
    bytes: usize,
    /// Those that were decided on, newest first.
    ended: VecDeque<Xid>,
}

impl Prepared {
    /// Keeps the keys of a transaction that was prepared.
    pub fn add(&mut self, xid: Xid, keys: Vec<Key>, changes: u64, before: Spot) {
        // An XID may be used again once its transaction has ended.
        self.ended.retain(|ended| *ended != xid);
        self.waiting.push(Waiting { xid, keys, changes, before });
    }

    /// A transaction is committed that was ended before.
    pub fn ends_twice(&self, xid: &Xid) -> bool {
        self.ended.contains(xid) && !self.waiting.iter().any(|w| w.xid == *xid)
    }

    /// Counts keys that were read and will be added, or were added and are gone.
    pub fn charge(&mut self, keys: &[Key]) -> Result<()> {
        self.bytes += cost(keys);
        if self.bytes > LIMIT {
            return Err(disturbed(format!(
                "Prepared XA transactions hold more than {} MiB of keys of the table.",
                LIMIT >> 20
            ))
            .todo("Commit or roll back the transactions that XA RECOVER lists, then run osc again."));
        }
        Ok(())
    }

    pub fn refund(&mut self, keys: &[Key]) {
        self.bytes = self.bytes.saturating_sub(cost(keys));
    }

    /// Takes out the keys of a transaction that was decided on, with the number of changes.
    pub fn take(&mut self, xid: &Xid) -> Option<(Vec<Key>, u64)> {
        let at = self.waiting.iter().position(|w| w.xid == *xid)?;
        let Waiting { xid, keys, changes, .. } = self.waiting.remove(at);
        self.refund(&keys);
        self.ended.truncate(ENDED - 1);
        self.ended.push_front(xid);
        Some((keys, changes))
    }

    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// The boundary before the oldest one.
    pub fn oldest(&self) -> Option<&Spot> {
        self.waiting.first().map(|w| &w.before)
    }
}

fn cost(keys: &[Key]) -> usize {
    keys.iter().map(|k| k.as_bytes().len() + 40).sum()
}

#[cfg(test)]
mod tests {
    use super::super::lex::Lexer;
    use super::*;

    fn xid(text: &str) -> Option<Xid> {
        Xid::from_tokens(&Lexer::new(text.as_bytes(), 0).collect::<Vec<_>>())
    }

    #[test]
    fn xids_are_read_in_every_form() {
        let full = xid("X'6162',X'63',7").unwrap();
        assert_eq!(full, Xid { format: 7, gtrid: b"ab".to_vec(), bqual: b"c".to_vec() });
        assert_eq!(xid("'ab','c',7"), Some(full.clone()));
        assert_eq!(xid("x'6162',X'63',7 ONE PHASE"), Some(full.clone()));
        assert_eq!(full.describe(), "X'6162',X'63',7");
        assert_eq!(xid("'ab'"), Some(Xid { format: 1, gtrid: b"ab".to_vec(), bqual: Vec::new() }));
        assert_eq!(xid("X'616',X'',1"), None);
        assert_eq!(xid(""), None);
    }

    fn spot(pos: u64) -> Spot {
        Spot { file: "b.1".into(), pos, gtid: None, server: String::new() }
    }

    #[test]
    fn the_oldest_open_prepare_holds_the_position() {
        let mut p = Prepared::default();
        let (a, b) = (xid("'a'").unwrap(), xid("'b'").unwrap());
        let keys = vec![Key::new(b"k")];
        for (xid, pos) in [(&a, 10), (&b, 20)] {
            p.charge(&keys).unwrap();
            p.add(xid.clone(), keys.clone(), 1, spot(pos));
        }
        assert_eq!(p.oldest().unwrap().pos, 10);
        assert_eq!(p.take(&a), Some((keys.clone(), 1)));
        assert_eq!(p.take(&a), None);
        assert_eq!(p.oldest().unwrap().pos, 20);
        p.take(&b);
        assert_eq!((p.oldest(), p.bytes), (None, 0));
    }

    #[test]
    fn prepared_keys_are_bounded() {
        let mut p = Prepared::default();
        let keys = vec![Key::new(&[0; 3000]); 1000];
        let error = (0..100).find_map(|_| p.charge(&keys).err()).unwrap();
        assert!(error.what().contains("64 MiB"), "{error}");
    }

    #[test]
    fn an_end_that_is_taken_back_is_noticed() {
        let (one, mut prepared) = (xid("'one'").unwrap(), Prepared::default());
        assert!(!prepared.ends_twice(&one));
        prepared.add(one.clone(), Vec::new(), 0, spot(4));
        assert!(!prepared.ends_twice(&one));
        prepared.take(&one).unwrap();
        assert!(prepared.ends_twice(&one));
        // Another transaction of the same name.
        prepared.add(one.clone(), Vec::new(), 0, spot(8));
        assert!(!prepared.ends_twice(&one));
    }

    #[test]
    fn not_all_ends_are_remembered_for_ever() {
        let mut prepared = Prepared::default();
        let numbered = |n: usize| Xid { format: 1, gtrid: n.to_string().into_bytes(), bqual: Vec::new() };
        for n in 0..2 * ENDED {
            prepared.add(numbered(n), Vec::new(), 0, spot(4));
            prepared.take(&numbered(n)).unwrap();
        }
        assert_eq!(prepared.ended.len(), ENDED);
        assert!(prepared.ends_twice(&numbered(2 * ENDED - 1)) && !prepared.ends_twice(&numbered(0)));
    }
}
