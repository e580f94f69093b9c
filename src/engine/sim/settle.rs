//! When a key that came out of the stream is settled: two rules, by marks.
//!
//! A commit stands in the stream before it is visible, and commits become visible in the order of the
//! stream. So when a mark's commit has **returned**, all before it in the stream is visible:
//!
//! - (a) what was received before the mark was *sent*, since that stood in the stream before it;
//! - (b) what stands before the mark in the stream, once the mark itself has been *seen*.
//!
//! The rows of a prepared transaction wait for its end to be seen and settled like any other change, and
//! besides until the server no longer has it as prepared: its end need not become visible in its turn.
//! A mark's place lies before every transaction that is still open there.
//!
//! No clock and no await in here: what happens is told by the feed (`receive`) and the source (`sent`,
//! `returned`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::binlog::{Place, Xid};
use super::bugs::{Bug, Bugs};
use crate::engine::Event;
use crate::model::{Key, Token};

/// A piece of the stream.
#[derive(Debug)]
pub enum Piece {
    Keys(Vec<Key>),
    /// A mark of this life.
    Mark(u64),
    Prepare(Xid, Vec<Key>),
    End(Xid, bool),
    /// Nothing of interest, which needs no settling; but the place moves on.
    Nothing,
}

#[derive(Debug)]
struct Item {
    no: u64,
    piece: Piece,
    begin: Place,
    end: Place,
}

#[derive(Debug)]
pub struct Settle {
    bugs: Bugs,
    items: VecDeque<Item>,
    /// How many items were received; an item's number is what this was before it.
    received: u64,
    /// Items with a lower number are settled.
    settled: u64,
    /// By token: what had been received when the mark was sent.
    sent: BTreeMap<u64, u64>,
    returned: BTreeSet<u64>,
    seen: BTreeMap<u64, u64>,
    prepared: BTreeMap<Xid, (Place, Vec<Key>)>,
    /// Ends that were received and are not known to have been carried out.
    ending: BTreeSet<Xid>,
    /// Everything before it has been delivered, or waits in `prepared`.
    delivered: Place,
    /// The end of the last delivered mark.
    marked: Place,
    read: Place,
    kept_mark: Option<(u64, Place)>,
}

impl Settle {
    pub fn new(bugs: Bugs, start: Place) -> Self {
        Settle {
            bugs,
            items: VecDeque::new(),
            received: 0,
            settled: 0,
            sent: BTreeMap::new(),
            returned: BTreeSet::new(),
            seen: BTreeMap::new(),
            prepared: BTreeMap::new(),
            ending: BTreeSet::new(),
            delivered: start,
            marked: start,
            read: start,
            kept_mark: None,
        }
    }

    /// A mark is about to be sent.
    pub fn sent(&mut self, token: u64) {
        self.sent.insert(token, self.received);
    }

    /// The mark's commit has returned.
    pub fn returned(&mut self, token: u64) {
        if self.bugs.has(Bug::SettledWhenReturned) {
            self.settle(self.received);
        }
        if let Some(received) = self.sent.remove(&token) {
            self.settle(received);
        }
        match self.seen.remove(&token) {
            Some(no) => self.settle(no + 1),
            None => {
                self.returned.insert(token);
            }
        }
    }

    fn settle(&mut self, upto: u64) {
        self.settled = self.settled.max(upto);
    }

    /// A piece came out of the stream.
    pub fn receive(&mut self, mut piece: Piece, begin: Place, end: Place) {
        if self.bugs.has(Bug::XaAtPrepare) {
            piece = match piece {
                Piece::Prepare(_, keys) => Piece::Keys(keys),
                Piece::End(..) => Piece::Nothing,
                other => other,
            };
        }
        self.read = end;
        if let Piece::Nothing = piece {
            *self.items.back_mut().map_or(&mut self.delivered, |last| &mut last.end) = end;
            return;
        }
        let no = self.received;
        self.received += 1;
        if let Piece::Mark(token) = piece {
            if self.returned.remove(&token) || self.bugs.has(Bug::SettledWhenSeen) {
                self.settle(no + 1);
            } else {
                self.seen.insert(token, no);
            }
        }
        if let Piece::End(xid, true) = piece
            && !self.bugs.has(Bug::XaEndInOrder)
        {
            self.ending.insert(xid);
        }
        self.items.push_back(Item { no, piece, begin, end });
        if self.bugs.has(Bug::NoSettling) {
            self.settle(self.received);
        }
    }

    /// Prepared transactions whose end was received: the server is to be asked whether they are still
    /// there, because their end need not become visible in its turn.
    pub fn ending(&self) -> bool {
        !self.ending.is_empty()
    }

    /// What the server still has as prepared, asked for after the ends were received.
    pub fn recovered(&mut self, still: &[Xid]) {
        self.ending.retain(|xid| still.contains(xid));
    }

    fn is_settled(&self, item: &Item) -> bool {
        let open = matches!(item.piece, Piece::End(xid, _) if self.ending.contains(&xid));
        item.no < self.settled && !open
    }

    fn pop(&mut self) -> Option<Item> {
        if !self.is_settled(self.items.front()?) {
            return None;
        }
        let item = self.items.pop_front()?;
        self.delivered = item.end;
        Some(item)
    }

    fn next_is_keys(&self) -> bool {
        self.items.front().is_some_and(|i| self.is_settled(i) && matches!(i.piece, Piece::Keys(_)))
    }

    /// The next settled event, with not many more keys than asked for.
    pub fn next(&mut self, most: usize) -> Option<Event> {
        if let Some((token, place)) = self.kept_mark.take() {
            return Some(Event::Mark { token: Token(token), position: place.position() });
        }
        let mut keys = Vec::new();
        loop {
            if !keys.is_empty() && (keys.len() >= most || !self.next_is_keys()) {
                return Some(Event::Keys(keys));
            }
            let item = self.pop()?;
            match item.piece {
                Piece::Nothing => {}
                Piece::Keys(more) => keys.extend(more),
                Piece::Prepare(xid, keys) => {
                    self.prepared.insert(xid, (item.begin, keys));
                }
                Piece::End(xid, commit) => {
                    if let Some((_, prepared)) = self.prepared.remove(&xid).filter(|_| commit) {
                        keys.extend(prepared);
                    }
                }
                Piece::Mark(token) => {
                    self.marked = item.end;
                    return Some(self.mark(token, item.end, most));
                }
            }
            if keys.is_empty() && self.items.front().is_none_or(|i| !self.is_settled(i)) {
                return None;
            }
        }
    }

    fn mark(&mut self, token: u64, end: Place, most: usize) -> Event {
        let mut place = end;
        if self.bugs.has(Bug::PlaceOfReader) {
            place = self.read;
        }
        if !self.bugs.has(Bug::PlacePastPrepare) {
            place = self.prepared.values().map(|(place, _)| *place).fold(place, Place::min);
        }
        let inside = self.bugs.has(Bug::PlaceInTransaction) && self.next_is_keys() && self.prepared.is_empty();
        if inside && let Some(event @ Event::Keys(_)) = self.next(most) {
            self.kept_mark = Some((token, self.delivered));
            return event;
        }
        Event::Mark { token: Token(token), position: place.position() }
    }

    /// Transactions that were prepared and not ended, as far as the stream was delivered.
    pub fn prepared(&self) -> usize {
        self.prepared.len()
    }

    /// Pieces that were received and not delivered.
    pub fn waiting(&self) -> usize {
        self.items.len()
    }

    /// The stream is read again; returns from which entry on, at the earliest and at the latest.
    ///
    /// Nothing from before a delivered mark comes again: what stands there may lie before the stored
    /// place, and the final sync, which deletes rows before it inserts them, would make a crash lose a
    /// row of it.
    pub fn reconnect(&mut self) -> (usize, usize) {
        self.items.clear();
        self.seen.clear();
        self.ending.clear();
        self.kept_mark = None;
        let (earliest, latest) = (self.marked.entry, self.delivered.entry);
        if self.bugs.has(Bug::ReconnectSkips) {
            return (self.read.boundary(), self.read.boundary());
        }
        let far = if self.bugs.has(Bug::ReconnectPastMark) { 60 } else { 0 };
        (earliest.saturating_sub(far), latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle() -> Settle {
        Settle::new(Bugs::NONE, Place::start_of(0))
    }

    fn receive(settle: &mut Settle, entry: usize, piece: Piece) {
        settle.receive(piece, Place::start_of(entry), Place::start_of(entry + 1));
    }

    fn keys(n: u8) -> Piece {
        Piece::Keys(vec![Key::new(&[n])])
    }

    fn shown(event: Option<Event>) -> String {
        match event {
            None => "-".into(),
            Some(Event::Keys(keys)) => keys.iter().map(|k| k.as_bytes()[0].to_string()).collect::<Vec<_>>().join(","),
            Some(Event::Mark { token, position }) => format!("mark {} at {}", token.0, position.0),
        }
    }

    #[test]
    fn what_was_received_before_a_mark_was_sent_settles_when_it_returned() {
        let mut s = settle();
        receive(&mut s, 0, keys(1));
        s.sent(1);
        receive(&mut s, 1, keys(2));
        assert_eq!(shown(s.next(9)), "-");
        s.returned(1);
        assert_eq!((shown(s.next(9)), shown(s.next(9))), ("1".into(), "-".into()));
    }

    #[test]
    fn what_stands_before_a_mark_settles_when_it_was_seen_and_returned() {
        for seen_first in [true, false] {
            let mut s = settle();
            s.sent(1);
            receive(&mut s, 0, keys(1));
            if seen_first {
                receive(&mut s, 1, Piece::Mark(1));
                assert_eq!(shown(s.next(9)), "-");
                s.returned(1);
            } else {
                s.returned(1);
                assert_eq!(shown(s.next(9)), "-");
                receive(&mut s, 1, Piece::Mark(1));
            }
            assert_eq!((shown(s.next(9)), shown(s.next(9))), ("1".into(), "mark 1 at 2:0".into()));
        }
    }

    #[test]
    fn a_prepared_transaction_holds_its_keys_and_the_place() {
        let mut s = settle();
        s.sent(1);
        receive(&mut s, 0, Piece::Prepare(7, vec![Key::new(&[1])]));
        receive(&mut s, 1, Piece::Mark(1));
        s.returned(1);
        assert_eq!(shown(s.next(9)), "mark 1 at 0:0");
        assert_eq!(s.prepared(), 1);
        receive(&mut s, 2, Piece::End(7, true));
        assert_eq!(shown(s.next(9)), "-");
        s.sent(2);
        s.returned(2);
        assert_eq!(shown(s.next(9)), "-", "its end may not have been carried out yet");
        s.recovered(&[7]);
        assert_eq!(shown(s.next(9)), "-");
        s.recovered(&[]);
        assert_eq!((shown(s.next(9)), s.prepared()), ("1".into(), 0));
    }
}
