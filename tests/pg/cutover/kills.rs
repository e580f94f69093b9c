//! The lock's session, and osc itself, killed at every step of the cutover.

use std::sync::atomic::Ordering;

use tokio::task::block_in_place;

use super::{ADD, complete, has_extra, shop};
use crate::between::{Trick, start};
use crate::harness::{Kind, Osc, Prober, on_both, run};

/// Each place, and whether the swap is committed there.
const PLACES: [(&str, bool); 7] = [
    ("before-lock", false),
    ("lock-granted", false),
    ("drained", false),
    ("final-sync", false),
    ("synced", false),
    ("renamed", false),
    ("before-tidy", true),
];

/// The server ends the session with the lock: the run goes on, and swaps at another attempt.
async fn the_holder_is_killed(kind: Kind) {
    for (place, _) in PLACES.iter().filter(|(_, swapped)| !swapped) {
        eprintln!("-- {place}");
        let db = shop(kind, "fence_holder").await;
        let prober = Prober::start(&db, 17).await;
        let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at(place).start();
        block_in_place(|| osc.go_once_synced());
        let paused = block_in_place(|| osc.until_paused(place));
        run(&db.admin, &format!("SELECT pg_terminate_backend({}, 5000)", paused.ids[0])).await;
        // Nobody waits for a session that is gone; and nothing was swapped with it.
        prober.more(5).await;
        assert!(!has_extra(&db).await, "{place}");
        paused.go();
        let report = block_in_place(|| osc.wait()).exited(0);
        let probes = prober.stop().await;
        assert!(has_extra(&db).await, "{place}: {}", report.stderr);
        complete(&db, 17, probes.count()).await;
        assert_eq!(db.leftovers().await.len(), 1, "{place}: the old table alone");
    }
}

/// kill -9, then the same command again.
async fn osc_is_killed(kind: Kind) {
    for (place, swapped) in PLACES {
        eprintln!("-- {place}");
        let db = shop(kind, "fence_process").await;
        let prober = Prober::start(&db, 17).await;
        let mut osc = Osc::alter(&db, "orders", ADD).postponed().pause_at(place).start();
        block_in_place(|| osc.go_once_synced());
        block_in_place(|| osc.until_paused(place));
        osc.signal("-KILL");
        block_in_place(|| osc.wait());
        prober.more(5).await;
        assert_eq!(has_extra(&db).await, swapped, "{place}");
        let again = Osc::alter(&db, "orders", ADD);
        let report = block_in_place(|| again.run()).exited(0);
        let probes = prober.stop().await;
        assert!(has_extra(&db).await, "{place}: {}", report.stderr);
        complete(&db, 17, probes.count()).await;
        assert_eq!(db.leftovers().await.len(), 1, "{place}: the old table alone");
    }
}

/// The COMMIT is carried out, and its answer never comes: osc finds out, and does not swap again.
async fn the_commits_answer_is_lost(kind: Kind) {
    let db = shop(kind, "fence_answer").await;
    let prober = Prober::start(&db, 17).await;
    let between = start(db.server.port(), Trick::LoseAnswer).await;
    let url = db.osc_url().replace(&format!(":{}/", db.server.port()), &format!(":{}/", between.port));
    let osc = Osc::alter(&db, "orders", ADD).env("DATABASE_URL", &format!("{url}?sslmode=disable"));
    block_in_place(|| osc.run()).exited(0);
    assert_eq!(between.played.load(Ordering::SeqCst), 1, "the answer was lost");
    let probes = prober.stop().await;
    assert!(has_extra(&db).await);
    complete(&db, 17, probes.count()).await;
    assert_eq!(db.leftovers().await.len(), 1);
}

on_both!(the_holder_is_killed, osc_is_killed, the_commits_answer_is_lost);
