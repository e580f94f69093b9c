//! What every other test stands on.

use crate::harness::{Database, Kind, Osc, Server, on_both};

/// osc's account is as little as the documentation says, and as badly set up as a DBA could.
async fn the_account_is_the_documented_one(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "account").await;
    db.as_app(&["CREATE TABLE t (id int PRIMARY KEY)"]).await;
    let role = db.osc_role();
    let privileges = format!("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = '{role}'");
    assert_eq!(db.one::<String>(&privileges).await, "f");
    let member = format!("SELECT pg_has_role('{role}', '{}', 'MEMBER')", db.app_role());
    assert_eq!(db.one::<String>(&member).await, "t");
    let osc = db.osc().await;
    assert_eq!(crate::harness::get(&osc, "SHOW statement_timeout").await.as_deref(), Some("20ms"));
    let version: u32 = db.one("SHOW server_version_num").await;
    assert_eq!(version / 10000, if kind == Kind::Postgres15 { 15 } else { 18 });
    assert_eq!(db.tables().await, ["public.t"]);
    assert_eq!(db.leftovers().await, [""; 0]);
}

async fn the_binary_runs(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "binary").await;
    let report = Osc::alter(&db, "nowhere.t", "ADD COLUMN x int").run();
    // Not 2: the command line is right.
    assert!([1, 3].contains(&report.exit), "{} {}", report.exit, report.stderr);
}

on_both!(the_account_is_the_documented_one, the_binary_runs);
