//! What hangs on the table: views, foreign keys, triggers, policies, rules, publications, functions.

use super::twin::Twin;
use crate::harness::{Kind, on_both};

/// Beside a plain table `t`: something of every kind that follows.
pub const HANGING: &[&str] = &[
    "CREATE SCHEMA api",
    "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b), code text UNIQUE)",
    "CREATE TABLE log (what text)",
    "INSERT INTO parent SELECT i, i, 'p' || i FROM generate_series(1, 20) i",
    "CREATE TABLE t (id int PRIMARY KEY, pa int, pb int, code text DEFAULT 'p1' REFERENCES parent (code), amount int, owner text DEFAULT 'x', up int, \
       CONSTRAINT t_up FOREIGN KEY (up) REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED, UNIQUE (amount, id))",
    "INSERT INTO t (id, pa, pb, amount, up) SELECT i, i, i, i, 1 FROM generate_series(1, 20) i",
    "ALTER TABLE t ADD CONSTRAINT \"to parent\" FOREIGN KEY (pa, pb) REFERENCES parent MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL NOT VALID",
    "COMMENT ON CONSTRAINT t_up ON t IS 'to itself'",
    "CREATE TABLE child (id int PRIMARY KEY, t_id int, CONSTRAINT child_t FOREIGN KEY (t_id) REFERENCES t ON DELETE CASCADE)",
    "COMMENT ON CONSTRAINT child_t ON child IS 'from a child'",
    "INSERT INTO child SELECT i, i FROM generate_series(1, 20) i",
    "CREATE TABLE api.child2 (a int, i int)",
    "INSERT INTO api.child2 VALUES (1, 2)",
    "ALTER TABLE api.child2 ADD FOREIGN KEY (a, i) REFERENCES t (amount, id) NOT VALID",
    "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_NAME); RETURN NEW; END $$",
    "CREATE TRIGGER audit BEFORE INSERT OR UPDATE OF amount, owner ON t FOR EACH ROW WHEN (NEW.amount > 0) EXECUTE FUNCTION note_it('a', 'public.t')",
    "CREATE TRIGGER off AFTER DELETE ON t REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_it()",
    "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_it()",
    "ALTER TABLE t DISABLE TRIGGER off",
    "ALTER TABLE t ENABLE ALWAYS TRIGGER late",
    "COMMENT ON TRIGGER audit ON t IS 'audits'",
    "CREATE RULE \"no zero\" AS ON UPDATE TO t WHERE NEW.amount = 0 DO ALSO INSERT INTO log SELECT t.owner FROM t WHERE t.id = NEW.id",
    "CREATE RULE silent AS ON DELETE TO t WHERE OLD.id < 0 DO INSTEAD NOTHING",
    "ALTER TABLE t DISABLE RULE silent",
    "COMMENT ON RULE silent ON t IS 'is off'",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON t AS RESTRICTIVE FOR UPDATE TO APP, pg_monitor USING (owner = current_user) \
       WITH CHECK (amount > (SELECT count(*) FROM public.t x WHERE x.id < 0))",
    "CREATE POLICY everybody ON t USING (true)",
    "COMMENT ON POLICY mine ON t IS 'a policy'",
    "CREATE VIEW plain AS SELECT id, amount AS cents, 'public.t' AS s FROM t",
    "CREATE VIEW api.t WITH (security_barrier, check_option = cascaded) AS SELECT t.id, t.code, t.owner, t.amount FROM public.t WHERE owner <> 'public.t'",
    "CREATE VIEW api.over (x, y) WITH (security_invoker) AS SELECT p.cents, a.code FROM plain p JOIN api.t a USING (id) JOIN public.t ON t.id = a.id",
    "CREATE VIEW grouped AS SELECT id, code, count(*) FROM t GROUP BY id",
    "CREATE VIEW above AS SELECT x FROM api.over",
    "ALTER VIEW plain ALTER COLUMN cents SET DEFAULT 7",
    "GRANT SELECT (cents), INSERT ON plain TO pg_monitor",
    "COMMENT ON VIEW plain IS 'a view'",
    "COMMENT ON COLUMN plain.cents IS 'a column of a view'",
    "CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER inst INSTEAD OF INSERT ON plain FOR EACH ROW EXECUTE FUNCTION instead()",
    "CREATE RULE redirect AS ON DELETE TO plain DO INSTEAD NOTHING",
    "CREATE FUNCTION first_amount() RETURNS int LANGUAGE plpgsql COST 77 AS $$ DECLARE r t%ROWTYPE; BEGIN SELECT * INTO r FROM t ORDER BY id LIMIT 1; RETURN r.amount; END $$",
    "CREATE PROCEDURE touch_all() LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET amount = amount; END $$",
    "CREATE PUBLICATION narrow FOR TABLE t (id, amount) WHERE (id > 5)",
    "CREATE PUBLICATION whole FOR TABLE t, child",
];

async fn all_that_hangs_on_it_follows(kind: Kind) {
    let twin = Twin::new(kind, "hang_follow", HANGING).await;
    let shadow = twin.alter("t", "ALTER up TYPE bigint, ADD extra text DEFAULT 'x', ALTER pa TYPE bigint").await;
    // A foreign key that was NOT VALID is not validated.
    assert_eq!(shadow.swap.after.len(), 3, "{:?}", shadow.swap.after);
    assert_eq!(shadow.swap.first.len(), 4, "{:?}", shadow.swap.first);
    let position = |name: &str| shadow.swap.first.iter().position(|s| s.contains(name)).unwrap();
    assert!(position("\"over\"") < position("\"plain\"") && position("\"over\"") < position("\"api\".\"t\""));
    // They do what they did.
    for sql in [
        "SELECT * FROM plain ORDER BY id",
        "SELECT * FROM above ORDER BY x",
        "SELECT first_amount()",
        "UPDATE t SET amount = amount + 100 RETURNING id, amount",
        "DELETE FROM t WHERE id > 10 RETURNING id",
        "SELECT count(*) FROM child",
        "SELECT what, count(*) FROM log GROUP BY what ORDER BY what",
    ] {
        twin.same_rows(sql).await;
    }
    assert_eq!(twin.osc.one::<i64>("SELECT count(*) FROM child").await, 10);
}

/// What the server rewrites natively it rewrites here.
async fn a_rename_goes_through(kind: Kind) {
    let twin = Twin::new(kind, "hang_rename", HANGING).await;
    twin.alter("t", "RENAME COLUMN amount TO \"Cents %\"").await;
    twin.same_rows("SELECT * FROM t ORDER BY id").await;
    twin.same_rows("SELECT * FROM plain ORDER BY id").await;
}

/// Clauses about what hangs on it.
async fn what_hangs_on_it_can_be_altered(kind: Kind) {
    let twin = Twin::new(kind, "hang_clauses", HANGING).await;
    for clause in [
        "DISABLE TRIGGER audit",
        "ENABLE RULE silent",
        "DROP CONSTRAINT t_up",
        "VALIDATE CONSTRAINT \"to parent\"",
        "ALTER CONSTRAINT t_code_fkey DEFERRABLE",
        "FORCE ROW LEVEL SECURITY",
        "DISABLE ROW LEVEL SECURITY",
        "RENAME CONSTRAINT \"to parent\" TO p",
        "REPLICA IDENTITY NOTHING",
    ] {
        twin.alter("t", clause).await;
    }
}

on_both!(all_that_hangs_on_it_follows, a_rename_goes_through, what_hangs_on_it_can_be_altered);
