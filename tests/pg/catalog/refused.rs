//! What can't be done is refused with a sentence that names it, and leaves nothing behind.

use osc::engine::postgres::session::Session;
use osc::error::{Error, Kind as ErrorKind};

use super::twin::{build, open};
use crate::harness::{Database, Kind, Server, on_both};

async fn refusal(db: &Database, session: &mut Session, table: &str, alter: &str) -> Error {
    let error = build(db, session, table, alter).await.map(|_| ()).expect_err(alter);
    assert_eq!(error.kind(), ErrorKind::Refused, "{alter}: {error}");
    assert_eq!(db.leftovers().await, [""; 0], "{alter}");
    error
}

async fn what_depends_on_it_and_can_not_follow_is_named(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "refuse_depend").await;
    let mut session = open(&db).await;
    for (number, (named, setup)) in [
        ("function f(TABLE)", "CREATE FUNCTION f(TABLE) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        ("function f()", "CREATE FUNCTION f() RETURNS SETOF TABLE LANGUAGE sql AS 'SELECT * FROM TABLE'"),
        (
            "function f()",
            "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM TABLE; END",
        ),
        ("column x of table other", "CREATE TABLE other (x TABLE)"),
        ("column x of table other", "CREATE TABLE other (x TABLE[])"),
        ("column t1 of view v", "CREATE VIEW v AS SELECT TABLE FROM TABLE"),
        (
            "rule r on table other",
            "CREATE TABLE other (x int); CREATE RULE r AS ON INSERT TO other DO ALSO DELETE FROM TABLE",
        ),
        ("column x of table other", "CREATE TABLE other (x int DEFAULT nextval('TABLE_id_seq'))"),
        ("inherit from it", "CREATE TABLE other () INHERITS (TABLE)"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("t{}", if named.contains("t1") { 1 } else { number + 20 });
        let make = format!("CREATE TABLE {table} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int)");
        db.as_app(&["CREATE SCHEMA s"]).await;
        let setup = setup.replace("TABLE_id", &format!("s.{table}_id"));
        // The keyword stays, the name is the one that follows other words.
        let setup = name_in(&setup, &table);
        let app = db.app().await;
        for sql in
            ["SET search_path = s", &make].into_iter().chain(setup.split("; ").filter(|_| !setup.contains("ATOMIC")))
        {
            crate::harness::run(&app, sql).await;
        }
        if setup.contains("ATOMIC") {
            crate::harness::run(&app, &setup).await;
        }
        let error = refusal(&db, &mut session, &format!("s.{table}"), "ALTER a TYPE bigint").await;
        let words = named.replace("TABLE", &table);
        let what = error.what().replace("s.", "");
        assert!(words.split(' ').all(|word| what.contains(word)), "{words}: {what}");
        db.as_app(&["DROP SCHEMA s CASCADE"]).await;
    }
}

fn name_in(setup: &str, table: &str) -> String {
    setup.replace("TABLE other", "\u{1}").replace("TABLE", table).replace('\u{1}', "TABLE other")
}

/// As a native ALTER is.
async fn what_breaks_a_view_is_refused_with_its_name(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "refuse_view").await;
    let mut session = open(&db).await;
    db.as_app(&["CREATE TABLE t (id int PRIMARY KEY, a int, b int)", "CREATE VIEW seen AS SELECT a FROM t"]).await;
    for alter in ["ALTER a TYPE bigint", "DROP COLUMN a"] {
        let error = refusal(&db, &mut session, "t", alter).await;
        assert!(error.what().contains("view public.seen"), "{}", error.what());
    }
    build(&db, &mut session, "t", "ALTER b TYPE bigint").await.unwrap();
}

async fn a_key_that_might_collapse_is_refused(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "refuse_key").await;
    let mut session = open(&db).await;
    db.as_app(&[
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "CREATE TABLE k (id text PRIMARY KEY, v varchar(10) UNIQUE NOT NULL, n numeric(10,2) UNIQUE NOT NULL, u int)",
    ])
    .await;
    for alter in [
        "ALTER id TYPE text COLLATE ci",
        "ALTER id TYPE varchar(10)",
        "ALTER id TYPE int USING id::int",
        "DROP COLUMN id",
    ] {
        let error = refusal(&db, &mut session, "k", alter).await;
        assert!(error.what().contains("of its column id"), "{}", error.what());
    }
    db.as_app(&["ALTER TABLE k REPLICA IDENTITY USING INDEX k_v_key"]).await;
    refusal(&db, &mut session, "k", "ALTER v TYPE varchar(9)").await;
    db.as_app(&["ALTER TABLE k REPLICA IDENTITY USING INDEX k_n_key"]).await;
    refusal(&db, &mut session, "k", "ALTER n TYPE numeric(10,1)").await;
    // These keep all keys apart, and what is no key may do as it likes.
    build(&db, &mut session, "k", "ALTER n TYPE numeric(20,2), ALTER id TYPE text COLLATE ci").await.unwrap();
}

async fn words_of_the_alter_are_the_servers_to_judge(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "refuse_words").await;
    let mut session = open(&db).await;
    db.as_app(&["CREATE TABLE t (id int PRIMARY KEY, a int, z timestamp)", "CREATE TABLE child (x int REFERENCES t)"])
        .await;
    for (alter, word) in [
        ("ALTER nowhere TYPE int", "nowhere"),
        ("ALTER a TYPE int USING nowhere", "nowhere"),
        ("DROP CONSTRAINT t_pkey", "child_x_fkey"),
        ("ALTER z TYPE timestamptz", "time zone"),
        ("ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "row security is forced"),
        ("ADD UNIQUE (a), RENAME TO x", "RENAME TO"),
        ("ADD CONSTRAINT child_pkey UNIQUE (a), ADD CONSTRAINT child UNIQUE (a)", "child"),
    ] {
        let error = refusal(&db, &mut session, "t", alter).await;
        assert!(error.what().contains(word), "{alter}: {}", error.what());
    }
}

on_both!(
    what_depends_on_it_and_can_not_follow_is_named,
    what_breaks_a_view_is_refused_with_its_name,
    a_key_that_might_collapse_is_refused,
    words_of_the_alter_are_the_servers_to_judge,
);
