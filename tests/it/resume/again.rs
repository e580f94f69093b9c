//! The same command again where going on is not the answer: the table was changed, the run was stored by another
//! version of osc, it never began, or it ended well.

use crate::harness::{Database, Kind, Osc, Report, Server, on_both};

on_both!(a_changed_table_is_told, another_format_is_refused, what_never_began_is_begun, what_is_done_is_said_to_be);

const ADD: &str = "ADD COLUMN later INT NOT NULL DEFAULT 4, ADD INDEX (note)";

async fn orders(kind: Kind, name: &str) -> Database {
    let mut db = Database::create(&Server::without_xa(kind), name).await;
    db.run(&[
        "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(40), CHECK (note <> ''))",
        "INSERT INTO orders (note) VALUES ('a'), ('b'), ('c')",
    ])
    .await;
    db
}

fn alter(db: &Database) -> Osc {
    Osc::alter(db, "orders", ADD)
}

/// A run that is cut off when it's ready.
async fn cut_off(db: &mut Database) {
    let mut run = alter(db).postponed().start();
    run.until_phase("ready");
    super::kill(db, run).await;
}

async fn new_beginning(db: &mut Database) {
    Osc::new(db, "cleanup").args(["--yes"]).run().exited(0);
    let report = alter(db).run().exited(0);
    assert_eq!(report.event("summary")["resumed"], false);
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);
}

async fn a_changed_table_is_told(kind: Kind) {
    let mut db = orders(kind, "resume_changed").await;
    cut_off(&mut db).await;
    db.run(&["ALTER TABLE orders ADD COLUMN other INT"]).await;
    let tables = db.tables().await;
    let report = alter(&db).run().exited(3);
    assert!(report.says("definition changed since") && report.says("osc cleanup"), "{}", report.stderr);
    assert_eq!(db.tables().await, tables);
    new_beginning(&mut db).await;
}

async fn another_format_is_refused(kind: Kind) {
    let mut db = orders(kind, "resume_format").await;
    cut_off(&mut db).await;
    for slot in ["run", "checkpoint"] {
        let set = |number: u32| {
            format!("UPDATE orders_osc_state SET body = JSON_SET(body, '$.format', {number}) WHERE slot = '{slot}'")
        };
        db.run(&[&set(99)]).await;
        assert_eq!(db.admin.affected_rows(), 1, "{slot}");
        let state = db.rows("SELECT * FROM orders_osc_state ORDER BY slot").await;
        let report = alter(&db).run().exited(3);
        assert!(report.says("stored in format 99") && report.says("osc cleanup"), "{}", report.stderr);
        assert_eq!(db.rows("SELECT * FROM orders_osc_state ORDER BY slot").await, state, "nothing was touched");
        db.run(&[&set(osc::model::FORMAT)]).await;
    }
    let report = alter(&db).run().exited(0);
    assert_eq!(report.event("summary")["resumed"], true);

    // One that can't be read at all, and the clean beginning.
    let mut db = orders(kind, "resume_format").await;
    cut_off(&mut db).await;
    db.run(&["UPDATE orders_osc_state SET body = '{' WHERE slot = 'run'"]).await;
    let report = alter(&db).run().exited(3);
    assert!(report.says("can't be read") && report.says("osc cleanup"), "{}", report.stderr);
    new_beginning(&mut db).await;
}

async fn what_never_began_is_begun(kind: Kind) {
    let mut db = orders(kind, "resume_unbegun").await;
    let cut_off = async |db: &mut Database| {
        let mut run = alter(db).pause_at("shadow-built").start();
        run.until_paused("shadow-built");
        super::kill(db, run).await;
        assert_eq!(db.tables().await, ["orders", "orders_osc_new", "orders_osc_state"]);
    };
    cut_off(&mut db).await;
    let check = Osc::new(&db, "check").args(["--table", "orders", "--alter", ADD]);
    check.run().exited(0);
    assert_eq!(db.tables().await, ["orders"]);
    cut_off(&mut db).await;
    let report = alter(&db).run().exited(0);
    assert_eq!(report.event("summary")["resumed"], false);
    assert_eq!(db.tables().await, ["orders", "orders_osc_old"]);

    // What may be somebody's is left alone: rows in the shadow, or a state table that is none.
    let keeps = async |db: &mut Database| {
        let tables = db.tables().await;
        alter(db).run().exited(3);
        assert_eq!(db.tables().await, tables);
    };
    let mut db = orders(kind, "resume_unbegun").await;
    cut_off(&mut db).await;
    db.run(&["INSERT INTO orders_osc_new (note) VALUES ('mine')"]).await;
    keeps(&mut db).await;
    db.run(&["DELETE FROM orders_osc_new", "ALTER TABLE orders_osc_state COMMENT 'mine'"]).await;
    keeps(&mut db).await;
    db.run(&["DROP TABLE orders_osc_state"]).await;
    keeps(&mut db).await;
}

async fn what_is_done_is_said_to_be(kind: Kind) {
    let mut db = orders(kind, "resume_done").await;
    let outcome = |report: &Report| report.event("summary")["outcome"].clone();
    // Killed between the swap and its report: the next one reports it.
    let mut run = alter(&db).pause_at("before-tidy").start();
    run.until_paused("before-tidy");
    super::kill(&mut db, run).await;
    assert_eq!(outcome(&alter(&db).run().exited(0)), "swapped");
    let (tables, create) = (db.tables().await, db.show_create("orders").await);
    assert_eq!(tables, ["orders", "orders_osc_old"]);
    // The traffic goes on; what the rows and the counter are makes no difference.
    db.run(&["INSERT INTO orders (note) VALUES ('d')", "DELETE FROM orders WHERE id = 1"]).await;
    for _ in 0..2 {
        let report = alter(&db).run().exited(0);
        assert_eq!(outcome(&report), "already-there");
        assert_eq!(report.event("summary")["old_table"], "resume_done.orders_osc_old");
        assert_eq!(db.tables().await, tables);
    }
    let check = Osc::new(&db, "check").args(["--table", "orders", "--alter", ADD]).run().exited(3);
    assert!(check.says("made this change already"), "{}", check.stderr);
    // Another change is another change, and a rebuild leaves nothing by which it could be known.
    for other in
        ["ADD COLUMN later2 INT", "ENGINE = InnoDB", "ADD COLUMN later INT NOT NULL DEFAULT 5, ADD INDEX (note)"]
    {
        let report = Osc::alter(&db, "orders", other).run().exited(3);
        assert!(report.says("kept as resume_done.orders_osc_old"), "{other}: {}", report.stderr);
    }
    let counter_aside = |text: &str| crate::harness::stage::without_counter(text);
    assert_eq!(counter_aside(&db.show_create("orders").await), counter_aside(&create));
    let report = alter(&db).args(["--drop-old"]).run().exited(0);
    assert_eq!(outcome(&report), "already-there");
    assert_eq!(db.tables().await, ["orders"]);
    // Nothing tells of the run any more: the server refuses the ALTER, which says as much.
    let report = alter(&db).run().exited(3);
    assert!(report.says("Duplicate column"), "{}", report.stderr);
    assert_eq!(db.tables().await, ["orders"]);
}
