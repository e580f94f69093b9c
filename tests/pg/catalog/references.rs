//! Foreign keys that the ALTER adds: the catalog is a native ALTER's, and what fails natively is named before the swap.

use osc::error::Kind as ErrorKind;

use super::twin::{Twin, build, change, open};
use crate::harness::{Database, Kind, Server, on_both};

const SETUP: &[&str] = &[
    "CREATE SCHEMA s",
    "CREATE COLLATION other_c FROM \"C\"",
    "CREATE TABLE parent (id int PRIMARY KEY, code text COLLATE \"C\" UNIQUE, n numeric UNIQUE)",
    "INSERT INTO parent SELECT i, 'c' || i, i FROM generate_series(1, 30) i",
    "CREATE TABLE s.\"Other %\" (\"Ten ant\" int, id bigint, v int, PRIMARY KEY (\"Ten ant\", id))",
    "CREATE UNIQUE INDEX not_a_constraint ON s.\"Other %\" (v)",
    "INSERT INTO s.\"Other %\" SELECT 1, i, i FROM generate_series(1, 30) i",
    "CREATE TABLE t (id int PRIMARY KEY, pid int, code text COLLATE other_c, up int, bad int, tenant int DEFAULT 1, u int, n int, \
       g int GENERATED ALWAYS AS (pid + 1) STORED, held int CONSTRAINT held REFERENCES parent)",
    "INSERT INTO t (id, pid, code, up, bad, u, n, held) SELECT i, i, 'c' || i, 1, i * 1000, i, i, i FROM generate_series(1, 20) i",
    "INSERT INTO t (id, tenant) VALUES (50, NULL)",
    "CREATE TABLE child (id int, CONSTRAINT child_t FOREIGN KEY (id) REFERENCES t)",
    "INSERT INTO child SELECT generate_series(1, 20)",
];

const CLAUSES: &[&str] = &[
    "ADD CONSTRAINT fk1 FOREIGN KEY (pid) REFERENCES parent",
    "ADD FOREIGN KEY (code) REFERENCES parent (code) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED",
    "ADD COLUMN x int REFERENCES parent ON DELETE CASCADE, ADD z text",
    "ADD COLUMN y bigint DEFAULT 3 CONSTRAINT named REFERENCES public.parent (id) ON UPDATE SET DEFAULT, ADD COLUMN up2 int REFERENCES t",
    "ADD FOREIGN KEY (up) REFERENCES t ON DELETE SET NULL (up)",
    "ADD CONSTRAINT nv FOREIGN KEY (bad) REFERENCES parent NOT VALID",
    "ADD FOREIGN KEY (tenant, pid) REFERENCES s.\"Other %\" MATCH FULL, ADD FOREIGN KEY (u) REFERENCES s.\"Other %\" (v)",
    "ADD CONSTRAINT own UNIQUE (u), ADD CONSTRAINT to_own FOREIGN KEY (n) REFERENCES t (u)",
    "ADD FOREIGN KEY (g) REFERENCES parent, ADD FOREIGN KEY (n) REFERENCES parent (n)",
    "DROP CONSTRAINT fk1, ADD CONSTRAINT fk1 FOREIGN KEY (pid, tenant) REFERENCES s.\"Other %\" (id, \"Ten ant\")",
    "ALTER held TYPE bigint, ALTER id TYPE bigint",
    "ALTER pid TYPE bigint USING pid + 1, ALTER code TYPE varchar(20)",
    "ADD COLUMN IF NOT EXISTS x int REFERENCES parent, ADD w int",
    "RENAME COLUMN pid TO \"p id\"",
];

const CONSTRAINTS: &str = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred \
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2";

async fn they_are_what_a_native_alter_makes(kind: Kind) {
    let twin = Twin::new(kind, "ref_twin", SETUP).await;
    let mut clauses = CLAUSES.to_vec();
    // The generated column of 15 keeps its expression's column from being altered; natively too.
    clauses.insert(9, "DROP COLUMN g");
    if kind == Kind::Postgres {
        clauses.push("ADD CONSTRAINT unheld FOREIGN KEY (bad) REFERENCES parent NOT ENFORCED");
    }
    for clause in clauses {
        eprintln!("-- {clause}");
        let shadow = twin.alter("t", clause).await;
        twin.same_rows(CONSTRAINTS).await;
        twin.same_rows("SELECT * FROM t ORDER BY id").await;
        let to_look_at = shadow.swap.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>();
        match clause {
            c if c.starts_with("ADD CONSTRAINT fk1") => assert_eq!(to_look_at, ["fk1"]),
            c if c.contains(" nv ")
                || c.contains(" unheld ")
                || c.starts_with("RENAME")
                || c.starts_with("ALTER held") =>
            {
                assert!(to_look_at.is_empty(), "{to_look_at:?}");
            }
            c if c.starts_with("DROP CONSTRAINT fk1") => assert_eq!(to_look_at, ["fk1"]),
            _ => {}
        }
    }
    let sql = "SELECT count(*), count(*) FILTER (WHERE convalidated) FROM pg_constraint WHERE contype = 'f' AND conrelid = 't'::regclass";
    let all = if kind == Kind::Postgres { 13 } else { 12 };
    assert_eq!(twin.osc.rows(sql).await[0], [Some(all.to_string()), Some("11".into())]);
    // They act as natively.
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "UPDATE parent SET code = 'changed' WHERE id = 4",
            "UPDATE t SET x = 5 WHERE id = 7",
            "DELETE FROM parent WHERE id = 29",
        ])
        .await;
        db.as_app(&["UPDATE t SET bad = 1", "ALTER TABLE t DROP CONSTRAINT held"]).await;
    }
    twin.same_rows("SELECT * FROM t ORDER BY id").await;
    assert_eq!(twin.osc.one::<i64>("SELECT count(*) FROM t WHERE code = 'changed'").await, 1);
    let shadow = twin.alter("t", "VALIDATE CONSTRAINT nv").await;
    assert_eq!(shadow.swap.checks.len(), 1, "{:?}", shadow.swap.checks);
    twin.same_rows(CONSTRAINTS).await;
}

/// The other table is locked by nothing but the swap: neither to build the shadow, nor to look at the rows.
async fn nobody_is_locked_out_before_the_swap(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "ref_locks").await;
    db.as_app(SETUP).await;
    let mut session = open(&db).await;
    session.exec("BEGIN").await.unwrap();
    let names = osc::engine::postgres::names::Names::of(&db.name, &super::twin::parse("t"));
    let found = osc::engine::postgres::identity::find(&mut session, &names.original).await.unwrap();
    osc::engine::postgres::shadow::Shadow::build(
        &mut session,
        &names,
        &found,
        "ADD FOREIGN KEY (pid) REFERENCES parent, ADD FOREIGN KEY (up) REFERENCES t",
    )
    .await
    .unwrap();
    let app = db.app().await;
    for sql in [
        "SET lock_timeout = '1s'",
        "INSERT INTO parent VALUES (1000)",
        "DELETE FROM parent WHERE id = 1000",
        "UPDATE t SET up = 2",
    ] {
        crate::harness::run(&app, sql).await;
    }
    session.exec("ROLLBACK").await.unwrap();
}

/// What fails natively fails before the swap, with the row.
async fn a_row_that_does_not_meet_one_is_named(kind: Kind) {
    for (number, (setup, alter, said)) in [
        ("SELECT 1", "ADD CONSTRAINT fk FOREIGN KEY (bad) REFERENCES parent", &["fk", "bad=", "public.parent", "id="][..]),
        ("UPDATE t SET tenant = NULL WHERE id = 7", "ADD CONSTRAINT fk FOREIGN KEY (tenant, pid) REFERENCES s.\"Other %\" MATCH FULL", &["fk", "id=7", "tenant=NULL, pid=7"]),
        ("UPDATE t SET u = 77 WHERE id = 8", "ADD CONSTRAINT fk FOREIGN KEY (u) REFERENCES t", &["fk", "id=8", "u=77", "public.t"]),
        ("UPDATE t SET pid = 30 WHERE id = 9", "ADD CONSTRAINT fk FOREIGN KEY (g) REFERENCES parent", &["fk", "id=9", "g=31"]),
        ("SELECT 1", "ADD x int DEFAULT 99 CONSTRAINT fk REFERENCES parent", &["fk", "x=99"]),
        ("SELECT 1", "ADD x int DEFAULT 99, ADD CONSTRAINT fk FOREIGN KEY (x) REFERENCES t", &["fk", "x=99"]),
        ("SELECT 1", "ALTER held TYPE int USING held + 500", &["held", "held=50"]),
        ("UPDATE t SET code = 'zz' WHERE id = 3", "ADD CONSTRAINT fk FOREIGN KEY (code) REFERENCES parent (code)", &["fk", "id=3", "code=zz"]),
        ("ALTER TABLE t ADD CONSTRAINT nv FOREIGN KEY (bad) REFERENCES parent NOT VALID", "VALIDATE CONSTRAINT nv", &["nv", "bad="]),
        ("ALTER TABLE t ADD UNIQUE (u); CREATE TABLE kid (k int CONSTRAINT kid_t REFERENCES t (u)); INSERT INTO kid VALUES (5)", "ALTER u TYPE int USING u + 100", &["kid_t", "public.kid", "k=5"]),
    ]
    .into_iter()
    .enumerate()
    {
        let db = Database::create(&Server::shared(kind), &format!("ref_row_{number}")).await;
        db.as_app(SETUP).await;
        db.as_app(&[setup]).await;
        let native = db.app().await.batch_execute(&format!("ALTER TABLE t {alter}")).await.expect_err(alter);
        assert_eq!(native.code().map(|c| c.code()), Some("23503"), "{alter}: {native}");
        let error = change(&db, "t", alter).await.map(|_| ()).expect_err(alter);
        assert_eq!(error.kind(), ErrorKind::Definite, "{alter}: {error}");
        assert!(said.iter().all(|word| error.what().contains(word)), "{alter}: {said:?}: {}", error.what());
        assert_eq!(db.one::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^osc_.*_old$'").await, 0);
    }
}

async fn what_can_not_be_added_is_refused(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "ref_refused").await;
    db.as_app(SETUP).await;
    db.as_app(&[
        "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY LIST (id)",
        "CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)",
        "CREATE VIEW seen AS SELECT 1 AS id",
    ])
    .await;
    db.run(&[
        "CREATE TABLE foreign_to_app (id int PRIMARY KEY)",
        "CREATE TABLE only_read (id int PRIMARY KEY)",
        "GRANT SELECT ON only_read TO PUBLIC",
    ])
    .await;
    let mut session = open(&db).await;
    for (alter, word) in [
        ("ADD FOREIGN KEY (pid) REFERENCES parts", "parts"),
        ("ADD FOREIGN KEY (pid) REFERENCES fleeting", "permanent"),
        ("ADD FOREIGN KEY (pid) REFERENCES seen", "seen"),
        ("ADD FOREIGN KEY (pid) REFERENCES nowhere", "nowhere"),
        ("ADD FOREIGN KEY (pid) REFERENCES nowhere.at_all", "nowhere"),
        ("ADD FOREIGN KEY (pid) REFERENCES foreign_to_app", "SELECT"),
        ("ADD FOREIGN KEY (pid) REFERENCES only_read", "REFERENCES"),
        ("ADD FOREIGN KEY (pid) REFERENCES parent (nope)", "nope"),
        ("ADD FOREIGN KEY (pid) REFERENCES s.\"Other %\" (id)", "s.Other %"),
        ("ADD x int DEFAULT (random() * 3)::int REFERENCES parent", "row by row"),
        ("ADD x int GENERATED ALWAYS AS IDENTITY REFERENCES parent", "row by row"),
    ] {
        let error = build(&db, &mut session, "t", alter).await.map(|_| ()).expect_err(alter);
        assert_eq!(error.kind(), ErrorKind::Refused, "{alter}: {error}");
        assert!(error.what().contains(word), "{alter}: {}", error.what());
        assert!(error.what_to_do().is_some(), "{alter}: {error}");
        assert_eq!(db.leftovers().await, [""; 0], "{alter}");
    }
}

on_both!(
    they_are_what_a_native_alter_makes,
    nobody_is_locked_out_before_the_swap,
    a_row_that_does_not_meet_one_is_named,
    what_can_not_be_added_is_refused,
);
