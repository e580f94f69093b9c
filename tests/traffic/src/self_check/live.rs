//! Damage while the traffic runs, and trouble that is no damage.

use super::stage::{Stage, damaged, wait};
use crate::config::Mix;
use crate::error::Error;
use crate::server::{Dialect, Session};

/// Somebody deletes rows under the traffic: its own statements notice before any check.
pub(crate) async fn rows_vanish(stage: &mut Stage) -> Result<(), Error> {
    let table = stage.table.clone();
    let traffic = stage.traffic(5_000, false).await?;
    wait(500).await;
    stage.sql(&stage.words.delete(&table, "id % 3 = 0")).await?;
    wait(1000).await;
    let verdict = traffic.stop().await.verify(&stage.url, &table).await?;
    let noticed = verdict.misread.count > 0 && verdict.surprised.count > 0 && verdict.lost.count > 1000;
    let step = "rows vanish under the traffic: reads and writes notice, the check reports them lost";
    stage.expect(noticed && !verdict.is_lossless(), step, &verdict)
}

/// The table is missing for a moment: statements fail, and nothing is lost.
pub(crate) async fn table_goes_away(stage: &mut Stage) -> Result<(), Error> {
    let (table, old) = (stage.table.clone(), stage.old.clone());
    let traffic = stage.traffic(5_000, true).await?;
    wait(500).await;
    stage.sql(&stage.words.rename(&[(&table, &old)])).await?;
    wait(200).await;
    stage.sql(&stage.words.rename(&[(&old, &table)])).await?;
    wait(500).await;
    let verdict = traffic.stop().await.verify(&stage.url, &table).await?;
    let counted =
        verdict.failed > 0 && verdict.failed_by_code.get(stage.words.no_such_table()) == Some(&verdict.failed);
    let step = "the table is missing for 200 ms: failed statements by code, not clean, and lossless";
    stage.expect(counted && verdict.is_lossless() && !verdict.is_clean(), step, &verdict)
}

/// Connections are killed at any moment, in the middle of transactions and XA transactions, too.
pub(crate) async fn connections_die(stage: &mut Stage) -> Result<(), Error> {
    let table = stage.table.clone();
    let traffic = stage.traffic(5_000, true).await?;
    for _ in 0..25 {
        wait(100).await;
        for id in traffic.connection_ids() {
            // Some are gone by themselves by now; "unknown thread" is what we want.
            let _ = stage.sql(&stage.words.kill(id)).await;
        }
    }
    wait(300).await;
    let verdict = traffic.stop().await.verify(&stage.url, &table).await?;
    let counted = verdict.connections_lost > 50 && verdict.committed_rows > 100;
    let step = format!(
        "connections are killed {} times, {} operations without an answer ({} applied): lossless",
        verdict.connections_lost, verdict.unknown, verdict.unknown_applied
    );
    stage.expect(counted && verdict.is_lossless() && !verdict.is_clean(), &step, &verdict)
}

/// A cutover done right, with every change in it: nothing to report.
pub(crate) async fn swap(stage: &mut Stage) -> Result<(), Error> {
    let (table, old, spare) = (stage.table.clone(), stage.old.clone(), stage.spare.clone());
    let traffic = stage.traffic(5_000, true).await?;
    stage.sql(&stage.words.like(&spare, &table)).await?;
    stage.sql(&stage.words.keys_from(&spare, 100_000)).await?;
    wait(700).await;
    traffic.stamp("cutover");
    locked_swap(stage).await?;
    traffic.stamp("swapped");
    wait(700).await;
    let ledger = traffic.stop().await;
    let kept = ledger.verify_old(&stage.url, &old, "swapped").await?;
    let verdict = ledger.verify(&stage.url, &table).await?.with_old(kept);
    stage.expect(verdict.is_clean(), "a swap with all changes: clean, and so is the kept table", &verdict)?;
    let stall = ledger.stamped_at("cutover").zip(ledger.stamped_at("swapped"));
    let stall = stall.map(|(from, to)| ledger.window("stall", from, to).from_schedule.max_ms).unwrap_or_default();
    stage.expect(stall > 200.0, "the 200 ms that the swap held the lock show in the latencies", &verdict)
}

/// The same under transactions whose snapshot is older than the new table's rows: they find none.
pub(crate) async fn swap_under_snapshots(stage: &mut Stage) -> Result<(), Error> {
    if !stage.words.0.reads_snapshots() {
        return Ok(());
    }
    let (table, spare) = (stage.table.clone(), stage.spare.clone());
    let traffic = stage.traffic_of(5_000, false, Mix { read_snapshot: 200, ..Mix::default() }).await?;
    stage.sql(&stage.words.like(&spare, &table)).await?;
    stage.sql(&stage.words.keys_from(&spare, 100_000)).await?;
    wait(500).await;
    locked_swap(stage).await?;
    wait(300).await;
    let verdict = traffic.stop().await.verify(&stage.url, &table).await?;
    let noticed = verdict.misread.count > 0 && damaged(&verdict) == 0 && !verdict.is_lossless();
    stage.expect(noticed, "a swap under older snapshots: no row is damaged, and reads notice", &verdict)
}

/// Puts the copy of all rows, made under the lock, in the table's place.
async fn locked_swap(stage: &mut Stage) -> Result<(), Error> {
    let (table, old, spare) = (stage.table.clone(), stage.old.clone(), stage.spare.clone());
    stage.sql(&stage.words.lock([&table, &spare])).await?;
    stage.sql(&format!("INSERT INTO {spare} SELECT * FROM {table}")).await?;
    let rename = stage.words.rename(&[(&table, &old), (&spare, &table)]);
    if stage.words.0 == Dialect::Postgres {
        stage.sql(&rename).await?;
        wait(200).await;
        stage.sql(stage.words.unlock()).await?;
    } else {
        // From a second session, queued before the lock is given up: so it works on MariaDB, too.
        let mut second = Session::open(&stage.url).await?;
        let rename = tokio::spawn(async move { second.command(&rename).await });
        wait(200).await;
        stage.sql(stage.words.unlock()).await?;
        rename.await.map_err(|e| Error::Usage(e.to_string()))??;
    }
    Ok(())
}

/// The wrong cutover: copy, and swap without the changes made since.
pub(crate) async fn swap_without_draining(stage: &mut Stage) -> Result<(), Error> {
    let (table, old, spare) = (stage.table.clone(), stage.old.clone(), stage.spare.clone());
    let traffic = stage.traffic(5_000, false).await?;
    wait(500).await;
    stage.sql(&stage.words.like(&spare, &table)).await?;
    stage.sql(&format!("INSERT INTO {spare} SELECT * FROM {table}")).await?;
    if let Some(forget) = stage.words.forget_keys(&spare) {
        stage.sql(&forget).await?;
    }
    wait(400).await;
    stage.sql(&stage.words.rename(&[(&table, &old), (&spare, &table)])).await?;
    traffic.stamp("swapped");
    wait(1000).await;
    let verdict = traffic.stop().await.verify(&stage.url, &table).await?;
    let reported = damaged(&verdict) > 0
        && verdict.stale.count > 0
        && verdict.lost.count > 0
        && verdict.phantom.count > 0
        && verdict.misread.count > 0;
    let step = "a swap without the last 400 ms: lost, stale, phantom and misread rows";
    stage.expect(reported && !verdict.is_lossless(), step, &verdict)?;
    let step = "a swap without AUTO_INCREMENT's value: reused keys";
    stage.expect(verdict.reused.count > 0, step, &verdict)
}
