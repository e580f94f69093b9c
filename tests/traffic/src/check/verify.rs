//! Reads the tables for the checks.

use super::judge::Judge;
use super::old::{OldJudge, OldVerdict};
use super::verdict::Verdict;
use crate::error::Error;
use crate::record::ledger::Ledger;
use crate::server::{Dialect, Session};

impl Ledger {
    /// Reads the whole table in the order of its key and compares every row. The table must be at
    /// rest: whatever else writes to it is damage.
    pub async fn verify(&self, url: &str, table: &str) -> Result<Verdict, Error> {
        let statements = Dialect::of(url)?.statements(table)?;
        let mut session = Session::open(url).await?;
        let mut judge = Judge::new(self);
        session.scan(&statements.scan, Vec::new(), |seen| judge.row(&seen)).await?;
        // Counted apart: the server is free to count by a secondary index, which must agree.
        let counted = session.number(&statements.count).await?.unwrap_or(0);
        session.close().await?;
        Ok(Verdict::new(self, judge.finish(), counted))
    }

    /// Compares the table that was kept as it was at the swap. `stamp` names the moment after which
    /// nothing may have reached it, normally `"swapped"`: set it as soon as the server has told osc
    /// that the swap is done; later is safe, but sees less.
    pub async fn verify_old(&self, url: &str, old_table: &str, stamp: &str) -> Result<OldVerdict, Error> {
        let Some(swapped) = self.stamps.iter().find(|s| s.name == stamp) else {
            return Err(Error::Usage(format!("'{stamp}' was never stamped, so '{old_table}' can't be checked")));
        };
        let statements = Dialect::of(url)?.statements(old_table)?;
        let mut session = Session::open(url).await?;
        let mut judge = OldJudge::new(self, swapped, old_table);
        session.scan(&statements.scan, Vec::new(), |seen| judge.row(&seen)).await?;
        session.close().await?;
        Ok(judge.finish())
    }
}
