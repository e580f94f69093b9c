//! What differs between servers in words and numbers, but not in what the traffic does.

use super::mysql;
use super::postgres;
use super::statements::Statements;
use crate::error::Error;

/// Which server a URL leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// MariaDB, too.
    MySql,
    Postgres,
}

/// What makes a table and fills it, in the order of saying.
pub(crate) struct Filling {
    pub drop: Vec<String>,
    pub create: Vec<String>,
    /// Inserts the rows of these numbers.
    pub chunk: Box<dyn Fn(u64, u64) -> String + Send + Sync>,
    /// Built after the rows: many times faster than keeping them up row by row.
    pub after: Vec<String>,
}

impl Dialect {
    pub fn of(url: &str) -> Result<Dialect, Error> {
        match url.split_once("://") {
            Some(("mysql", _)) => Ok(Dialect::MySql),
            Some(("postgres" | "postgresql", _)) => Ok(Dialect::Postgres),
            _ => Err(Error::Usage("the URL must begin with mysql:// or postgres://".into())),
        }
    }

    /// A name in quotes; only plain names, so that nobody needs to think about quoting.
    pub fn quote(self, name: &str) -> Result<String, Error> {
        match self {
            Dialect::MySql => mysql::statements::quote(name),
            Dialect::Postgres => postgres::statements::quote(name),
        }
    }

    pub fn statements(self, table: &str) -> Result<Statements, Error> {
        let table = self.quote(table)?;
        Ok(match self {
            Dialect::MySql => mysql::statements::of(&table),
            Dialect::Postgres => postgres::statements::of(&table),
        })
    }

    pub fn filling(self, table: &str, unique_email: bool) -> Result<Filling, Error> {
        match self {
            Dialect::MySql => mysql::fill::filling(table, unique_email),
            Dialect::Postgres => postgres::fill::filling(table, unique_email),
        }
    }

    /// Whether a transaction can read a table with a snapshot that is older than its swap.
    pub fn reads_snapshots(self) -> bool {
        self == Dialect::Postgres
    }

    /// How many rows an upsert of a row that is there counts for.
    pub fn replaced(self) -> u64 {
        match self {
            Dialect::MySql => 2,
            Dialect::Postgres => 1,
        }
    }

    /// Errors that can come from the end of a statement rather than its beginning, so that it may have had its effect.
    pub fn is_doubtful(self, code: &str) -> bool {
        match self {
            // Interrupted or timed out (MySQL, MariaDB), error during commit, unknown error, a commit hook's veto.
            Dialect::MySql => ["1317", "1969", "3024", "1180", "1105", "3100"].contains(&code),
            // Completion unknown, resolution unknown. A cancelled commit is none: it has its effect, with a warning.
            Dialect::Postgres => ["40003", "08007"].contains(&code),
        }
    }

    /// "No such prepared transaction": never prepared, or finished already.
    pub fn is_unknown_transaction(self, code: &str) -> bool {
        match self {
            Dialect::MySql => code == "1397",
            Dialect::Postgres => code == "42704",
        }
    }

    pub fn begin_prepared(self, xid: &str) -> String {
        match self {
            Dialect::MySql => format!("XA START {xid}"),
            Dialect::Postgres => "BEGIN".to_owned(),
        }
    }

    /// What has to be said between the changes and the prepare, if anything.
    pub fn end_prepared(self, xid: &str) -> Option<String> {
        match self {
            Dialect::MySql => Some(format!("XA END {xid}")),
            Dialect::Postgres => None,
        }
    }

    pub fn prepare(self, xid: &str) -> String {
        match self {
            Dialect::MySql => format!("XA PREPARE {xid}"),
            Dialect::Postgres => format!("PREPARE TRANSACTION {xid}"),
        }
    }

    /// COMMIT or ROLLBACK of a prepared transaction.
    pub fn finish_prepared(self, verb: &str, xid: &str) -> String {
        match self {
            Dialect::MySql => format!("XA {verb} {xid}"),
            Dialect::Postgres => format!("{verb} PREPARED {xid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_or_refused() {
        assert_eq!(Dialect::MySql.quote("orders_osc_old").ok().as_deref(), Some("`orders_osc_old`"));
        assert_eq!(Dialect::Postgres.quote("osc_1_old.orders").ok().as_deref(), Some("\"osc_1_old\".\"orders\""));
        for bad in ["", "a`b", "a b", "x; DROP TABLE y", "a\"b", ".", "a.b.c"] {
            assert!(Dialect::MySql.quote(bad).is_err(), "{bad}");
            assert!(Dialect::Postgres.quote(bad).is_err(), "{bad}");
        }
        assert!(Dialect::MySql.quote("a.b").is_err());
    }

    #[test]
    fn the_url_says_which() {
        assert_eq!(Dialect::of("postgres://a@b/c").ok(), Some(Dialect::Postgres));
        assert_eq!(Dialect::of("mysql://a@b/c").ok(), Some(Dialect::MySql));
        assert!(Dialect::of("oracle://a@b/c").is_err());
    }
}
