//! Materialized views over the table: after the change they are what they were, over the new table.

use osc::error::Kind as ErrorKind;

use super::hanging::HANGING;
use super::twin::{Twin, build, open};
use crate::harness::{Database, Kind, Server, on_both};

const OVER: &[&str] = &[
    "CREATE MATERIALIZED VIEW daily (day, cents, who) WITH (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off) AS \
       SELECT (timestamptz '2026-01-01 20:00+00' + id * interval '1 hour')::date, sum(amount), max(owner || 'public.t') FROM t GROUP BY 1",
    "CREATE UNIQUE INDEX daily_day ON daily (day)",
    "CREATE INDEX \"Who %\" ON daily (lower(who) text_pattern_ops) INCLUDE (cents) WHERE cents > 3",
    "ALTER MATERIALIZED VIEW daily CLUSTER ON daily_day",
    "ALTER MATERIALIZED VIEW daily RENAME COLUMN who TO \"Who\"",
    "ALTER MATERIALIZED VIEW daily ALTER COLUMN cents SET STATISTICS 77",
    "ALTER MATERIALIZED VIEW daily ALTER COLUMN \"Who\" SET STORAGE EXTERNAL",
    "ALTER MATERIALIZED VIEW daily ALTER COLUMN \"Who\" SET COMPRESSION pglz",
    "ALTER MATERIALIZED VIEW daily ALTER COLUMN cents SET (n_distinct = 5)",
    "ALTER INDEX \"Who %\" SET (fillfactor = 60)",
    "COMMENT ON MATERIALIZED VIEW daily IS 'it''s daily'",
    "COMMENT ON COLUMN daily.cents IS 'a column of it'",
    "COMMENT ON INDEX daily_day IS 'an index of it'",
    "GRANT SELECT ON daily TO pg_monitor WITH GRANT OPTION",
    "GRANT SELECT (day) ON daily TO PUBLIC",
    "CREATE VIEW over_daily WITH (security_barrier) AS SELECT d.cents, t.id FROM daily d, t WHERE t.id < 3",
    "CREATE VIEW api.above_daily AS SELECT cents FROM over_daily",
    "GRANT SELECT ON over_daily TO pg_monitor",
    "CREATE MATERIALIZED VIEW api.later AS SELECT id, count(*) FROM public.t JOIN plain p USING (id) GROUP BY t.id WITH NO DATA",
    "CREATE INDEX ON api.later (count DESC)",
    "CREATE MATERIALIZED VIEW by_a_view AS SELECT * FROM over_daily",
];

async fn twin(kind: Kind, name: &str) -> Twin {
    let twin = Twin::new(kind, name, HANGING).await;
    // The application's day is not osc's: what it sees of a timestamptz is made under its own settings.
    twin.admin(&["ALTER ROLE APP SET timezone = 'Asia/Tokyo'"]).await;
    for db in [&twin.osc, &twin.native] {
        db.as_app(OVER).await;
    }
    twin
}

async fn all_of_it_follows(kind: Kind) {
    let twin = twin(kind, "matviews_all").await;
    let shadow = twin.alter("t", "ALTER up TYPE bigint, ADD extra text DEFAULT 'x', ALTER pa TYPE bigint").await;
    let named: Vec<String> = shadow.swap.matviews.iter().map(|m| m.name.bare()).collect();
    assert_eq!(named, ["public.daily", "api.later"], "what is over a view alone stays");
    for sql in [
        "SELECT * FROM daily ORDER BY day",
        "SELECT * FROM over_daily ORDER BY 1, 2",
        "SELECT * FROM api.above_daily ORDER BY 1",
        "SELECT * FROM by_a_view ORDER BY 1, 2",
        "SELECT relname, relispopulated FROM pg_class WHERE relkind = 'm' ORDER BY 1",
        "SELECT indexrelid::regclass::text, indisclustered FROM pg_index WHERE indrelid = 'daily'::regclass ORDER BY 1",
    ] {
        twin.same_rows(sql).await;
    }
    // By the time zone of osc's sessions they would be others.
    let utc =
        twin.osc.rows("SELECT (timestamptz '2026-01-01 20:00+00' AT TIME ZONE 'UTC' + interval '1 hour')::date").await;
    assert_ne!(twin.osc.rows("SELECT min(day) FROM daily").await, utc);
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "DELETE FROM t WHERE id = 20",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY daily",
            "REFRESH MATERIALIZED VIEW api.later",
            "REFRESH MATERIALIZED VIEW by_a_view",
        ])
        .await;
    }
    for sql in
        ["SELECT * FROM daily ORDER BY day", "SELECT * FROM api.later ORDER BY id", "SELECT count(*) FROM by_a_view"]
    {
        twin.same_rows(sql).await;
    }
}

async fn a_rename_goes_through(kind: Kind) {
    let twin = twin(kind, "matviews_rename").await;
    twin.alter("t", "RENAME COLUMN amount TO \"Cents %\"").await;
    twin.same_rows("SELECT * FROM daily ORDER BY day").await;
    for db in [&twin.osc, &twin.native] {
        db.as_app(&["UPDATE t SET \"Cents %\" = 1000 WHERE id = 2", "REFRESH MATERIALIZED VIEW daily"]).await;
    }
    twin.same_rows("SELECT * FROM daily ORDER BY day").await;
}

/// With the name of what is in the way; nothing is left.
async fn what_can_not_follow_is_refused(kind: Kind) {
    let server = Server::shared(kind);
    for (setup, alter, named) in [
        (
            &["CREATE MATERIALIZED VIEW ups AS SELECT up FROM t"][..],
            "ALTER up TYPE bigint",
            "materialized view public.ups",
        ),
        (&["CREATE MATERIALIZED VIEW second AS SELECT * FROM daily"], "ADD x int", "materialized view public.second"),
        (
            &["CREATE FUNCTION f(daily) RETURNS int LANGUAGE sql AS 'SELECT 1'"],
            "ADD x int",
            "function public.f(public.daily)",
        ),
        (&["CREATE STATISTICS st ON day, cents FROM daily"], "ADD x int", "statistics object public.st"),
        (
            &["CREATE SCHEMA s", "CREATE MATERIALIZED VIEW s.t AS SELECT id FROM public.t"],
            "ADD x int",
            "is called like the table",
        ),
    ] {
        let db = Database::create(&server, "matviews_refused").await;
        let hanging: Vec<String> = HANGING.iter().map(|sql| sql.replace("APP", &db.app_role())).collect();
        db.as_app(&hanging.iter().map(String::as_str).chain(OVER.iter().copied()).collect::<Vec<_>>()).await;
        db.as_app(setup).await;
        let mut session = open(&db).await;
        let error = build(&db, &mut session, "t", alter).await.map(|_| ()).expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
        assert!(!error.to_string().contains("osc_"), "{error}");
        assert_eq!(db.leftovers().await, [""; 0]);
    }
}

on_both!(all_of_it_follows, a_rename_goes_through, what_can_not_follow_is_refused);
