//! What the swap consists of: every statement of it, in order, found out before anything is locked.
//!
//! The fence runs these as they are and knows nothing of views or foreign keys; whoever plans them (`dependents`)
//! takes no lock.

use serde::{Deserialize, Serialize};

use super::dependents::matviews::Matview;
use super::sql::Table;

/// What has to hold of the rows when the tables are swapped, and nothing on the way has looked at: a foreign key that is
/// validated only afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The foreign key's name, and the table that has it.
    pub name: String,
    pub table: String,
    pub parent: String,
    /// Returns the first row for which it does not: what it is known by, and the values that lead nowhere.
    pub query: String,
}

/// The statements of one swap. All but `after` are of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The tables that it hangs under, the topmost first: nobody may maintain one of them meanwhile.
    #[serde(default)]
    pub above: Vec<Table>,
    /// Locks of dependents, outermost view first, before any table: the other way round an application that reads a view
    /// would be a deadlock (seen: 30 of 30 attempts failed).
    pub first: Vec<String>,
    /// `LOCK TABLE ONLY … IN … MODE`: what it hangs under, from the top, the table itself, then those that its foreign keys lead to and come from.
    pub tables: Vec<String>,
    /// After the final sync: from taking the dependents off the old table to attaching them to the new one.
    pub statements: Vec<String>,
    /// After the commit, each for itself, without strong locks: VALIDATE CONSTRAINT. May be said again.
    pub after: Vec<String>,
    /// Led to the new table after that, each for itself.
    #[serde(default)]
    pub matviews: Vec<Matview>,
    /// Looked at shortly before the lock, without one.
    pub checks: Vec<Check>,
}
