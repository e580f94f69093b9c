//! What ends a run, and that it does so without harm to the application.

use std::time::{Duration, Instant};

use osc::engine::postgres::connect::Address;
use osc::engine::postgres::feed::{self, PostgresFeed};
use osc::engine::postgres::names::Names;
use osc::engine::postgres::sql::Table;
use osc::engine::postgres::stream::Options;
use osc::error::Kind;

use super::world::*;

const T: &str = "id int PRIMARY KEY, v int";

#[tokio::test]
async fn truncate_stops() {
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        w.run("INSERT INTO t VALUES (1, 1)").await;
        assert_eq!(w.drain_ids().await, [1]);
        w.run("TRUNCATE t").await;
        let error = w.error().await;
        assert_eq!(error.kind(), Kind::Definite);
        assert!(error.what().contains("truncated") && error.table_state().is_some(), "{error}");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn ddl_stops() {
    on_both(|server| async move {
        for ddl in [
            "ALTER TABLE t ADD COLUMN w int",
            "ALTER TABLE t ALTER COLUMN v TYPE bigint",
            "ALTER TABLE t RENAME COLUMN id TO key",
            "ALTER TABLE t RENAME TO t2",
            "DROP TABLE t",
        ] {
            let mut w = World::new(&server, T).await;
            w.run("INSERT INTO t VALUES (1, 1)").await;
            w.drain().await;
            w.run("CREATE INDEX ON t (v); ANALYZE t; COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC").await;
            w.run("VACUUM FULL t").await;
            w.run("REINDEX TABLE CONCURRENTLY t").await;
            w.run("UPDATE t SET v = 2").await;
            assert_eq!(w.drain_ids().await, [1], "harmless DDL");
            w.run(ddl).await;
            let error = w.error().await;
            assert_eq!(error.kind(), Kind::Definite, "{ddl}: {error}");
            assert!(error.what().contains("while the run was on"), "{ddl}: {error}");
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_replica_identity_that_changes_ends_the_run_and_frees_the_application() {
    on_both(|server| async move {
        for (before, change) in [
            ("", "ALTER TABLE t REPLICA IDENTITY FULL"),
            ("", "ALTER TABLE t REPLICA IDENTITY USING INDEX u"),
            ("", "ALTER TABLE t DROP CONSTRAINT t_pkey"),
            ("ALTER TABLE t REPLICA IDENTITY FULL", "ALTER TABLE t REPLICA IDENTITY NOTHING"),
        ] {
            let more = format!("CREATE UNIQUE INDEX u ON t (c); {before}");
            let mut w =
                World::with(&server, "id int PRIMARY KEY, v int, c int NOT NULL", &more, Options::default()).await;
            w.run("INSERT INTO t VALUES (1, 1, 1)").await;
            w.drain().await;
            let app = w.other().await;
            w.run(change).await;
            let begun = Instant::now();
            let writing = tokio::spawn(async move {
                let mut last = None;
                let mut failed = 0;
                while begun.elapsed() < Duration::from_secs(3) {
                    if let Err(error) = app.batch_execute("UPDATE t SET v = v + 1").await {
                        last = Some(error.to_string());
                        failed += 1;
                    } else if failed > 0 {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                (failed, begun.elapsed(), last, app.batch_execute("UPDATE t SET v = v + 1").await)
            });
            let error = w.error().await;
            assert_eq!(error.kind(), Kind::Definite, "{error}");
            let (failed, after, last, now) = writing.await.unwrap();
            eprintln!("{change}: {failed} statements failed, free after {after:?} ({last:?})");
            now.unwrap();
            let sql = format!("SELECT count(*) FROM pg_publication WHERE pubname = '{}'", w.names.publication.bare());
            assert_eq!(get(&w.app, &sql).await.unwrap(), "0");
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_can_not_be_published_without_harm_is_refused_before_anybody_met_it() {
    on_both(|server| async move {
        for more in [
            "ALTER TABLE t DROP CONSTRAINT t_pkey",
            "ALTER TABLE t REPLICA IDENTITY NOTHING",
            "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id) DEFERRABLE",
        ] {
            let (schema, app) = schema(&server, T).await;
            run(&app, more).await;
            let address = Address::parse(&server.osc, None).unwrap();
            let names = Names::of("shop", &Table::new(&schema, "t"));
            let mut session = osc::engine::postgres::session::Session::open(&address).await.unwrap();
            let error = osc::engine::postgres::identity::find(&mut session, &names.original).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{more}: {error}");
            run(&app, "INSERT INTO t VALUES (1, 1); UPDATE t SET v = 2; DELETE FROM t").await;
            run(&app, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_key_is_an_index_that_tells_every_row_apart() {
    on_both(|server| async move {
        let blind = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
        for (columns, more, key) in [
            ("b int, a int, PRIMARY KEY (b, a)", "", Some("\"b\", \"a\"")),
            (
                "a int NOT NULL, b int UNIQUE, c int NOT NULL",
                "CREATE UNIQUE INDEX ON t (c, a); CREATE UNIQUE INDEX ON t (c) WHERE a > 0",
                Some("\"c\", \"a\""),
            ),
            ("a int NOT NULL, b int", "CREATE UNIQUE INDEX ON t ((a + 1)); CREATE UNIQUE INDEX ON t (a, b)", None),
            (
                "a text NOT NULL",
                &format!(
                    "{blind}; ALTER TABLE t ALTER a TYPE text COLLATE blind; CREATE UNIQUE INDEX ON t (a COLLATE \"C\")"
                ),
                None,
            ),
        ] {
            let (schema, app) = schema(&server, columns).await;
            run(&app, &format!("{more}; ALTER TABLE t REPLICA IDENTITY FULL")).await;
            let address = Address::parse(&server.osc, None).unwrap();
            let table = Table::new(&schema, "t");
            let mut session = osc::engine::postgres::session::Session::open(&address).await.unwrap();
            let found = osc::engine::postgres::identity::find(&mut session, &table).await.unwrap();
            let chosen = osc::engine::postgres::key::choose(&mut session, &table, &found).await;
            match key {
                Some(key) => assert_eq!(chosen.unwrap().names(), key),
                None => assert_eq!(chosen.unwrap_err().kind(), Kind::Refused),
            }
            run(&app, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    })
    .await;
}

/// The probe, by a column list that does not cover the identity any more.
#[tokio::test]
async fn the_probe_finds_an_identity_that_changed_since_it_was_read() {
    on_both(|server| async move {
        let (schema, app) = schema(&server, T).await;
        let address = Address::parse(&server.osc, None).unwrap();
        let names = Names::of("shop", &Table::new(&schema, "t"));
        let (found, key) = look(&address, &names).await;
        run(&app, "ALTER TABLE t REPLICA IDENTITY FULL").await;
        let error = feed::prepare(&address, &names, &found, &key, PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        run(&app, "INSERT INTO t VALUES (1, 1); UPDATE t SET v = 2; DELETE FROM t").await;
        let left = "SELECT (SELECT count(*) FROM pg_publication_tables WHERE schemaname = current_schema()) + \
                    (SELECT count(*) FROM pg_replication_slots WHERE slot_name = ";
        assert_eq!(get(&app, &format!("{left}'{}')", names.slot)).await.unwrap(), "0");
        run(&app, &format!("DROP SCHEMA {schema} CASCADE")).await;
    })
    .await;
}

#[tokio::test]
async fn a_publication_that_somebody_touches_ends_the_run() {
    on_both(|server| async move {
        for change in [
            "DROP PUBLICATION p",
            "ALTER PUBLICATION p SET (publish = 'insert')",
            "ALTER PUBLICATION p SET TABLE t WHERE (id > 5)",
        ] {
            let mut w = World::new(&server, T).await;
            w.run("INSERT INTO t VALUES (1, 1)").await;
            w.drain().await;
            let change = change.replace(" p", &format!(" {}", w.names.publication));
            run(&w.admin, &format!("SET search_path = {}; {change}", w.schema)).await;
            w.run("UPDATE t SET v = 2").await;
            let error = w.error().await;
            assert_eq!(error.kind(), Kind::Definite, "{change}: {error}");
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_slot_that_is_gone_is_said_so() {
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        w.run("INSERT INTO t VALUES (1, 1)").await;
        let token = w.mark().await;
        let (_, position) = w.upto(token).await.unwrap();
        let sql = format!(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = '{0}'; \
             SELECT pg_drop_replication_slot('{0}')",
            w.names.slot
        );
        // The stream comes back at once; who is faster is chance.
        let begun = Instant::now();
        while w.admin.batch_execute(&sql).await.is_err() {
            assert!(begun.elapsed() < PATIENCE);
        }
        let error = w.error().await;
        assert_eq!(error.kind(), Kind::Definite, "{error}");
        assert!(error.what().contains("slot") || error.what().contains("stream is gone"), "{error}");
        let error = w.reopen(Some(&position), Options::default()).await.unwrap_err();
        assert!(error.what().contains("is gone"), "{error}");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_would_take_us_for_a_standby_is_refused() {
    let _alone = alone().await;
    on_both(|server| async move {
        let mut w = World::new(&server, T).await;
        run(&w.admin, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (far, \"*\")'").await;
        run(&w.admin, "SELECT pg_reload_conf()").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let opened =
            PostgresFeed::open(&w.address, &w.names, &w.followed, &w.key, 1, None, Options::default()).await.map(drop);
        let running = w.error().await;
        run(&w.admin, "ALTER SYSTEM RESET synchronous_standby_names").await;
        run(&w.admin, "SELECT pg_reload_conf()").await;
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.what().contains("standby"), "{error}");
        assert_eq!(running.kind(), Kind::Definite, "{running}");
        assert!(running.what().contains("standby"), "{running}");
        w.done().await;
    })
    .await;
}
