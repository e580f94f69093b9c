//! Ends a session that holds the lock for too long, or whose fence was dropped.
//!
//! By a session that was open before the lock was asked for: on a server that is short of time a new connection may take
//! longer than the application was promised to wait (the lock was seen held for 2.9 s).

use std::time::Duration;

use tokio::sync::oneshot;

use super::super::connect::Address;
use super::super::session::Session;
use super::outcome::Backend;
use crate::error::Result;

/// How long ending a session may take before it is left to the server's own limits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends a session unless it's told in time that all is well. Dropping it ends it at once.
pub struct Watchdog {
    disarm: Option<oneshot::Sender<()>>,
}

impl Watchdog {
    pub fn arm(address: Address, by: Session, holder: Backend, after: Duration) -> Self {
        let (disarm, disarmed) = oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = tokio::time::timeout(after, disarmed).await {
                return;
            }
            match tokio::time::timeout(PATIENCE, end(&address, by, &holder)).await {
                Ok(Ok(_)) => tracing::debug!(session = holder.pid, "the session that held the lock was ended"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, session = holder.pid, "the session that held the lock could not be ended")
                }
                Err(_) => {
                    tracing::warn!(session = holder.pid, "the session that held the lock could not be ended in time")
                }
            }
        });
        Watchdog { disarm: Some(disarm) }
    }

    pub fn disarm(mut self) {
        if let Some(disarm) = self.disarm.take() {
            let _ = disarm.send(());
        }
    }
}

async fn end(address: &Address, mut by: Session, holder: &Backend) -> Result<bool> {
    match holder.end(&mut by).await {
        // Lost with the lock's own, perhaps.
        Err(_) => holder.end(&mut Session::open(address).await?).await,
        ended => ended,
    }
}
