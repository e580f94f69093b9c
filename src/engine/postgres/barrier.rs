//! When a transaction that came out of the stream can be read.
//!
//! A commit record is decoded as soon as it is in the log. The transaction leaves the list of running ones
//! later: after the wait for a synchronous standby, which can take for ever. Until then every snapshot takes it
//! for running. Marks say nothing of it: xids 739, 740 and 745 were invisible when mark 747 had returned and had
//! come out of the stream (seen). What does say it is a snapshot: once one sees the transaction, every later
//! one does.
//!
//! **The arithmetic.** The stream gives 32 bits of the transaction's number, the snapshot 64. The transaction was
//! in the log before the snapshot was asked for, so its number was given out before the snapshot's `xmax` was
//! read or lies just above it, and no two numbers in use are 2^31 apart (the server refuses work long before).
//! So the full number is the one nearest to `xmax` with these 32 bits. Without the epoch the comparison would
//! be true for everything once the counter has wrapped (seen). Below `xmin`: ended. At or above `xmax`: running,
//! as far as the snapshot knows. Between: running if listed. A transaction that came out of the stream has not been
//! rolled back, so "ended" is "committed, and seen".
//!
//! Subtransactions: the stream names the top-level transaction, and so does `pg_current_snapshot`. COMMIT
//! PREPARED: the number is that of the prepared transaction, which runs until it is visible.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::connect::Address;
use super::session::{Session, is_lost};
use crate::error::{Error, Kind, Result};

/// The pause before the server is asked again for a transaction that was not visible yet.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause before a lost session is opened again.
const RECONNECT: Duration = Duration::from_millis(500);

/// What `pg_current_snapshot()` printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    running: BTreeSet<u64>,
}

impl Snapshot {
    pub fn parse(text: &str) -> Option<Snapshot> {
        let mut parts = text.split(':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running =
            parts.next()?.split(',').filter(|x| !x.is_empty()).map(|x| x.parse().ok()).collect::<Option<_>>()?;
        Some(Snapshot { xmin, xmax, running })
    }

    /// Whether this snapshot, and so every later one, sees a transaction that came out of the stream before it.
    pub fn sees(&self, xid: u32) -> bool {
        let ahead = i64::from(xid.wrapping_sub(self.xmax as u32) as i32);
        let full = self.xmax.wrapping_add_signed(ahead);
        full < self.xmin || (full < self.xmax && !self.running.contains(&full))
    }
}

type Asked = (Option<Session>, Result<Snapshot>);

/// Asks the server for snapshots, one at a time, on a session of its own.
pub struct Barrier {
    address: Address,
    session: Option<Session>,
    asking: Option<Pin<Box<dyn Future<Output = Asked>>>>,
    latest: Option<Snapshot>,
    fails_since: Option<Instant>,
    pause: Duration,
    give_up: Duration,
}

impl Barrier {
    pub fn new(address: &Address, give_up: Duration) -> Barrier {
        Barrier {
            address: address.clone(),
            session: None,
            asking: None,
            latest: None,
            fails_since: None,
            pause: FIRST_PAUSE,
            give_up,
        }
    }

    /// Whether the newest snapshot sees it.
    pub fn sees(&self, xid: u32) -> bool {
        self.latest.as_ref().is_some_and(|snapshot| snapshot.sees(xid))
    }

    /// Something was handed out: whatever comes next is asked for at once.
    pub fn progressed(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// Ready when there is a new snapshot. To be polled only when one is needed. The question under way lives in
    /// `self`, so dropping the caller loses nothing.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let asking = match &mut self.asking {
            Some(asking) => asking,
            none => {
                let (address, session, pause) = (self.address.clone(), self.session.take(), self.pause);
                let first = self.latest.is_none();
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                none.insert(Box::pin(async move {
                    if !first {
                        tokio::time::sleep(pause).await;
                    }
                    ask(address, session).await
                }))
            }
        };
        let Poll::Ready((session, answer)) = asking.as_mut().poll(context) else { return Poll::Pending };
        (self.asking, self.session) = (None, session);
        Poll::Ready(match answer {
            Ok(snapshot) => {
                (self.latest, self.fails_since) = (Some(snapshot), None);
                Ok(())
            }
            Err(error) if error.kind() == Kind::Transient => {
                let since = *self.fails_since.get_or_insert_with(Instant::now);
                self.pause = RECONNECT;
                match since.elapsed() > self.give_up {
                    true => Err(error.with_kind(Kind::Stopped).context("The server can't be asked what is visible")),
                    false => Ok(()),
                }
            }
            Err(error) => Err(error),
        })
    }
}

async fn ask(address: Address, session: Option<Session>) -> Asked {
    let mut session = match session {
        Some(session) => session,
        None => match Session::open(&address).await {
            Ok(session) => session,
            Err(error) => return (None, Err(error)),
        },
    };
    let answer = session.value("SELECT pg_current_snapshot()::text").await.and_then(|text| {
        let text = text.unwrap_or_default();
        Snapshot::parse(&text).ok_or_else(|| Error::definite(format!("The server's snapshot '{text}' can't be read.")))
    });
    let lost = answer.as_ref().is_err_and(is_lost);
    ((!lost).then_some(session), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_ended() {
        let s = Snapshot::parse("100:110:100,105").unwrap();
        let seen: Vec<u32> = (95..115).filter(|x| s.sees(*x)).collect();
        assert_eq!(seen, [95, 96, 97, 98, 99, 101, 102, 103, 104, 106, 107, 108, 109]);
    }

    #[test]
    fn the_epoch_counts() {
        let epoch = 1u64 << 32;
        let s = Snapshot::parse(&format!("{}:{}:{}", epoch + 10, epoch + 20, epoch + 10)).unwrap();
        assert!(!s.sees(10) && s.sees(11) && !s.sees(20) && !s.sees(25));
        // Begun before the wrap.
        assert!(s.sees(u32::MAX - 5));
        // Running since before the wrap.
        let s = Snapshot::parse(&format!("{}:{}:{}", epoch - 3, epoch + 20, epoch - 3)).unwrap();
        assert!(!s.sees(u32::MAX - 2) && s.sees(u32::MAX - 1) && s.sees(5));
        // Given out just after the snapshot, across the wrap.
        let s = Snapshot::parse(&format!("{}:{}:", epoch - 1, epoch - 1)).unwrap();
        assert!(!s.sees(3) && !s.sees(u32::MAX) && s.sees(u32::MAX - 1));
    }

    #[test]
    fn nonsense_is_no_snapshot() {
        assert_eq!(Snapshot::parse("1:2"), None);
        assert_eq!(Snapshot::parse("1:2:x"), None);
    }
}
