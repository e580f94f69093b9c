//! Prepared transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use osc::engine::Event;

use super::world::*;

const T: &str = "id INT PRIMARY KEY, v INT";

#[tokio::test]
async fn keys_of_a_prepared_transaction_come_with_its_commit() {
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let (a, b, c) = (w.db.clone() + "a", w.db.clone() + "b", w.db.clone() + "c");
        for (xid, id) in [(&a, 1), (&b, 2), (&c, 3)] {
            let mut other = w.other().await;
            run(&mut other, &format!("XA START '{xid}', 'q', 77")).await;
            run(&mut other, &format!("INSERT INTO t VALUES ({id}, 1)")).await;
            run(&mut other, &format!("XA END '{xid}', 'q', 77")).await;
            let end = if id == 3 { "COMMIT" } else { "PREPARE" };
            let phase = if id == 3 { "ONE PHASE" } else { "" };
            run(&mut other, &format!("XA {end} '{xid}', 'q', 77 {phase}")).await;
        }
        w.run("INSERT INTO t VALUES (10, 1)").await;
        assert_eq!(w.drain().await, [3, 10], "a prepared transaction is no commit, one phase is");
        assert!(w.drain().await.is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
        w.run(&format!("XA COMMIT '{a}', 'q', 77")).await;
        assert_eq!(w.drain().await, [1]);
        w.run(&format!("XA ROLLBACK '{b}', 'q', 77")).await;
        w.run("INSERT INTO t VALUES (11, 1)").await;
        assert_eq!(w.drain().await, [11]);
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn the_position_stays_before_an_open_prepare() {
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let xid = w.db.clone();
        let mut other = w.other().await;
        run(&mut other, &format!("XA START '{xid}'")).await;
        run(&mut other, "INSERT INTO t VALUES (1, 1)").await;
        run(&mut other, &format!("XA END '{xid}'")).await;
        run(&mut other, &format!("XA PREPARE '{xid}'")).await;
        drop(other);
        w.run("INSERT INTO t VALUES (2, 1)").await;
        let token = w.mark().await;
        let (keys, position) = w.upto(token).await.unwrap();
        assert_eq!(keys, [2]);
        // The process dies; the transaction is committed; the next life must see it.
        w.run(&format!("XA COMMIT '{xid}'")).await;
        w.reopen(Some(&position)).await.unwrap();
        assert_eq!(w.drain().await, [2, 1]);
        let token = w.mark().await;
        let (_, position) = w.upto(token).await.unwrap();
        w.reopen(Some(&position)).await.unwrap();
        assert_eq!(w.drain().await, [2, 1], "a server that dies now may take the commit back");
        tokio::time::sleep(Duration::from_secs(11)).await;
        let token = w.mark().await;
        let (_, position) = w.upto(token).await.unwrap();
        w.run("INSERT INTO t VALUES (3, 1)").await;
        w.reopen(Some(&position)).await.unwrap();
        assert_eq!(w.drain().await, [3], "soon after the commit the position moves on");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_reconnect_remembers_what_was_prepared() {
    let _alone = alone().await;
    on_both(|address| async move {
        let mut w = World::new(&address, T).await;
        let xid = w.db.clone();
        let mut other = w.other().await;
        run(&mut other, &format!("XA START '{xid}'")).await;
        run(&mut other, "INSERT INTO t VALUES (1, 1)").await;
        run(&mut other, &format!("XA END '{xid}'")).await;
        run(&mut other, &format!("XA PREPARE '{xid}'")).await;
        drop(other);
        assert!(w.drain().await.is_empty());
        super::connection::kill_dumps(&mut w).await;
        w.run(&format!("XA COMMIT '{xid}'")).await;
        assert_eq!(w.drain().await, [1]);
        w.done().await;
    })
    .await;
}

/// XA COMMIT from several sessions at once, in the session that prepared and in others, while marks go
/// out without a pause. Each key that comes is read at once.
async fn storm(address: osc::engine::mysql::connect::Address, other_session: bool) {
    let mut w = World::new(&address, T).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..if other_session { 16 } else { 6 })
        .map(|worker| {
            let (address, db, stop) = (address.clone(), w.db.clone(), stop.clone());
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                    let mut conn = address.connect().await.unwrap();
                    let mut other = address.connect().await.unwrap();
                    run(&mut conn, &format!("USE {db}")).await;
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        n += 1;
                        let (id, xid) = (worker * 1_000_000 + n, format!("{db}-{worker}-{n}"));
                        run(&mut conn, &format!("XA START '{xid}'")).await;
                        run(&mut conn, &format!("INSERT INTO t VALUES ({id}, 1)")).await;
                        run(&mut conn, &format!("XA END '{xid}'")).await;
                        run(&mut conn, &format!("XA PREPARE '{xid}'")).await;
                        if other_session {
                            let id_of = conn.id();
                            drop(std::mem::replace(&mut conn, address.connect().await.unwrap()));
                            run(&mut conn, &format!("USE {db}")).await;
                            // Not before the server has let go of it: MariaDB 10.11 logs an XA COMMIT that comes
                            // while the session which prepared is closing, answers OK, and never carries it out.
                            let gone =
                                format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id_of}");
                            while get::<u64>(&mut other, &gone).await > 0 {
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            }
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            while other.query_drop(format!("XA COMMIT '{xid}'")).await.is_err() {
                                tokio::time::sleep(Duration::from_millis(20)).await;
                            }
                        } else {
                            run(&mut conn, &format!("XA COMMIT '{xid}'")).await;
                        }
                    }
                    n
                })
            })
        })
        .collect();
    let mut reader = w.other().await;
    let (mut keys, mut late) = (0, Vec::new());
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        let token = w.mark().await;
        loop {
            match w.next().await.unwrap() {
                Event::Keys(more) => {
                    for key in more.iter().map(int) {
                        keys += 1;
                        let there: Option<i32> =
                            reader.query_first(format!("SELECT v FROM t WHERE id = {key}")).await.unwrap();
                        if there.is_none() {
                            late.push(key);
                        }
                    }
                }
                Event::Mark { token: t, .. } if t == token => break,
                Event::Mark { .. } => {}
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let commits: i32 = workers.into_iter().map(|w| w.join().unwrap()).sum();
    eprintln!(
        "{commits} XA commits, {keys} keys, {} not visible when they came, {} marks",
        late.len(),
        w.mark().await.0
    );
    w.drain().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for key in &late {
        let there: Option<i32> = reader.query_first(format!("SELECT v FROM t WHERE id = {key}")).await.unwrap();
        eprintln!("key {key} a second later: {there:?}");
    }
    assert!(late.is_empty(), "not visible when delivered: {late:?}");
    w.done().await;
}

#[tokio::test]
async fn keys_of_xa_commits_are_visible_when_they_come() {
    on_both(|address| storm(address, false)).await;
}

#[tokio::test]
async fn keys_of_xa_commits_by_another_session_are_visible_when_they_come() {
    on_both(|address| storm(address, true)).await;
}
