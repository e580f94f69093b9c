//! What carries the names that a run is going to need.

use super::super::cleanup::{self, What};
use super::super::names::Names;
use super::super::session::Session;
use crate::engine::problems::Problems;
use crate::error::Result;

/// `resuming`: everything but an old table is the run's own. An empty schema of an old table that is gone is in nobody's way.
pub async fn check(session: &mut Session, names: &Names, resuming: bool, problems: &mut Problems) -> Result<()> {
    for left in cleanup::find(session, &names.database, Some(&names.original)).await? {
        let name = left.name();
        if !left.ours {
            problems.add(
                format!("{name} is there, and nothing shows that osc made it."),
                format!("If nobody needs it: {};", left.statement),
            );
        } else if left.is_old {
            problems.add(
                format!("The old table of an earlier change is still there, in {name}."),
                "Look whether anybody needs it; `osc cleanup --old` drops it.",
            );
        } else if !resuming && !matches!(left.what, What::State | What::Old) {
            problems.add(
                format!("{name} is left of another run, or belongs to one that is at work."),
                "See `osc cleanup --dry-run`; `osc cleanup` removes what dead runs left.",
            );
        }
    }
    Ok(())
}
