//! Prepared XA transactions: their rows come with XA PREPARE, their outcome later, elsewhere.
//!
//! The keys of a prepared transaction wait here for its XA COMMIT; a later mark settles nothing of
//! them before. While one waits, a position from which the stream may be read again after a restart
//! lies before its XA PREPARE, or its rows would be skipped.
//!
//! **An end that is taken back.** MariaDB that dies right after an XA COMMIT or XA ROLLBACK, which was answered and stands
//! in the binlog, may have the transaction prepared again when it is back: its engine had not written the end down
//! yet (seen on 10.11.18). Whoever then ends it, one way or the other, changes rows that no event names. So a
//! transaction is not forgotten with its end; the last ones are kept here, far more than an engine can have in
//! memory only.
//!
//! - After each lost connection the server is asked what is prepared. The keys of what had ended, and is among it, are
//!   delivered once more, as if its XA COMMIT stood here, behind which [`super::recover`] lets nothing out before the
//!   server has forgotten the transaction. So nothing is swapped before either.
//! - Whoever was faster than that question has written a second end into the binlog. With that the keys are delivered again too.
//! - A position lies before the XA PREPARE of what ended less than [`FRESH`] ago, so the next life of osc reads it all
//!   again, and the first point holds for it as well. (The engine's log is written in order, so it seems enough that a position which
//!   is stored outlives the crash only with the end that lies before it. But a process that lives on stores it again.)

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::lex::Token;
use super::position::Spot;
use crate::engine::disturbed;
use crate::error::Result;
use crate::model::Key;

/// What the waiting keys may take before the run gives up.
const LIMIT: usize = 64 << 20;

/// How many transactions are kept that have ended, and what their keys may take.
const ENDED: usize = 4096;
const ENDED_BYTES: usize = 16 << 20;

/// An engine takes less to write down what it did: a second, whatever `innodb_flush_log_at_trx_commit` is, unless
/// `innodb_flush_log_at_timeout` says otherwise.
const FRESH: Duration = Duration::from_secs(10);

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

    /// As XA COMMIT and XA ROLLBACK take it: `'gtrid','bqual',1`, in hexadecimal where it isn't plain.
    pub fn describe(&self) -> String {
        let literal = |part: &[u8]| {
            if part.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'\'' | b'\\')) {
                format!("'{}'", String::from_utf8_lossy(part))
            } else {
                format!("X'{}'", part.iter().map(|b| format!("{b:02X}")).collect::<String>())
            }
        };
        match (self.bqual.is_empty(), self.format) {
            (true, 1) => literal(&self.gtrid),
            _ => format!("{},{},{}", literal(&self.gtrid), literal(&self.bqual), self.format),
        }
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
    /// A later XA PREPARE has a larger number.
    number: u64,
}

/// One that was decided on.
struct Ended {
    xid: Xid,
    /// None if there was no room for them.
    keys: Option<Vec<Key>>,
    before: Spot,
    number: u64,
    since: Instant,
}

/// The prepared transactions that changed our table.
#[derive(Default)]
pub struct Prepared {
    /// Oldest first.
    waiting: Vec<Waiting>,
    bytes: usize,
    /// In the order of their ends.
    ended: VecDeque<Ended>,
    ended_bytes: usize,
    numbers: u64,
}

impl Prepared {
    /// Keeps the keys of a transaction that was prepared; one that did not change our table has none.
    pub fn add(&mut self, xid: Xid, keys: Vec<Key>, changes: u64, before: Spot) {
        // An XID may be used again once its transaction has ended.
        if let Some(at) = self.ended.iter().position(|ended| ended.xid == xid) {
            self.forget(at);
            self.ended.remove(at);
        }
        if keys.is_empty() {
            return;
        }
        self.numbers += 1;
        self.waiting.push(Waiting { xid, keys, changes, before, number: self.numbers });
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

    /// A transaction was committed: its keys, with the number of changes, if it changed our table.
    pub fn commit(&mut self, xid: &Xid) -> Result<Option<(Vec<Key>, u64)>> {
        match self.end(xid) {
            None => self.again(xid),
            ended => Ok(ended),
        }
    }

    /// A transaction was rolled back; keys come if it had ended before.
    pub fn rollback(&mut self, xid: &Xid) -> Result<Option<(Vec<Key>, u64)>> {
        match self.end(xid) {
            Some(_) => Ok(None),
            None => self.again(xid),
        }
    }

    fn end(&mut self, xid: &Xid) -> Option<(Vec<Key>, u64)> {
        let at = self.waiting.iter().position(|w| w.xid == *xid)?;
        let Waiting { xid, keys, changes, before, number } = self.waiting.remove(at);
        self.refund(&keys);
        self.ended_bytes += cost(&keys);
        self.ended.push_back(Ended { xid, keys: Some(keys.clone()), before, number, since: Instant::now() });
        if self.ended.len() > ENDED {
            self.forget(0);
            self.ended.pop_front();
        }
        for at in 0..self.ended.len() {
            if self.ended_bytes <= ENDED_BYTES {
                break;
            }
            self.forget(at);
        }
        Some((keys, changes))
    }

    fn forget(&mut self, at: usize) {
        if let Some(keys) = self.ended.get_mut(at).and_then(|ended| ended.keys.take()) {
            self.ended_bytes = self.ended_bytes.saturating_sub(cost(&keys));
        }
    }

    /// The keys of a transaction that had ended, whose end was taken back.
    fn again(&mut self, xid: &Xid) -> Result<Option<(Vec<Key>, u64)>> {
        let Some(ended) = self.ended.iter_mut().find(|ended| ended.xid == *xid) else { return Ok(None) };
        ended.since = Instant::now();
        match &ended.keys {
            Some(keys) => Ok(Some((keys.clone(), 0))),
            None => Err(disturbed(format!(
                "The XA transaction {} had ended before: the server has died since, and took that back. Which of its \
                 rows are in the table can't be told any more.",
                xid.describe()
            ))
            .todo("Remove the run with `osc cleanup` and begin anew.")),
        }
    }

    /// The stream goes on over another connection, and the server has these transactions prepared: the XIDs and
    /// keys of those that had ended. One whose end is just being carried out may be among them.
    pub fn reconnected(&mut self, prepared: &[Xid]) -> Result<Vec<(Xid, Vec<Key>)>> {
        let now = Instant::now();
        self.ended.iter_mut().for_each(|ended| ended.since = now);
        let mut back = Vec::new();
        for xid in prepared {
            if let Some((keys, _)) = self.again(xid)? {
                tracing::warn!(
                    xid = xid.describe(),
                    "an XA transaction had ended, and is prepared: the run waits until it is committed or rolled back"
                );
                back.push((xid.clone(), keys));
            }
        }
        Ok(back)
    }

    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// The boundary before the oldest one, those included that have just ended.
    pub fn oldest(&self) -> Option<&Spot> {
        let fresh = self.ended.iter().filter(|ended| ended.since.elapsed() < FRESH);
        let waiting = self.waiting.first().map(|w| (w.number, &w.before));
        fresh.map(|ended| (ended.number, &ended.before)).chain(waiting).min_by_key(|one| one.0).map(|one| one.1)
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
        assert_eq!(xid("'ab'"), Some(Xid { format: 1, gtrid: b"ab".to_vec(), bqual: Vec::new() }));
        assert_eq!(xid("X'616',X'',1"), None);
        assert_eq!(xid(""), None);
    }

    #[test]
    fn an_xid_is_written_as_the_statements_take_it() {
        for text in ["'ab'", "'ab','cd',1", "'ab','',7", "X'6127',X'00',1", "X'615C','',2"] {
            assert_eq!(xid(text).unwrap().describe(), text);
        }
    }

    fn spot(pos: u64) -> Spot {
        Spot { file: "b.1".into(), pos, gtid: None, server: String::new() }
    }

    /// Added and counted, as the decoder does it.
    fn prepare(prepared: &mut Prepared, xid: &Xid, keys: &[Key], pos: u64) {
        prepared.charge(keys).unwrap();
        prepared.add(xid.clone(), keys.to_vec(), 1, spot(pos));
    }

    fn later(prepared: &mut Prepared) {
        prepared.ended.iter_mut().for_each(|ended| ended.since -= FRESH);
    }

    #[test]
    fn the_oldest_open_prepare_holds_the_position() {
        let mut p = Prepared::default();
        let (a, b) = (xid("'a'").unwrap(), xid("'b'").unwrap());
        let keys = vec![Key::new(b"k")];
        prepare(&mut p, &a, &keys, 10);
        prepare(&mut p, &b, &keys, 20);
        assert_eq!(p.oldest().unwrap().pos, 10);
        assert_eq!(p.commit(&a).unwrap(), Some((keys.clone(), 1)));
        assert_eq!((p.oldest().unwrap().pos, p.count()), (10, 1), "the engine may take its end back");
        later(&mut p);
        assert_eq!(p.oldest().unwrap().pos, 20);
        assert_eq!(p.rollback(&b).unwrap(), None);
        later(&mut p);
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
    fn an_end_that_is_taken_back_brings_the_keys_again() {
        let (one, keys) = (xid("'one'").unwrap(), vec![Key::new(b"k")]);
        for ends in [[true, true], [true, false], [false, true], [false, false]] {
            let mut p = Prepared::default();
            let end = |p: &mut Prepared, commit: bool| if commit { p.commit(&one) } else { p.rollback(&one) }.unwrap();
            assert_eq!(end(&mut p, ends[0]), None, "it is not known");
            prepare(&mut p, &one, &keys, 4);
            assert_eq!(end(&mut p, ends[0]), ends[0].then(|| (keys.clone(), 1)));
            assert_eq!(end(&mut p, ends[1]), Some((keys.clone(), 0)), "{ends:?}");
            // Another transaction of the same name.
            prepare(&mut p, &one, &keys, 8);
            assert_eq!((p.oldest().unwrap().pos, p.ended_bytes), (8, 0));
            assert_eq!(end(&mut p, ends[1]), ends[1].then(|| (keys.clone(), 1)));
            // And one that changes other tables.
            prepare(&mut p, &one, &[], 9);
            assert_eq!((end(&mut p, ends[1]), p.count(), p.ended_bytes), (None, 0, 0));
        }
    }

    #[test]
    fn what_had_ended_and_is_prepared_after_a_crash_comes_again() {
        let (one, two, other) = (xid("'one'").unwrap(), xid("'two'").unwrap(), xid("'other'").unwrap());
        let (mut p, keys) = (Prepared::default(), vec![Key::new(b"k")]);
        prepare(&mut p, &one, &keys, 4);
        prepare(&mut p, &two, &keys, 8);
        p.commit(&one).unwrap();
        later(&mut p);
        assert_eq!(p.oldest().unwrap().pos, 8);
        assert_eq!(p.reconnected(&[one.clone(), two, other]).unwrap(), [(one.clone(), keys.clone())]);
        assert_eq!(p.oldest().unwrap().pos, 4, "the time without a connection does not count");
        assert_eq!(p.commit(&one).unwrap(), Some((keys, 0)));
    }

    #[test]
    fn what_has_ended_makes_room_and_is_told_when_it_is_asked_for() {
        let mut p = Prepared::default();
        let numbered = |n: usize| Xid { format: 1, gtrid: n.to_string().into_bytes(), bqual: Vec::new() };
        let keys = vec![Key::new(&[0; 3000]); 1000];
        for n in 0..100 {
            prepare(&mut p, &numbered(n), &keys, 4);
            p.commit(&numbered(n)).unwrap();
        }
        let key = vec![Key::new(b"k")];
        assert!(p.bytes == 0 && p.ended_bytes <= ENDED_BYTES && p.commit(&numbered(99)).unwrap().is_some());
        assert!(p.commit(&numbered(0)).unwrap_err().what().contains("took that back"));
        for n in 100..2 * ENDED {
            prepare(&mut p, &numbered(n), &key, 4);
            p.rollback(&numbered(n)).unwrap();
        }
        assert_eq!((p.ended.len(), p.ended_bytes), (ENDED, ENDED * cost(&key)));
        assert!(p.commit(&numbered(0)).unwrap().is_none());
    }
}
