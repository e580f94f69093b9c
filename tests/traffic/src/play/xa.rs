//! XA transactions (on PostgreSQL two-phase commits): prepared, held for a while, then committed or rolled back, sometimes by another
//! connection than the one that prepared them.
//!
//! MariaDB loses such a transaction if another connection commits it in the moment between the server
//! and InnoDB noticing that the first is gone: XA COMMIT answers OK, nothing is committed, and the row
//! locks stay until a restart (seen on 10.11.18 and 11.8.6, at once with commits tried in a loop). So
//! there the other connection waits for InnoDB; where the account can't see that, the same one commits.
//!
//! MariaDB also forgets such an end when it dies in the moment after it: XA COMMIT or XA ROLLBACK was answered and stands
//! in the binlog, and after the restart the transaction is prepared again, with its locks (seen on 10.11.18, once
//! in some fifty kills). So after a restart the ends of before are said once more.
//!
//! Their rows are in the change stream at PREPARE and in the table only at COMMIT, which is where a
//! tool that tails the stream can lose them. Apart from the schedule: they wait on purpose.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::Rng;

use super::lane::{Answer, Lane, LaneRecord};
use crate::config::Dml;
use crate::error::Error;
use crate::kind::Kind;
use crate::record::draft::Draft;
use crate::server::{Connection, Ended, Handover, Session};

/// Of how many transactions the ends are remembered, for a server that forgets them.
const REMEMBERED: usize = 8;

const STEPS: [Dml; 6] =
    [Dml::Insert, Dml::Update, Dml::Update, Dml::Delete, Dml::UpdateKeyAndEmail, Dml::InsertExplicit];

/// A transaction that is prepared, or may be.
struct Prepared<'a> {
    xid: &'a str,
    /// Who prepared it.
    by: Connection,
    /// Who was last told to finish it.
    finishing: Connection,
    handover: Handover,
}

/// A transaction that was ended: COMMIT or ROLLBACK, and the server that said so.
struct Decided {
    xid: String,
    verb: &'static str,
    server_started: u64,
}

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
        let handover = match self.session.as_mut() {
            Some(session) => session.handover().await.unwrap_or(Handover::Unseen),
            None => Handover::Unseen,
        };
        let mut n = 0;
        let mut decided: VecDeque<Decided> = VecDeque::new();
        while !self.stopping() && self.connected(false).await {
            self.say_again(&mut decided).await;
            n += 1;
            let xid = format!("'osc-traffic-{nonce:x}-{}-{n}'", self.number);
            self.begin_operation();
            if let Some(verb) = self.xa(&xid, handover).await
                && let Some(by) = self.current()
            {
                decided.truncate(REMEMBERED - 1);
                decided.push_front(Decided { xid, verb, server_started: by.server_started });
            }
            let rest = Duration::from_millis(self.rng.random_range(20..150));
            self.pause(rest).await;
        }
        // The last ones may have been ended by a server that has died since.
        if self.connected(true).await {
            self.say_again(&mut decided).await;
        }
        self.finish().await
    }

    /// Ends once more what an earlier life of the server had ended and this one has prepared again.
    async fn say_again(&mut self, decided: &mut VecDeque<Decided>) {
        let Some(now) = self.current() else { return };
        while let Some(one) = decided.iter().position(|one| one.server_started != now.server_started) {
            let Some(session) = self.session.as_mut() else { return };
            let said = match session.recovers(&decided[one].xid).await {
                Ok(Some(true)) => {
                    let end = self.shared.dialect.finish_prepared(decided[one].verb, &decided[one].xid);
                    session.command(&end).await.map(drop)
                }
                other => other.map(drop),
            };
            if said.is_err() {
                // Once more with the next connection.
                return self.drop_session();
            }
            decided.remove(one);
        }
    }

    /// How the transaction was ended, if it was prepared and that is certain.
    async fn xa(&mut self, xid: &str, handover: Handover) -> Option<&'static str> {
        if !matches!(self.command(Kind::XaStart, &self.shared.dialect.begin_prepared(xid)).await, Answer::Done(_)) {
            self.drop_session();
            return None;
        }
        let mut draft = Draft::default();
        for _ in 0..self.rng.random_range(1..=4) {
            let dml = STEPS[self.rng.random_range(0..STEPS.len())];
            let Some((planned, _permit)) = self.planned(dml, &draft).await else { continue };
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
                self.drop_session();
                return None;
            }
        }
        if let Some(end) = self.shared.dialect.end_prepared(xid)
            && !matches!(self.command(Kind::XaEnd, &end).await, Answer::Done(_))
        {
            self.drop_session();
            return None;
        }
        let by = self.current()?;
        let mut prepared = Prepared { xid, by, finishing: by, handover };
        match self.command(Kind::XaPrepare, &self.shared.dialect.prepare(xid)).await {
            Answer::Done(_) => self.hold_and_finish(&mut prepared, &draft).await,
            // Prepared or not, it is never to be committed.
            _ => {
                self.drop_session();
                match self.settle("ROLLBACK", &mut prepared).await {
                    Settled::Finished => return Some("ROLLBACK"),
                    Settled::Unknown => {}
                    Settled::Unclear => self.book.doubt(&draft, None),
                }
                None
            }
        }
    }

    fn current(&self) -> Option<Connection> {
        self.session.as_ref().map(Session::connection)
    }

    async fn hold_and_finish(&mut self, prepared: &mut Prepared<'_>, draft: &Draft) -> Option<&'static str> {
        let hold = self.shared.config.xa_hold.mul_f64(self.rng.random_range(0.05..=1.0));
        self.pause(hold).await;
        let elsewhere = self.rng.random_bool(0.4) && prepared.handover != Handover::Unseen;
        let commit = self.rng.random_bool(0.7);
        if elsewhere {
            self.leave().await;
            if !self.connected(true).await || !self.handed_over(prepared).await {
                let settled = self.settle("ROLLBACK", prepared).await;
                return self.settled(settled, "ROLLBACK", draft);
            }
        }
        let (kind, verb) = match (commit, elsewhere) {
            (true, true) => (Kind::XaCommitElsewhere, "COMMIT"),
            (true, false) => (Kind::XaCommit, "COMMIT"),
            (false, _) => (Kind::XaRollback, "ROLLBACK"),
        };
        prepared.finishing = self.current().unwrap_or(prepared.by);
        let settled = match self.command(kind, &self.shared.dialect.finish_prepared(verb, prepared.xid)).await {
            Answer::Done(_) => Settled::Finished,
            // It was prepared, and only this lane finishes it: unknown now means finished before.
            Answer::Lost => match self.settle(verb, prepared).await {
                Settled::Unknown => Settled::Finished,
                other => other,
            },
            // The failure is counted. Try on, lest the rows stay locked; but if the server does not
            // know the transaction, then it has vanished, and either state may be what is there.
            Answer::Refused | Answer::Doubtful => match self.settle(verb, prepared).await {
                Settled::Finished => Settled::Finished,
                _ => Settled::Unclear,
            },
        };
        self.settled(settled, verb, draft)
    }

    fn settled(&mut self, settled: Settled, verb: &'static str, draft: &Draft) -> Option<&'static str> {
        match (settled, verb) {
            (Settled::Finished, "COMMIT") => self.committed(draft),
            (Settled::Finished, _) => self.tally.rolled_back_rows += draft.changes().len() as u64,
            _ => {
                self.book.doubt(draft, None);
                return None;
            }
        }
        Some(verb)
    }

    /// Waits until another connection than the one that prepared the transaction may finish it.
    async fn handed_over(&mut self, prepared: &Prepared<'_>) -> bool {
        if prepared.handover == Handover::AtPrepare {
            return true;
        }
        let ended = self.ended(prepared.by).await;
        if ended == Ended::Restarted {
            return true;
        }
        let gone = ended == Ended::Alone;
        if prepared.handover == Handover::Unseen {
            // InnoDB follows within a moment; a second is many.
            tokio::time::sleep(Duration::from_secs(1)).await;
            return gone;
        }
        for _ in 0..200 {
            let Some(session) = self.session.as_mut() else { return false };
            match session.holds_no_transaction(prepared.by.id).await {
                Ok(true) => return gone,
                Ok(false) => tokio::time::sleep(Duration::from_millis(25)).await,
                Err(_) => {
                    self.drop_session();
                    return false;
                }
            }
        }
        false
    }

    /// Finishes a transaction that may be prepared, whatever connection that takes.
    async fn settle(&mut self, verb: &str, prepared: &mut Prepared<'_>) -> Settled {
        // Longer than a server takes to come back: what is left prepared blocks its rows for good.
        let dialect = self.shared.dialect;
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline && self.connected(true).await {
            let current = self.current();
            // A lost connection may be finishing it still; then "unknown" would tell nothing.
            if current != Some(prepared.finishing) && self.ended(prepared.finishing).await == Ended::NotYet {
                continue;
            }
            if current != Some(prepared.by) && !self.handed_over(prepared).await {
                continue;
            }
            let Some(session) = self.session.as_mut() else { continue };
            prepared.finishing = session.connection();
            match session.command(&dialect.finish_prepared(verb, prepared.xid)).await {
                Ok(_) => return Settled::Finished,
                Err(Error::Server { code, .. }) if dialect.is_unknown_transaction(&code) => {
                    match session.recovers(prepared.xid).await {
                        Ok(Some(true)) => tokio::time::sleep(Duration::from_millis(100)).await,
                        Ok(_) => return Settled::Unknown,
                        Err(_) => self.drop_session(),
                    }
                }
                Err(Error::Server { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(_) => self.drop_session(),
            }
        }
        Settled::Unclear
    }
}
