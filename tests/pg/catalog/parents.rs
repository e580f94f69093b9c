//! Tables that hang under another: partitions, and those that inherit. The catalog is a native ALTER's, theirs and their parents'.

use osc::error::Kind as ErrorKind;

use super::twin::{Twin, build, open};
use crate::harness::{Database, Kind, Server, on_both};

/// A range of lists, a list, and a hash; with all that a partitioned table hands down.
pub const PARTITIONED: &[&str] = &[
    "CREATE SCHEMA s",
    "CREATE TABLE log (what text)",
    "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (TG_TABLE_NAME || ' ' || TG_NAME); RETURN NEW; END $$",
    "CREATE TABLE s.\"Root %\" (id int NOT NULL, k int, v text DEFAULT 'x', n numeric(10,2), g int GENERATED ALWAYS AS (id + 1) STORED, \
       CONSTRAINT positive CHECK (id > 0), PRIMARY KEY (id, k)) PARTITION BY RANGE (k)",
    "CREATE INDEX root_v ON s.\"Root %\" (v, lower(v)) WHERE n > 0",
    "CREATE TRIGGER of_root BEFORE INSERT ON s.\"Root %\" FOR EACH ROW EXECUTE FUNCTION note_it('s.Root %')",
    "CREATE TRIGGER of_statement AFTER INSERT ON s.\"Root %\" FOR EACH STATEMENT EXECUTE FUNCTION note_it()",
    "CREATE TABLE s.middle PARTITION OF s.\"Root %\" FOR VALUES FROM (0) TO (1000) PARTITION BY LIST (id)",
    "CREATE UNIQUE INDEX middle_u ON s.middle (k, n, id)",
    "CREATE TRIGGER of_middle AFTER UPDATE ON s.middle FOR EACH ROW WHEN (NEW.n > 5) EXECUTE FUNCTION note_it()",
    "CREATE TABLE later PARTITION OF s.\"Root %\" FOR VALUES FROM (1000) TO (MAXVALUE)",
    // Other places of the columns, rights and things of its own.
    "CREATE TABLE leaf (n numeric(10,2) DEFAULT 7, v text NOT NULL, gone int, k int NOT NULL, id int NOT NULL CHECK (id < 50), \
       CONSTRAINT positive CHECK (id > 0))",
    "ALTER TABLE leaf DROP gone",
    "ALTER TABLE leaf ADD g int GENERATED ALWAYS AS (id + 1) STORED",
    "CREATE INDEX own ON leaf (n) WITH (fillfactor = 50)",
    "ALTER TABLE s.middle ATTACH PARTITION leaf FOR VALUES IN (1, 2, 3)",
    "CREATE TABLE other PARTITION OF s.middle FOR VALUES IN (4, 5)",
    "ALTER TABLE leaf DISABLE TRIGGER of_root",
    "ALTER TABLE leaf ENABLE ALWAYS TRIGGER of_middle",
    "COMMENT ON TRIGGER of_middle ON leaf IS 'of the leaf'",
    "COMMENT ON COLUMN leaf.n IS 'a column of the leaf'",
    "COMMENT ON INDEX leaf_pkey IS 'the key of the leaf'",
    "CREATE TRIGGER of_leaf AFTER DELETE ON leaf FOR EACH ROW EXECUTE FUNCTION note_it()",
    "GRANT SELECT ON leaf TO pg_monitor",
    "CREATE VIEW seen AS SELECT n, k FROM leaf",
    "CREATE VIEW above AS SELECT n, k FROM s.\"Root %\"",
    "CREATE STATISTICS st ON n, v FROM leaf",
    "CREATE TABLE child (id int, k int, CONSTRAINT child_leaf FOREIGN KEY (id, k) REFERENCES leaf)",
    "CREATE PUBLICATION by_root FOR TABLE s.\"Root %\"",
    "CREATE PUBLICATION by_leaf FOR TABLE leaf (id, k, v) WHERE (id > 1)",
    "INSERT INTO s.\"Root %\" (id, k, v, n) SELECT i % 5 + 1, i, 'v' || i, i FROM generate_series(1, 999) i",
    "INSERT INTO child SELECT id, k FROM leaf WHERE k < 100",
    "CREATE TABLE list (id int PRIMARY KEY, v varchar(10)) PARTITION BY LIST (id)",
    "CREATE TABLE list_1 PARTITION OF list FOR VALUES IN (1, 2, 3)",
    "INSERT INTO list VALUES (1, 'a'), (2, 'b')",
    "CREATE TABLE null_list (id int, c char(3)) PARTITION BY LIST (c)",
    "CREATE TABLE null_1 PARTITION OF null_list FOR VALUES IN ('a', NULL)",
    "ALTER TABLE null_1 ADD PRIMARY KEY (id)",
    "INSERT INTO null_list VALUES (1, 'a'), (2, NULL)",
    "CREATE TABLE hash (id bigint PRIMARY KEY, t text, UNIQUE (t, id) DEFERRABLE INITIALLY DEFERRED) PARTITION BY HASH (id)",
    "CREATE INDEX hash_t ON hash (t)",
    "CREATE TABLE hash_0 PARTITION OF hash FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE hash_1 PARTITION OF hash FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "INSERT INTO hash SELECT i, 't' || i FROM generate_series(1, 500) i",
];

const IDENTITY: &[&str] = &[
    "CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k)",
    "CREATE TABLE numbered_1 PARTITION OF numbered FOR VALUES FROM (0) TO (10)",
    "INSERT INTO numbered (k) VALUES (1), (2)",
    "CREATE TABLE whole (id int PRIMARY KEY, b text) PARTITION BY LIST (id)",
    "CREATE TABLE rest PARTITION OF whole DEFAULT",
    "CREATE TABLE whole_1 PARTITION OF whole FOR VALUES IN (1)",
    "INSERT INTO whole SELECT i, 'x' FROM generate_series(1, 20) i",
];

/// How everything hangs together, by names.
const TREE: &str = "SELECT i.inhrelid::regclass::text, i.inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid) \
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid ORDER BY 1, i.inhseqno";
const INHERITED: &str = "SELECT attrelid::regclass::text, attname, attislocal, attinhcount, attidentity FROM pg_attribute \
    WHERE attrelid IN (SELECT inhrelid FROM pg_inherits) AND attnum > 0 AND NOT attisdropped \
    UNION ALL SELECT conrelid::regclass::text, conname, conislocal, coninhcount, (conparentid <> 0)::text::\"char\" FROM pg_constraint \
    WHERE conrelid IN (SELECT inhrelid FROM pg_inherits) ORDER BY 1, 2";
const TRIGGERS: &str = "SELECT tgrelid::regclass::text, tgname, tgenabled, tgparentid <> 0, obj_description(oid, 'pg_trigger') FROM pg_trigger \
    WHERE NOT tgisinternal ORDER BY 1, 2";

async fn same(twin: &Twin) {
    for sql in [TREE, INHERITED, TRIGGERS] {
        twin.same_rows(sql).await;
    }
}

async fn a_partition_is_what_a_native_alter_makes(kind: Kind) {
    let mut setup = PARTITIONED.to_vec();
    setup.extend(IDENTITY);
    let twin = Twin::new(kind, "parents_partition", &setup).await;
    for (table, alter) in [
        ("leaf", "SET (fillfactor = 70), ALTER n SET DEFAULT 8, ADD CONSTRAINT small CHECK (k < 1000)"),
        ("leaf", "ADD CONSTRAINT own_key UNIQUE (n, k), ALTER n SET NOT NULL, DISABLE TRIGGER of_middle"),
        ("leaf", "ENABLE TRIGGER ALL, CLUSTER ON own"),
        ("leaf", "DROP CONSTRAINT own_key, ALTER v DROP NOT NULL, ALTER v SET STORAGE EXTERNAL"),
        ("leaf", "ADD FOREIGN KEY (id, k) REFERENCES later (id, k) NOT VALID"),
        ("later", "SET (autovacuum_enabled = off)"),
        ("list_1", "ALTER v SET DEFAULT 'q'"),
        ("hash_1", "ADD CHECK (length(t) < 1000), SET (fillfactor = 90)"),
        ("hash_0", "ALTER id SET STATISTICS 5"),
        ("null_1", "ADD UNIQUE (c, id)"),
        ("rest", "SET (fillfactor = 60)"),
    ] {
        eprintln!("-- {table}: {alter}");
        let shadow = twin.alter(table, alter).await;
        let above = if table == "leaf" { 2 } else { 1 };
        assert_eq!(shadow.swap.above.len(), above);
        assert!(shadow.swap.tables[above].contains(table) && shadow.swap.tables[0].contains("EXCLUSIVE"), "{:?}", shadow.swap.tables);
        same(&twin).await;
        twin.same_rows(&format!("SELECT * FROM {table} ORDER BY id")).await;
    }
    if kind == Kind::Postgres {
        let shadow = twin.alter("numbered_1", "SET (fillfactor = 80)").await;
        assert!(!shadow.overriding);
        same(&twin).await;
    }
    // It acts as natively, and takes part in what is done to the parent.
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "TRUNCATE log",
            "INSERT INTO numbered (k) VALUES (5)",
            "INSERT INTO s.\"Root %\" (id, k, n) VALUES (3, 7, 6)",
            "UPDATE s.\"Root %\" SET n = n + 1 WHERE k = 7",
            "UPDATE s.\"Root %\" SET k = 5000 WHERE k = 999",
            "DELETE FROM leaf WHERE k = 500",
            "ALTER TABLE s.\"Root %\" ADD COLUMN added int DEFAULT 5, ALTER n TYPE numeric(20,3)",
            "CREATE INDEX ON s.middle (added)",
            "ALTER TABLE s.\"Root %\" DROP CONSTRAINT positive",
            "DROP TRIGGER of_middle ON s.middle",
            "ALTER TABLE s.middle DETACH PARTITION leaf",
        ])
        .await;
    }
    same(&twin).await;
    twin.same_rows("SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1").await;
    twin.same_rows("SELECT * FROM leaf ORDER BY id, k").await;
    twin.same_rows("SELECT tableoid::regclass, * FROM s.\"Root %\" ORDER BY id, k").await;
    twin.same_rows("SELECT * FROM numbered ORDER BY k").await;
    assert!(twin.osc.one::<i64>("SELECT count(*) FROM log WHERE what ~ 'leaf of_'").await > 0);
}

/// Parents of parents, two of them, with columns that are the table's own, its parents', and both.
pub const INHERITING: &[&str] = &[
    "CREATE SCHEMA s",
    "CREATE TABLE top (g int NOT NULL, CONSTRAINT g_positive CHECK (g > 0))",
    "CREATE TABLE s.one (a int DEFAULT 3, b varchar(50) NOT NULL, c int GENERATED ALWAYS AS (1 + 1) STORED) INHERITS (top)",
    "CREATE TABLE two (b varchar(50), z int, CONSTRAINT z_own CHECK (z > 0) NO INHERIT, CONSTRAINT b_short CHECK (length(b) < 100))",
    "CREATE TABLE t (id serial PRIMARY KEY, a int, own text COLLATE \"C\" NOT NULL DEFAULT 'x', CONSTRAINT b_short CHECK (length(b) < 100), \
       CONSTRAINT o_own CHECK (own <> 'y') NO INHERIT, CONSTRAINT two_of_them CHECK (own <> b)) INHERITS (s.one, two)",
    "ALTER TABLE two ADD COLUMN late int DEFAULT 5",
    "ALTER TABLE t ALTER a SET DEFAULT 99, ADD COLUMN own_late int, ALTER b SET STORAGE EXTERNAL, ALTER g SET STATISTICS 7",
    "ALTER TABLE t ADD CONSTRAINT unread CHECK (own_late > 0) NOT VALID",
    "COMMENT ON COLUMN t.b IS 'inherited'",
    "COMMENT ON COLUMN t.own IS 'own'",
    "COMMENT ON CONSTRAINT g_positive ON t IS 'inherited too'",
    "CREATE INDEX ON t (own, b)",
    "CREATE VIEW above AS SELECT g, tableoid::regclass FROM top",
    "CREATE VIEW seen AS SELECT id, own, b FROM t",
    "CREATE TABLE sister (extra int PRIMARY KEY) INHERITS (two)",
    // Attached by hand: all its columns are its own too.
    "CREATE TABLE adopted (z int, id int PRIMARY KEY, late int, b varchar(50), w text, CONSTRAINT b_short CHECK (length(b) < 100))",
    "ALTER TABLE adopted INHERIT two",
    "INSERT INTO t (g, a, b, z, own) SELECT i, i, 'b' || i, i, 'o' || i FROM generate_series(1, 100) i",
    "INSERT INTO adopted (id, z, w) SELECT i, i, 'w' FROM generate_series(1, 100) i",
    "INSERT INTO two VALUES ('in the parent', 1)",
];

async fn an_heir_is_what_a_native_alter_makes(kind: Kind) {
    let twin = Twin::new(kind, "parents_heir", INHERITING).await;
    for (table, alter) in [
        ("t", "ALTER own TYPE varchar(30), ADD COLUMN more int NOT NULL DEFAULT 4"),
        ("t", "RENAME own_late TO \"Own %\""),
        ("t", "ALTER id TYPE bigint, DROP COLUMN more, ADD CONSTRAINT fresh CHECK (a > 0)"),
        ("t", "ALTER z SET NOT NULL, ALTER late SET DEFAULT 9, DROP CONSTRAINT o_own, SET (fillfactor = 60)"),
        ("adopted", "ALTER w TYPE varchar(10), ADD UNIQUE (w, id)"),
        ("sister", "ALTER extra TYPE bigint"),
    ] {
        eprintln!("-- {table}: {alter}");
        let shadow = twin.alter(table, alter).await;
        assert_eq!(shadow.swap.above.len(), if table == "t" { 3 } else { 1 });
        same(&twin).await;
        twin.same_rows(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3, 4")).await;
    }
    let order = twin.alter("t", "ALTER \"Own %\" TYPE bigint").await.swap.tables;
    let place = |name: &str| order.iter().position(|sql| sql.contains(name)).unwrap_or_else(|| panic!("{name}: {order:?}"));
    assert!(place("\"top\"") < place("\"one\"") && place("\"one\"") < place("\"t\"") && place("\"two\"") < place("\"t\""));
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "INSERT INTO t (g, a, b, z, own) VALUES (200, 1, 'b', 1, 'o')",
            "UPDATE top SET g = g + 1 WHERE g > 90",
            "DELETE FROM two WHERE z = 5",
            "ALTER TABLE two DROP COLUMN late, ALTER b TYPE varchar(60)",
            "ALTER TABLE s.one ALTER b TYPE varchar(60)",
        ])
        .await
    }
}

on_both!(a_partition_is_what_a_native_alter_makes, an_heir_is_what_a_native_alter_makes);
