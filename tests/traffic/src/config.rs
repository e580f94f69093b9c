//! What the traffic shall be like.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::model::token::MAX_LANES;

/// How to run the traffic.
#[derive(Clone, Debug)]
pub struct Config {
    /// `mysql://user:password@host:port/database`, or `postgres://…`.
    pub url: String,
    /// A table made by [`crate::fill`].
    pub table: String,
    /// Connections that write and read at the target rate.
    pub writers: u32,
    /// Operations a second, over all writers. Open loop: a slow server does not slow the schedule.
    pub rate_per_s: f64,
    /// How often each operation comes.
    pub mix: Mix,
    /// Whether two more connections run XA transactions (PostgreSQL: two-phase commits), apart from the rate and the
    /// latencies.
    pub xa: bool,
    /// How long an XA transaction stays prepared, at most.
    pub xa_hold: Duration,
    /// PostgreSQL: half of the connections commit without waiting for the disk. Not where the server crashes: it may lose
    /// what it has acknowledged to them.
    pub async_commits: bool,
    /// The choice of operations and keys follows from it.
    pub seed: u64,
    /// A statement without an answer for this long counts as a lost connection.
    pub statement_timeout: Duration,
}

impl Config {
    /// 16 writers, 800 operations a second, no XA, table `orders`.
    pub fn new(url: impl Into<String>) -> Config {
        Config {
            url: url.into(),
            table: "orders".into(),
            writers: 16,
            rate_per_s: 800.0,
            mix: Mix::default(),
            xa: false,
            xa_hold: Duration::from_millis(200),
            async_commits: true,
            seed: 1,
            statement_timeout: Duration::from_secs(60),
        }
    }

    /// Connections with keys of their own.
    pub(crate) fn lanes(&self) -> u64 {
        u64::from(self.writers) + if self.xa { XA_WRITERS } else { 0 }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let usage = |text: String| Err(Error::Usage(text));
        if self.writers == 0 || self.lanes() > MAX_LANES {
            return usage(format!("writers must be 1 to {}", MAX_LANES - XA_WRITERS));
        }
        if !(self.rate_per_s.is_finite() && self.rate_per_s > 0.0) {
            return usage(format!("the rate must be above 0, not {}", self.rate_per_s));
        }
        if self.mix.total() == 0 {
            return usage("every weight of the mix is 0".into());
        }
        Ok(())
    }
}

/// How many connections run XA transactions when asked to.
pub(crate) const XA_WRITERS: u64 = 2;

/// The weight of each kind of operation; 0 leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// SELECT by key, compared with the ledger at once.
    pub read: u32,
    /// SELECT by the secondary index.
    pub read_secondary: u32,
    /// Both in a transaction of REPEATABLE READ whose snapshot is a little older. On MySQL a plain read: after a RENAME
    /// such a transaction is refused by the server (error 1412).
    pub read_snapshot: u32,
    /// INSERT, the key by AUTO_INCREMENT.
    pub insert: u32,
    /// INSERT into a gap between the rows, or where a row was deleted.
    pub insert_explicit: u32,
    /// UPDATE of columns without an index.
    pub update: u32,
    /// UPDATE of the indexed and the unique column.
    pub update_secondary: u32,
    /// UPDATE of the key itself.
    pub update_key: u32,
    /// UPDATE of three rows by one statement.
    pub update_many: u32,
    /// INSERT … ON DUPLICATE KEY UPDATE.
    pub upsert: u32,
    /// REPLACE.
    pub replace: u32,
    pub delete: u32,
    /// Several statements, committed.
    pub transaction: u32,
    /// Several statements, rolled back.
    pub rollback: u32,
    /// Several statements, some rolled back to a savepoint, committed.
    pub savepoint: u32,
    /// Two rows exchange their unique values, in one transaction.
    pub swap: u32,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix {
            read: 25,
            read_secondary: 3,
            read_snapshot: 2,
            insert: 12,
            insert_explicit: 4,
            update: 22,
            update_secondary: 6,
            update_key: 4,
            update_many: 3,
            upsert: 3,
            replace: 2,
            delete: 8,
            transaction: 6,
            rollback: 3,
            savepoint: 3,
            swap: 2,
        }
    }
}

impl Mix {
    pub(crate) fn total(&self) -> u32 {
        self.weights().iter().map(|(_, weight)| weight).sum()
    }

    pub(crate) fn weights(&self) -> [(Operation, u32); 16] {
        use Operation::*;
        [
            (Read, self.read),
            (ReadSecondary, self.read_secondary),
            (ReadSnapshot, self.read_snapshot),
            (Write(Dml::Insert), self.insert),
            (Write(Dml::InsertExplicit), self.insert_explicit),
            (Write(Dml::Update), self.update),
            (Write(Dml::UpdateSecondary), self.update_secondary),
            (Write(Dml::UpdateKey), self.update_key),
            (Write(Dml::UpdateMany), self.update_many),
            (Write(Dml::Upsert), self.upsert),
            (Write(Dml::Replace), self.replace),
            (Write(Dml::Delete), self.delete),
            (Transaction(Ending::Commit), self.transaction),
            (Transaction(Ending::Rollback), self.rollback),
            (Transaction(Ending::Savepoint), self.savepoint),
            (Swap, self.swap),
        ]
    }

    /// The operation at `point` of the summed weights (`point < total`).
    pub(crate) fn at(&self, mut point: u32) -> Operation {
        for (operation, weight) in self.weights() {
            if point < weight {
                return operation;
            }
            point -= weight;
        }
        Operation::Read
    }
}

/// One unit of work of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    ReadSecondary,
    ReadSnapshot,
    Write(Dml),
    Transaction(Ending),
    Swap,
}

/// One statement that changes rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dml {
    Insert,
    InsertExplicit,
    Update,
    UpdateSecondary,
    /// The key alone: the row keeps its unique e-mail address.
    UpdateKey,
    /// Both at once. Under a unique index this takes no gap locks, so it fits into any transaction.
    UpdateKeyAndEmail,
    UpdateMany,
    Upsert,
    Replace,
    Delete,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Commit,
    Rollback,
    Savepoint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_is_reachable_and_zero_is_not() {
        let mix = Mix { delete: 0, ..Mix::default() };
        let drawn: Vec<_> = (0..mix.total()).map(|point| mix.at(point)).collect();
        for (operation, weight) in mix.weights() {
            let times = drawn.iter().filter(|o| **o == operation).count();
            assert_eq!(times as u32, weight, "{operation:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let ok = Config::new("mysql://localhost/x");
        assert!(ok.check().is_ok());
        assert!(Config { writers: 0, ..ok.clone() }.check().is_err());
        assert!(Config { rate_per_s: f64::NAN, ..ok.clone() }.check().is_err());
        assert!(Config { writers: 5000, ..ok }.check().is_err());
    }
}
