//! Sessions that were there before the swap, with functions they have compiled and statements they have planned: what goes on
//! after a native ALTER goes on after the swap (trap 13), even when the old table is gone.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::twin::Twin;
use crate::harness::{Database, Kind, get, on_both, run, wait_for};

const SETUP: &[&str] = &[
    "CREATE SCHEMA other",
    "CREATE TABLE log (what text)",
    "CREATE TABLE t (id int PRIMARY KEY, a int, b text)",
    "INSERT INTO t SELECT i, i * 10, 'b' || i FROM generate_series(1, 5) i",
    "CREATE VIEW v AS SELECT id, b FROM t",
    "CREATE FUNCTION f_row() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r t%ROWTYPE; BEGIN SELECT * INTO r FROM t WHERE id = 1; RETURN r.a; END $$",
    "CREATE FUNCTION f_type() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN SELECT * INTO r FROM T WHERE id = 2; RETURN r.a || r.b; END $$",
    "CREATE FUNCTION f_whole() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN SELECT x.* INTO r FROM t x WHERE id = 2; RETURN r; END $$",
    "CREATE FUNCTION f_loop() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r public.t; s int = 0; BEGIN FOR r IN SELECT * FROM t LOOP s := s + r.a; END LOOP; RETURN s; END $$",
    "CREATE FUNCTION f_write() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN UPDATE t SET b = b WHERE id = 3 RETURNING * INTO r; RETURN r.b; END $$",
    "CREATE FUNCTION f_array() RETURNS text LANGUAGE plpgsql AS $$ DECLARE rs t[]; BEGIN SELECT array_agg(x ORDER BY id) INTO rs FROM t x; RETURN (rs[2]).a; END $$",
    "CREATE FUNCTION f_json() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN r := jsonb_populate_record(NULL::t, '{\"a\": 5, \"c\": 6}'); RETURN r.a; END $$",
    "CREATE FUNCTION f_record() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN SELECT * INTO r FROM t WHERE id = 4; RETURN r.b; END $$",
    "CREATE FUNCTION f_dynamic() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN EXECUTE 'SELECT * FROM t WHERE id = 4' INTO r; RETURN r.b; END $$",
    "CREATE FUNCTION f_column() RETURNS text LANGUAGE plpgsql AS $$ DECLARE x t.a%TYPE; BEGIN SELECT a INTO x FROM t WHERE id = 4; RETURN x; END $$",
    "CREATE FUNCTION f_view() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r v%ROWTYPE; BEGIN SELECT * INTO r FROM v WHERE id = 4; RETURN r.b; END $$",
    "CREATE FUNCTION f_cursor() RETURNS text LANGUAGE plpgsql AS $$ DECLARE c CURSOR FOR SELECT * FROM t ORDER BY id; r t; BEGIN OPEN c; FETCH c INTO r; CLOSE c; RETURN r.b; END $$",
    "CREATE FUNCTION f_outer() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN f_row() || f_whole(); END $$",
    "CREATE FUNCTION other.f_there() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$ DECLARE r t; BEGIN SELECT * INTO r FROM t WHERE id = 5; RETURN r.b; END $$",
    "CREATE FUNCTION s_sum() RETURNS bigint LANGUAGE sql AS 'SELECT sum(a)::bigint FROM t'",
    "CREATE FUNCTION s_json() RETURNS text LANGUAGE sql AS $$ SELECT (jsonb_populate_record(NULL::t, '{\"a\": 5}')).a::text $$",
    "CREATE FUNCTION s_volatile(i int) RETURNS SETOF text LANGUAGE sql VOLATILE AS $$ UPDATE t SET b = b WHERE id = i; SELECT x::text FROM t x WHERE id = i $$",
    "CREATE PROCEDURE p_touch() LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN SELECT * INTO r FROM t WHERE id = 1; UPDATE t SET a = r.a WHERE id = r.id; END $$",
    "CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE r t; BEGIN SELECT * INTO r FROM t WHERE id = 1; INSERT INTO log VALUES (r.b || NEW.b); RETURN NEW; END $$",
    "CREATE TRIGGER fires BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fired()",
    "CREATE MATERIALIZED VIEW mine AS SELECT id, b FROM t",
    "CREATE FUNCTION f_matview() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r mine%ROWTYPE; BEGIN SELECT * INTO r FROM mine WHERE id = 4; RETURN r.b; END $$",
    "CREATE FUNCTION f_matviews() RETURNS text LANGUAGE plpgsql AS $$ DECLARE rs mine[]; BEGIN SELECT array_agg(x ORDER BY id) INTO rs FROM mine x; RETURN (rs[2]).b; END $$",
    "CREATE FUNCTION f_json_matview() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r mine; BEGIN r := jsonb_populate_record(NULL::mine, '{\"b\": 5}'); RETURN r.b; END $$",
    // Is in the middle of its work while the tables are swapped.
    "CREATE PROCEDURE p_long() LANGUAGE plpgsql AS $$ DECLARE r t%ROWTYPE; BEGIN SELECT * INTO r FROM t WHERE id = 1; COMMIT; \
       PERFORM pg_advisory_lock(77); SELECT * INTO r FROM t WHERE id = 2; INSERT INTO log VALUES ('long ' || r.b); COMMIT; \
       SELECT x.* INTO r FROM t x WHERE id = 3; INSERT INTO log VALUES ('long ' || r.a); END $$",
];

const CALLS: &[&str] = &[
    "SELECT f_row()",
    "SELECT f_type()",
    "SELECT f_whole()",
    "SELECT f_loop()",
    "SELECT f_write()",
    "SELECT f_array()",
    "SELECT f_json()",
    "SELECT f_record()",
    "SELECT f_dynamic()",
    "SELECT f_column()",
    "SELECT f_view()",
    "SELECT f_cursor()",
    "SELECT f_matview()",
    "SELECT f_matviews()",
    "SELECT f_json_matview()",
    "SELECT f_outer()",
    "SELECT other.f_there()",
    "SELECT s_sum()",
    "SELECT s_json()",
    "SELECT s_volatile(3)",
    "CALL p_touch()",
    "UPDATE t SET b = b WHERE id = 2 RETURNING b",
    "EXECUTE by_id(2)",
    "EXECUTE writes(2)",
    "EXECUTE makes",
    "EXECUTE of_matview(2)",
];

/// What comes back, or the error's code.
async fn ask(client: &Client, sql: &str) -> Result<Vec<Option<String>>, String> {
    let messages =
        client.simple_query(sql).await.map_err(|e| e.as_db_error().map_or(e.to_string(), |e| e.to_string()))?;
    let value = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(value).collect())
}

struct Open {
    used: Client,
    busy: tokio::task::JoinHandle<Result<Vec<Option<String>>, String>>,
}

/// A session that has used everything, more often than it takes for a plan to be kept, and one that is in the middle.
async fn begin(db: &Database) -> Open {
    let used = db.app().await;
    for prepare in [
        "PREPARE by_id(int) AS SELECT b FROM t WHERE id = $1",
        "PREPARE of_matview(int) AS SELECT b FROM mine WHERE id = $1",
        "PREPARE writes(int) AS UPDATE t SET a = a WHERE id = $1 RETURNING b",
        "PREPARE makes AS SELECT (jsonb_populate_record(NULL::t, '{\"a\": 5}')).a",
    ] {
        run(&used, prepare).await;
    }
    for _ in 0..7 {
        for call in CALLS {
            ask(&used, call).await.unwrap_or_else(|e| panic!("{call}: {e}"));
        }
    }
    run(&db.admin, "SELECT pg_advisory_lock(77)").await;
    let busy = db.app().await;
    let busy = tokio::spawn(async move { ask(&busy, "CALL p_long()").await });
    wait_for("the procedure", async || {
        get(&db.admin, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
            .await
            .is_some()
    })
    .await;
    Open { used, busy }
}

async fn a_session_goes_on_after_the_swap(kind: Kind) {
    for (number, alter) in
        ["ADD c int DEFAULT 4, ALTER a TYPE bigint", "SET (fillfactor = 90), ADD UNIQUE (a)"].into_iter().enumerate()
    {
        let twin = Twin::new(kind, &format!("sessions_{number}"), SETUP).await;
        let (ours, native) = (begin(&twin.osc).await, begin(&twin.native).await);
        twin.alter("t", alter).await;
        let mut worse = Vec::new();
        for round in 1..=2 {
            for call in CALLS {
                let (here, there) = (ask(&ours.used, call).await, ask(&native.used, call).await);
                println!("{call}, {round}: {here:?}, natively {there:?}");
                if there.is_ok() && here != there {
                    worse.push(format!("{call} in round {round}: {here:?}, natively {there:?}"));
                }
            }
        }
        assert!(worse.is_empty(), "{alter}: {}", worse.join("\n"));
        for (db, open) in [(&twin.osc, ours), (&twin.native, native)] {
            run(&db.admin, "SELECT pg_advisory_unlock(77)").await;
            let ended = open.busy.await.expect("the call");
            assert_eq!(ended, Ok(vec![]), "{alter}, in {}", db.name);
        }
        twin.same_rows("SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1").await;
        assert_eq!(twin.osc.one::<i64>("SELECT count(*) FROM log WHERE what ~ 'long'").await, 2);
    }
}

on_both!(a_session_goes_on_after_the_swap);
