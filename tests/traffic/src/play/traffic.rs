//! Starts the traffic, and stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::courtesy::Courtesy;
use super::lane::{Lane, LaneRecord, Shared};
use super::pulse::{Progress, Pulse};
use crate::config::Config;
use crate::error::Error;
use crate::model::token::Mint;
use crate::record::census::Census;
use crate::record::ledger::Ledger;
use crate::record::stamp::Stamper;
use crate::server::{Dialect, Session};

/// The traffic: see [`Traffic::start`].
pub struct Traffic;

/// Running traffic. Dropping it stops the traffic without a ledger.
pub struct Handle {
    shared: Arc<Shared>,
    stamper: Stamper,
    stop: watch::Sender<Option<Duration>>,
    lanes: Vec<JoinHandle<LaneRecord>>,
}

impl Traffic {
    /// Reads the table as it is, connects all writers, and starts them on the current runtime. The
    /// table must be at rest until this returns, and no other traffic may work on it.
    pub async fn start(config: Config) -> Result<Handle, Error> {
        config.check()?;
        let dialect = Dialect::of(&config.url)?;
        let statements = dialect.statements(&config.table)?;
        let mut session = Session::open(&config.url).await?;
        let census = Census::take(&mut session, &statements).await?;
        session.close().await?;
        let run = census.latest_run % u16::MAX + 1;

        let count = config.lanes();
        let mut sessions = Vec::new();
        let mut mints = Vec::new();
        for number in 0..count {
            sessions.push(Session::of_lane(&config.url, number, config.async_commits).await?);
            mints.push(Mint::new(run, number));
        }
        let epoch = Instant::now();
        let stamper = Stamper::new(epoch, mints.iter().map(Mint::counter).collect());
        let shared = Arc::new(Shared {
            dialect,
            statements,
            census: Arc::new(census),
            run,
            epoch,
            courtesy: Courtesy::default(),
            pulse: Pulse::default(),
            connections: (0..count).map(|_| AtomicU32::new(0)).collect(),
            config,
        });
        let (stop, stopped) = watch::channel(None);
        let mut lanes = Vec::new();
        for (number, (session, mint)) in (0..count).zip(sessions.into_iter().zip(mints)) {
            let lane = Lane::new(Arc::clone(&shared), session, mint, number, stopped.clone());
            // Connections after the writers are those for XA.
            let is_writer = number < u64::from(shared.config.writers);
            lanes.push(if is_writer { tokio::spawn(lane.run()) } else { tokio::spawn(lane.run_xa()) });
        }
        Ok(Handle { shared, stamper, stop, lanes })
    }
}

impl Handle {
    /// Marks this moment. `"cutover"` and `"swapped"` have a meaning to the verdict; any other name
    /// begins a window of its own.
    pub fn stamp(&self, name: &str) {
        self.stamper.stamp(name);
    }

    /// Takes stamps from another task or a callback.
    pub fn stamper(&self) -> Stamper {
        self.stamper.clone()
    }

    pub fn elapsed(&self) -> Duration {
        self.shared.epoch.elapsed()
    }

    pub fn progress(&self) -> Progress {
        self.shared.pulse.progress(self.elapsed())
    }

    /// The server's numbers of the traffic's connections, for a test that kills some.
    pub fn connection_ids(&self) -> Vec<u32> {
        let ids = self.shared.connections.iter().map(|id| id.load(Ordering::Relaxed));
        ids.filter(|id| *id != 0).collect()
    }

    /// Lets every writer finish the operation it is at, and puts the ledger together.
    pub async fn stop(self) -> Ledger {
        let elapsed = self.elapsed();
        // An error means that every lane has ended already.
        let _ = self.stop.send(Some(elapsed));
        let mut records = Vec::new();
        for lane in self.lanes {
            records.push(lane.await.map_err(|e| e.to_string()));
        }
        let shared = self.shared;
        let stamps = self.stamper.taken();
        Ledger::new(&shared.config, shared.run, Arc::clone(&shared.census), stamps, elapsed, records)
    }
}
