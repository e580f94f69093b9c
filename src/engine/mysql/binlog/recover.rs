//! Whether the end of an XA transaction that stands in the binlog has been carried out.
//!
//! Ordinary commits become visible in the order of the binlog. XA COMMIT does not on MariaDB: it is
//! written to the binlog first and carried out by the storage engine afterwards, outside of that
//! order, so that a later mark can be back before it (seen in some of a thousand commits under load).
//! But the server forgets the XID only after the engine has committed: when XA RECOVER, asked after
//! the XA COMMIT was received, no longer lists it, every new read sees its rows. One answer serves all
//! that were received before it was asked for.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::xa::Xid;
use crate::engine::mysql::connect::Address;
use crate::engine::mysql::session::{Session, code};
use crate::error::{Error, Kind, Result};

/// An end that came since is asked for at once; the longer the last one waits, the longer the pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MOST: Duration = Duration::from_millis(250);
/// After an error.
const RETRY: Duration = Duration::from_millis(500);

type Answer = (Option<Session>, Result<Vec<Xid>>);

pub struct Recover {
    address: Address,
    session: Option<Session>,
    /// Ends that were received, by their numbers.
    open: BTreeMap<u64, (Xid, Instant)>,
    /// The question that is being asked, and the last number that it answers for.
    asking: Option<(JoinHandle<Answer>, u64)>,
    patience: Duration,
}

impl Recover {
    pub fn new(address: &Address, patience: Duration) -> Recover {
        Recover { address: address.clone(), session: None, open: BTreeMap::new(), asking: None, patience }
    }

    /// The end of a transaction was received.
    pub fn add(&mut self, number: u64, xid: Xid) {
        self.open.insert(number, (xid, Instant::now()));
    }

    /// Whether it is not known yet that this one was carried out.
    pub fn is_open(&self, number: u64) -> bool {
        self.open.contains_key(&number)
    }

    /// Takes the answer to the last question, and asks the next one if need be. Ready when something
    /// has become known.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if self.open.is_empty() && self.asking.is_none() {
                return Poll::Pending;
            }
            let Some((task, upto)) = &mut self.asking else {
                let Some((&upto, (_, since))) = self.open.last_key_value() else { return Poll::Pending };
                let pause = if since.elapsed() < PAUSE { Duration::ZERO } else { (since.elapsed() / 10).max(PAUSE) };
                let pause = pause.min(PAUSE_MOST);
                let (session, address) = (self.session.take(), self.address.clone());
                self.asking = Some((tokio::spawn(ask(address, session, pause)), upto));
                continue;
            };
            let upto = *upto;
            let answer = match pin!(task).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(answer) => answer,
            };
            self.asking = None;
            let (session, listed) = answer.map_err(|e| Error::definite("Asking XA RECOVER failed.").caused_by(e))?;
            self.session = session;
            let before = self.open.len();
            let overdue = self.open.first_key_value().filter(|(_, (_, since))| since.elapsed() > self.patience);
            match (listed, overdue) {
                (Ok(listed), overdue) => {
                    let stuck =
                        overdue.filter(|(_, (xid, _))| listed.contains(xid)).map(|(_, (xid, _))| xid.describe());
                    self.open.retain(|number, (xid, _)| *number > upto || listed.contains(xid));
                    if let Some(xid) = stuck {
                        return Poll::Ready(Err(Error::stopped(format!(
                            "The end of the XA transaction {xid} stands in the binlog, but the server has it prepared."
                        ))
                        .table("The table was not swapped and is as the application left it.")
                        .todo("Commit it or roll it back, as XA RECOVER lists it; then run the same command: it goes on where it stopped.")));
                    }
                }
                (Err(error), Some(_)) => return Poll::Ready(Err(error.with_kind(Kind::Stopped))),
                (Err(error), None) => tracing::warn!(%error, "XA RECOVER could not be asked"),
            }
            if self.open.len() < before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// One question; the session comes back if it is still of use.
async fn ask(address: Address, session: Option<Session>, pause: Duration) -> Answer {
    tokio::time::sleep(pause).await;
    let mut session = match session {
        Some(session) => session,
        None => match Session::open(&address).await {
            Ok(session) => session,
            Err(error) => {
                tokio::time::sleep(RETRY).await;
                return (None, Err(error));
            }
        },
    };
    match prepared(&mut session).await {
        Ok(xids) => (Some(session), Ok(xids)),
        Err(error) => {
            tokio::time::sleep(RETRY).await;
            (None, Err(error))
        }
    }
}

/// What the server has prepared. On MySQL this needs XA_RECOVER_ADMIN.
pub async fn listed(session: &mut Session) -> Result<Vec<Xid>> {
    let rows: Vec<(i64, usize, usize, Vec<u8>)> = session.all("XA RECOVER").await?;
    let xid = |(format, gtrid, bqual, data): (i64, usize, usize, Vec<u8>)| {
        let (gtrid, rest) = data.split_at_checked(gtrid).unwrap_or((&data, &[]));
        let bqual = rest.get(..bqual).unwrap_or(rest);
        Xid { format: format as u32, gtrid: gtrid.to_vec(), bqual: bqual.to_vec() }
    };
    Ok(rows.into_iter().map(xid).collect())
}

/// The same, but empty on a MySQL that does not let osc see it: there XA COMMIT is carried out in the order of the binlog, and
/// is not taken back.
pub async fn prepared(session: &mut Session) -> Result<Vec<Xid>> {
    match listed(session).await {
        Err(error) if matches!(code(&error), Some(1227 | 1401)) && !session.flavor.is_mariadb() => Ok(Vec::new()),
        other => other,
    }
}
