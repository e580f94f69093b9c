//! Ends a session that holds the lock for too long, or whose fence was dropped.

use std::time::Duration;

use tokio::sync::oneshot;

use super::super::connect::Address;
use super::super::session::Session;

/// Ends a session unless it's told in time that all is well. Dropping it ends it at once.
pub struct Watchdog {
    disarm: Option<oneshot::Sender<()>>,
}

impl Watchdog {
    pub fn arm(address: Address, pid: i32, after: Duration) -> Self {
        let (disarm, disarmed) = oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = tokio::time::timeout(after, disarmed).await {
                return;
            }
            end(&address, pid).await;
        });
        Watchdog { disarm: Some(disarm) }
    }

    pub fn disarm(mut self) {
        if let Some(disarm) = self.disarm.take() {
            let _ = disarm.send(());
        }
    }
}

/// Ends a session on the server. Its own account may do that without further privileges.
async fn end(address: &Address, pid: i32) {
    let ended = async { Session::open(address).await?.exec(&format!("SELECT pg_terminate_backend({pid})")).await };
    match tokio::time::timeout(Duration::from_secs(10), ended).await {
        Ok(Ok(_)) => tracing::debug!(session = pid, "the session that held the lock was ended"),
        Ok(Err(error)) => tracing::warn!(%error, session = pid, "the session that held the lock could not be ended"),
        Err(_) => tracing::warn!(session = pid, "the session that held the lock could not be ended in time"),
    }
}
