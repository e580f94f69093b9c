//! Two tables compared on their own, without a run.
//!
//! There is no stream here that would tell a row that is wrong from one that is just being written. So
//! what differs is looked at again a few times, some time apart, and what differs every time is called
//! different; a row that is written all the time may be called that wrongly, and the answer says so.
//! Each range is read at a moment of its own: rows that were equal when they were looked at.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::retry::retrying;
use super::settings::Settings;
use super::size::Size;
use crate::engine::{Compared, Pair};
use crate::error::Result;
use crate::model::{Key, Range, Rows};
use crate::operate::stats::Stats;
use crate::operate::throttle::{Throttle, Verdict};

/// How often a row that differs is looked at again, and how long after.
const LOOKS: u32 = 3;
const APART: Duration = Duration::from_millis(500);
/// More differing rows than about this are not counted.
const MOST: usize = 1000;
/// Keys that the answer shows with their rows.
const SHOWN: usize = 3;
const HELD: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub ranges: u64,
    pub rows: u64,
    pub differing: u64,
    /// The comparison ended before the end of the table, because enough rows differed.
    pub cut_short: bool,
    /// The first of them, with both rows.
    pub shown: Vec<String>,
}

pub async fn compare<P: Pair>(
    pair: &P,
    settings: &Settings,
    throttle: &mut Throttle,
    stats: &mut Stats,
) -> Result<Answer> {
    let retried = Cell::new(0);
    let mut size = Size::new(settings, settings.compare_rows_most);
    let (mut answer, mut suspects, mut wrong) = (Answer::default(), Vec::new(), Vec::new());
    let mut after: Option<Key> = None;
    loop {
        hold(throttle, stats).await;
        let rows = size.rows();
        let upto =
            retrying(settings.retries, settings.seed, &retried, || pair.next_range(after.as_ref(), rows)).await?;
        let range = Range { after: after.clone(), upto };
        let began = Instant::now();
        let found = look(pair, settings, &retried, Rows::Range(&range)).await?;
        size.took(began.elapsed());
        suspects.extend(found.differing);
        if found.more || suspects.len() >= MOST {
            wrong.extend(stay(pair, settings, &retried, std::mem::take(&mut suspects)).await?);
        }
        if wrong.len() >= MOST || found.more && !wrong.is_empty() {
            answer.cut_short = true;
            break;
        }
        if found.more {
            // Nothing but traffic; the rest of the range was not told.
            continue;
        }
        answer.ranges += 1;
        answer.rows += found.rows;
        (stats.verified.ranges, stats.verified.rows) = (answer.ranges, answer.rows);
        stats.chunk_rows = size.rows();
        stats.publish();
        after = range.upto;
        if after.is_none() {
            break;
        }
    }
    wrong.extend(stay(pair, settings, &retried, suspects).await?);
    answer.differing = wrong.len() as u64;
    answer.shown = pair.show(wrong.get(..SHOWN.min(wrong.len())).unwrap_or_default()).await?;
    Ok(answer)
}

/// Those of the rows that differ again and again.
async fn stay<P: Pair>(pair: &P, settings: &Settings, retried: &Cell<u64>, mut suspects: Vec<Key>) -> Result<Vec<Key>> {
    for _ in 0..LOOKS {
        if suspects.is_empty() {
            break;
        }
        tokio::time::sleep(APART).await;
        let mut still = Vec::new();
        for some in suspects.chunks(settings.batch_keys) {
            still.extend(look(pair, settings, retried, Rows::Keys(some)).await?.differing);
        }
        suspects = still;
    }
    Ok(suspects)
}

async fn look<P: Pair>(pair: &P, settings: &Settings, retried: &Cell<u64>, rows: Rows<'_>) -> Result<Compared> {
    retrying(settings.retries, settings.seed, retried, || pair.compare(rows, MOST)).await
}

/// Waits while the throttle holds.
async fn hold(throttle: &mut Throttle, stats: &mut Stats) {
    while let Verdict::Hold(reason) = throttle.verdict() {
        stats.hold(Some(reason));
        stats.publish();
        tokio::time::sleep(HELD).await;
    }
    stats.hold(None);
}
