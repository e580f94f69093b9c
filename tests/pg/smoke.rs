//! What every other test stands on, and the shortest whole run: a table altered under traffic, with the ledger
//! through the swap.

use crate::harness::{Database, Kind, Osc, Server, Stage, blocking, get, on_both};

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
    assert_eq!(get(&osc, "SHOW statement_timeout").await.as_deref(), Some("20ms"));
    let version: u32 = db.one("SHOW server_version_num").await;
    assert_eq!(version / 10000, if kind == Kind::Postgres15 { 15 } else { 18 });
    assert_eq!(db.tables().await, ["public.t"]);
    assert_eq!(db.leftovers().await, [""; 0]);
}

pub const ALTER: &str = "ALTER COLUMN id TYPE bigint, ALTER COLUMN amount TYPE numeric(12,2) USING round(amount, 2), \
                         ALTER COLUMN note TYPE text, ADD COLUMN priority smallint NOT NULL DEFAULT 3";

async fn a_table_is_altered_under_traffic(kind: Kind) {
    let stage = Stage::with(&Server::shared(kind), "smoke", 20_000, |config| {
        (config.writers, config.rate_per_s, config.xa) = (8, 300.0, true);
    })
    .await;
    let osc = Osc::alter(&stage.db, "public.orders", ALTER).args(["--chunk-size", "500"]);
    let report = blocking(move || osc.run()).await;
    let (db, summary) = stage.clean(report).await;
    assert!(summary["rows_copied"].as_u64() >= Some(15_000), "{summary}");
    let columns = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
                   FROM pg_attribute WHERE attrelid = 'public.orders'::regclass AND attnum > 0 AND NOT attisdropped";
    let columns: String = db.one(columns).await;
    for part in ["id bigint", "amount numeric(12,2)", "note text", "priority smallint"] {
        assert!(columns.contains(part), "{columns}");
    }
}

on_both!(the_account_is_the_documented_one, a_table_is_altered_under_traffic);
