//! Prepared XA transactions.
//!
//! Their rows went into the binlog at XA PREPARE and become visible at XA COMMIT, which carries none. The
//! feed waits for those that it sees being prepared; one that was prepared before the stream began is in
//! no event that it will ever read. An application that uses XA always has some for a moment, so only
//! those that stay are refused here; a run looks again once its stream has begun.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::mysql::binlog::recover;
use crate::engine::mysql::binlog::xa::Xid;
use crate::engine::mysql::session::Session;
use crate::engine::problems::Problems;
use crate::error::Result;

/// How long a prepared transaction may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(250);
/// How many are named.
const NAMED: usize = 5;

/// The transactions that are prepared now, each as XA COMMIT and XA ROLLBACK take it.
pub async fn prepared_xa(session: &mut Session) -> Result<Vec<String>> {
    Ok(recover::listed(session).await?.iter().map(Xid::describe).collect())
}

/// Those that are prepared now and stay so for longer than is usual.
async fn lasting(session: &mut Session) -> Result<Vec<String>> {
    let until = Instant::now() + PATIENCE;
    let mut left = prepared_xa(session).await?;
    while !left.is_empty() && Instant::now() < until {
        tokio::time::sleep(EVERY).await;
        let now = prepared_xa(session).await?;
        left.retain(|xid| now.contains(xid));
    }
    Ok(left)
}

/// Waits until all that are prepared now have ended, or refuses.
pub async fn wait(session: &mut Session) -> Result<()> {
    let mut problems = Problems::default();
    check(session, &mut problems).await?;
    problems.none_but(())
}

/// Refuses what stays prepared.
pub async fn check(session: &mut Session, problems: &mut Problems) -> Result<()> {
    let left = lasting(session).await?;
    let Some(first) = left.first() else { return Ok(()) };
    let named = left.iter().take(NAMED).cloned().collect::<Vec<_>>().join(" and ");
    let more = left.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    problems.add(
        format!(
            "Prepared XA transactions wait to be committed or rolled back ({named}{more}): rows that they changed \
             are in the binary log already, and nobody can read them yet."
        ),
        format!(
            "End them by the application or its transaction manager, or by hand: XA COMMIT {first} or XA ROLLBACK {first}"
        ),
    );
    Ok(())
}
