//! A difference that comes back however often its row is synced.

use super::{Plant, planted};
use crate::harness::twin::rows;
use crate::harness::{Database, Kind, Osc, Server, on_both};

on_both!(a_row_that_can_not_be_repaired_stops_the_run);

async fn a_row_that_can_not_be_repaired_stops_the_run(kind: Kind) {
    let mut db = Database::create(&Server::without_xa(kind), "verify_stays").await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(80))",
        "INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'd')",
    ])
    .await;
    let definition = db.show_create("orders").await;
    let before = rows(&mut db, "orders", "TRUE").await;
    // Somebody else's hand in every write to the shadow.
    let trigger = Plant {
        name: "a trigger",
        statements: &[
            "CREATE TRIGGER hand BEFORE INSERT ON orders_osc_new FOR EACH ROW \
             SET NEW.note = IF(NEW.id IN (2, 3), 'not b', NEW.note)",
            "UPDATE orders_osc_new SET note = 'not b' WHERE id = 2",
            "UPDATE orders_osc_new SET note = '' WHERE id IN (3, 4)",
        ],
        rows: 3,
    };
    let osc = Osc::alter(&db, "orders", "ADD COLUMN priority INT");
    let report = planted(&mut db, osc, &[&trigger]).await.exited(4);
    for part in [
        "2 rows of the shadow table differ from the table's own, also after",
        "id=2: orders has (id='2', note='b'), orders_osc_new has (id='2', note='not b').",
        "id=3: orders has (id='3', note=NULL), orders_osc_new has (id='3', note='not b').",
        "The table is unchanged",
    ] {
        assert!(report.says(part), "'{part}' is not in {}", report.stderr);
    }
    assert_eq!(db.show_create("orders").await, definition);
    assert_eq!(rows(&mut db, "orders", "TRUE").await, before);
    db.run(&["DROP TRIGGER hand"]).await;

    // The same command goes on, and verifies from the beginning.
    let report = Osc::alter(&db, "orders", "ADD COLUMN priority INT").run().exited(0);
    let summary = report.event("summary");
    assert_eq!((&summary["resumed"], &summary["outcome"]), (&true.into(), &"swapped".into()));
    assert_eq!((&summary["verified"]["rows"], &summary["verified"]["repaired"]), (&4.into(), &2.into()), "{summary}");
}
