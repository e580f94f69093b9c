//! A key comes only when a new read sees its change.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use osc::engine::Event;

use super::world::*;

const T: &str = "id INT PRIMARY KEY, v INT NOT NULL";

/// Semi-synchronous replication that waits for a replica which never answers: for this long each
/// commit is in the binlog and not yet visible. It switches itself off after one such wait.
async fn stall(conn: &mut Conn, mariadb: bool, ms: u32) {
    let name = if mariadb { "rpl_semi_sync_master" } else { "rpl_semi_sync_source" };
    if !mariadb {
        let plugin = "SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = 'rpl_semi_sync_source'";
        if get::<u8>(conn, plugin).await == 0 {
            run(conn, "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'").await;
        }
    }
    run(conn, &format!("SET GLOBAL {name}_timeout = {ms}, GLOBAL {name}_wait_point = AFTER_SYNC")).await;
    loop {
        run(conn, &format!("SET GLOBAL {name}_enabled = OFF")).await;
        run(conn, &format!("SET GLOBAL {name}_enabled = ON")).await;
        let status: (String, String) = get(conn, &format!("SHOW GLOBAL STATUS LIKE '{name}_status'")).await;
        if status.1 == "ON" {
            break;
        }
    }
}

async fn no_stall(conn: &mut Conn, mariadb: bool) {
    let name = if mariadb { "master" } else { "source" };
    run(conn, &format!("SET GLOBAL rpl_semi_sync_{name}_enabled = OFF")).await;
}

/// Marks go out on a task of their own, as they do in a run, while the feed is read. Every delivered
/// key is read at once: its row must be there as the last writer of it left it. Returns the keys, and
/// the longest time from a write's statement to its delivery.
async fn follow(w: &mut World, writes: impl Fn(i32) -> Vec<String>, rounds: i32) -> (Vec<i64>, Duration) {
    let mut reader = w.other().await;
    let mut writer = w.other().await;
    let mut marker = w.other().await;
    let mut keys = Vec::new();
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let (first, second) = (w.mark_sql(), w.mark_sql());
        let statements = writes(round);
        let begin = Instant::now();
        let marks = w.marks.clone();
        let mut write = Box::pin(async {
            for sql in &statements {
                run(&mut writer, sql).await;
            }
        });
        // The first mark is sent while the write is in the binlog and not visible, the second after it.
        let mut mark = Box::pin(async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            for (token, sql) in [&first, &second] {
                marks.sent(*token);
                run(&mut marker, sql).await;
                marks.returned(*token);
            }
        });
        let (mut written, mut marked, mut done) = (false, false, false);
        while !(written && marked && done) {
            tokio::select! {
                () = &mut write, if !written => written = true,
                () = &mut mark, if !marked => marked = true,
                event = w.feed.next(), if !done => match event.unwrap() {
                    Event::Keys(more) => {
                        longest = longest.max(begin.elapsed());
                        for key in more.iter().map(int) {
                            let seen: Option<i32> =
                                reader.query_first(format!("SELECT v FROM t WHERE id = {key}")).await.unwrap();
                            assert_eq!(seen, Some(round), "key {key} was delivered before its change was visible");
                            keys.push(key);
                        }
                    }
                    Event::Mark { token, .. } => done = token == second.0,
                },
            }
        }
        drop((write, mark));
    }
    (keys, longest)
}

use osc::engine::Feed;

#[tokio::test]
async fn under_a_semi_sync_stall_keys_wait_for_their_commit() {
    let _alone = alone().await;
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let mariadb = w.flavor.is_mariadb();
        w.run("INSERT INTO t VALUES (1, -1), (2, -1)").await;
        w.drain().await;
        stall(&mut w.app, mariadb, 2000).await;
        // That the stall is real: the row comes out of the stream and is not there to be read.
        let mut writer = w.other().await;
        let write = async { run(&mut writer, "UPDATE t SET v = -2").await };
        let look = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            (get::<i32>(&mut w.app, "SELECT v FROM t WHERE id = 1").await, w.feed.bytes())
        };
        let bytes = w.feed.bytes();
        let ((), (seen, now)) = tokio::join!(write, look);
        assert_eq!(seen, -1, "semi-sync does not stall this server");
        assert!(now > bytes, "the row is not in the stream while its commit waits");
        w.drain().await;

        stall(&mut w.app, mariadb, 2000).await;
        let (keys, longest) = follow(&mut w, |round| vec![format!("UPDATE t SET v = {round}")], 1).await;
        no_stall(&mut w.app, mariadb).await;
        eprintln!("keys came after {longest:?}");
        assert_eq!(keys, [1, 2]);
        assert!(longest > Duration::from_millis(1500), "the stall was not there: {longest:?}");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn keys_of_a_live_write_are_visible_when_they_come() {
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        w.run("INSERT INTO t VALUES (1, -1), (2, -1)").await;
        w.drain().await;
        let (keys, _) = follow(&mut w, |round| vec![format!("UPDATE t SET v = {round}")], 5).await;
        assert_eq!(keys, [1, 2].repeat(5));
        w.done().await;
    })
    .await;
}
