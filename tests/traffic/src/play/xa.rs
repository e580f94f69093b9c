//! XA transactions: prepared, held for a while, then committed or rolled back, sometimes by another
//! connection than the one that prepared them.
//!
//! Their rows are in the change stream at PREPARE and in the table only at COMMIT, which is where a
//! tool that tails the stream can lose them. Apart from the schedule: they wait on purpose.

use std::time::{Duration, Instant};

use rand::Rng;

use super::lane::{Answer, Lane, LaneRecord};
use crate::config::Dml;
use crate::error::Error;
use crate::kind::Kind;
use crate::record::draft::Draft;

const STEPS: [Dml; 6] =
    [Dml::Insert, Dml::Update, Dml::Update, Dml::Delete, Dml::UpdateKeyAndEmail, Dml::InsertExplicit];

/// "Unknown XID": never prepared, or finished already.
const XAER_NOTA: u16 = 1397;

/// How the server was left with a transaction that was to be finished.
enum Settled {
    Finished,
    Unknown,
    Unclear,
}

impl Lane {
    pub async fn run_xa(mut self) -> LaneRecord {
        // XIDs are the whole server's, so they must not meet those of another run.
        let nonce: u64 = rand::random();
        let mut n = 0;
        while !self.stopping() && self.connected(false).await {
            n += 1;
            let xid = format!("'osc-traffic-{nonce:x}-{}-{n}'", self.number);
            self.begin_operation();
            self.xa(&xid).await;
            let rest = Duration::from_millis(self.rng.random_range(20..150));
            self.pause(rest).await;
        }
        self.finish().await
    }

    async fn xa(&mut self, xid: &str) {
        if !matches!(self.command(Kind::XaStart, &format!("XA START {xid}")).await, Answer::Done(_)) {
            return self.drop_session();
        }
        let mut draft = Draft::default();
        for _ in 0..self.rng.random_range(1..=4) {
            let dml = STEPS[self.rng.random_range(0..STEPS.len())];
            let planned = self.plan(dml, &draft);
            let answer = self.execute(planned.kind, planned.sql, planned.args.clone()).await;
            let went_well = match answer {
                Answer::Done(done) => {
                    let clear = self.note(&planned, done, &mut draft);
                    if !clear {
                        self.retire(&planned);
                    }
                    clear
                }
                Answer::Refused | Answer::Doubtful | Answer::Lost => false,
            };
            if !went_well {
                // Not prepared: the server rolls back with the connection.
                return self.drop_session();
            }
        }
        if !matches!(self.command(Kind::XaEnd, &format!("XA END {xid}")).await, Answer::Done(_)) {
            return self.drop_session();
        }
        match self.command(Kind::XaPrepare, &format!("XA PREPARE {xid}")).await {
            Answer::Done(_) => self.hold_and_finish(xid, &draft).await,
            // Prepared or not, it is never to be committed.
            _ => {
                self.drop_session();
                if matches!(self.settle("ROLLBACK", xid).await, Settled::Unclear) {
                    self.book.doubt(&draft, None);
                }
            }
        }
    }

    async fn hold_and_finish(&mut self, xid: &str, draft: &Draft) {
        let hold = self.shared.config.xa_hold.mul_f64(self.rng.random_range(0.05..=1.0));
        self.pause(hold).await;
        let elsewhere = self.rng.random_bool(0.4);
        let commit = self.rng.random_bool(0.7);
        if elsewhere {
            self.leave().await;
            if !self.connected(true).await {
                return self.book.doubt(draft, None);
            }
        }
        let (kind, verb) = match (commit, elsewhere) {
            (true, true) => (Kind::XaCommitElsewhere, "COMMIT"),
            (true, false) => (Kind::XaCommit, "COMMIT"),
            (false, _) => (Kind::XaRollback, "ROLLBACK"),
        };
        let settled = match self.command(kind, &format!("XA {verb} {xid}")).await {
            Answer::Done(_) => Settled::Finished,
            // It was prepared, and only this lane finishes it: unknown now means finished before.
            Answer::Lost => match self.settle(verb, xid).await {
                Settled::Unknown => Settled::Finished,
                other => other,
            },
            // The failure is counted. Try on, lest the rows stay locked; but if the server does not
            // know the transaction, then it has vanished, and either state may be what is there.
            Answer::Refused | Answer::Doubtful => match self.settle(verb, xid).await {
                Settled::Finished => Settled::Finished,
                _ => Settled::Unclear,
            },
        };
        match (settled, commit) {
            (Settled::Finished, true) => self.committed(draft),
            (Settled::Finished, false) => self.tally.rolled_back_rows += draft.changes().len() as u64,
            _ => self.book.doubt(draft, None),
        }
    }

    /// Finishes a transaction that may be prepared, whatever connection that takes.
    async fn settle(&mut self, verb: &str, xid: &str) -> Settled {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if !self.connected(true).await {
                break;
            }
            // While the old connection lives, "unknown" may mean "still mine".
            let former_gone = self.former_is_gone().await;
            let Some(session) = self.session.as_mut() else { continue };
            match session.command(&format!("XA {verb} {xid}")).await {
                Ok(_) => return Settled::Finished,
                Err(Error::Server { code: XAER_NOTA, .. }) if former_gone => return Settled::Unknown,
                Err(Error::Server { .. }) => {
                    self.pause(Duration::from_millis(100)).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(_) => self.drop_session(),
            }
        }
        Settled::Unclear
    }
}
