//! Which keys an operation works on.

use rand::Rng;
use rand::rngs::StdRng;

use crate::model::state::State;
use crate::record::book::{Book, Known};
use crate::record::draft::Draft;

/// A row of this connection that is there: often one written shortly before, sometimes one that the
/// traffic inserted, otherwise any row of the table.
pub(crate) fn present(book: &mut Book, rng: &mut StdRng, draft: &Draft, avoid: &[i64]) -> Option<(i64, State)> {
    for _ in 0..64 {
        let key = match rng.random_range(0..100) {
            0..25 if !book.recent.is_empty() => book.recent[rng.random_range(0..book.recent.len())],
            25..40 if !book.created.is_empty() => {
                let at = rng.random_range(0..book.created.len());
                let key = book.created[at];
                // Deleted or retired since: dropped from the list where it is met.
                if !matches!(book.look(&Draft::default(), key), Known::Present(_)) {
                    book.created.swap_remove(at);
                }
                key
            }
            _ if book.census.pristine.len() > 0 => book.own(rng.random_range(book.census.min..=book.census.max)),
            _ => continue,
        };
        if avoid.contains(&key) {
            continue;
        }
        if let Known::Present(state) = book.look(draft, key) {
            return Some((key, state));
        }
    }
    None
}

/// A key of this connection that has no row: where one was deleted, or in a gap, among the rows or
/// before the first.
pub(crate) fn vacant(book: &mut Book, rng: &mut StdRng, draft: &Draft) -> Option<i64> {
    let (min, max) = (book.census.min, book.census.max);
    for _ in 0..400 {
        let key = match rng.random_range(0..100) {
            0..10 if !book.freed.is_empty() => {
                let at = rng.random_range(0..book.freed.len());
                let key = book.freed[at];
                if book.look(&Draft::default(), key) != Known::Absent {
                    book.freed.swap_remove(at);
                }
                key
            }
            10..12 if min > 1 && max >= min => book.own(rng.random_range(1..min)),
            _ if max >= min => book.own(rng.random_range(min..=max)),
            _ => continue,
        };
        if book.look(draft, key) == Known::Absent {
            return Some(key);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng;

    use super::*;
    use crate::model::token::Token;
    use crate::record::census::Census;
    use crate::record::draft::Entry;

    #[test]
    fn picks_only_own_keys_in_the_right_state() {
        let census = Census::of((101..=1000).filter(|key| key % 10 != 0));
        let mut book = Book::new(3, 7, Arc::new(census));
        let mut rng = StdRng::seed_from_u64(1);
        let none = Draft::default();
        let mut below = 0;
        for n in 0..500 {
            if let Some((key, state)) = present(&mut book, &mut rng, &none, &[]) {
                assert!(key % 7 == 3 && key % 10 != 0 && state.version >= 1);
                let mut draft = Draft::default();
                draft.set(key, Entry::Deleted(Token(n)));
                book.apply(&draft);
            }
            if let Some(key) = vacant(&mut book, &mut rng, &none) {
                assert!(key % 7 == 3 && book.look(&none, key) == Known::Absent);
                below += i32::from(key < 101);
            }
        }
        assert!(below > 0, "never before the first row");
        assert_eq!(present(&mut book, &mut rng, &none, &[]), None, "all its rows are deleted by now");
    }

    #[test]
    fn an_empty_table_gives_nothing() {
        let mut book = Book::new(0, 2, Arc::new(Census::of([])));
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(present(&mut book, &mut rng, &Draft::default(), &[]), None);
        assert_eq!(vacant(&mut book, &mut rng, &Draft::default()), None);
    }
}
