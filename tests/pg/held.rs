//! Somebody holds a lock on the table when osc begins: who it is, what state the table is in and what to do is
//! said, and nothing is left behind; when the lock is gone, the same command does its work.
//!
//! On servers of their own: every run on a server waits for the transactions that are open here.

use std::time::Duration;

use crate::harness::{Database, Kind, Osc, Report, Server, blocking, on_both, run};

const ALTER: &str = "ALTER COLUMN note TYPE varchar(20)";

async fn altered(db: &Database) -> Report {
    let osc = Osc::alter(db, "orders", ALTER);
    blocking(move || osc.run()).await
}

async fn refused(db: &Database, parts: &[&str]) {
    let report = altered(db).await.exited(3);
    let always = ["public.orders can't be worked on", "The table is unchanged.", "run the same command again"];
    // The error alone: the plan's hints name transactions too.
    let error = report.stderr.lines().find(|line| line.contains("\"event\":\"error\"")).expect("an error is told");
    for part in parts.iter().chain(&always) {
        assert!(error.contains(part), "'{part}' is not in {error}");
    }
    assert_eq!(db.leftovers().await, [""; 0]);
}

/// The weaker of the two is met when the publication is made, the stronger one by the first look.
const LOCKS: [&str; 2] = ["SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"];

async fn a_prepared_transaction_is_named(server: &Server) {
    let db = Database::with_orders(server, "held_prepared").await;
    let app = db.app().await;
    for (number, lock) in LOCKS.iter().enumerate() {
        let gid = format!("held-{number}");
        run(&app, &format!("BEGIN; LOCK TABLE orders IN {lock} MODE; PREPARE TRANSACTION '{gid}'")).await;
        refused(&db, &[&format!("prepared transaction '{gid}' of app_held_prepared"), "ROLLBACK PREPARED"]).await;
        run(&app, &format!("ROLLBACK PREPARED '{gid}'")).await;
    }
    altered(&db).await.exited(0);
}

async fn a_session_is_named(server: &Server) {
    let db = Database::with_orders(server, "held_session").await;
    let app = db.app().await;
    let pid: i32 = app.query_one("SELECT pg_backend_pid()", &[]).await.expect("it has a number").get(0);
    for lock in LOCKS {
        run(&app, &format!("BEGIN; LOCK TABLE orders IN {lock} MODE")).await;
        refused(&db, &[&format!("session {pid} of app_held_session"), "idle in transaction", "LOCK TABLE orders"])
            .await;
        run(&app, "ROLLBACK").await;
    }
    altered(&db).await.exited(0);
}

/// One that has written is waited for, beyond what a lock is waited for: the slot can begin only after it.
async fn a_prepared_writer_is_waited_for(server: &Server) {
    let db = Database::with_orders(server, "held_writer").await;
    let app = db.app().await;
    run(&app, "BEGIN; INSERT INTO orders VALUES (1000, 'late'); PREPARE TRANSACTION 'held-writer'").await;
    let osc = Osc::alter(&db, "orders", ALTER);
    let running = blocking(move || osc.start()).await;
    tokio::time::sleep(Duration::from_secs(13)).await;
    run(&app, "COMMIT PREPARED 'held-writer'").await;
    let report = blocking(move || running.wait()).await.exited(0);
    assert!(report.says("can begin only when these transactions have ended"), "{}", report.stderr);
    assert!(report.says("held-writer"), "{}", report.stderr);
    assert_eq!(db.one::<u64>("SELECT count(*) FROM orders").await, 101);
}

async fn who_holds_the_table_is_named(kind: Kind) {
    let server = Server::own(kind, "held", &["-c", "max_prepared_transactions=5"]);
    a_prepared_transaction_is_named(&server).await;
    a_session_is_named(&server).await;
    a_prepared_writer_is_waited_for(&server).await;
}

on_both!(who_holds_the_table_is_named);
