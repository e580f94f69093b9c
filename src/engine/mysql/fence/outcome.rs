//! Whether the tables were swapped, read from the catalog after a RENAME whose answer is unknown.

use std::time::Duration;

use tokio::time::Instant;

use super::{SENTRY, kill};
use crate::engine::mysql::catalog;
use crate::engine::mysql::connect::Address;
use crate::engine::mysql::names::Names;
use crate::engine::mysql::session::{Connection, Session};
use crate::engine::mysql::sql::text;
use crate::error::{Error, Result};

/// How long to go on asking a server that doesn't answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the connections that took part and waits until they are gone: only then is the catalog's
/// answer final. Then: the swap was done if the shadow's name is free and the old name holds a table
/// that isn't the sentry.
pub async fn swapped(address: &Address, names: &Names, ids: [u32; 2]) -> Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        match look(address, names, ids).await {
            Ok(Some(swapped)) => return Ok(swapped),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "asking the catalog for the outcome of the swap"),
        }
        if Instant::now() > until {
            return Err(Error::ambiguous(
                "The connection broke while the tables were being swapped, and the server can't be asked.",
            )
            .table(format!(
                "Either {} has the new definition, or it is unchanged; no row is lost in either case.",
                names.original.bare()
            ))
            .todo(
                "Run the same command again when the server answers: it finds out and goes on, or says that it's done.",
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn look(address: &Address, names: &Names, ids: [u32; 2]) -> Result<Option<bool>> {
    let mut session = Session::open(address).await?;
    let there: Vec<u64> = session.connections().await?.iter().map(|c| c.id).collect();
    let left: Vec<u32> = ids.into_iter().filter(|id| there.contains(&u64::from(*id))).collect();
    if !left.is_empty() {
        for id in left {
            kill(address, id).await;
        }
        return Ok(None);
    }
    is_swapped(&mut session, names).await.map(Some)
}

/// Waits until no RENAME of a dead process is under way any more: its connections are the server's to
/// notice, and until then the catalog's answer isn't final. By account, because the list of statements
/// is cut and has no characters of four bytes; another run's RENAME takes milliseconds.
pub async fn settled(session: &mut Session) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let all = session.connections().await?;
        let user = all.iter().find(|c| c.id == u64::from(session.id)).map(|c| c.user.clone());
        let renames = |c: &Connection| Some(&c.user) == user.as_ref() && c.statement.starts_with("RENAME TABLE");
        let Some(rename) = all.iter().find(|c| renames(c)) else { return Ok(()) };
        if Instant::now() > until {
            return Err(Error::refused(format!(
                "Connection {} of this account has been at a RENAME for a minute.",
                rename.id
            ))
            .table("Nothing was changed by this process.")
            .todo("See what it waits for in SHOW PROCESSLIST; when it has ended, run the same command again."));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The run of this fingerprint swapped the tables and dropped the old one, and was cut off before it
/// removed its record.
pub async fn is_swapped_and_dropped(session: &mut Session, names: &Names, fingerprint: &str) -> Result<bool> {
    for table in [&names.shadow, &names.old] {
        if catalog::exists(session, table).await? {
            return Ok(false);
        }
    }
    Ok(catalog::exists(session, &names.original).await?
        && catalog::definition(session, &names.original).await?.0 != fingerprint)
}

/// What the catalog says now.
pub async fn is_swapped(session: &mut Session, names: &Names) -> Result<bool> {
    let tables: Vec<(String, String)> = session
        .all(&format!(
            "SELECT table_name, table_comment FROM information_schema.tables WHERE table_schema = {}",
            text(names.original.db.bare())
        ))
        .await?;
    let comment = |name: &str| tables.iter().find(|(n, _)| n == name).map(|(_, c)| c.as_str());
    let old = comment(names.old.name.bare()).is_some_and(|c| c != SENTRY);
    Ok(old && comment(names.shadow.name.bare()).is_none())
}
