//! The rows that were seen to differ, and how traffic is told from a row that is wrong.
//!
//! While the application writes, the shadow is always a little behind, so a row that differs proves
//! nothing by itself. Suspects are judged in rounds:
//!
//! 1. *Mark*: a mark is sent after the look that found them. It comes out of the stream at D1.
//! 2. *Settle*: until every key that was delivered up to D1 is synced, at T1.
//! 3. *Look*: the suspects are compared again, after T1.
//! 4. *Mark*: another mark is sent after that look. It comes out of the stream at D2.
//!
//! > A suspect that differs in step 3 and was not delivered between D1 and D2 is wrong, and no traffic.
//!
//! Say that it differs in a look that reads the source at S and the shadow at S', both after T1 and
//! before the second mark is sent. Every change of the row that is visible at S or S' committed before
//! that mark was sent, so it was delivered by D2 (the same premise as the fence's drain), hence by D1, for
//! between the two there was no delivery. So by T1 a sync of the row, or of a range that holds it, had ended
//! that began after the last of these deliveries (I2, I3), whose read saw all of them (I1), and the row has not changed since, up to
//! the later of S and S'. So the shadow had the source's row, and it still had it at S': only a sync of
//! this key writes it, and the one that displaces it does so only if the source's row has changed, which
//! was just excluded. The look found another row there, so somebody else wrote it, or a sync does not do
//! what it promises. ∎
//!
//! That S and S' are one snapshot is not needed; it only makes fewer suspects. Nor is the first mark, since
//! D1 may be any moment: it spares a look at rows that were only not delivered yet. (The simulation finds
//! each of the other three steps when it is left out, by its false alarms.) Under
//! [`crate::model::KeyOrder::Unknown`] a row may have several encodings, and "not delivered" is asked of
//! the one that the look returned: the source's own if it has the row, and that is what the last
//! change of the row was delivered with; else the shadow's, and whatever turned the source's row from it
//! into another spelling, or deleted it, was delivered with it.
//!
//! A suspect that was delivered meanwhile is looked at again, [`LOOKS`] times at most, and then let go: a
//! row that changes all the time is synced as a whole all the time, and that is all that a repair would
//! do. A wrong one is entered into the books as if the feed had delivered it: a repair is a sync of its
//! key, with all that the books guarantee. One that is wrong again after [`REPAIRS`] repairs fails the run.

use std::collections::{HashMap, HashSet, VecDeque};

use super::planted::Planted;
use crate::model::{Key, Seq, Token};

/// How often a row that moves is looked at before it's let go.
pub const LOOKS: u32 = 5;
/// How often a row is repaired before the run gives up.
pub const REPAIRS: u32 = 3;
/// More keys than this are not kept for the message.
const NAMED: usize = 3;

#[derive(Debug, Clone, Copy, Default)]
struct History {
    looks: u32,
    repairs: u32,
}

/// Where a round is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The first mark is not out of the stream yet.
    Marked(Token),
    /// What was delivered up to here is to be synced.
    Settling(Seq),
    Looking,
    /// Looked at; the second mark is not out of the stream yet.
    Judging {
        mark: Token,
        differing: Vec<Key>,
    },
}

#[derive(Debug)]
struct Round {
    stage: Stage,
    keys: HashSet<Key>,
    /// Those that were delivered since D1.
    moved: HashSet<Key>,
}

/// What came of the suspects so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Wrong ones.
    pub differing: u64,
    /// Those of them that are right now.
    pub repaired: u64,
    /// Those that traffic explained.
    pub in_motion: u64,
}

#[derive(Debug, Default)]
pub struct Suspects {
    known: HashMap<Key, History>,
    queue: VecDeque<Key>,
    round: Option<Round>,
    cost: usize,
    repair: bool,
    /// Wrong ones that are not to be repaired, or can't be; the first of them.
    pub given_up: Vec<Key>,
    /// Whether a repair did not hold.
    pub beyond_repair: bool,
    pub tally: Tally,
    planted: Planted,
}

impl Suspects {
    pub fn new(repair: bool) -> Self {
        Suspects { repair, ..Suspects::default() }
    }

    /// With a rule left out, for tests.
    pub fn with(mut self, planted: Planted) -> Self {
        self.planted = planted;
        self
    }

    /// A look at a range found them.
    pub fn enter(&mut self, keys: Vec<Key>) {
        for key in keys {
            if !self.known.contains_key(&key) {
                self.cost += key.cost_bytes();
                self.known.insert(key.clone(), History::default());
                self.queue.push_back(key);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub fn cost_bytes(&self) -> usize {
        self.cost
    }

    /// Begins a round with at most so many keys and bytes of them. `mark` is sent after this call.
    pub fn begin(&mut self, most: usize, bytes: usize, mark: impl FnOnce() -> Token) {
        if self.round.is_some() || self.queue.is_empty() {
            return;
        }
        let (mut keys, mut size) = (HashSet::new(), 0);
        while let Some(key) = self.queue.pop_front() {
            size += key.as_bytes().len();
            if !keys.is_empty() && (keys.len() >= most || size > bytes) {
                self.queue.push_front(key);
                break;
            }
            keys.insert(key);
        }
        self.round = Some(Round { stage: Stage::Marked(mark()), keys, moved: HashSet::new() });
    }

    pub fn stage(&self) -> Option<&Stage> {
        self.round.as_ref().map(|round| &round.stage)
    }

    /// The first mark came out of the stream at this event.
    pub fn marked(&mut self, at: Seq) {
        self.become_(Stage::Settling(at));
    }

    /// The feed delivered a key.
    pub fn delivered(&mut self, key: &Key) {
        if let Some(round) = &mut self.round
            && !matches!(round.stage, Stage::Marked(_))
            && round.keys.contains(key)
        {
            round.moved.insert(key.clone());
        }
    }

    /// Everything delivered up to the first mark is synced: the keys to look at.
    pub fn look(&mut self) -> Vec<Key> {
        self.become_(Stage::Looking);
        let mut keys: Vec<Key> = self.round.iter().flat_map(|round| round.keys.iter().cloned()).collect();
        keys.sort();
        keys
    }

    /// These were found to differ. `mark` is sent after this call.
    pub fn looked(&mut self, differing: Vec<Key>, mark: Token) {
        self.become_(Stage::Judging { mark, differing });
    }

    fn become_(&mut self, stage: Stage) {
        if let Some(round) = &mut self.round {
            round.stage = stage;
        }
    }

    /// The second mark came out of the stream. Returns the keys to repair.
    pub fn judge(&mut self) -> Vec<Key> {
        let Some(Round { stage: Stage::Judging { differing, .. }, mut keys, moved }) = self.round.take() else {
            return Vec::new();
        };
        let mut repairs = Vec::new();
        for key in differing {
            if !keys.remove(&key) {
                // The row has another spelling now.
                self.enter(vec![key]);
                continue;
            }
            let Some(history) = self.known.get_mut(&key) else { continue };
            if moved.contains(&key) && !self.planted.is(Planted::JudgeMoved) {
                history.looks += 1;
                if history.looks < LOOKS {
                    self.queue.push_back(key)
                } else {
                    self.clear(&key)
                }
                continue;
            }
            self.tally.differing += u64::from(history.repairs == 0);
            if self.repair && history.repairs < REPAIRS {
                history.repairs += 1;
                self.queue.push_back(key.clone());
                repairs.push(key);
                continue;
            }
            self.beyond_repair |= self.repair;
            self.forget(&key);
            if self.given_up.len() < NAMED {
                self.given_up.push(key);
            }
        }
        for key in keys {
            self.clear(&key);
        }
        repairs
    }

    /// The key is no suspect any more.
    fn clear(&mut self, key: &Key) {
        match self.forget(key) {
            Some(History { repairs: 1.., .. }) => self.tally.repaired += 1,
            _ => self.tally.in_motion += 1,
        }
    }

    fn forget(&mut self, key: &Key) -> Option<History> {
        let history = self.known.remove(key)?;
        self.cost -= key.cost_bytes();
        Some(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(b: u8) -> Key {
        Key::new(&[b])
    }

    /// A whole round in which these differ and these move.
    fn round(s: &mut Suspects, differing: &[u8], moved: &[u8]) -> Vec<Key> {
        s.begin(100, 1000, || Token(1));
        s.delivered(&key(200));
        for b in differing {
            s.delivered(&key(*b));
        }
        s.marked(Seq::FIRST);
        for b in moved {
            s.delivered(&key(*b));
        }
        s.look();
        s.looked(differing.iter().map(|b| key(*b)).collect(), Token(2));
        s.judge()
    }

    #[test]
    fn what_moves_is_no_difference_and_what_is_quiet_is_repaired() {
        let mut s = Suspects::new(true);
        s.enter(vec![key(1), key(2), key(3), key(3)]);
        assert_eq!(round(&mut s, &[1, 2], &[1]), [key(2)], "3 was behind, 1 moves");
        assert!(round(&mut s, &[], &[]).is_empty());
        assert!(s.is_empty() && s.cost_bytes() == 0);
        assert_eq!(s.tally, Tally { differing: 1, repaired: 1, in_motion: 2 });
    }

    #[test]
    fn a_hot_row_is_let_go() {
        let mut s = Suspects::new(true);
        s.enter(vec![key(1)]);
        for _ in 0..LOOKS {
            assert!(!s.is_empty());
            assert!(round(&mut s, &[1], &[1]).is_empty());
        }
        assert!(s.is_empty() && s.given_up.is_empty());
        assert_eq!(s.tally, Tally { differing: 0, repaired: 0, in_motion: 1 });
    }

    #[test]
    fn a_row_that_stays_wrong_is_given_up() {
        let mut s = Suspects::new(true);
        s.enter(vec![key(1)]);
        for _ in 0..REPAIRS {
            assert_eq!(round(&mut s, &[1], &[]), [key(1)]);
        }
        assert!(round(&mut s, &[1], &[]).is_empty());
        assert_eq!((s.given_up.as_slice(), s.beyond_repair), ([key(1)].as_slice(), true));
        assert_eq!(s.tally, Tally { differing: 1, repaired: 0, in_motion: 0 });
    }

    #[test]
    fn without_repair_the_first_proof_is_enough() {
        let mut s = Suspects::new(false);
        s.enter(vec![key(1)]);
        assert!(round(&mut s, &[1], &[]).is_empty());
        assert_eq!((s.given_up.len(), s.beyond_repair, s.is_empty()), (1, false, true));
    }

    #[test]
    fn a_round_takes_so_much_and_leaves_the_rest() {
        let mut s = Suspects::new(true);
        s.enter((0..10).map(key).collect());
        s.begin(4, 1000, || Token(1));
        s.begin(4, 1000, || unreachable!());
        s.marked(Seq::FIRST);
        assert_eq!(s.look().len(), 4);
        s.looked(Vec::new(), Token(2));
        s.judge();
        s.begin(100, 3, || Token(3));
        s.marked(Seq::FIRST);
        assert_eq!(s.look().len(), 3);
    }
}
