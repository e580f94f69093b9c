//! One connection of the application that writes every few milliseconds and times each statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Database;

/// From one statement's answer to the next statement.
const EVERY: Duration = Duration::from_millis(3);

pub struct Prober {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    task: JoinHandle<Vec<(Instant, Duration)>>,
}

/// When each statement was sent, and what it took.
pub struct Probes(Vec<(Instant, Duration)>);

impl Prober {
    /// Counts up `orders.version` of one row. A statement that fails fails the test.
    pub async fn start(db: &Database, key: i64) -> Prober {
        let app = db.app().await;
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter) = (stop.clone(), answered.clone());
        let task = tokio::spawn(async move {
            let sql = format!("UPDATE orders SET version = version + 1 WHERE id = {key}");
            let mut all = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let sent = Instant::now();
                app.batch_execute(&sql)
                    .await
                    .unwrap_or_else(|e| panic!("a statement of the application failed: {e:?}"));
                all.push((sent, sent.elapsed()));
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
            all
        });
        Prober { stop, answered, task }
    }

    /// How many statements were answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for so many more answers.
    pub async fn more(&self, statements: u64) {
        let wanted = self.answered() + statements;
        while self.answered() < wanted {
            assert!(!self.task.is_finished(), "the prober ended");
            tokio::time::sleep(EVERY).await;
        }
    }

    pub async fn stop(self) -> Probes {
        self.stop.store(true, Ordering::Relaxed);
        Probes(self.task.await.expect("every statement succeeded"))
    }
}

impl Probes {
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The slowest statement that was under way at some time between the two.
    pub fn slowest(&self, from: Instant, to: Instant) -> Duration {
        let inside = self.0.iter().filter(|(sent, took)| *sent < to && *sent + *took > from);
        inside.map(|(_, took)| *took).max().unwrap_or_default()
    }
}
