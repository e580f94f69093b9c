//! Where a table's bytes are: tablespaces, access methods, columns that have none.

use osc::error::Kind as ErrorKind;
use tokio_postgres::Client;

use super::twin::{Twin, build, open};
use crate::harness::{Database, Kind, Server, get, on_both, run};

/// A tablespace in the server's own directory. It is the server's, not a database's, so it stays.
async fn tablespace(admin: &Client, name: &str, open_to_all: bool) {
    if get(admin, &format!("SELECT 1 FROM pg_tablespace WHERE spcname = '{name}'")).await.is_none() {
        run(admin, "SET allow_in_place_tablespaces = on").await;
        run(admin, &format!("CREATE TABLESPACE \"{name}\" LOCATION ''")).await;
    }
    if open_to_all {
        run(admin, &format!("GRANT CREATE ON TABLESPACE \"{name}\" TO PUBLIC")).await;
    }
}

const PLACES: &str = "SELECT c.relname, ts.spcname, am.amname FROM pg_class c LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace \
    LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1";

async fn tablespaces_are_kept_and_changed(kind: Kind) {
    let admin = Server::shared(kind).admin("postgres").await;
    for name in ["Fast %", "slow"] {
        tablespace(&admin, name, true).await;
    }
    let twin = Twin::new(
        kind,
        "spaces",
        &[
            "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a int, b text, e int, late int, \
               PRIMARY KEY (id) USING INDEX TABLESPACE \"Fast %\", \
               CONSTRAINT later UNIQUE (late) USING INDEX TABLESPACE slow DEFERRABLE, \
               CONSTRAINT ex EXCLUDE USING btree (e WITH =) USING INDEX TABLESPACE slow) TABLESPACE \"Fast %\"",
            "CREATE INDEX ia ON t (a) TABLESPACE slow",
            "CREATE INDEX ib ON t (b)",
            "CREATE UNIQUE INDEX ready ON t (a, b) TABLESPACE slow",
            "INSERT INTO t (a, b, e, late) SELECT i, i, i, i FROM generate_series(1, 20) i",
        ],
    )
    .await;
    for alter in [
        "ALTER a TYPE bigint",
        "SET TABLESPACE slow",
        "SET TABLESPACE \"Fast %\", ALTER late TYPE bigint, ALTER e TYPE bigint",
        "SET TABLESPACE pg_default",
        "ADD CONSTRAINT by_b UNIQUE (b) USING INDEX TABLESPACE \"Fast %\"",
        "ADD CONSTRAINT was_ready UNIQUE USING INDEX ready DEFERRABLE INITIALLY DEFERRED",
        "DROP CONSTRAINT t_pkey, ADD CONSTRAINT new_pkey PRIMARY KEY (id) USING INDEX TABLESPACE slow",
    ] {
        twin.alter("t", alter).await;
        twin.same_rows(PLACES).await;
        twin.same_rows("SELECT * FROM t ORDER BY id").await;
    }
    let slow: i64 = twin
        .osc
        .one("SELECT count(*) FROM pg_class c JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'slow'")
        .await;
    // The index of an EXCLUDE goes to the default one when its column gets another type; natively too.
    assert_eq!(slow, 4);
}

/// To alter it natively takes no right there.
async fn a_tablespace_that_osc_may_not_use_is_named(kind: Kind) {
    let admin = Server::shared(kind).admin("postgres").await;
    tablespace(&admin, "Closed", false).await;
    let db = Database::create(&Server::shared(kind), "spaces_closed").await;
    db.as_app(&["CREATE TABLE t (id int PRIMARY KEY, a int)", "CREATE TABLE u (id int PRIMARY KEY, a int)"]).await;
    db.run(&["ALTER TABLE t SET TABLESPACE \"Closed\"", "ALTER INDEX u_pkey SET TABLESPACE \"Closed\""]).await;
    let mut session = open(&db).await;
    for table in ["t", "u"] {
        let error = build(&db, &mut session, table, "ALTER a TYPE bigint").await.map(|_| ()).expect_err(table);
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        let todo = error.what_to_do().unwrap_or_default().to_owned();
        assert!(todo.contains("GRANT CREATE ON TABLESPACE \"Closed\" TO osc_spaces_closed"), "{todo}");
        db.as_app(&[&format!("ALTER TABLE {table} ALTER a TYPE numeric")]).await;
    }
    db.run(&["ALTER TABLE t SET TABLESPACE pg_default"]).await;
    // As natively: who may not create there can't move it there.
    let error = build(&db, &mut session, "t", "SET TABLESPACE \"Closed\"").await.map(|_| ()).expect_err("Closed");
    assert!(error.kind() == ErrorKind::Refused && error.what().contains("Closed"), "{error}");
    build(&db, &mut session, "t", "ALTER a TYPE bigint").await.unwrap();
}

async fn an_access_method_is_kept_and_changed(kind: Kind) {
    let twin = Twin::new(kind, "methods", &["CREATE TABLE other (id int)"]).await;
    twin.admin(&["CREATE ACCESS METHOD \"Heap 2\" TYPE TABLE HANDLER heap_tableam_handler"]).await;
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "CREATE TABLE t (id int PRIMARY KEY, a int, b text) USING \"Heap 2\" WITH (fillfactor = 80)",
            "CREATE INDEX ON t (b)",
            "INSERT INTO t SELECT i, i, repeat('x', 3000) FROM generate_series(1, 20) i",
        ])
        .await;
    }
    let mut alters =
        vec!["ALTER a TYPE bigint", "SET ACCESS METHOD heap, ADD c int DEFAULT 5", "SET ACCESS METHOD \"Heap 2\""];
    if kind == Kind::Postgres {
        alters.push("SET ACCESS METHOD DEFAULT");
    }
    for alter in alters {
        twin.alter("t", alter).await;
        twin.same_rows(PLACES).await;
        twin.same_rows("SELECT * FROM t ORDER BY id").await;
    }
}

const VIRTUAL: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, v int GENERATED ALWAYS AS (a * 2) VIRTUAL, \
       s int GENERATED ALWAYS AS (a + 1) STORED, w text COLLATE \"C\" GENERATED ALWAYS AS (a::text || 'w'), k int, \
       CONSTRAINT small CHECK (v < 100000), CONSTRAINT there CHECK (w IS NOT NULL))",
    "ALTER TABLE t ALTER v SET NOT NULL",
    "COMMENT ON COLUMN t.v IS 'twice'",
    "GRANT SELECT (v) ON t TO pg_monitor",
    "CREATE VIEW seen AS SELECT id, v AS double FROM t WHERE w <> 'x'",
    "INSERT INTO t (id, a, k) SELECT i, i, i FROM generate_series(1, 30) i",
];

/// From 18 on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn virtual_columns_are_kept_and_added_on_18() {
    let twin = Twin::new(Kind::Postgres, "virtual", VIRTUAL).await;
    for alter in [
        "ALTER k TYPE bigint USING v + 1",
        "ADD x bigint GENERATED ALWAYS AS (a * 3::bigint) VIRTUAL, ADD y int GENERATED ALWAYS AS (a - 1) VIRTUAL NOT NULL",
        // The server doesn't change the expression of one in a table with a CHECK.
        "DROP CONSTRAINT small, DROP CONSTRAINT there",
        "ALTER x SET EXPRESSION AS (a * 5 + k)",
        "ADD CONSTRAINT big CHECK (x > 0), ADD CONSTRAINT no CHECK (y > 5) NOT VALID",
        "ALTER s DROP EXPRESSION",
        "ALTER x TYPE numeric",
        "RENAME COLUMN v TO \"V v\"",
        "ALTER \"V v\" DROP NOT NULL, DROP COLUMN y",
        "ADD z int GENERATED ALWAYS AS (a + 7) STORED, ADD CHECK (\"V v\" <> 77)",
    ] {
        eprintln!("-- {alter}");
        twin.alter("t", alter).await;
        twin.same_rows("SELECT * FROM t ORDER BY id").await;
        twin.same_rows("SELECT * FROM seen ORDER BY id").await;
    }
    let mut session = open(&twin.osc).await;
    for alter in ["ALTER a TYPE bigint", "ALTER x DROP EXPRESSION", "ADD UNIQUE (x)"] {
        let error = build(&twin.osc, &mut session, "t", alter).await.map(|_| ()).expect_err(alter);
        assert_eq!(error.kind(), ErrorKind::Refused, "{alter}: {error}");
        let native = twin.native.app().await.batch_execute(&format!("ALTER TABLE t {alter}")).await;
        assert!(native.is_err(), "{alter} is possible natively");
    }
}

on_both!(
    tablespaces_are_kept_and_changed,
    a_tablespace_that_osc_may_not_use_is_named,
    an_access_method_is_kept_and_changed,
);
