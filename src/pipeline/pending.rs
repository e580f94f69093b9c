//! The keys that wait for a sync, and the proof that none is synced too early or forgotten.
//!
//! Every delivery of a key takes a number `d` from the core's clock; so does every start of a range.
//! The feed's contract is that a read which begins after `d` sees the change. A write of a stale
//! value can therefore only come from an operation that began before `d`. The rule is:
//!
//! > a key is synced only after every operation that may hold it and began before its **last**
//! > delivery has ended (I2), and leaves the books only with a sync that began after that delivery,
//! > or at once if a range that is still to begin will read it (I3).
//!
//! After the last delivery of a key all stale writers have ended before its sync (or its covering
//! range) reads, so the last write carries the final value. What "may hold it" means is the only
//! difference between the two orders of keys:
//!
//! - [`KeyOrder::Bytes`]: the one range in flight that contains it. The key waits in that range's own
//!   book until the range has committed. A key beyond every started range is dropped.
//! - [`KeyOrder::Unknown`]: any range in flight. The key is eligible when its last delivery is older
//!   than the start of the oldest range in flight; and since two encodings may name one row, one
//!   batch is in flight at a time.
//!
//! A delivery during a sync of the same key makes a new entry, so a sync's end never erases it.
//!
//! For the stored position (I4) each entry keeps its **first** unsynced delivery; [`Pending::oldest`]
//! is the least of them over everything that waits, is held, or is in flight. The last delivery would do
//! as well, since that change stands behind the stored place and would be met again; but only as long as
//! no feed ever repeats a change from before a mark that it delivered. The first does not lean on that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::planted::Planted;
use crate::model::{Key, KeyOrder, Range, Seq};

/// The first and the last delivery that an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: Seq,
    last: Seq,
}

#[derive(Debug, Default)]
struct Book {
    spans: HashMap<Key, Span>,
    by_last: BTreeMap<Seq, Key>,
    firsts: BTreeSet<Seq>,
}

impl Book {
    /// Enters a key; returns what its entry costs if it's new.
    fn enter(&mut self, key: Key, span: Span) -> usize {
        if let Some(known) = self.spans.get_mut(&key) {
            self.firsts.remove(&known.first);
            self.by_last.remove(&known.last);
            known.first = known.first.min(span.first);
            known.last = known.last.max(span.last);
            self.firsts.insert(known.first);
            self.by_last.insert(known.last, key);
            return 0;
        }
        let cost = key.cost_bytes();
        self.firsts.insert(span.first);
        self.by_last.insert(span.last, key.clone());
        self.spans.insert(key, span);
        cost
    }

    fn remove(&mut self, key: &Key) -> Option<Span> {
        let span = self.spans.remove(key)?;
        self.firsts.remove(&span.first);
        self.by_last.remove(&span.last);
        Some(span)
    }

    fn oldest(&self) -> Option<Seq> {
        self.firsts.first().copied()
    }
}

/// A range that is being copied.
#[derive(Debug)]
struct Started {
    id: u64,
    since: Seq,
    range: Range,
    held: Book,
}

/// Keys that are being synced together.
#[derive(Debug)]
pub struct Batch {
    pub id: u64,
    pub keys: Vec<Key>,
    spans: Vec<Span>,
    cost: usize,
}

#[derive(Debug)]
struct Flying {
    id: u64,
    oldest: Option<Seq>,
}

/// Which keys no started range holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Nothing,
    Upto(Key),
    Everything,
}

/// The books of a run. See the module's doc for the rules that it keeps.
#[derive(Debug)]
pub struct Pending {
    order: KeyOrder,
    clock: Seq,
    waiting: Book,
    started: Vec<Started>,
    reach: Reach,
    flying: Vec<Flying>,
    flying_keys: HashSet<Key>,
    /// The numbers of the latest range starts, at most `STARVED` of them.
    starts: VecDeque<Seq>,
    cost: usize,
    next_id: u64,
    planted: Planted,
}

/// A key that waited while so many ranges began is starved.
const STARVED: usize = 64;
/// How many ineligible entries are looked at before a search for eligible ones gives up.
const LOOK: usize = 4096;

impl Pending {
    /// `frontier`, `copied`: what an earlier life of the run has copied.
    pub fn new(order: KeyOrder, frontier: Option<Key>, copied: bool) -> Self {
        let reach = match (copied, frontier) {
            (true, _) => Reach::Everything,
            (false, Some(key)) => Reach::Upto(key),
            (false, None) => Reach::Nothing,
        };
        Pending {
            order,
            clock: Seq::FIRST,
            waiting: Book::default(),
            started: Vec::new(),
            reach,
            flying: Vec::new(),
            flying_keys: HashSet::new(),
            starts: VecDeque::new(),
            cost: 0,
            next_id: 0,
            planted: Planted::Nothing,
        }
    }

    /// With a rule left out, for tests.
    pub fn with(mut self, planted: Planted) -> Self {
        self.planted = planted;
        self
    }

    /// Takes the next number of the core's clock.
    pub fn tick(&mut self) -> Seq {
        self.clock.take()
    }

    /// Enters a key that the feed delivered. Returns whether a range in flight held it.
    pub fn deliver(&mut self, key: Key) -> bool {
        let now = self.tick();
        let span = Span { first: now, last: now };
        let covered = match (&self.reach, self.order) {
            (Reach::Nothing, _) => true,
            (Reach::Upto(reach), KeyOrder::Bytes) => key > *reach,
            (Reach::Upto(reach), _) if self.planted.is(Planted::CompareUncomparable) => key > *reach,
            _ => false,
        };
        let flying = self.planted.is(Planted::FlyingCovers) && self.flying_keys.contains(&key);
        if covered || flying {
            return false;
        }
        if self.order == KeyOrder::Bytes
            && !self.planted.is(Planted::OverlapRange)
            && let Some(range) = self.started.iter_mut().find(|s| s.range.contains(&key))
        {
            if !self.planted.is(Planted::DropHeld) {
                self.cost += range.held.enter(key, span);
            }
            return true;
        }
        self.cost += self.waiting.enter(key, span);
        !self.started.is_empty()
    }

    /// Notes that a range begins to be read now. Ranges begin in key order, each where the one
    /// before it ended.
    pub fn start_range(&mut self, range: Range) -> u64 {
        let since = self.tick();
        self.starts.push_back(since);
        if self.starts.len() > STARVED {
            self.starts.pop_front();
        }
        let id = self.take_id();
        self.reach = match &range.upto {
            Some(upto) => Reach::Upto(upto.clone()),
            None => Reach::Everything,
        };
        self.started.push(Started { id, since, range, held: Book::default() });
        id
    }

    /// Notes that a range was committed; the keys it held may be synced now.
    pub fn finish_range(&mut self, id: u64) {
        let Some(at) = self.started.iter().position(|s| s.id == id) else { return };
        let ended = self.started.swap_remove(at);
        for (key, span) in ended.held.spans {
            let cost = key.cost_bytes();
            self.cost -= cost;
            if self.planted.is(Planted::ForgetHeld) {
                continue;
            }
            self.cost += self.waiting.enter(key, span);
        }
    }

    /// Takes keys to sync, at most so many and so many bytes of them; none when no key may be synced now.
    pub fn take(&mut self, keys: usize, bytes: usize) -> Option<Batch> {
        let parallel = self.planted.is(Planted::ParallelUncomparable);
        if self.order == KeyOrder::Unknown && !self.flying.is_empty() && !parallel {
            return None;
        }
        let barrier = match self.order {
            KeyOrder::Bytes => None,
            KeyOrder::Unknown if self.planted.is(Planted::NoBarrier) => None,
            KeyOrder::Unknown => self.started.iter().map(|s| s.since).min(),
        };
        let mut chosen = Vec::new();
        let mut size = 0;
        for (last, key) in self.waiting.by_last.iter().take(LOOK + keys) {
            if barrier.is_some_and(|b| *last > b)
                || chosen.len() == keys
                || (size > 0 && size + key.as_bytes().len() > bytes)
            {
                break;
            }
            if !self.flying_keys.contains(key) || self.planted.is(Planted::OverlapKeys) {
                size += key.as_bytes().len();
                chosen.push(key.clone());
            }
        }
        self.fly(chosen)
    }

    /// Takes everything, for the final sync under the fence. Nothing may be in flight.
    pub fn take_all(&mut self) -> Batch {
        let keys: Vec<Key> = self.waiting.by_last.values().cloned().collect();
        let id = self.next_id;
        self.fly(keys).unwrap_or(Batch { id, keys: Vec::new(), spans: Vec::new(), cost: 0 })
    }

    fn fly(&mut self, keys: Vec<Key>) -> Option<Batch> {
        if keys.is_empty() {
            return None;
        }
        let mut spans = Vec::with_capacity(keys.len());
        let mut cost = 0;
        for key in &keys {
            if let Some(span) = self.waiting.remove(key) {
                spans.push(span);
            }
            cost += key.cost_bytes();
            self.flying_keys.insert(key.clone());
        }
        let id = self.take_id();
        self.flying.push(Flying { id, oldest: spans.iter().map(|s| s.first).min() });
        Some(Batch { id, keys, spans, cost })
    }

    /// The batch is durably synced.
    pub fn finish(&mut self, batch: &Batch) {
        self.land(batch);
        self.cost -= batch.cost;
        if self.planted.is(Planted::ForgetNewer) {
            let newer = batch.keys.iter().filter(|key| self.waiting.remove(key).is_some());
            self.cost -= newer.map(Key::cost_bytes).sum::<usize>();
        }
    }

    /// The batch was surely not synced; its keys wait again.
    pub fn put_back(&mut self, batch: Batch) {
        self.land(&batch);
        self.cost -= batch.cost;
        for (key, span) in batch.keys.into_iter().zip(batch.spans) {
            self.cost += self.waiting.enter(key, span);
        }
    }

    fn land(&mut self, batch: &Batch) {
        self.flying.retain(|f| f.id != batch.id);
        for key in &batch.keys {
            self.flying_keys.remove(key);
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The first unsynced delivery of all, wherever its key is.
    pub fn oldest(&self) -> Option<Seq> {
        let without = |rule| !self.planted.is(rule) && !self.planted.is(Planted::PlaceAsDelivered);
        let held = self.started.iter().filter_map(|s| s.held.oldest()).filter(|_| without(Planted::PlaceWithoutHeld));
        let flying = self.flying.iter().filter_map(|f| f.oldest).filter(|_| without(Planted::PlaceWithoutFlying));
        let waiting = self.waiting.oldest().filter(|_| without(Planted::PlaceAsDelivered));
        waiting.into_iter().chain(held).chain(flying).min()
    }

    /// Whether some key has waited while many ranges began.
    pub fn starved(&self) -> bool {
        let many = self.starts.front().filter(|_| self.starts.len() == STARVED);
        many.is_some_and(|start| self.oldest().is_some_and(|oldest| oldest < *start))
    }

    /// What all keys cost that wait, are held or in flight.
    pub fn cost_bytes(&self) -> usize {
        self.cost
    }

    /// Keys that wait, are held or in flight.
    pub fn len(&self) -> usize {
        self.waiting.spans.len()
            + self.started.iter().map(|s| s.held.spans.len()).sum::<usize>()
            + self.flying_keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(b: u8) -> Key {
        Key::new(&[b])
    }

    fn range(after: Option<u8>, upto: Option<u8>) -> Range {
        Range { after: after.map(key), upto: upto.map(key) }
    }

    fn take(pending: &mut Pending) -> Vec<Key> {
        pending.take(100, 1000).map(|b| b.keys).unwrap_or_default()
    }

    #[test]
    fn a_key_beyond_the_started_ranges_is_dropped_and_one_inside_waits() {
        let mut p = Pending::new(KeyOrder::Bytes, None, false);
        p.deliver(key(1));
        assert!(p.is_empty(), "nothing is started: every range will read it");
        let id = p.start_range(range(None, Some(5)));
        p.deliver(key(3));
        p.deliver(key(9));
        assert_eq!(p.len(), 1);
        assert!(take(&mut p).is_empty(), "its range is in flight");
        p.finish_range(id);
        assert_eq!(take(&mut p), [key(3)]);
    }

    #[test]
    fn a_change_during_its_sync_makes_a_new_entry() {
        let mut p = Pending::new(KeyOrder::Bytes, Some(key(9)), false);
        p.deliver(key(3));
        let batch = p.take(1, 1000).unwrap();
        p.deliver(key(3));
        assert!(take(&mut p).is_empty(), "one sync of a key at a time");
        p.finish(&batch);
        assert_eq!(take(&mut p), [key(3)]);
    }

    #[test]
    fn uncomparable_keys_wait_for_the_ranges_that_began_before_them() {
        let mut p = Pending::new(KeyOrder::Unknown, None, false);
        let first = p.start_range(range(None, Some(5)));
        p.deliver(key(200));
        let second = p.start_range(range(Some(5), Some(7)));
        assert!(take(&mut p).is_empty());
        p.finish_range(first);
        assert_eq!(take(&mut p), [key(200)], "the second began after the delivery");
        p.finish_range(second);
    }

    #[test]
    fn a_later_delivery_waits_anew_but_keeps_the_first_ones_place() {
        let mut p = Pending::new(KeyOrder::Unknown, None, false);
        let first = p.start_range(range(None, Some(5)));
        p.deliver(key(1));
        let oldest = p.oldest();
        let second = p.start_range(range(Some(5), None));
        p.deliver(key(1));
        p.finish_range(first);
        assert!(take(&mut p).is_empty(), "the second range began before the last delivery");
        assert_eq!(p.oldest(), oldest);
        p.finish_range(second);
        assert_eq!(take(&mut p), [key(1)]);
    }

    #[test]
    fn the_oldest_counts_what_waits_is_held_or_flies() {
        let mut p = Pending::new(KeyOrder::Bytes, Some(key(0)), false);
        let id = p.start_range(range(Some(0), Some(9)));
        p.deliver(key(4));
        let first = p.oldest().unwrap();
        p.finish_range(id);
        let batch = p.take(9, 99).unwrap();
        p.deliver(key(5));
        assert_eq!(p.oldest(), Some(first), "in flight");
        p.put_back(batch);
        assert_eq!(p.oldest(), Some(first), "put back");
        let all = p.take_all();
        assert_eq!(all.keys.len(), 2);
        p.finish(&all);
        assert_eq!((p.oldest(), p.cost_bytes()), (None, 0));
    }
}
