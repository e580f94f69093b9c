//! What the swap consists of: every statement of it, in order, found out before anything is locked.
//!
//! The fence runs these as they are and knows nothing of views or foreign keys; whoever plans them (`dependents`)
//! takes no lock.

use serde::{Deserialize, Serialize};

/// The statements of one swap. All but `after` are of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// Locks of dependents, outermost view first, before any table: the other way round an application that reads a view
    /// would be a deadlock (seen: 30 of 30 attempts failed).
    pub first: Vec<String>,
    /// `LOCK TABLE ONLY … IN … MODE`: the table itself, then those that its foreign keys lead to and come from.
    pub tables: Vec<String>,
    /// After the final sync: from taking the dependents off the old table to attaching them to the new one.
    pub statements: Vec<String>,
    /// After the commit, each for itself, without strong locks: VALIDATE CONSTRAINT. May be said again.
    pub after: Vec<String>,
}
