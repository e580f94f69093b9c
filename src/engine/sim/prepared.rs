//! Two-phase transactions between their two phases.
//!
//! The rows stand in the stream from PREPARE on; the rows themselves stay locked and invisible until the
//! transaction is ended, by an entry of the stream that carries none. A prepared transaction whose
//! connection is gone no longer holds the table's name, so a fence does not wait for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::binlog::{What, Xid};
use super::server::Server;
use super::transaction::Tx;

#[derive(Default)]
pub struct Prepared {
    /// None: it was ended and is not visible yet.
    open: RefCell<BTreeMap<Xid, Option<Tx>>>,
}

impl Prepared {
    /// What `XA RECOVER` says.
    pub fn recover(&self) -> Vec<Xid> {
        self.open.borrow().keys().copied().collect()
    }
}

/// Logs the transaction's rows; it is neither committed nor rolled back.
pub async fn prepare(server: &Rc<Server>, mut tx: Tx, detached: bool) -> Xid {
    server.dice.pause(server.plan.flush).await;
    let xid = tx.id;
    let rows = tx.take_images();
    let entry = server.binlog.append(What::Prepare { xid, rows });
    server.trace.say(|| format!("entry {entry}: xa {xid} prepared{}", if detached { ", detached" } else { "" }));
    if detached {
        tx.unlock_names();
    }
    server.prepared.open.borrow_mut().insert(xid, Some(tx));
    server.count(|c| c.xa += 1);
    xid
}

/// Commits or rolls back; returns when the outcome is visible.
pub async fn end(server: &Rc<Server>, xid: Xid, commit: bool) {
    let tx = server.prepared.open.borrow_mut().get_mut(&xid).and_then(Option::take);
    let Some(tx) = tx else { return };
    if commit {
        tx.commit_as(What::End { xid, commit }).await;
    } else {
        server.binlog.append(What::End { xid, commit });
        drop(tx);
    }
    server.prepared.open.borrow_mut().remove(&xid);
}
