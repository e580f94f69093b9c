//! How much comes over the wire: keys, not rows.

use std::time::Instant;

use super::world::*;

#[tokio::test]
async fn wide_rows_cost_as_much_as_their_keys() {
    on_both(|server| async move {
        let columns = "id bigint PRIMARY KEY, v int NOT NULL, filler text NOT NULL";
        let mut w =
            World::with(&server, columns, "ALTER TABLE t ALTER COLUMN filler SET STORAGE PLAIN", Default::default())
                .await;
        w.run("INSERT INTO t SELECT i, 0, repeat(md5(i::text), 94) FROM generate_series(1, 4000) i").await;
        w.drain().await;
        let (before, changes) = (w.feed.bytes(), w.feed.changes());
        let begun = Instant::now();
        for round in 1..=50 {
            w.run(&format!("UPDATE t SET v = {round}, filler = repeat(md5((id + {round})::text), 94)")).await;
            if round % 10 == 0 {
                w.drain().await;
            }
        }
        let bytes = w.feed.bytes() - before;
        assert_eq!(w.feed.changes() - changes, 200_000);
        eprintln!("{bytes} bytes for 200000 updates of 3 kB in {:?}", begun.elapsed());
        assert!(bytes < 10_000_000, "{bytes}");
        w.done().await;
    })
    .await;
}
