//! Every sort of damage, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::judge::{Damage, Judge};
use super::old::{OldJudge, OldVerdict};
use super::verdict::Verdict;
use crate::config::Config;
use crate::model::row::{Row, Seen};
use crate::model::state::State;
use crate::model::token::{Mint, Token};
use crate::play::lane::LaneRecord;
use crate::record::book::Book;
use crate::record::census::Census;
use crate::record::draft::{Draft, Entry};
use crate::record::ledger::Ledger;
use crate::record::stamp::Stamper;
use crate::record::tally::Tally;

const RUN: u16 = 7;

/// A table of the keys 1 to 20, of which 20 is an earlier run's, and one connection that owns all.
struct World {
    book: Book,
    mint: Mint,
    table: BTreeMap<i64, Row>,
}

fn draft(changes: &[(i64, Entry)]) -> Draft {
    let mut draft = Draft::default();
    for (key, entry) in changes {
        draft.set(*key, *entry);
    }
    draft
}

impl World {
    fn new() -> World {
        let mut census = Census::of(1..20);
        let found = State::filled(20).touched(Token(5)).to_row(20);
        assert!(census.add(Seen { key: 20, row: Ok(found.clone()) }).is_ok());
        let mut table: BTreeMap<i64, Row> = (1..20).map(|key| (key, State::filled(key).to_row(key))).collect();
        table.insert(20, found);
        World { book: Book::new(0, 1, Arc::new(census)), mint: Mint::new(RUN, 0), table }
    }

    fn touched(&self, key: i64) -> State {
        match self.book.look(&Draft::default(), key) {
            crate::record::book::Known::Present(state) => state.touched(self.mint.draw()),
            other => panic!("{key} is {other:?}"),
        }
    }

    /// The table as these changes leave it.
    fn write(&mut self, draft: &Draft) {
        for (key, entry) in draft.changes() {
            match entry {
                Entry::Present(state) => self.table.insert(*key, state.to_row(*key)),
                Entry::Deleted(_) => self.table.remove(key),
            };
        }
    }

    /// Done, and acknowledged.
    fn acknowledge(&mut self, changes: &[(i64, Entry)]) {
        let draft = draft(changes);
        self.write(&draft);
        self.book.apply(&draft);
    }

    fn update(&mut self, key: i64) {
        let state = self.touched(key);
        self.acknowledge(&[(key, Entry::Present(state))]);
    }

    fn ledger(self) -> (Ledger, BTreeMap<i64, Row>, Vec<Arc<AtomicU64>>) {
        let config = Config { writers: 1, ..Config::new("mysql://nowhere/x") };
        let census = Arc::clone(&self.book.census);
        let counters = vec![self.mint.counter()];
        let record = LaneRecord { book: self.book, tally: Tally::default(), samples: Vec::new() };
        let ledger = Ledger::new(&config, RUN, census, Vec::new(), Duration::from_secs(1), vec![Ok(record)]);
        (ledger, self.table, counters)
    }

    fn judge(self) -> Damage {
        let (ledger, table, _) = self.ledger();
        judge(&ledger, &table)
    }
}

fn judge(ledger: &Ledger, table: &BTreeMap<i64, Row>) -> Damage {
    let mut judge = Judge::new(ledger);
    for (key, row) in table {
        judge.row(&Seen { key: *key, row: Ok(row.clone()) });
    }
    judge.finish()
}

/// lost, stale, phantom, changed, unknown operations that were applied
fn counts(damage: &Damage) -> [u64; 5] {
    [damage.lost.count, damage.stale.count, damage.phantom.count, damage.changed.count, damage.unknown_applied]
}

/// A world with an updated, a deleted, an inserted and a moved row.
fn busy() -> World {
    let mut world = World::new();
    world.update(1);
    world.update(1);
    let gone = Entry::Deleted(world.mint.draw());
    world.acknowledge(&[(2, gone)]);
    let new = State::inserted(world.mint.draw(), 1);
    world.acknowledge(&[(21, Entry::Present(new))]);
    let moved = world.touched(3);
    world.acknowledge(&[(2, Entry::Present(moved)), (3, Entry::Deleted(moved.token))]);
    world
}

#[test]
fn an_honest_table_is_clean() {
    let damage = busy().judge();
    assert_eq!((counts(&damage), damage.rows), ([0; 5], 20));
}

#[test]
fn each_damage_is_named() {
    type Spoil = fn(&mut BTreeMap<i64, Row>);
    let cases: [(&str, Spoil, [u64; 4]); 10] = [
        ("acknowledged row gone", |t| drop(t.remove(&1)), [1, 0, 0, 0]),
        ("inserted row gone", |t| drop(t.remove(&21)), [1, 0, 0, 0]),
        ("untouched row gone", |t| drop(t.remove(&9)), [1, 0, 0, 0]),
        ("an earlier run's row gone", |t| drop(t.remove(&20)), [1, 0, 0, 0]),
        ("updated row as filled", |t| drop(t.insert(1, State::filled(1).to_row(1))), [0, 1, 0, 0]),
        ("covered update", |t| t.values_mut().filter(|r| r.key == 1).for_each(|r| r.version -= 1), [0, 1, 0, 0]),
        ("moved row back", |t| drop(t.insert(3, State::filled(3).to_row(3))), [0, 0, 1, 0]),
        ("stranger", |t| drop(t.insert(99, State::filled(99).to_row(99))), [0, 0, 1, 0]),
        ("untouched row changed", |t| t.values_mut().filter(|r| r.key == 9).for_each(|r| r.cents += 1), [0, 0, 0, 1]),
        ("earlier run's changed", |t| t.values_mut().filter(|r| r.key == 20).for_each(|r| r.cents += 1), [0, 0, 0, 1]),
    ];
    for (name, spoil, expected) in cases {
        let (ledger, mut table, _) = busy().ledger();
        spoil(&mut table);
        assert_eq!(counts(&judge(&ledger, &table))[..4], expected, "{name}");
    }
}

#[test]
fn a_key_twice_or_an_unreadable_row_is_a_finding() {
    let (ledger, table, _) = busy().ledger();
    let mut judge = Judge::new(&ledger);
    for (key, row) in &table {
        judge.row(&Seen { key: *key, row: if *key == 1 { Err("note is x'ff'".into()) } else { Ok(row.clone()) } });
        if *key == 5 {
            judge.row(&Seen { key: 5, row: Ok(row.clone()) });
        }
    }
    assert_eq!(counts(&judge.finish()), [0, 1, 1, 0, 0]);
}

#[test]
fn an_unanswered_transaction_is_there_or_not_but_never_half() {
    for (applied, expected) in [(0, [0, 0, 0, 0, 0]), (2, [0, 0, 0, 0, 1]), (1, [0, 1, 0, 0, 0])] {
        let mut world = busy();
        let changes =
            [(4, Entry::Present(world.touched(4))), (22, Entry::Present(State::inserted(world.mint.draw(), 1)))];
        world.book.doubt(&draft(&changes), None);
        world.write(&draft(&changes[..applied]));
        assert_eq!(counts(&world.judge()), expected, "{applied} of 2 changes applied");
    }
}

#[test]
fn in_doubt_does_not_mean_anything_goes() {
    let in_doubt = || {
        let mut world = busy();
        let changes = [(1, Entry::Present(world.touched(1)))];
        world.book.doubt(&draft(&changes), None);
        world
    };
    let mut older = in_doubt();
    older.table.insert(1, State::filled(1).to_row(1));
    assert_eq!(counts(&older.judge()), [0, 1, 0, 0, 0]);
    let mut gone = in_doubt();
    gone.table.remove(&1);
    assert_eq!(counts(&gone.judge()), [1, 0, 0, 0, 0]);
}

#[test]
fn an_insert_whose_key_never_came_back_is_known_by_its_token() {
    let insert = |spoil: i64| {
        let mut world = busy();
        let state = State::inserted(world.mint.draw(), 1);
        world.book.doubt(&Draft::default(), Some(state));
        let mut row = state.to_row(30);
        row.cents += spoil;
        world.table.insert(30, row.clone());
        world
    };
    assert_eq!(counts(&insert(0).judge()), [0, 0, 0, 0, 1]);
    assert_eq!(counts(&insert(1).judge()), [0, 1, 0, 0, 0]);
    let mut twice = insert(0);
    let mut row = twice.table[&30].clone();
    row.key = 31;
    twice.table.insert(31, row);
    assert_eq!(counts(&twice.judge()), [0, 0, 1, 0, 1]);
}

#[test]
fn a_key_of_two_connections_is_reported() {
    let census = Arc::new(Census::of(1..10));
    let record = |lane: u64| {
        let mut book = Book::new(lane, 2, Arc::clone(&census));
        let mut draft = Draft::default();
        draft.set_generated(10, State::inserted(Mint::new(RUN, lane).draw(), 1));
        book.apply(&draft);
        assert!(book.reused.is_empty());
        Ok(LaneRecord { book, tally: Tally::default(), samples: Vec::new() })
    };
    let config = Config::new("mysql://nowhere/x");
    let records = vec![record(0), record(1), Err("a writer panicked".into())];
    let ledger = Ledger::new(&config, RUN, Arc::clone(&census), Vec::new(), Duration::from_secs(1), records);
    assert_eq!((ledger.reused.count, ledger.tally.failed), (1, 1));
    let filled: BTreeMap<i64, Row> = (1..10).map(|key| (key, State::filled(key).to_row(key))).collect();
    assert_eq!(counts(&judge(&ledger, &filled)), [1, 0, 0, 0, 0]);
}

fn judge_old(world: World, late: impl FnOnce(&mut World), old: impl FnOnce(&mut World)) -> OldVerdict {
    let mut world = world;
    let stamper = Stamper::new(Instant::now(), vec![world.mint.counter()]);
    let kept = world.table.clone();
    stamper.stamp("swapped");
    late(&mut world);
    let new = std::mem::replace(&mut world.table, kept);
    old(&mut world);
    let (ledger, kept, counters) = world.ledger();
    assert_eq!(counts(&judge(&ledger, &new))[..4], [0; 4]);
    assert!(counters[0].load(Ordering::SeqCst) > 1);
    let stamps = stamper.taken();
    let mut judge = OldJudge::new(&ledger, &stamps[0], "old");
    for (key, row) in &kept {
        judge.row(&Seen { key: *key, row: Ok(row.clone()) });
    }
    judge.finish()
}

#[test]
fn the_kept_table_may_only_hold_what_was_before_the_swap() {
    let late = |world: &mut World| {
        world.update(1);
        let gone = Entry::Deleted(world.mint.draw());
        world.acknowledge(&[(21, gone)]);
    };
    let clean = judge_old(busy(), late, |_| {});
    assert!(clean.is_clean() && clean.keys_written_after == 2, "{clean:?}");

    let newer = judge_old(busy(), late, |world| {
        let state = world.touched(5);
        world.table.insert(5, state.to_row(5));
    });
    assert_eq!((newer.newer.count, newer.unexplained.count, newer.is_clean()), (1, 0, false));

    let changed = judge_old(busy(), late, |world| {
        world.table.values_mut().filter(|row| row.key == 9 || row.key == 20).for_each(|row| row.cents += 1);
        world.table.insert(77, State::filled(77).to_row(77));
    });
    assert_eq!((changed.newer.count, changed.unexplained.count), (0, 3));

    let quiet = judge_old(busy(), |_| {}, |_| {});
    assert!(!quiet.is_clean(), "nothing was written after the swap: {quiet:?}");
}

#[test]
fn a_write_rolled_back_before_the_swap_must_not_be_in_the_kept_table() {
    let world = busy();
    let never = world.touched(1);
    let verdict = judge_old(
        world,
        |world| world.update(6),
        |world| {
            world.table.insert(1, never.to_row(1));
        },
    );
    assert_eq!((verdict.newer.count, verdict.unexplained.count), (0, 1));
}

#[test]
fn a_verdict_of_nothing_is_not_clean() {
    let (ledger, table, _) = World::new().ledger();
    let damage = judge(&ledger, &table);
    assert_eq!(counts(&damage), [0; 5]);
    let verdict = Verdict::new(&ledger, damage, table.len() as u64);
    assert!(!verdict.is_clean() && !verdict.is_lossless() && !verdict.vacuous.is_empty());
}

#[test]
fn rows_that_only_one_index_has_are_noticed() {
    let (mut ledger, table, _) = busy().ledger();
    ledger.tally.committed_rows = 5;
    let verdict = |ledger: &Ledger, counted: u64| Verdict::new(ledger, judge(ledger, &table), counted);
    let good = verdict(&ledger, 20);
    assert!(good.is_clean(), "{good}");
    assert!(!verdict(&ledger, 21).is_lossless());
}
