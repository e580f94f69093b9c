//! The names that a run needs beside the table: whether they are free, and if not, whose the tables are.

use crate::engine::mysql::cleanup::{self, Leftover};
use crate::engine::mysql::names::{Names, Role};
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::Table;
use crate::engine::problems::Problems;
use crate::error::Result;

/// Reports tables under the run's names. `resuming` says that a run goes on which they belong to.
///
/// Whether a run is alive is not asked: by now the caller may hold the run lock itself.
pub async fn check(session: &mut Session, names: &Names, resuming: bool, problems: &mut Problems) -> Result<()> {
    let found = cleanup::find(session, &names.original.db, Some(names.original.name.bare())).await?;
    let of_a_run: Vec<&Leftover> = found.iter().filter(|l| l.ours && !l.is_old).collect();
    let original = names.original.bare();
    if !resuming && !of_a_run.is_empty() {
        let tables = of_a_run.iter().map(|l| l.table.name.bare()).collect::<Vec<_>>().join(", ");
        let cleanup = format!("`osc cleanup --table {original}`");
        match cleanup::recorded(session, &names.state).await? {
            Some(run) => problems.add(
                format!(
                    "A run on {original} was interrupted, and its tables are there ({tables}). It was to: {}",
                    run.alter
                ),
                format!("Go on with it by the same --alter, or remove what it left: {cleanup}"),
            ),
            None => problems.add(
                format!("A run on {original} that came to nothing left tables behind ({tables})."),
                format!("Remove them: {cleanup}"),
            ),
        }
    }
    // The swap of a run that goes on may have been done already: the runner finds out.
    let swapped = resuming && !found.iter().any(|l| l.role == Role::Shadow);
    for left in found.iter().filter(|l| l.ours && l.is_old && !swapped) {
        problems.add(
            format!(
                "The table as it was before an earlier run was kept as {}; this run needs the name.",
                left.table.bare()
            ),
            format!("When you don't need it any more: {};", left.statement),
        );
    }
    for left in found.iter().filter(|l| !l.ours) {
        problems.add(
            format!(
                "There is a table {}, whose name osc needs, and nothing shows that osc made it.",
                left.table.bare()
            ),
            format!("Rename or drop it: RENAME TABLE {} TO {};", left.table, elsewhere(&left.table)),
        );
    }
    Ok(())
}

fn elsewhere(table: &Table) -> Table {
    let kept: String = table.name.bare().chars().take(58).collect();
    table.sibling(format!("{kept}_moved"))
}
