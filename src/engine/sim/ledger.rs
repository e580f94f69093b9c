//! What the application was told, and what is true.
//!
//! The truth is kept apart from the tables: every visible commit of the application changes it, in
//! whichever table its rows went. So a write that slipped into the wrong table shows as a difference.

use std::collections::{BTreeMap, BTreeSet};

use super::locks::Holder;
use super::table::{Row, Write};

#[derive(Debug, Default)]
pub struct Ledger {
    truth: BTreeMap<u32, Row>,
    done: BTreeSet<Holder>,
    acknowledged: Vec<Holder>,
    at_swap: Option<BTreeMap<u32, Row>>,
}

/// A row in which a table differs from the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub id: u32,
    pub is: Option<Row>,
    pub should_be: Option<Row>,
}

impl Ledger {
    pub fn committed(&mut self, by: Holder, writes: &[Write]) {
        self.done.insert(by);
        for write in writes {
            match write.row {
                Some(row) => self.truth.insert(write.id, row),
                None => self.truth.remove(&write.id),
            };
        }
    }

    pub fn truncated(&mut self) {
        self.truth.clear();
    }

    pub fn acknowledged(&mut self, to: Holder) {
        self.acknowledged.push(to);
    }

    pub fn swapped(&mut self) {
        self.at_swap = Some(self.truth.clone());
    }

    pub fn truth(&self) -> &BTreeMap<u32, Row> {
        &self.truth
    }

    /// What the table was when it was swapped out.
    pub fn truth_at_swap(&self) -> Option<&BTreeMap<u32, Row>> {
        self.at_swap.as_ref()
    }

    /// Acknowledged transactions that never became visible.
    pub fn broken_promises(&self) -> usize {
        self.acknowledged.iter().filter(|a| !self.done.contains(a)).count()
    }
}

/// The rows in which a table is not what it should be, in the order of their keys.
pub fn differences(table: &BTreeMap<u32, Row>, truth: &BTreeMap<u32, Row>) -> Vec<Difference> {
    let (mut left, mut right) = (table.iter().peekable(), truth.iter().peekable());
    let mut found = Vec::new();
    loop {
        let id = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => **a.min(b),
            (Some((id, _)), None) | (None, Some((id, _))) => **id,
            (None, None) => return found,
        };
        let is = left.next_if(|(at, _)| **at == id).map(|(_, row)| *row);
        let should_be = right.next_if(|(at, _)| **at == id).map(|(_, row)| *row);
        if is != should_be {
            found.push(Difference { id, is, should_be });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sim::table::TableId;

    #[test]
    fn a_difference_is_a_row_too_many_too_few_or_another() {
        let row = |value| Row { value, unique: 0, spelling: 0, unfit: false };
        let mut ledger = Ledger::default();
        let write = |id, row| Write { table: TableId(0), id, row };
        ledger.committed(1, &[write(1, Some(row(1))), write(2, Some(row(2)))]);
        let table = BTreeMap::from([(2, row(9)), (3, row(3))]);
        let ids: Vec<u32> = differences(&table, ledger.truth()).iter().map(|d| d.id).collect();
        assert_eq!(ids, [1, 2, 3]);
        ledger.acknowledged(1);
        ledger.acknowledged(7);
        assert_eq!(ledger.broken_promises(), 1);
    }
}
