//! Damage to a table at rest: exactly the one row, exactly the one finding.

use super::stage::{Stage, damaged, wait};
use crate::check::verdict::Verdict;
use crate::error::Error;
use crate::record::draft::Entry;
use crate::record::ledger::Ledger;
use crate::record::tally::Findings;

/// One row, what is done to it, and where it must show.
struct Tamper {
    step: &'static str,
    key: i64,
    sql: String,
    finding: fn(&Verdict) -> &Findings,
}

pub(crate) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let (table, old, spare) = (stage.table.clone(), stage.old.clone(), stage.spare.clone());
    let traffic = stage.traffic(20_000, true).await?;
    wait(1500).await;
    // A swap in small: a copy of this moment stays, and the traffic goes on.
    stage.sql(&stage.words.like(&old, &table)).await?;
    traffic.stamp("cutover");
    stage.sql(&stage.words.lock([&table, &old])).await?;
    stage.sql(&format!("INSERT INTO {old} SELECT * FROM {table}")).await?;
    stage.sql(stage.words.unlock()).await?;
    traffic.stamp("swapped");
    wait(1500).await;
    let ledger = traffic.stop().await;

    let filled = ledger.census.pristine.len();
    stage.expect(filled == 20_000, "the server fills what the ledger expects", &format!("{filled} of 20000 rows"))?;
    let verdict = ledger.verify(&stage.url, &table).await?;
    stage.expect(verdict.is_clean(), "3 s of traffic with XA, no tampering: clean", &verdict)?;
    let around = verdict.windows.iter().any(|w| w.name == "around cutover" && w.from_schedule.count > 100);
    stage.expect(around, "latencies around the cutover are there", &verdict)?;
    let kept = ledger.verify_old(&stage.url, &old, "swapped").await?;
    stage.expect(kept.is_clean(), "the table kept at the swap: clean", &format!("{kept:#?}"))?;
    let unstamped = ledger.verify_old(&stage.url, &old, "never").await;
    stage.expect(unstamped.is_err(), "a kept table without the stamp of its swap can't be checked", &"")?;

    stage.sql(&stage.words.like(&spare, &table)).await?;
    stage.sql(&format!("INSERT INTO {spare} SELECT * FROM {table}")).await?;
    for tamper in tampers(&table, &ledger)? {
        let rows = stage.sql(&tamper.sql).await?;
        let verdict = ledger.verify(&stage.url, &table).await?;
        let finding = (tamper.finding)(&verdict);
        let named = finding.examples.first().map(|example| example.key) == Some(tamper.key);
        let reported = rows == 1 && finding.count == 1 && named && damaged(&verdict) == 1 && !verdict.is_lossless();
        stage.expect(reported, tamper.step, &verdict)?;
        stage.sql(&format!("DELETE FROM {table} WHERE id = {}", tamper.key)).await?;
        stage.sql(&format!("INSERT INTO {table} SELECT * FROM {spare} WHERE id = {}", tamper.key)).await?;
    }
    let verdict = ledger.verify(&stage.url, &table).await?;
    stage.expect(verdict.is_clean(), "all put back: clean again", &verdict)?;
    kept_table(stage, &ledger).await
}

fn tampers(table: &str, ledger: &Ledger) -> Result<Vec<Tamper>, Error> {
    let none = || Error::Usage("self-check: the traffic left no row to tamper with".into());
    let mut entries: Vec<(i64, Entry)> = ledger.entries.iter().map(|(key, entry)| (*key, *entry)).collect();
    entries.sort_by_key(|(key, _)| *key);
    // Rows that were filled and then updated: they have an older version to go back to.
    let updated = |(key, entry): &&(i64, Entry)| {
        let version = entry.state().map_or(0, |state| state.version);
        ledger.census.pristine.contains(*key) && version >= 2
    };
    let mut updated = entries.iter().filter(updated).map(|(key, _)| *key);
    let mut updated = || updated.next().ok_or_else(none);
    let deleted = entries.iter().find(|(_, entry)| matches!(entry, Entry::Deleted(_)));
    let deleted = deleted.map(|(key, _)| *key).ok_or_else(none)?;
    let mut untouched = ledger.census.pristine.iter().filter(|key| !ledger.entries.contains_key(key));
    let mut untouched = || untouched.next().ok_or_else(none);
    let beyond = entries.last().map_or(0, |(key, _)| *key).max(ledger.census.max) + 1000;
    let ghost = |key: i64| {
        format!(
            "INSERT INTO {table} (id, customer_id, status, amount, email, created_at, version, token) \
             VALUES ({key}, 1, 'new', 1, 'ghost{key}', '2024-01-01', 1, 1)"
        )
    };
    let update = |key: i64, set: &str| format!("UPDATE {table} SET {set} WHERE id = {key}");
    let delete = |key: i64| format!("DELETE FROM {table} WHERE id = {key}");

    let mut tampers = Vec::new();
    let mut add = |step, key, sql, finding| tampers.push(Tamper { step, key, sql, finding });
    let key = updated()?;
    add("an acknowledged row is deleted: lost", key, delete(key), |v| &v.lost);
    let key = updated()?;
    let back = update(key, "token = 9223372036854775808 + id, version = 1");
    add("an older version of a row is put back: stale", key, back, |v| &v.stale);
    let key = updated()?;
    let covered = update(key, "version = version - 1");
    add("an update is lost under a later one: stale", key, covered, |v| &v.stale);
    let key = updated()?;
    add("half of a row is of another write: stale", key, update(key, "amount = amount + 1"), |v| &v.stale);
    let key = updated()?;
    add("text is damaged: stale", key, update(key, "note = CONCAT(COALESCE(note, ''), '?')"), |v| &v.stale);
    add("a row that nobody wrote: phantom", beyond, ghost(beyond), |v| &v.phantom);
    add("a deleted row is back: phantom", deleted, ghost(deleted), |v| &v.phantom);
    let key = untouched()?;
    add("an untouched row is changed: changed", key, update(key, "amount = amount + 0.01"), |v| &v.changed);
    let key = untouched()?;
    add("an untouched row is deleted: lost", key, delete(key), |v| &v.lost);
    Ok(tampers)
}

/// Damage to the table that was kept at the swap.
async fn kept_table(stage: &mut Stage, ledger: &Ledger) -> Result<(), Error> {
    let (table, old) = (stage.table.clone(), stage.old.clone());
    let swapped = ledger.stamps.iter().find(|stamp| stamp.name == "swapped");
    let late = ledger.entries.iter().find(|(_, entry)| {
        let state = entry.state();
        state.is_some_and(|state| swapped.is_some_and(|swapped| swapped.is_before(ledger.run, state.token)))
    });
    let Some((key, _)) = late else {
        return Err(Error::Usage("self-check: nothing was written after the swap".into()));
    };
    // Addresses move between rows: the one that this row has now another one may have had at the swap.
    let email = format!("(SELECT email FROM {table} WHERE id = {key})");
    stage.sql(&format!("DELETE FROM {old} WHERE id = {key} OR email = {email}")).await?;
    let rows = stage.sql(&format!("INSERT INTO {old} SELECT * FROM {table} WHERE id = {key}")).await?;
    stage.expect(rows == 1, "the row that was written after the swap is in the table", &key)?;
    let verdict = ledger.verify_old(&stage.url, &old, "swapped").await?;
    let reported = verdict.newer.count == 1 && verdict.newer.examples.iter().all(|example| example.key == *key);
    let step = "a write reaches the kept table after the swap: newer";
    stage.expect(reported && !verdict.is_clean(), step, &format!("{verdict:#?}"))?;

    // Rolled back, say: the token was drawn before the swap, and no write of this key was acknowledged.
    let untouched = |key: &i64| !ledger.entries.contains_key(key);
    let Some(key) = ledger.census.pristine.iter().find(untouched) else {
        return Err(Error::Usage("self-check: every row was touched".into()));
    };
    let token = u64::from(ledger.run) << 47 | 1;
    stage.sql(&format!("UPDATE {old} SET token = {token} WHERE id = {key}")).await?;
    let verdict = ledger.verify_old(&stage.url, &old, "swapped").await?;
    let reported = verdict.unexplained.count == 1 && verdict.unexplained.examples.iter().all(|e| e.key == key);
    let step = "a write that was never acknowledged is in the kept table: unexplained";
    stage.expect(reported, step, &format!("{verdict:#?}"))
}
