//! The password is nowhere where others can read it.

use super::ALTER;
use crate::harness::{Database, Kind, Osc, Server, on_both};

on_both!(the_password_is_told_to_nobody);

const SECRET: &str = "osc-secret";

async fn the_password_is_told_to_nobody(kind: Kind) {
    let mut db = Database::create(&Server::shared(kind), "e2e_secret").await;
    db.run(&["CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1), (2)"]).await;
    let mut run = Osc::alter(&db, "orders", ALTER).args(["-vv"]).throttled().start();
    run.until("a hold", |e| e["held"].is_string());
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", run.pid())).expect("the process list");
    let cmdline = String::from_utf8_lossy(&cmdline).into_owned();
    assert!(cmdline.contains("orders") && !cmdline.contains(SECRET), "{cmdline}");
    run.unthrottle();
    let report = run.wait().exited(0);
    assert!(report.stderr.contains("RENAME TABLE"), "-vv shows every statement: {}", report.stderr);
    assert!(!report.says(SECRET), "{}", report.stderr);

    // Given where it should not be, it is still not repeated.
    let url = db.osc_url().replacen('@', &format!(":{SECRET}@"), 1);
    for wrong in [url.clone(), url.replacen("mysql://", "mysq://", 1), format!("{url}?ssl-mode=no")] {
        let report = Osc::alter(&db, "orders", "DROP COLUMN priority")
            .args(["-vv", "--dry-run", "--url", &wrong])
            .env("OSC_PASSWORD", "")
            .run();
        assert!(!report.says(SECRET), "{}", report.stderr);
        assert!(!report.stderr.is_empty(), "a password on the command line is worth a warning");
    }
}
