//! Which keys a change delivers.

use super::world::*;
use osc::engine::postgres::stream::Options;

#[tokio::test]
async fn every_kind_of_change_delivers_its_key() {
    on_both(|server| async move {
        let mut w = World::new(&server, "id bigint PRIMARY KEY, v text").await;
        w.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (-9223372036854775808, 'c')").await;
        assert_eq!(w.drain_ids().await, [1, 2, i64::MIN]);
        w.run("UPDATE t SET v = 'x' WHERE id < 2").await;
        assert_eq!(sorted(w.drain_ids().await), [i64::MIN, 1]);
        w.run("DELETE FROM t WHERE id = 2").await;
        assert_eq!(w.drain_ids().await, [2]);
        w.run("INSERT INTO t VALUES (1, 'y'), (7, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v").await;
        assert_eq!(w.drain_ids().await, [1, 7]);
        w.run("BEGIN; INSERT INTO t VALUES (8); SAVEPOINT a; INSERT INTO t VALUES (9); ROLLBACK TO a; COMMIT").await;
        assert_eq!(w.drain_ids().await, [8]);
        w.run("BEGIN; INSERT INTO t VALUES (10); ROLLBACK").await;
        assert_eq!(w.drain_ids().await, [0; 0]);
        w.run("WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO t SELECT id + 100, v FROM gone WHERE id = 7").await;
        assert_eq!(sorted(w.drain_ids().await), [i64::MIN, 1, 7, 8, 107]);
        assert!(w.feed.changes() >= 14, "{}", w.feed.changes());
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_changed_key_comes_as_the_old_one_and_the_new_one() {
    on_both(|server| async move {
        let mut w = World::new(&server, "id int PRIMARY KEY, v int").await;
        w.run("INSERT INTO t VALUES (1, 1), (2, 2)").await;
        w.drain().await;
        w.run("UPDATE t SET id = 10 WHERE id = 1").await;
        assert_eq!(w.drain_ids().await, [1, 10]);
        w.run("UPDATE t SET id = -id, v = 0").await;
        let keys = w.drain_ids().await;
        assert_eq!(sorted(keys.clone()), [-10, -2, 2, 10]);
        // Each old key comes before its new one.
        assert!(keys.chunks(2).all(|pair| pair[0] == -pair[1] && pair[0] > 0), "{keys:?}");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_stored_out_of_line_comes_when_it_did_not_change() {
    on_both(|server| async move {
        let mut w = World::with(
            &server,
            "id text PRIMARY KEY, v int, filler text",
            "ALTER TABLE t ALTER COLUMN id SET STORAGE EXTERNAL",
            Options::default(),
        )
        .await;
        w.run("INSERT INTO t SELECT string_agg(md5(i::text), ''), 0, repeat('f', 100) FROM generate_series(1, 80) i")
            .await;
        let inserted = w.drain().await;
        assert_eq!(
            get(&w.app, "SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = 't'::regclass")
                .await
                .unwrap(),
            "t",
            "the key is not out of line"
        );
        w.run("UPDATE t SET v = 1").await;
        assert_eq!(w.drain().await, inserted);
        w.run("UPDATE t SET id = id || 'x'").await;
        let changed = w.drain().await;
        assert_eq!((changed.len(), &changed[0]), (2, &inserted[0]));
        w.run("DELETE FROM t").await;
        assert_eq!(w.drain().await, changed[1..]);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn another_identity_than_the_primary_key() {
    on_both(|server| async move {
        for more in [
            "CREATE UNIQUE INDEX u ON t (code, id) INCLUDE (v); ALTER TABLE t REPLICA IDENTITY USING INDEX u",
            "ALTER TABLE t REPLICA IDENTITY FULL",
        ] {
            let columns = "v int, id int PRIMARY KEY, code text NOT NULL, big text";
            let mut w = World::with(&server, columns, more, Options::default()).await;
            w.run("INSERT INTO t VALUES (1, 5, 'a''b', repeat('x', 3000))").await;
            assert_eq!(w.drain().await.len(), 1);
            // The application's statements go on as if nothing were published.
            w.run("UPDATE t SET v = 2").await;
            assert_eq!(w.drain().await.len(), 1);
            w.run("UPDATE t SET id = 6").await;
            let keys = w.drain().await;
            assert_eq!(keys.len(), 2, "{more}");
            let sql = format!("SELECT count(*) FROM t WHERE {}", w.key.where_keys(&keys).unwrap());
            assert_eq!(get(&w.app, &sql).await.unwrap(), "1");
            w.run("DELETE FROM t").await;
            assert_eq!(w.drain().await, keys[1..]);
            w.done().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_large_transaction_comes_whole() {
    on_both(|server| async move {
        let options = Options { queue_bytes: 200_000, ..Options::default() };
        let mut w = World::with(&server, "id int PRIMARY KEY, v int", "", options).await;
        w.run("INSERT INTO t SELECT i, 0 FROM generate_series(1, 100000) i").await;
        let keys = sorted(w.drain_ids().await);
        assert_eq!(keys.len(), 100_000);
        assert_eq!(w.feed.connections(), 1);
        w.done().await;
    })
    .await;
}
