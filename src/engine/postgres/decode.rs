//! The messages of pgoutput, protocol version 1, made into keys, marks and reasons to stop.
//!
//! Version 1 sends a transaction when it has been committed, whole and in order of the commits; later versions
//! can send what is rolled back afterwards. Only key columns are in the messages (see `publication`), as
//! text. A key that is stored out of line and did not change is not in the new row; the server logs the old
//! one then, and it is taken from there.
//!
//! DDL is not in the stream (a column that is added changes nothing here, or repeats the Relation message):
//! `watch` looks for it. TRUNCATE is in it, and ends the run.

use std::sync::Arc;

use super::key::KeyShape;
use super::lsn::Lsn;
use super::marks;
use crate::engine::disturbed;
use crate::error::{Error, Result};
use crate::model::{Key, Token};

/// How many keys and bytes one batch may hold.
const BATCH_KEYS: usize = 500;
const BATCH_BYTES: usize = 64 << 10;

/// What is watched for.
#[derive(Debug, Clone)]
pub struct Watched {
    pub oid: u32,
    /// For messages.
    pub table: String,
    pub key: KeyShape,
    pub marks: String,
    pub life: u64,
}

#[derive(Debug, PartialEq)]
pub enum Item {
    /// Keys that transaction `xid` changed.
    Keys { xid: u32, keys: Vec<Key>, changes: u64 },
    /// A mark of this life; the stream can be read again from behind it.
    Mark { token: Token, after: Lsn },
}

/// Reads messages one by one.
pub struct Decoder {
    watched: Arc<Watched>,
    /// Places of the key's columns in a row, and what the Relation message said.
    relation: Option<Relation>,
    xid: u32,
    keys: Vec<Key>,
    bytes: usize,
    changes: u64,
    mark: Option<Token>,
    items: Vec<Item>,
    /// Behind the last transaction that was read to its end.
    at: Lsn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Relation {
    said: Vec<u8>,
    places: Vec<usize>,
}

impl Decoder {
    pub fn new(watched: Watched, at: Lsn) -> Decoder {
        Decoder {
            watched: Arc::new(watched),
            relation: None,
            xid: 0,
            keys: Vec::new(),
            bytes: 0,
            changes: 0,
            mark: None,
            items: Vec::new(),
            at,
        }
    }

    /// A new connection begins at a transaction's beginning, and says its relations again.
    pub fn restart(&mut self) {
        self.flush();
        (self.xid, self.mark) = (0, None);
    }

    /// Behind the last transaction that was read to its end: where a new connection goes on.
    pub fn at(&self) -> Lsn {
        self.at
    }

    /// What has been found.
    pub fn take(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.items)
    }

    pub fn read(&mut self, message: &[u8]) -> Result<()> {
        let mut r = Reader(message);
        match r.u8()? {
            b'B' => {
                let (_, _) = (r.u64()?, r.u64()?);
                self.xid = r.u32()?;
            }
            b'C' => {
                let (_, _, end) = (r.u8()?, r.u64()?, Lsn(r.u64()?));
                self.flush();
                if let Some(token) = self.mark.take() {
                    self.items.push(Item::Mark { token, after: end });
                }
                self.at = end;
            }
            b'R' => self.relation(message)?,
            b'I' => {
                if self.is_ours(r.u32()?) {
                    r.tagged(b'N')?;
                    let new = r.row()?;
                    let key = self.key(&new, None)?;
                    self.change([key]);
                }
            }
            b'U' => {
                if self.is_ours(r.u32()?) {
                    let mut tag = r.u8()?;
                    let mut old = None;
                    if tag == b'K' || tag == b'O' {
                        old = Some(r.row()?);
                        tag = r.u8()?;
                    }
                    if tag != b'N' {
                        return Err(unreadable());
                    }
                    let new = r.row()?;
                    let new_key = self.key(&new, old.as_deref())?;
                    match old.map(|old| self.key(&old, None)).transpose()? {
                        Some(old_key) if old_key != new_key => self.change([old_key, new_key]),
                        _ => self.change([new_key]),
                    }
                }
            }
            b'D' => {
                if self.is_ours(r.u32()?) {
                    let tag = r.u8()?;
                    if tag != b'K' && tag != b'O' {
                        return Err(unreadable());
                    }
                    let old = r.row()?;
                    let key = self.key(&old, None)?;
                    self.change([key]);
                }
            }
            b'T' => {
                let (count, _) = (r.u32()?, r.u8()?);
                for _ in 0..count {
                    if self.is_ours(r.u32()?) {
                        return Err(disturbed(format!(
                            "The table {} was truncated while the run was on.",
                            self.watched.table
                        ))
                        .todo("Remove the run with `osc cleanup` and begin anew."));
                    }
                }
            }
            b'M' => {
                let (_, _) = (r.u8()?, r.u64()?);
                let prefix = r.text()?;
                let length = r.u32()? as usize;
                let content = r.bytes(length)?;
                if prefix == self.watched.marks.as_bytes()
                    && let Some(token) = marks::token(content, self.watched.life)
                {
                    self.mark = Some(token);
                }
            }
            // Where a transaction came from, and types' names.
            b'O' | b'Y' => {}
            _ => return Err(unreadable()),
        }
        Ok(())
    }

    fn is_ours(&self, oid: u32) -> bool {
        oid == self.watched.oid
    }

    fn relation(&mut self, message: &[u8]) -> Result<()> {
        let mut r = Reader(message.get(1..).unwrap_or_default());
        if !self.is_ours(r.u32()?) {
            return Ok(());
        }
        let (_, _, _) = (r.text()?, r.text()?, r.u8()?);
        let count = r.u16()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            let _ = r.u8()?;
            columns.push(r.text()?.to_vec());
            let (_, _) = (r.u32()?, r.u32()?);
        }
        let changed = |what: &str| {
            disturbed(format!("{what} of {} while the run was on.", self.watched.table))
                .todo("Remove the run with `osc cleanup` and begin anew.")
        };
        if self.relation.as_ref().is_some_and(|known| known.said != message) {
            return Err(changed("Somebody changed the definition"));
        }
        let place = |name: &str| columns.iter().position(|c| c == name.as_bytes());
        let places = self.watched.key.columns.iter().map(|c| place(c.name.bare())).collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| changed("Somebody renamed or dropped a key column"))?;
        self.relation = Some(Relation { said: message.to_vec(), places });
        Ok(())
    }

    fn key(&self, row: &[Cell<'_>], other: Option<&[Cell<'_>]>) -> Result<Key> {
        let relation = self.relation.as_ref().ok_or_else(unreadable)?;
        let mut values = Vec::with_capacity(relation.places.len());
        for place in &relation.places {
            let here = row.get(*place).ok_or_else(unreadable)?;
            let cell = match here {
                Cell::Unchanged => other.and_then(|other| other.get(*place)).unwrap_or(here),
                cell => cell,
            };
            match cell {
                Cell::Text(value) => values.push(*value),
                Cell::Null | Cell::Unchanged => {
                    return Err(disturbed(format!("A changed row of {} came without its key.", self.watched.table)));
                }
            }
        }
        self.watched.key.encode(&values)
    }

    fn change<const N: usize>(&mut self, keys: [Key; N]) {
        self.changes += 1;
        for key in keys {
            // A hot row comes in runs.
            if self.keys.last() != Some(&key) {
                self.bytes += key.as_bytes().len() + 40;
                self.keys.push(key);
            }
        }
        if self.keys.len() >= BATCH_KEYS || self.bytes >= BATCH_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.keys.is_empty() {
            let keys = std::mem::take(&mut self.keys);
            self.items.push(Item::Keys { xid: self.xid, keys, changes: self.changes });
        }
        (self.bytes, self.changes) = (0, 0);
    }
}

#[derive(Debug, Clone, Copy)]
enum Cell<'a> {
    Null,
    /// Stored out of line and not changed.
    Unchanged,
    Text(&'a [u8]),
}

/// Takes values off the front of a message; every read is checked.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(count).ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(first)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.chunk()?))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.chunk()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.chunk()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.chunk()?))
    }

    fn tagged(&mut self, tag: u8) -> Result<()> {
        if self.u8()? == tag { Ok(()) } else { Err(unreadable()) }
    }

    /// A string that ends with a zero byte.
    fn text(&mut self) -> Result<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0).ok_or_else(unreadable)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    fn row(&mut self) -> Result<Vec<Cell<'a>>> {
        let count = self.u16()?;
        let mut row = Vec::with_capacity(count.into());
        for _ in 0..count {
            row.push(match self.u8()? {
                b'n' => Cell::Null,
                b'u' => Cell::Unchanged,
                b't' => {
                    let length = self.u32()? as usize;
                    Cell::Text(self.bytes(length)?)
                }
                _ => return Err(unreadable()),
            });
        }
        Ok(row)
    }
}

fn unreadable() -> Error {
    disturbed("The server sent a message in the change stream that osc can't read.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_cut_anywhere_is_an_error() {
        let watched =
            Watched { oid: 7, table: "t".into(), key: KeyShape { columns: Vec::new() }, marks: "m".into(), life: 1 };
        let mut whole = vec![b'M', 1, 0, 0, 0, 0, 0, 0, 0, 9, b'm', 0, 0, 0, 0, 3];
        whole.extend(b"1:5");
        for cut in 0..whole.len() {
            assert!(Decoder::new(watched.clone(), Lsn(0)).read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut decoder = Decoder::new(watched, Lsn(0));
        decoder.read(&whole).unwrap();
        let mut commit = vec![b'C', 0];
        commit.extend([8u64, 9, 0].map(u64::to_be_bytes).concat());
        decoder.read(&commit).unwrap();
        assert_eq!(decoder.take(), [Item::Mark { token: Token(5), after: Lsn(9) }]);
        assert_eq!(decoder.at(), Lsn(9));
    }
}
