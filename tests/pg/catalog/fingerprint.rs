//! The fingerprint: every change to the table or to what hangs on it changes it, and nothing else does.

use std::time::Instant;

use osc::engine::postgres::catalog::{changed, fingerprint};

use super::hanging::HANGING;
use super::twin::{open, parse};
use crate::harness::{Database, Kind, Server, on_both};

/// A change, and the part of the fingerprint that says so. Each is made on what the one before has left.
const CHANGES: &[(&str, &str)] = &[
    ("ALTER TABLE t ADD z int", "columns"),
    ("ALTER TABLE t ALTER z SET DEFAULT 5", "columns"),
    ("ALTER TABLE t ALTER owner SET NOT NULL", "columns"),
    ("ALTER TABLE t ALTER z SET STATISTICS 5", "columns"),
    ("ALTER TABLE t ALTER z SET (n_distinct = 5)", "columns"),
    ("ALTER TABLE t ALTER owner SET STORAGE EXTERNAL", "columns"),
    ("ALTER TABLE t ALTER owner SET COMPRESSION pglz", "columns"),
    ("ALTER TABLE t RENAME z TO zz", "columns"),
    ("ALTER TABLE t SET (fillfactor = 50)", "the table"),
    ("ALTER TABLE t SET (toast.autovacuum_enabled = off)", "the table"),
    ("CREATE INDEX zi ON t (zz)", "indexes"),
    ("ALTER INDEX zi SET (fillfactor = 50)", "indexes"),
    ("ALTER INDEX zi RENAME TO zj", "indexes"),
    ("ALTER TABLE t CLUSTER ON zj", "indexes"),
    ("COMMENT ON INDEX zj IS 'x'", "comments"),
    ("ALTER TABLE t ADD CHECK (zz > 0) NOT VALID", "constraints"),
    ("ALTER TABLE t VALIDATE CONSTRAINT \"to parent\"", "constraints"),
    ("ALTER TABLE child ADD FOREIGN KEY (id) REFERENCES t", "constraints"),
    ("ALTER TABLE child DROP CONSTRAINT child_id_fkey", "constraints"),
    ("ALTER TABLE t DISABLE TRIGGER audit", "triggers"),
    ("DROP TRIGGER off ON t", "triggers"),
    ("CREATE TRIGGER i INSTEAD OF UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION instead()", "triggers"),
    ("COMMENT ON TRIGGER audit ON t IS 'other'", "comments"),
    ("ALTER TABLE t NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY", "policies"),
    ("ALTER POLICY everybody ON t USING (false)", "policies"),
    ("CREATE POLICY w ON t USING (true)", "policies"),
    ("ALTER POLICY w ON t TO pg_monitor", "policies"),
    ("CREATE POLICY there ON child USING (id IN (SELECT id FROM t))", "policies elsewhere"),
    ("ALTER POLICY there ON child USING (id IN (SELECT up FROM t))", "policies elsewhere"),
    ("ALTER TABLE t ENABLE RULE silent", "views and rules"),
    ("DROP RULE \"no zero\" ON t", "views and rules"),
    ("CREATE OR REPLACE VIEW plain AS SELECT id, amount AS cents, 'public.t' AS s, owner FROM t", "views and rules"),
    ("ALTER VIEW api.over SET (security_barrier)", "views and rules"),
    ("ALTER VIEW plain RENAME cents TO c", "views and rules"),
    ("ALTER VIEW plain ALTER c SET DEFAULT 8", "columns of views"),
    ("CREATE VIEW api.more AS SELECT 1 FROM t", "views and rules"),
    ("CREATE MATERIALIZED VIEW mv AS SELECT id FROM t", "views and rules"),
    ("CREATE INDEX ON mv (id)", "indexes of materialized views"),
    ("CREATE RULE elsewhere AS ON INSERT TO log DO ALSO DELETE FROM t WHERE id < 0", "rules elsewhere"),
    ("CREATE STATISTICS st ON amount, up FROM t", "extended statistics"),
    ("ALTER STATISTICS st SET STATISTICS 5", "extended statistics"),
    ("ALTER PUBLICATION narrow SET TABLE t (id, amount) WHERE (id > 6)", "publications"),
    ("ALTER PUBLICATION whole DROP TABLE t", "publications"),
    ("ALTER TABLE t ADD own serial", "sequences"),
    ("ALTER SEQUENCE t_own_seq CYCLE", "sequences"),
    ("GRANT SELECT ON SEQUENCE t_own_seq TO pg_monitor", "sequences"),
    ("COMMENT ON SEQUENCE t_own_seq IS 'x'", "comments"),
    ("GRANT SELECT ON t TO pg_monitor", "grants"),
    ("GRANT UPDATE (zz) ON t TO pg_monitor", "grants"),
    ("GRANT SELECT ON api.over TO pg_monitor", "grants"),
    ("COMMENT ON TABLE t IS 'x'", "comments"),
    ("COMMENT ON COLUMN t.zz IS 'x'", "comments"),
    ("COMMENT ON VIEW above IS 'x'", "comments"),
    ("COMMENT ON POLICY w ON t IS 'x'", "comments"),
    ("COMMENT ON CONSTRAINT t_pkey ON t IS 'x'", "comments"),
    ("CREATE FUNCTION of_row(t) RETURNS int LANGUAGE sql AS 'SELECT 1'", "what else depends on it"),
    ("CREATE TABLE with_row (x t)", "what else depends on it"),
    ("CREATE TABLE heir () INHERITS (t)", "what else depends on it"),
    ("ALTER TABLE t REPLICA IDENTITY NOTHING", "the table"),
];

/// What leaves it as it is.
const QUIET: &[&str] = &[
    "INSERT INTO t (id, pa, pb, amount, code) VALUES (1000, 1, 1, 1000, 'p1')",
    "UPDATE t SET amount = amount + 1",
    "VACUUM ANALYZE t",
    "VACUUM FULL t",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX TABLE t",
    "CREATE TABLE unlike (id int)",
    "SELECT nextval('counter')",
    "TRUNCATE log",
];

async fn every_change_changes_it(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "print_changes").await;
    db.as_app(
        &HANGING
            .iter()
            .map(|sql| sql.replace("APP", &db.app_role()))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .await;
    let (mut session, table) = (open(&db).await, parse("t"));
    let mut before = fingerprint(&mut session, &table).await.unwrap();
    assert!(!before.is_empty());
    for (sql, part) in CHANGES {
        db.as_app(&[sql]).await;
        let now = fingerprint(&mut session, &table).await.unwrap();
        let what = changed(&before, &now);
        assert!(what.split(", ").any(|name| name == *part), "{sql}: changed '{what}'");
        before = now;
    }
    db.run(&["ALTER TABLE t OWNER TO postgres"]).await;
    assert_ne!(before, fingerprint(&mut session, &table).await.unwrap());
    db.run(&["ALTER TABLE t RENAME TO u"]).await;
    assert_eq!(fingerprint(&mut session, &table).await.unwrap(), "");
}

async fn maintenance_and_writes_do_not(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "print_quiet").await;
    db.as_app(
        &HANGING
            .iter()
            .map(|sql| sql.replace("APP", &db.app_role()))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .await;
    db.as_app(&[
        "CREATE SEQUENCE counter",
        "ALTER TABLE t ALTER pa SET DEFAULT nextval('counter')",
        "ALTER SEQUENCE counter OWNED BY t.pa",
    ])
    .await;
    let (mut session, table) = (open(&db).await, parse("t"));
    let before = fingerprint(&mut session, &table).await.unwrap();
    for sql in QUIET {
        db.run(&[sql]).await;
        let now = fingerprint(&mut session, &table).await.unwrap();
        assert_eq!(before, now, "{sql}: {}", changed(&before, &now));
    }
    // An index that is just being built again is no change either.
    let names = osc::engine::postgres::names::Names::of(&db.name, &table);
    db.as_app(&[&format!("CREATE PUBLICATION {} FOR TABLE t", names.publication)]).await;
    assert_eq!(before, fingerprint(&mut session, &table).await.unwrap(), "osc's own publication");
    let begun = Instant::now();
    for _ in 0..10 {
        fingerprint(&mut session, &table).await.unwrap();
    }
    eprintln!("one fingerprint takes {:?}", begun.elapsed() / 10);
}

on_both!(every_change_changes_it, maintenance_and_writes_do_not);
