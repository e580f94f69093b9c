//! The application's ledger has teeth on PostgreSQL too: each sort of damage is reported, as what it is.

use crate::harness::{Database, Kind, Server, on_both};

async fn the_ledger_notices(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "ledger").await;
    let check = osc_traffic::self_check(&db.app_url()).await;
    let check = check.unwrap_or_else(|error| panic!("{error}"));
    println!("{check}");
}

on_both!(the_ledger_notices);
