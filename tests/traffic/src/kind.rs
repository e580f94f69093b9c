//! The kinds of statements, as they are counted.

use serde::{Deserialize, Serialize};

/// What a statement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Read,
    ReadSecondary,
    ReadSnapshot,
    Insert,
    InsertExplicit,
    Update,
    UpdateSecondary,
    UpdateKey,
    UpdateMany,
    Upsert,
    Replace,
    Delete,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackToSavepoint,
    XaStart,
    XaEnd,
    XaPrepare,
    XaCommit,
    XaCommitElsewhere,
    XaRollback,
}

impl Kind {
    /// Whether it changes rows.
    pub fn is_write(self) -> bool {
        (Kind::Insert..=Kind::Delete).contains(&self)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let debug = format!("{self:?}");
        for (at, c) in debug.char_indices() {
            if c.is_uppercase() && at > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", c.to_lowercase())?;
        }
        Ok(())
    }
}
