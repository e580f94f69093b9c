//! The tables that the self-check plays on, and what it expects of a verdict.

use std::time::Duration;

use super::words::Words;
use crate::check::verdict::Verdict;
use crate::config::{Config, Mix};
use crate::error::Error;
use crate::fill::{FillOptions, fill};
use crate::play::traffic::{Handle, Traffic};
use crate::server::{Dialect, Session};

pub(crate) struct Stage {
    pub url: String,
    pub table: String,
    /// A copy: of the table at a moment, or under a name it gets by RENAME.
    pub old: String,
    pub spare: String,
    pub steps: Vec<String>,
    pub words: Words,
    session: Session,
}

impl Stage {
    pub async fn new(url: &str) -> Result<Stage, Error> {
        let session = Session::open(url).await?;
        // Self-checks of two processes, or two in one, don't meet.
        let table = format!("traffic_check_{:08x}", rand::random::<u32>());
        Ok(Stage {
            url: url.to_owned(),
            old: format!("{table}_old"),
            spare: format!("{table}_spare"),
            table,
            steps: Vec::new(),
            words: Words(Dialect::of(url)?),
            session,
        })
    }

    pub async fn sql(&mut self, sql: &str) -> Result<u64, Error> {
        Ok(self.session.command(sql).await?.affected)
    }

    pub async fn sweep(&mut self) -> Result<(), Error> {
        let (table, old, spare) = (self.table.clone(), self.old.clone(), self.spare.clone());
        // The connection may be in any state after a failure.
        self.session = Session::open(&self.url).await?;
        self.sql(&format!("DROP TABLE IF EXISTS {table}, {old}, {spare}")).await?;
        if self.words.0 == Dialect::Postgres {
            self.sql(&format!("DROP TYPE IF EXISTS {table}_status")).await?;
        }
        Ok(())
    }

    /// A fresh table with a unique e-mail address, and traffic on it.
    pub async fn traffic(&mut self, rows: u64, xa: bool) -> Result<Handle, Error> {
        // The swaps here are plain ones, under which a snapshot that is older finds another table.
        self.traffic_of(rows, xa, Mix { read_snapshot: 0, ..Mix::default() }).await
    }

    pub async fn traffic_of(&mut self, rows: u64, xa: bool, mix: Mix) -> Result<Handle, Error> {
        self.sweep().await?;
        let options = FillOptions { table: self.table.clone(), rows, replace: true, unique_email: true };
        fill(&self.url, &options).await?;
        let config = Config {
            table: self.table.clone(),
            writers: 8,
            rate_per_s: 500.0,
            mix,
            xa,
            xa_hold: Duration::from_millis(100),
            ..Config::new(&self.url)
        };
        Traffic::start(config).await
    }

    /// Notes that the step held, or ends the self-check with the verdict that shows it did not.
    pub fn expect(&mut self, held: bool, step: &str, verdict: &dyn std::fmt::Display) -> Result<(), Error> {
        if !held {
            return Err(Error::Usage(format!("self-check: not so: {step}\n{verdict}")));
        }
        self.steps.push(step.to_owned());
        Ok(())
    }
}

pub(crate) async fn wait(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Rows that are not as they must be.
pub(crate) fn damaged(verdict: &Verdict) -> u64 {
    verdict.lost.count + verdict.stale.count + verdict.phantom.count + verdict.changed.count
}
