//! An application that works under REPEATABLE READ: its transactions find the table whole after the swap, but for what was changed
//! in the moment before their snapshot, which is counted apart (`fence/snapshots.rs`).

use osc_traffic::Mix;
use tokio::task::block_in_place;

use super::ADD;
use crate::harness::{Kind, Osc, Server, Stage, on_both};

async fn transactions_with_a_snapshot_find_the_table(kind: Kind) {
    let mut behind = 0;
    for round in 0..3 {
        let stage = Stage::with(&Server::shared(kind), &format!("snapshots_{round}"), 3000, |config| {
            (config.xa, config.writers, config.rate_per_s) = (true, 12, 500.0);
            config.mix = Mix { read_snapshot: 40, ..Mix::default() };
        })
        .await;
        stage.work(300).await;
        let report = block_in_place(|| Osc::alter(&stage.db, "orders", ADD).run());
        let (_, verdict, _) = stage.judged(report).await;
        behind += verdict.behind.count;
    }
    println!("{behind} reads missed what was changed in the moment before their snapshot");
}

on_both!(transactions_with_a_snapshot_find_the_table);
