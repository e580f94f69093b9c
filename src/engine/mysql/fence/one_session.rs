//! The swap on MySQL 8.0.13 and newer: RENAME by the session that holds the locks.
//!
//! The session can't swap without its locks: if it was killed, the RENAME was killed with it.

use crate::engine::mysql::session::Session;
use crate::error::Result;
use crate::failpoint;

pub async fn rename(session: &mut Session, rename: &str, other: u32) -> Result<()> {
    session.exec(rename).await?;
    failpoint::hit("renamed", &[session.id, other]).await;
    // The swap is done; a failure to unlock only means that the connection is gone, and the locks with it.
    if let Err(error) = session.exec("UNLOCK TABLES").await {
        tracing::debug!(%error, "unlocking after the swap");
    }
    Ok(())
}
