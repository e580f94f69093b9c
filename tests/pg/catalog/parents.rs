//! Tables that hang under another: partitions, and those that inherit. The catalog is a native ALTER's, theirs and their parents'.

use osc::engine::postgres::catalog::{changed, fingerprint};
use osc::error::Kind as ErrorKind;

use super::twin::{Twin, build, open, parse};
use crate::harness::{Database, Kind, Osc, Server, on_both};

/// A range of lists, a list, and a hash; with all that a partitioned table hands down.
pub const PARTITIONED: &[&str] = &[
    "CREATE SCHEMA s",
    "CREATE TABLE log (what text)",
    "CREATE TABLE anchors (id int PRIMARY KEY)",
    "INSERT INTO anchors SELECT generate_series(1, 10)",
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
    // The same CHECK and NOT NULL, the parent's and its own.
    setup.extend([
        "CREATE TABLE own_too PARTITION OF s.\"Root %\" (id NOT NULL, v NOT NULL, CONSTRAINT positive CHECK (id > 0), \
           CONSTRAINT below CHECK (id < 1000)) FOR VALUES FROM (-100) TO (0)",
        "INSERT INTO own_too (id, k, v) VALUES (5, -5, 'five')",
    ]);
    let twin = Twin::new(kind, "parents_partition", &setup).await;
    for (table, alter) in [
        ("leaf", "SET (fillfactor = 70), ALTER n SET DEFAULT 8, ADD CONSTRAINT small CHECK (k < 1000)"),
        ("leaf", "ADD CONSTRAINT own_key UNIQUE (n, k), ALTER n SET NOT NULL, DISABLE TRIGGER of_middle"),
        ("leaf", "ENABLE TRIGGER USER, CLUSTER ON own"),
        ("leaf", "DROP CONSTRAINT own_key, ALTER v DROP NOT NULL, ALTER v SET STORAGE EXTERNAL"),
        ("leaf", "ADD FOREIGN KEY (id) REFERENCES anchors"),
        ("later", "SET (autovacuum_enabled = off)"),
        ("own_too", "DROP CONSTRAINT below, SET (fillfactor = 70)"),
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
        assert!(
            shadow.swap.tables[above].contains(table) && shadow.swap.tables[0].contains("EXCLUSIVE"),
            "{:?}",
            shadow.swap.tables
        );
        same(&twin).await;
        twin.same_rows(&format!("SELECT * FROM {table} ORDER BY id")).await;
    }
    let shadow = twin.alter("numbered_1", "SET (fillfactor = 80)").await;
    assert!(!shadow.overriding);
    same(&twin).await;
    // It acts as natively, and takes part in what is done to the parent.
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "TRUNCATE log",
            "INSERT INTO numbered (k) VALUES (5)",
            "INSERT INTO s.\"Root %\" (id, k, n) VALUES (2, 7, 6)",
            "UPDATE s.\"Root %\" SET n = n + 1 WHERE k = 7",
            "UPDATE s.\"Root %\" SET k = 5000 WHERE k = 997",
            "DELETE FROM leaf WHERE k = 500",
            "ALTER TABLE s.\"Root %\" ADD COLUMN added int DEFAULT 5",
            "CREATE INDEX ON s.middle (added)",
            "ALTER TABLE s.\"Root %\" DROP CONSTRAINT positive, ALTER v SET NOT NULL",
            "DROP TRIGGER of_middle ON s.middle",
        ])
        .await;
    }
    same(&twin).await;
    twin.same_rows("SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1").await;
    twin.same_rows("SELECT * FROM leaf ORDER BY id, k").await;
    twin.same_rows("SELECT tableoid::regclass, * FROM s.\"Root %\" ORDER BY id, k").await;
    twin.same_rows("SELECT * FROM numbered ORDER BY k").await;
    assert!(twin.osc.one::<i64>("SELECT count(*) FROM log WHERE what ~ 'leaf of_'").await > 0);
    twin.alter("leaf", "SET (fillfactor = 71)").await;
    for db in [&twin.osc, &twin.native] {
        db.as_app(&["ALTER TABLE s.middle DETACH PARTITION leaf"]).await;
    }
    same(&twin).await;
    twin.alter("leaf", "ADD COLUMN free int").await;
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
    "CREATE VIEW seen AS SELECT a, b FROM t",
    "CREATE TABLE sister (extra int GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 3 CYCLE) PRIMARY KEY) INHERITS (two)",
    "INSERT INTO sister (b) VALUES ('x'), ('y')",
    // Attached by hand: all its columns are its own too.
    "CREATE TABLE adopted (z int, id int PRIMARY KEY, late int, b varchar(50), w text, CONSTRAINT b_short CHECK (length(b) < 100))",
    "ALTER TABLE adopted INHERIT two",
    "INSERT INTO t (g, a, b, z, own) SELECT i, i, 'b' || i, i, 'o' || i FROM generate_series(1, 100) i",
    "INSERT INTO adopted (id, z, w) SELECT i, i, 'w' FROM generate_series(1, 100) i",
    "INSERT INTO two VALUES ('in the parent', 1)",
    "CREATE PUBLICATION of_top FOR TABLE top WITH (publish = 'insert')",
    "CREATE PUBLICATION of_two FOR TABLE ONLY two WITH (publish = 'insert')",
    // By two ways from one.
    "CREATE TABLE d_top (a int CONSTRAINT a_positive CHECK (a > 0), g int GENERATED ALWAYS AS (a + 1) STORED)",
    "CREATE TABLE d_left (b int) INHERITS (d_top)",
    "CREATE TABLE d_right (b int NOT NULL) INHERITS (d_top)",
    "CREATE TABLE d (id int PRIMARY KEY, c int) INHERITS (d_right, d_left)",
    "INSERT INTO d (a, b, id) SELECT i, i, i FROM generate_series(1, 50) i",
];

/// What 18 has beside that.
const OF_18: &[&str] = &[
    "CREATE TABLE new_top (a int CONSTRAINT a_not_null NOT NULL, v int GENERATED ALWAYS AS (a * 2) VIRTUAL, \
       CONSTRAINT loose CHECK (a > 5) NOT ENFORCED)",
    "CREATE TABLE new_heir (id int PRIMARY KEY, n int CONSTRAINT n_own NOT NULL NO INHERIT, a int CONSTRAINT a_not_null NOT NULL) INHERITS (new_top)",
    "INSERT INTO new_heir (id, n, a) SELECT i, i, i FROM generate_series(1, 50) i",
    "CREATE TABLE new_parts (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) VIRTUAL, n int CONSTRAINT n_there NOT NULL) PARTITION BY RANGE (id)",
    "CREATE TABLE new_part PARTITION OF new_parts FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE own_part PARTITION OF new_parts (n CONSTRAINT n_too NOT NULL) FOR VALUES FROM (100) TO (200)",
    "INSERT INTO new_parts (id, n) VALUES (150, 1)",
    "INSERT INTO new_parts (id, n) SELECT i, i FROM generate_series(1, 50) i",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_18_has_is_what_a_native_alter_makes() {
    let twin = Twin::new(Kind::Postgres, "parents_new", OF_18).await;
    for (table, alter) in [
        ("new_heir", "ALTER n TYPE bigint"),
        ("new_heir", "ADD CONSTRAINT fresh CHECK (n > 0), ALTER a SET DEFAULT 3"),
        ("new_part", "SET (fillfactor = 70), ALTER n SET DEFAULT 4"),
        ("own_part", "SET (fillfactor = 70), ALTER id SET NOT NULL"),
        ("new_part", "ALTER n SET NOT NULL, ALTER n SET DEFAULT 5"),
    ] {
        twin.alter(table, alter).await;
        same(&twin).await;
        twin.same_rows(&format!("SELECT * FROM {table} ORDER BY id")).await;
    }
}

async fn an_heir_is_what_a_native_alter_makes(kind: Kind) {
    let twin = Twin::new(kind, "parents_heir", INHERITING).await;
    for (table, alter) in [
        ("t", "ALTER own TYPE varchar(30), ADD COLUMN more int NOT NULL DEFAULT 4"),
        ("t", "RENAME own_late TO \"Own %\""),
        ("t", "ALTER id TYPE bigint, DROP COLUMN more, ADD CONSTRAINT fresh CHECK (a > 0)"),
        ("t", "ALTER z SET NOT NULL, ALTER late SET DEFAULT 9, DROP CONSTRAINT o_own, SET (fillfactor = 60)"),
        ("adopted", "ALTER w TYPE varchar(10), ADD UNIQUE (w, id)"),
        ("sister", "ALTER extra TYPE bigint"),
        ("d", "ALTER c TYPE bigint, ADD q int DEFAULT 8"),
    ] {
        eprintln!("-- {table}: {alter}");
        let shadow = twin.alter(table, alter).await;
        assert_eq!(shadow.swap.above.len(), if ["t", "d"].contains(&table) { 3 } else { 1 });
        same(&twin).await;
        twin.same_rows(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3, 4")).await;
    }
    let order = twin.alter("t", "ALTER \"Own %\" TYPE bigint").await.swap.tables;
    let place =
        |name: &str| order.iter().position(|sql| sql.contains(name)).unwrap_or_else(|| panic!("{name}: {order:?}"));
    assert!(
        place("\"top\"") < place("\"one\"") && place("\"one\"") < place("\"t\"") && place("\"two\"") < place("\"t\"")
    );
    for db in [&twin.osc, &twin.native] {
        db.as_app(&[
            "INSERT INTO t (g, a, b, z, own) VALUES (200, 1, 'b', 1, 'o')",
            "UPDATE top SET g = g + 1 WHERE g > 90",
            "DELETE FROM two WHERE z = 5",
            "ALTER TABLE two DROP COLUMN late, ALTER z TYPE bigint",
            "ALTER TABLE top DROP CONSTRAINT g_positive, ADD added int DEFAULT 6",
            "ALTER TABLE d_top DROP COLUMN g, DROP CONSTRAINT a_positive",
            "ALTER TABLE d NO INHERIT d_right",
            "INSERT INTO sister (b) VALUES ('z')",
            "ALTER TABLE sister NO INHERIT two",
        ])
        .await;
    }
    same(&twin).await;
    for table in ["top", "two", "t", "adopted", "sister", "d_top"] {
        twin.same_rows(&format!("SELECT tableoid::regclass::text, x::text FROM {table} x ORDER BY 1, 2")).await;
    }
    twin.alter("t", "SET (fillfactor = 61)").await;
}

/// What the server refuses for the table itself it refuses at once, with the names that the user knows.
async fn what_belongs_to_the_parent_is_refused(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "parents_natively").await;
    db.as_app(INHERITING).await;
    db.as_app(&[
        "CREATE TABLE parts (id int PRIMARY KEY, v text, CONSTRAINT positive CHECK (id > 0)) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100)",
    ])
    .await;
    let mut session = open(&db).await;
    for (table, alter, words) in [
        ("part", "ADD COLUMN x int", "cannot add column to a partition"),
        ("part", "ALTER v TYPE varchar(10)", "inherited column \"v\""),
        ("part", "DROP COLUMN v", "inherited column \"v\""),
        ("part", "RENAME v TO w", "inherited column \"v\""),
        ("part", "DROP CONSTRAINT positive", "inherited constraint \"positive\""),
        ("part", "DROP CONSTRAINT part_pkey", "inherited constraint \"part_pkey\""),
        ("t", "ALTER a TYPE bigint", "inherited column \"a\""),
        ("t", "DROP COLUMN late", "inherited column \"late\""),
        ("t", "RENAME g TO h", "inherited column \"g\""),
        ("t", "DROP CONSTRAINT g_positive", "inherited constraint \"g_positive\""),
    ] {
        let native = db.app().await.batch_execute(&format!("ALTER TABLE {table} {alter}")).await.expect_err(alter);
        let native = native.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
        let error = build(&db, &mut session, table, alter).await.map(|_| ()).expect_err(alter);
        assert_eq!(error.kind(), ErrorKind::Refused, "{alter}: {error}");
        assert!(
            error.what().contains(words) && error.what().contains(&native),
            "{alter}: {}, natively {native}",
            error.what()
        );
        assert!(!error.what().contains("osc_"), "{}", error.what());
        assert_eq!(db.leftovers().await, [""; 0], "{alter}");
    }
}

/// What osc can't do under the lock without reading or building, or can't make as it is.
async fn what_can_not_be_done_in_a_moment_is_refused(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "parents_refused").await;
    let mut session = open(&db).await;
    for (setup, words) in [
        (
            "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF p FOR VALUES IN (1); \
          CREATE TABLE rest PARTITION OF p DEFAULT",
            "default partition (public.rest)",
        ),
        (
            "CREATE TABLE r (id int PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY CONSTRAINT out REFERENCES r) PARTITION BY LIST (id); \
          CREATE TABLE t PARTITION OF p FOR VALUES IN (1)",
            "foreign key out",
        ),
        (
            "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF p FOR VALUES IN (1); \
          CREATE TABLE r (id int CONSTRAINT into_it REFERENCES p)",
            "foreign key into_it",
        ),
        (
            "CREATE TABLE p (id text PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE t PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "VALUES WITH (modulus 2, remainder 0)",
        ),
        (
            "CREATE DOMAIN d AS int CHECK (value > 0); CREATE TABLE p (id d) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF p FOR VALUES IN (1, 2); \
          ALTER TABLE t ADD PRIMARY KEY (id)",
            "read the whole table",
        ),
        (
            "CREATE TABLE p (id int PRIMARY KEY, a int) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF p FOR VALUES IN (1); \
          CREATE INDEX first ON t (a); CREATE INDEX second ON t (a) WITH (fillfactor = 50); CREATE INDEX ON p (a)",
            "first and second are equal",
        ),
        (
            "CREATE TABLE p (id int PRIMARY KEY, a int) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF p FOR VALUES IN (1); \
          CREATE INDEX half ON ONLY p (a)",
            "t_a_idx",
        ),
        (
            "CREATE TABLE p (a int); CREATE TABLE t (id int PRIMARY KEY) INHERITS (p); ALTER TABLE p ADD CONSTRAINT late CHECK (a > 0) NOT VALID",
            "late is inherited",
        ),
        ("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE heir () INHERITS (t)", "other tables inherit from it"),
    ] {
        db.as_app(&[setup]).await;
        let alter = "SET (fillfactor = 50)";
        let error = build(&db, &mut session, "t", alter).await.map(|_| ()).expect_err(setup);
        assert_eq!(error.kind(), ErrorKind::Refused, "{setup}: {error}");
        assert!(error.what().contains(words), "{setup}: {}", error.what());
        if !words.contains("inherit from it") {
            assert!(error.what_to_do().is_some(), "{setup}: {error}");
        }
        assert_eq!(db.leftovers().await, [""; 0], "{setup}");
        db.as_app(&["DROP TABLE IF EXISTS heir, r, t, p CASCADE", "DROP DOMAIN IF EXISTS d"]).await;
    }
    // A detach that was cut off.
    db.as_app(&[
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id)",
        "CREATE TABLE t PARTITION OF p FOR VALUES IN (1)",
    ])
    .await;
    let (reader, detacher) = (db.app().await, db.app().await);
    crate::harness::run(&reader, "BEGIN; SELECT * FROM p").await;
    crate::harness::run(&detacher, "SET statement_timeout = '1s'").await;
    detacher.batch_execute("ALTER TABLE p DETACH PARTITION t CONCURRENTLY").await.expect_err("somebody reads it");
    crate::harness::run(&reader, "COMMIT").await;
    let error = build(&db, &mut session, "t", "SET (fillfactor = 50)").await.map(|_| ()).expect_err("pending");
    assert!(error.kind() == ErrorKind::Refused && error.what().contains("being detached from public.p"), "{error}");
    // Whose the parent is.
    db.as_app(&["ALTER TABLE p DETACH PARTITION t FINALIZE", "ALTER TABLE p ATTACH PARTITION t FOR VALUES IN (1)"])
        .await;
    db.run(&["ALTER TABLE p OWNER TO postgres"]).await;
    let error = build(&db, &mut session, "t", "SET (fillfactor = 50)").await.map(|_| ()).expect_err("another's");
    assert!(
        error.kind() == ErrorKind::Refused && error.what().contains("public.p above it belongs to postgres"),
        "{error}"
    );
    // A parent on another server.
    db.run(&[
        "DROP TABLE p CASCADE",
        "CREATE FOREIGN DATA WRAPPER nowhere",
        "CREATE SERVER far FOREIGN DATA WRAPPER nowhere",
        "CREATE FOREIGN TABLE distant (a int) SERVER far",
    ])
    .await;
    db.run(&[&format!("ALTER FOREIGN TABLE distant OWNER TO {}", db.app_role())]).await;
    db.as_app(&["CREATE TABLE t (id int PRIMARY KEY) INHERITS (distant)"]).await;
    let error = build(&db, &mut session, "t", "SET (fillfactor = 50)").await.map(|_| ()).expect_err("far");
    assert!(
        error.kind() == ErrorKind::Refused && error.what().contains("public.distant, which is no table"),
        "{error}"
    );
    db.as_app(&["CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id)"]).await;
    // The tables above.
    for (table, words) in [("p", "one by one"), ("q", "others inherit")] {
        db.as_app(&[
            "CREATE TABLE IF NOT EXISTS q (id int PRIMARY KEY)",
            "CREATE TABLE IF NOT EXISTS heir () INHERITS (q)",
        ])
        .await;
        let report = tokio::task::block_in_place(|| Osc::alter(&db, table, "ADD x int").run()).exited(3);
        assert!(report.says(words), "{}", report.stderr);
    }
}

/// The server counts the scans of a table: none for the one that is attached, in any of the three ways.
async fn to_attach_it_reads_nothing(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "parents_scans").await;
    db.as_app(PARTITIONED).await;
    db.as_app(IDENTITY).await;
    for table in ["leaf", "later", "list_1", "null_1", "hash_1", "rest"] {
        let mut session = open(&db).await;
        let (names, shadow) = build(&db, &mut session, table, "SET (fillfactor = 55)").await.expect(table);
        let copy = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {}",
            names.shadow,
            shadow.insert_columns(),
            shadow.select_list(),
            names.original
        );
        session.exec(&copy).await.expect("a copy");
        for statement in shadow.later.iter().flat_map(|index| &index.statements) {
            session.exec(statement).await.expect(statement);
        }
        session.exec("BEGIN").await.expect("a transaction");
        let mut attached = 0;
        let scans = format!("SELECT pg_stat_get_xact_numscans({})", names.original.regclass());
        for statement in shadow.swap.first.iter().chain(&shadow.swap.tables).chain(&shadow.swap.statements) {
            let attaches = statement.contains("ATTACH PARTITION");
            let before = if attaches { session.value(&scans).await.expect("a number") } else { None };
            session.exec(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
            if attaches {
                attached += 1;
                assert_eq!(session.value(&scans).await.expect("a number"), before, "{statement}");
            }
        }
        // The counter counts: a CHECK that is added is looked at.
        let before = session.value(&scans).await.expect("a number");
        session.exec(&format!("ALTER TABLE {} ADD CHECK (true)", names.original)).await.expect("a CHECK");
        assert_ne!(session.value(&scans).await.expect("a number"), before);
        session.exec("ROLLBACK").await.expect("a rollback");
        assert_eq!(attached, 1, "{table}");
        for schema in [&names.shadow.schema, &names.state.schema] {
            db.run(&[&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")]).await;
        }
    }
}

async fn what_is_above_is_in_the_fingerprint(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "parents_print").await;
    db.as_app(PARTITIONED).await;
    db.as_app(IDENTITY).await;
    db.as_app(&[
        "CREATE TABLE base (a int)",
        "CREATE TABLE heir (id int PRIMARY KEY) INHERITS (base)",
        "CREATE TABLE second (a int)",
    ])
    .await;
    let mut session = open(&db).await;
    let above = "what it hangs under";
    for (table, sql, part) in [
        ("leaf", "CREATE INDEX half ON ONLY s.middle (v)", above),
        ("leaf", "CREATE INDEX ON s.\"Root %\" (n)", above),
        ("leaf", "ALTER TABLE s.middle RENAME TO center", above),
        ("leaf", "ALTER TABLE s.center DISABLE TRIGGER of_middle", above),
        ("leaf", "CREATE TABLE default_one PARTITION OF s.center DEFAULT", above),
        ("leaf", "CREATE TRIGGER more BEFORE UPDATE ON s.\"Root %\" FOR EACH ROW EXECUTE FUNCTION note_it()", above),
        ("leaf", "ALTER TABLE s.\"Root %\" ADD CONSTRAINT out FOREIGN KEY (id) REFERENCES anchors", "constraints"),
        ("leaf", "ALTER TABLE s.center ALTER n SET NOT NULL", "columns"),
        ("rest", "CREATE TABLE whole_2 PARTITION OF whole FOR VALUES IN (777)", above),
        ("leaf", "ALTER TABLE s.center DETACH PARTITION leaf", above),
        ("heir", "ALTER TABLE heir INHERIT second", above),
        ("heir", "ALTER TABLE base ADD b int", "columns"),
        ("heir", "ALTER TABLE second ADD CONSTRAINT x CHECK (a > 0)", "constraints"),
        ("heir", "ALTER TABLE heir NO INHERIT second", above),
    ] {
        let table = parse(table);
        let before = fingerprint(&mut session, &table).await.expect("a fingerprint");
        db.as_app(&[sql]).await;
        let now = fingerprint(&mut session, &table).await.expect("a fingerprint");
        let what = changed(&before, &now);
        assert!(before != now && what.contains(part), "{sql}: changed '{what}'");
    }
    for (table, sql) in [
        ("rest", "ANALYZE whole"),
        ("rest", "VACUUM FULL rest"),
        ("rest", "REINDEX TABLE CONCURRENTLY rest"),
        ("rest", "INSERT INTO whole VALUES (1000, 'y')"),
        ("whole_1", "CREATE TABLE whole_3 PARTITION OF whole FOR VALUES IN (888)"),
        ("heir", "INSERT INTO base VALUES (1)"),
        ("heir", "CREATE TABLE sister () INHERITS (base)"),
    ] {
        let table = parse(table);
        let before = fingerprint(&mut session, &table).await.expect("a fingerprint");
        db.run(&[sql]).await;
        let now = fingerprint(&mut session, &table).await.expect("a fingerprint");
        assert_eq!(before, now, "{sql}: {}", changed(&before, &now));
    }
}

on_both!(
    a_partition_is_what_a_native_alter_makes,
    an_heir_is_what_a_native_alter_makes,
    what_belongs_to_the_parent_is_refused,
    what_can_not_be_done_in_a_moment_is_refused,
    to_attach_it_reads_nothing,
    what_is_above_is_in_the_fingerprint,
);
