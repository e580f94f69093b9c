//! Prepared transactions.

use std::time::Duration;

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
        w.run("INSERT INTO t VALUES (3, 1)").await;
        w.reopen(Some(&position)).await.unwrap();
        assert_eq!(w.drain().await, [3], "after the commit the position moves on");
        w.done().await;
    })
    .await;
}

#[tokio::test]
async fn a_reconnect_remembers_what_was_prepared() {
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
