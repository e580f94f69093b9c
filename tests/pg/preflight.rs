//! What is refused before anything is touched: each with exit 3, a sentence that names it, and nothing left behind.

use tokio::task::block_in_place;

use crate::between::{Trick, start};
use crate::harness::{Database, Kind, Osc, Report, Server, on_both, run};

const ADD: &str = "ADD COLUMN extra int";

fn check(db: &Database, table: &str) -> Report {
    block_in_place(|| Osc::new(db, "check").args(["--table", table, "--alter", ADD]).run())
}

async fn refused(db: &Database, table: &str, parts: &[&str]) {
    let report = check(db, table).exited(3);
    for part in parts {
        assert!(report.says(part), "{table}: '{part}' is not in {}", report.stderr);
    }
    assert_eq!(db.leftovers().await, [""; 0], "{table}");
}

async fn a_sound_table_is_planned(kind: Kind) {
    let db = Database::with_orders(&Server::shared(kind), "fence_sound").await;
    let report = check(&db, "orders").exited(0);
    assert!(report.says("disk"), "the size is told: {:?}", report.events);
    assert_eq!(db.leftovers().await, [""; 0]);
}

async fn names_mean_one_table(kind: Kind) {
    let db = Database::with_orders(&Server::shared(kind), "fence_names").await;
    db.as_app(&[
        "CREATE SCHEMA a",
        "CREATE SCHEMA b",
        "CREATE TABLE a.twice (id int PRIMARY KEY)",
        "CREATE TABLE b.twice (id int PRIMARY KEY)",
        "CREATE TABLE b.orders (id int PRIMARY KEY)",
        "CREATE TABLE a.once (id int PRIMARY KEY)",
        "CREATE TABLE a.\"Odd.Name\" (id int PRIMARY KEY)",
    ])
    .await;
    for (table, is) in [
        ("orders", "public.orders"),
        ("ORDERS", "public.orders"),
        ("b.orders", "b.orders"),
        ("once", "a.once"),
        ("A.Once", "a.once"),
        ("a.\"Odd.Name\"", "a.Odd.Name"),
        ("\"Odd.Name\"", "a.Odd.Name"),
    ] {
        let report = check(&db, table).exited(0);
        assert!(report.says(is), "{table}: {:?}", report.events);
    }
    refused(&db, "twice", &["several schemas: a, b"]).await;
    refused(&db, "nothing", &["There is no table nothing"]).await;
    refused(&db, "c.orders", &["There is no table c.orders", "\\\"public\\\".\\\"orders\\\""]).await;
    refused(&db, "\"ORDERS\"", &["double quotes"]).await;
}

async fn what_is_no_plain_table(kind: Kind) {
    let db = Database::with_orders(&Server::shared(kind), "fence_kinds").await;
    db.as_app(&[
        "CREATE VIEW v AS SELECT * FROM orders",
        "CREATE MATERIALIZED VIEW mv AS SELECT * FROM orders",
        "CREATE SEQUENCE s",
        "CREATE UNLOGGED TABLE u (id int PRIMARY KEY)",
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE child () INHERITS (orders)",
        "CREATE TABLE nokey (id int)",
        "CREATE TABLE nothing (id int PRIMARY KEY)",
        "ALTER TABLE nothing REPLICA IDENTITY NOTHING",
    ])
    .await;
    for (table, is) in [
        ("v", "is a view"),
        ("mv", "is a materialized view"),
        ("s", "is a sequence"),
        ("u", "unlogged"),
        ("p", "partitioned"),
        ("child", "primary key"),
        ("orders", "others inherit"),
        ("nokey", "primary key"),
        ("nothing", "NOTHING"),
        ("pg_catalog.pg_class", "the server's own"),
    ] {
        refused(&db, table, &[is]).await;
    }
}

/// Each privilege that is missing is said with the statement that gives it; which then is enough.
async fn a_missing_privilege_is_said_with_its_grant(kind: Kind) {
    let db = Database::with_orders(&Server::shared(kind), "fence_grants").await;
    let (osc, app) = (db.osc_role(), db.app_role());
    let takes = [
        (format!("ALTER ROLE {osc} NOREPLICATION"), format!("ALTER ROLE \\\"{osc}\\\" REPLICATION;")),
        (
            format!("REVOKE CREATE ON DATABASE {} FROM {osc}; ALTER DATABASE {} OWNER TO postgres", db.name, db.name),
            format!("GRANT CREATE ON DATABASE \\\"{}\\\" TO \\\"{osc}\\\";", db.name),
        ),
        (format!("REVOKE pg_read_all_stats FROM {osc}"), format!("GRANT pg_read_all_stats TO \\\"{osc}\\\";")),
        ("SELECT 1".into(), "GRANT USAGE, CREATE ON SCHEMA \\\"public\\\"".into()),
        (
            "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY".into(),
            format!("ALTER ROLE \\\"{osc}\\\" BYPASSRLS;"),
        ),
    ];
    for (take, _) in &takes {
        run(&db.admin, take).await;
    }
    let wanted: Vec<&str> = takes.iter().map(|(_, grant)| grant.as_str()).collect();
    refused(&db, "orders", &wanted).await;
    for (_, grant) in &takes {
        let grant = grant.replace('\\', "");
        let full = if grant.starts_with("GRANT USAGE, CREATE") { format!("{grant} TO {osc}") } else { grant };
        run(&db.admin, &full).await;
    }
    run(&db.admin, "ALTER TABLE orders NO FORCE ROW LEVEL SECURITY; ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
        .await;
    check(&db, "orders").exited(0);
    run(&db.admin, &format!("REVOKE {app} FROM {osc}; GRANT USAGE ON SCHEMA public TO {osc}")).await;
    refused(&db, "orders", &[&format!("GRANT \\\"{app}\\\" TO \\\"{osc}\\\"")]).await;
}

async fn a_server_that_can_not_be_followed(kind: Kind) {
    let server = Server::own(kind, "fence-replica", &["-c", "wal_level=replica", "-c", "max_replication_slots=0"]);
    let db = Database::with_orders(&server, "fence_level").await;
    refused(&db, "orders", &["wal_level is replica", "no free replication slot"]).await;
    server.run(&["ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'", "SELECT pg_reload_conf()"]).await;
    crate::harness::wait_for("the setting", async || {
        db.one::<String>("SHOW synchronous_standby_names").await.contains('*')
    })
    .await;
    // Nobody would ever answer a commit.
    run(&db.admin, "SET synchronous_commit = local").await;
    refused(&db, "orders", &["synchronous_standby_names"]).await;
}

async fn publications_and_transactions_of_others(kind: Kind) {
    let server = Server::own(kind, "fence-others", &[]);
    let db = Database::with_orders(&server, "fence_others").await;
    run(&db.admin, "CREATE PUBLICATION everything FOR ALL TABLES").await;
    let report = check(&db, "orders").exited(0);
    assert!(report.says("publication everything is FOR ALL TABLES"), "{:?}", report.events);
    run(&db.admin, "SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')").await;
    refused(&db, "orders", &["publication everything is FOR ALL TABLES", "slot subscriber"]).await;
    run(&db.admin, "SELECT pg_drop_replication_slot('subscriber')").await;
    run(&db.admin, "DROP PUBLICATION everything").await;

    run(
        &db.admin,
        "CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
         CREATE EVENT TRIGGER watcher ON ddl_command_end EXECUTE FUNCTION told()",
    )
    .await;
    let app = db.app().await;
    run(&app, "BEGIN; INSERT INTO orders VALUES (1000, 'open')").await;
    run(&db.admin, "SELECT pg_sleep(31)").await;
    let report = check(&db, "orders").exited(0);
    assert!(report.says("INSERT INTO orders VALUES (1000"), "who is waited for: {:?}", report.events);
    assert!(report.says("watcher"), "event triggers: {:?}", report.events);
}

/// What stands between is not the server: its numbers of sessions are its own.
async fn a_pooler_is_refused(kind: Kind) {
    let db = Database::with_orders(&Server::shared(kind), "fence_pooler").await;
    let between = start(db.server.port(), Trick::OwnNumbers).await;
    let port = between.port;
    let url = db.osc_url().replace(&format!(":{}/", db.server.port()), &format!(":{port}/")) + "?sslmode=disable";
    let osc = Osc::new(&db, "check").args(["--table", "orders", "--alter", ADD]).env("DATABASE_URL", &url);
    let report = block_in_place(|| osc.run()).exited(3);
    assert!(report.says("pooler"), "{}", report.stderr);
    assert!(between.played.load(std::sync::atomic::Ordering::SeqCst) > 0);
}

on_both!(
    a_sound_table_is_planned,
    names_mean_one_table,
    what_is_no_plain_table,
    a_missing_privilege_is_said_with_its_grant,
    a_server_that_can_not_be_followed,
    publications_and_transactions_of_others,
    a_pooler_is_refused,
);
