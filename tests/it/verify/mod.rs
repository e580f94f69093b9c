//! The comparison before the cutover: what is wrong in the copy is found and repaired, or keeps the run
//! from swapping; what only moves is no difference.
//!
//! Differences are planted by the administrator when every row is copied and none is compared yet: the
//! run stands at the failpoint `comparing`.

mod alone;
mod cost;
mod keys;
mod plants;
mod traffic;
mod unrepairable;

use serde_json::Value;

use crate::harness::{Database, Osc, Report};

/// What was planted, and in how many rows.
pub struct Plant {
    pub name: &'static str,
    pub statements: &'static [&'static str],
    pub rows: u64,
}

/// Runs osc up to the comparison, plants, and lets it go on. One lane: else another range would be
/// compared while the first one waits.
pub async fn planted(db: &mut Database, osc: Osc, plants: &[&Plant]) -> Report {
    let mut run = osc.args(["--threads", "1"]).pause_at("comparing").start();
    let paused = run.until_paused("comparing");
    for plant in plants {
        db.run(plant.statements).await;
    }
    paused.go();
    run.wait()
}

/// The count of that name in the summary's field `verified`.
pub fn verified(summary: &Value, name: &str) -> u64 {
    summary["verified"][name].as_u64().unwrap_or_else(|| panic!("no verified.{name} in {summary}"))
}
