//! Whether an earlier run has made this very change already, and ended.
//!
//! A run that ended well leaves nothing of its own but the old table, in a schema of osc's. There it writes down what was
//! done: the ALTER, and what the table was like afterwards. The change is done if the ALTER is the same, and the table
//! is still the one that the run swapped in, and nothing of it was altered since. Without the old table
//! (`--drop-old`) nothing tells, and a run is then not taken for done.

use serde::{Deserialize, Serialize};

use super::catalog;
use super::names::Names;
use super::session::{Session, text_at};
use super::sql::text;
use crate::error::{Error, Result};

/// Stands in the comment of the old table's schema, behind the line that says whose it is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    alter: String,
    /// The new table's number: one that was dropped and made anew has another.
    oid: String,
    fingerprint: String,
}

/// Writes down that the change is done. The new table has its name, and the old one is kept.
pub async fn note(session: &mut Session, names: &Names, alter: &str) -> Result<()> {
    let Some(oid) = oid(session, names).await? else { return Ok(()) };
    if comment(session, names).await?.is_none() {
        // Somebody was quicker, and has dropped the old table with its schema.
        return Ok(());
    }
    let fingerprint = catalog::fingerprint(session, &names.original).await?;
    let note = serde_json::to_string(&Note { alter: alter.to_owned(), oid, fingerprint })
        .map_err(|e| Error::definite("What was done could not be written as JSON.").caused_by(e))?;
    let comment = text(&format!("{}\n{note}", names.comment()));
    session.exec(&format!("COMMENT ON SCHEMA {} IS {comment}", names.old.schema)).await.map(drop)
}

/// Whether the table is what the run of this ALTER made of it.
pub async fn is_done(session: &mut Session, names: &Names, alter: &str) -> Result<bool> {
    let comment = comment(session, names).await?.flatten().unwrap_or_default();
    let Some((_, note)) = comment.split_once('\n') else { return Ok(false) };
    let Ok(note) = serde_json::from_str::<Note>(note) else { return Ok(false) };
    Ok(note.alter == alter
        && Some(note.oid) == oid(session, names).await?
        && note.fingerprint == catalog::fingerprint(session, &names.original).await?)
}

/// The comment of the old table's schema, if that is there and has one.
async fn comment(session: &mut Session, names: &Names) -> Result<Option<Option<String>>> {
    let sql = format!(
        "SELECT obj_description(n.oid, 'pg_namespace') FROM pg_namespace n WHERE n.nspname = {}",
        text(names.old.schema.bare())
    );
    Ok(session.first(&sql).await?.map(|row| text_at(&row, 0)))
}

async fn oid(session: &mut Session, names: &Names) -> Result<Option<String>> {
    session.value(&format!("SELECT to_regclass({})::oid", text(&names.original.to_string()))).await
}
