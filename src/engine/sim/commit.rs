//! The stages of a commit, which are the reason for all the care about settling.
//!
//! 1. The transaction holds its locks.
//! 2. It is written to the stream: whoever reads the stream may see it **now**.
//! 3. After a while, **in the order of the stream**, it becomes visible to reads that begin then; its
//!    locks go, and the client gets its answer some time after.
//!
//! A commit that is slow to become visible holds up all behind it. The end of a two-phase transaction
//! need not keep the order (a world's choice: it has been seen on real servers). With `binlog_order_commits=OFF`
//! (a planted bug: osc refuses such a server) each becomes visible in its own time.

use std::time::Duration;

use tokio::time::Instant;

use super::binlog::What;
use super::bugs::Bug;
use super::dice::Span;
use super::server::{Committing, Server};
use super::transaction::{Origin, Parts};

impl Server {
    /// Writes the transaction to the stream and waits until it is visible.
    pub async fn commit(&self, what: What, parts: Parts) {
        self.dice.pause(self.plan.flush).await;
        if self.plan.apart && parts.origin == Origin::Osc && !matches!(what, What::Mark { .. }) {
            self.dice.pause(self.plan.commit).await;
            self.show(parts);
            return;
        }
        let stalled = self.dice.chance(self.plan.stall_pm);
        let delay = self.dice.of(if stalled { self.plan.stall } else { self.plan.commit });
        let mut at = Instant::now() + Duration::from_millis(delay);
        let loose = self.plan.xa_loose && matches!(what, What::End { .. });
        let unordered = loose || self.bugs.has(Bug::BinlogOrderOff);
        if !unordered && let Some(last) = self.committing.borrow().iter().rev().find(|c| !c.loose) {
            at = at.max(last.at);
        }
        let entry = self.binlog.append(what);
        self.trace.say(|| {
            format!(
                "entry {entry} by {}: {}",
                parts.id,
                self.binlog.with(entry, |w| format!("{w:?}")).unwrap_or_default()
            )
        });
        self.committing.borrow_mut().push_back(Committing { entry, at, loose: unordered, parts });
        if at > Instant::now() {
            tokio::time::sleep_until(at).await;
        } else {
            self.dice.pause(Span(0, 0)).await;
        }
        while let Some(Committing { entry, parts, .. }) = self.next_visible(entry) {
            self.trace.say(|| format!("visible {entry}"));
            self.show(parts);
        }
    }

    /// Takes the next commit that is visible together with this one: those before it in the stream, then
    /// itself.
    fn next_visible(&self, entry: usize) -> Option<Committing> {
        let mut committing = self.committing.borrow_mut();
        let own = committing.iter().position(|c| c.entry == entry)?;
        let first = if committing[own].loose { own } else { committing.iter().position(|c| !c.loose)? };
        committing.remove(first)
    }

    fn show(&self, parts: Parts) {
        self.catalog.borrow_mut().apply(&parts.writes);
        if parts.origin == Origin::Application {
            self.ledger.borrow_mut().committed(parts.id, &parts.writes);
        }
        let mut checkpoint = false;
        for effect in parts.effects {
            checkpoint |= matches!(effect, super::state::Effect::Checkpoint(_));
            self.store.borrow_mut().apply(effect);
        }
        if checkpoint {
            self.check_place();
        }
        for id in parts.held {
            self.locks.release(parts.id, id);
        }
    }

    /// Entries that are in the stream and not visible.
    pub fn is_visible(&self, entry: usize) -> bool {
        !self.committing.borrow().iter().any(|c| c.entry == entry)
    }
}
