//! Whether an earlier run has made this very change already, and ended.
//!
//! A run that ended well leaves nothing that tells of it but the old table. So the proof is the catalog's: the
//! ALTER is run on an empty copy of the kept old table, and what comes out is the definition that the table has
//! now. An ALTER that changes no definition (a rebuild) proves nothing that way, and without the old table
//! (`--drop-old`) there is nothing to compare: in both cases the run is not taken for done.

use super::alter::Alter;
use super::catalog::{self, TableInfo};
use super::fence::outcome;
use super::names::Names;
use super::session::Session;
use super::shadow::Shadow;
use super::state;
use crate::error::{Error, Kind, Result};

/// Whether the table is what the ALTER makes of the kept old one.
pub async fn is_done(session: &mut Session, names: &Names, alter: &Alter) -> Result<bool> {
    for table in [&names.state, &names.marks] {
        if catalog::exists(session, table).await? {
            return Ok(false);
        }
    }
    if !outcome::is_swapped(session, names).await? {
        return Ok(false);
    }
    let (Some(now), Some(old)) =
        (catalog::read(session, &names.original).await?, catalog::read(session, &names.old).await?)
    else {
        return Ok(false);
    };
    let of_old = Names { original: names.old.clone(), ..names.clone() };
    if let Err(error) = state::announce(session, names).await {
        // The preflight says it better.
        return if unfit(&error) { Ok(false) } else { Err(error) };
    }
    let built = build(session, &of_old, &old, alter).await;
    state::retract(session, names).await?;
    let Some(built) = built? else { return Ok(false) };
    let (now, built) = (definition(&now, names), definition(&built, names));
    Ok(now == built && now != definition(&old, names))
}

/// What the ALTER makes of the old table; none where it can't be run on it.
async fn build(session: &mut Session, of_old: &Names, old: &TableInfo, alter: &Alter) -> Result<Option<TableInfo>> {
    match Shadow::build(session, of_old, old, alter).await {
        Ok(shadow) => {
            session.exec(&format!("DROP TABLE IF EXISTS {}", of_old.shadow)).await?;
            Ok(Some(shadow.info))
        }
        Err(error) if unfit(&error) => {
            tracing::debug!(%error, "the ALTER can't be run on the old table: it is not done yet");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn unfit(error: &Error) -> bool {
    matches!(error.kind(), Kind::Refused | Kind::Definite)
}

/// The definition without the table's name. MySQL names a CHECK without a name after its table.
fn definition(info: &TableInfo, names: &Names) -> String {
    let own = format!("`{}_chk_", info.table.name.bare().replace('`', "``"));
    let plain = format!("`{}_chk_", names.original.name.bare().replace('`', "``"));
    let lines: Vec<&str> = info.fingerprint.lines().skip(1).collect();
    lines.join("\n").replace(&own, &plain)
}
