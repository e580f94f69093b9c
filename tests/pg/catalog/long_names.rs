//! Names of 63 bytes, which is as many as a name may have, with characters of two: one byte more, and it would be cut.

use osc::error::Kind as ErrorKind;

use super::twin::{Twin, build, open};
use crate::harness::{Kind, on_both};

/// Ends with the tag, so names differ where a cut would show.
fn long(tag: &str) -> String {
    assert_eq!(tag.len(), 3);
    format!("\"{}{tag}\"", "é".repeat(30))
}

fn filled(sql: &str) -> String {
    let mut out = String::new();
    for (at, part) in sql.split('~').enumerate() {
        if at == 0 {
            out.push_str(part);
        } else {
            out.push_str(&long(&part[..3]));
            out.push_str(&part[3..]);
        }
    }
    out
}

/// `~abc` is the name of 63 bytes that ends with it.
const SETUP: &[&str] = &[
    "CREATE TABLE ~par (~pid int PRIMARY KEY)",
    "INSERT INTO ~par SELECT generate_series(1, 40)",
    "CREATE TABLE ~tab (~cid int GENERATED ALWAYS AS IDENTITY, \
       ~cfk int CONSTRAINT ~kfo REFERENCES ~par, ~cat int CONSTRAINT ~kch CHECK (~cat > 0), ~cge int GENERATED ALWAYS AS (~cat + 1) STORED, \
       ~cup int, ~cex int, ~clt int, CONSTRAINT ~kpk PRIMARY KEY (~cid), CONSTRAINT ~kun UNIQUE (~cat), \
       CONSTRAINT ~kex EXCLUDE USING btree (~cex WITH =), CONSTRAINT ~klt UNIQUE (~clt) DEFERRABLE, \
       CONSTRAINT ~kup FOREIGN KEY (~cup) REFERENCES ~tab)",
    // In a statement of its own: one CREATE TABLE would give both sequences the same name.
    "ALTER TABLE ~tab ADD ~cse serial",
    "INSERT INTO ~tab (~cfk, ~cat, ~cup, ~cex, ~clt) SELECT i, i, 1, i, i FROM generate_series(1, 30) i",
    "ALTER TABLE ~tab ADD CONSTRAINT ~knv CHECK (~cat <> 3) NOT VALID",
    "CREATE INDEX ~idx ON ~tab (~cup, lower(~cat::text)) WHERE ~cat > 2",
    "CREATE TABLE ~chi (x int CONSTRAINT ~kin REFERENCES ~tab)",
    "CREATE STATISTICS ~sta ON ~cat, ~cup FROM ~tab",
    "CREATE VIEW ~vie AS SELECT ~cat AS ~cvi, ~cup FROM ~tab",
    "CREATE VIEW ~vi2 AS SELECT v.~cvi, t.~cge FROM ~vie v JOIN ~tab t ON t.~cat = v.~cvi",
    "CREATE FUNCTION ~fun() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE FUNCTION ~fu2() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r ~tab%ROWTYPE; BEGIN SELECT * INTO r FROM ~tab ORDER BY 1 LIMIT 1; \
       RETURN r.~cat; END $$",
    "CREATE TRIGGER ~trg BEFORE UPDATE OF ~cat ON ~tab FOR EACH ROW EXECUTE FUNCTION ~fun()",
    "ALTER TABLE ~tab DISABLE TRIGGER ~trg",
    "CREATE RULE ~rul AS ON DELETE TO ~tab WHERE OLD.~cat < 0 DO INSTEAD NOTHING",
    "CREATE POLICY ~pol ON ~tab USING (~cat > 0)",
    "CREATE PUBLICATION ~pub FOR TABLE ~tab (~cid, ~cat)",
    "COMMENT ON INDEX ~idx IS 'i'",
    "COMMENT ON CONSTRAINT ~kch ON ~tab IS 'c'",
    "COMMENT ON COLUMN ~tab.~cat IS 'col'",
    "GRANT UPDATE (~cat) ON ~tab TO pg_monitor",
];

async fn names_as_long_as_can_be_are_kept(kind: Kind) {
    let setup: Vec<String> = SETUP.iter().map(|sql| filled(sql)).collect();
    let twin = Twin::new(kind, "long_names", &setup.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let table = long("tab");
    for alter in [
        "ALTER ~cfk TYPE bigint, ADD ~new text DEFAULT 'x' CONSTRAINT ~knn NOT NULL",
        "RENAME COLUMN ~cat TO ~ren",
        "ADD CONSTRAINT ~ku2 UNIQUE (~ren, ~cup), ADD CONSTRAINT ~kc2 CHECK (~ren < 1000)",
        "RENAME CONSTRAINT ~kun TO ~kur",
        // Named by the server, which cuts.
        "ADD UNIQUE (~cup, ~cid), ADD CHECK (~cup > 0)",
        "DROP COLUMN ~cse",
    ] {
        eprintln!("-- {alter}");
        twin.alter(&table, &filled(alter)).await;
        if alter.contains("~cfk") {
            twin.same_rows(&filled("SELECT ~fu2()")).await;
        }
        let columns = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
                       WHERE attrelid = to_regclass('TABLE') AND attnum > 0 AND NOT attisdropped";
        let columns: String = twin.osc.one(&columns.replace("TABLE", &table)).await;
        twin.same_rows(&format!("SELECT {columns} FROM {table} ORDER BY 1")).await;
    }
    twin.same_rows(
        "SELECT relname, octet_length(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    )
    .await;
    twin.same_rows("SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1").await;
}

/// What LIKE calls a sequence may be what the source calls another one.
async fn sequences_with_each_others_names(kind: Kind) {
    let twin = Twin::new(
        kind,
        "swapped_names",
        &[
            "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY (START 5) PRIMARY KEY, b smallint GENERATED ALWAYS AS IDENTITY (START 50), c int)",
            "ALTER SEQUENCE t_a_seq RENAME TO x",
            "ALTER SEQUENCE t_b_seq RENAME TO t_a_seq",
            "ALTER SEQUENCE x RENAME TO t_b_seq",
            "INSERT INTO t (c) VALUES (1), (2)",
        ],
    )
    .await;
    twin.alter("t", "ALTER c TYPE bigint, ALTER b TYPE int").await;
    for db in [&twin.osc, &twin.native] {
        db.as_app(&["INSERT INTO t (c) VALUES (3)"]).await;
    }
    twin.same_rows("SELECT * FROM t ORDER BY a").await;
    assert_eq!(twin.osc.rows("SELECT a, b FROM t WHERE c = 3").await[0], [Some("7".into()), Some("52".into())]);
}

/// CREATE TABLE … LIKE gives both the same name, and fails.
async fn two_long_identities_are_refused(kind: Kind) {
    let setup = [
        "CREATE TABLE t (~one int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int)",
        "ALTER TABLE t ADD ~two int GENERATED ALWAYS AS IDENTITY",
    ];
    let setup = setup.map(filled);
    let twin = Twin::new(kind, "long_identities", &setup.each_ref().map(String::as_str)).await;
    let mut session = open(&twin.osc).await;
    let error = build(&twin.osc, &mut session, "t", "ALTER a TYPE bigint").await.map(|_| ()).expect_err("two");
    assert!(error.kind() == ErrorKind::Refused && error.what().contains("identity columns"), "{error}");
    assert!(error.what_to_do().is_some());
}

/// The server names a constraint as no other of the schema is named, and looks in the shadow's schema.
async fn a_name_that_the_server_would_not_give_is_refused(kind: Kind) {
    let twin = Twin::new(
        kind,
        "taken_names",
        &["CREATE TABLE t (id int PRIMARY KEY, a int)", "CREATE TABLE u (a int CONSTRAINT t_a_check CHECK (a > 0))"],
    )
    .await;
    let mut session = open(&twin.osc).await;
    let error = build(&twin.osc, &mut session, "t", "ADD CHECK (a > 0)").await.map(|_| ()).expect_err("a name");
    assert!(error.kind() == ErrorKind::Refused && error.what().contains("t_a_check"), "{error}");
    assert_eq!(twin.osc.leftovers().await, [""; 0]);
    // Said by the user it may be there twice.
    twin.alter("t", "ADD CONSTRAINT t_a_check CHECK (a > 0)").await;
    twin.alter("t", "ADD CHECK (a > 1)").await;
    // A sequence that stays where it is keeps its name, whatever its column is called by now.
    twin.admin(&[
        "SET ROLE APP",
        "CREATE TABLE s (id int PRIMARY KEY, a serial)",
        "ALTER TABLE s RENAME a TO b",
        "RESET ROLE",
    ])
    .await;
    let mut session = open(&twin.osc).await;
    let add = "ADD a int GENERATED ALWAYS AS IDENTITY";
    let error = build(&twin.osc, &mut session, "s", add).await.map(|_| ()).expect_err("a sequence");
    assert!(error.kind() == ErrorKind::Refused && error.what().contains("s_a_seq"), "{error}");
    twin.alter("s", &format!("DROP COLUMN b, {add}")).await;
}

on_both!(
    names_as_long_as_can_be_are_kept,
    sequences_with_each_others_names,
    two_long_identities_are_refused,
    a_name_that_the_server_would_not_give_is_refused,
);
