//! Proves on a real server that the ledger has teeth: undamaged tables are clean, and each sort of
//! damage is reported, as what it is and with the key it was done to.

mod live;
mod stage;
mod tamper;
mod words;

use crate::error::Error;
use stage::Stage;

/// What the self-check has seen.
#[derive(Clone, Debug)]
pub struct SelfCheck {
    /// Each step that held, in words. A step that does not hold is an error instead.
    pub steps: Vec<String>,
}

impl std::fmt::Display for SelfCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "ok  {step}"))
    }
}

/// Runs about 10 seconds of traffic on tables of its own in this database (it drops them again) and
/// damages them. The account needs CREATE, ALTER, DROP, INDEX and LOCK TABLES there.
///
/// `Err` if anything is not reported as it must be.
pub async fn self_check(url: &str) -> Result<SelfCheck, Error> {
    let mut stage = Stage::new(url).await?;
    let result = play(&mut stage).await;
    let swept = stage.sweep().await;
    result.and(swept)?;
    Ok(SelfCheck { steps: stage.steps })
}

async fn play(stage: &mut Stage) -> Result<(), Error> {
    tamper::run(stage).await?;
    live::rows_vanish(stage).await?;
    live::table_goes_away(stage).await?;
    live::connections_die(stage).await?;
    live::swap(stage).await?;
    live::swap_under_snapshots(stage).await?;
    live::swap_without_draining(stage).await
}
