//! The table itself: columns, indexes, constraints, sequences, options.

use super::twin::Twin;
use crate::harness::{Kind, on_both};

const RICH: &[&str] = &[
    "CREATE SEQUENCE \"own seq\"",
    "CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 2'",
    "CREATE TABLE \"Órders %\" (id int GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 3 CACHE 2) PRIMARY KEY, dead int, \
       customer int NOT NULL DEFAULT 1, amount int CONSTRAINT positive CHECK (amount > 0), note text COLLATE \"C\" DEFAULT 'it''s', \
       n serial, m int DEFAULT nextval('\"own seq\"'), twice int GENERATED ALWAYS AS (m * 2) STORED, \
       span int4range, code varchar(10), at timestamptz DEFAULT now(), big text, late int, \
       CONSTRAINT unique_code UNIQUE (code) INCLUDE (amount) WITH (fillfactor = 60), CONSTRAINT late_key UNIQUE (late) DEFERRABLE INITIALLY DEFERRED, \
       CONSTRAINT no_overlap EXCLUDE USING gist (span WITH &&) WHERE (amount > 5), \
       CONSTRAINT later_overlap EXCLUDE USING gist (span WITH &&) DEFERRABLE INITIALLY DEFERRED, CONSTRAINT local CHECK (customer > 0) NO INHERIT) \
       WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_vacuum_threshold = 77)",
    "ALTER TABLE \"Órders %\" DROP COLUMN dead",
    "ALTER SEQUENCE \"Órders %_id_seq\" RENAME TO renamed_seq",
    "INSERT INTO \"Órders %\" (amount, customer, code, late) SELECT i, i, 'c' || i, i FROM generate_series(1, 50) i",
    "ALTER TABLE \"Órders %\" ADD CONSTRAINT odd CHECK (amount <> 33) NOT VALID",
    "CREATE INDEX partial ON \"Órders %\" (customer DESC NULLS LAST, lower(note) text_pattern_ops) INCLUDE (amount) WHERE amount > 3",
    "CREATE INDEX hashed ON \"Órders %\" USING hash (note)",
    "CREATE INDEX by_function ON \"Órders %\" (twice(late))",
    "ALTER INDEX by_function ALTER COLUMN 1 SET STATISTICS 50",
    "CREATE INDEX brinned ON \"Órders %\" USING brin (at) WITH (pages_per_range = 32)",
    "CREATE UNIQUE INDEX nulls ON \"Órders %\" (m, note COLLATE \"POSIX\") NULLS NOT DISTINCT",
    "CREATE INDEX \"ünï\"\"index\" ON \"Órders %\" (big COLLATE \"C\" varchar_pattern_ops)",
    "ALTER TABLE \"Órders %\" CLUSTER ON \"Órders %_pkey\"",
    "ALTER TABLE \"Órders %\" ALTER big SET STORAGE EXTERNAL, ALTER note SET STATISTICS 500, ALTER customer SET (n_distinct = -0.5), \
       ALTER note SET COMPRESSION pglz",
    "CREATE STATISTICS some_stats (ndistinct, mcv) ON customer, amount FROM \"Órders %\"",
    "ALTER STATISTICS some_stats SET STATISTICS 42",
    "COMMENT ON STATISTICS some_stats IS 'stats''s'",
    "COMMENT ON TABLE \"Órders %\" IS 'the table'",
    "COMMENT ON COLUMN \"Órders %\".amount IS 'cents'",
    "COMMENT ON INDEX partial IS 'an index'",
    "COMMENT ON INDEX late_key IS 'a late index'",
    "COMMENT ON CONSTRAINT positive ON \"Órders %\" IS 'a check'",
    "COMMENT ON CONSTRAINT odd ON \"Órders %\" IS 'odd'",
    "COMMENT ON CONSTRAINT late_key ON \"Órders %\" IS 'late'",
    "COMMENT ON CONSTRAINT unique_code ON \"Órders %\" IS 'a key'",
    "COMMENT ON SEQUENCE renamed_seq IS 'a sequence'",
    "GRANT SELECT ON \"Órders %\" TO PUBLIC",
    "GRANT UPDATE (amount, note), REFERENCES (id) ON \"Órders %\" TO pg_monitor WITH GRANT OPTION",
    "GRANT USAGE ON SEQUENCE renamed_seq TO pg_monitor",
    "REVOKE TRUNCATE ON \"Órders %\" FROM APP",
];

const TABLE: &str = "\"Órders %\"";

async fn everything_of_the_table_is_kept(kind: Kind) {
    let twin = Twin::new(kind, "plain_kept", RICH).await;
    twin.admin(&["ALTER DEFAULT PRIVILEGES FOR ROLE APP GRANT DELETE ON TABLES TO pg_read_all_data"]).await;
    let shadow = twin
        .alter(
            TABLE,
            "ALTER customer TYPE bigint, ALTER amount TYPE numeric(12,2) USING amount / 100.0, ADD extra text DEFAULT 'x' NOT NULL, \
             ALTER COLUMN note SET NOT NULL, DROP COLUMN at",
        )
        .await;
    let _ = shadow;
    twin.same_rows(&format!("SELECT * FROM {TABLE} ORDER BY id")).await;
    // The sequence goes on where it was.
    twin.same_rows("SELECT nextval('renamed_seq'), nextval('\"Órders %_n_seq\"')").await;
}

async fn a_key_of_an_identity_is_widened(kind: Kind) {
    let twin = Twin::new(kind, "plain_wide", RICH).await;
    twin.alter(TABLE, "ALTER id TYPE bigint").await;
    let sql = "SELECT seqtypid::regtype, seqmax, seqstart, seqincrement FROM pg_sequence WHERE seqrelid = 'renamed_seq'::regclass";
    twin.same_rows(sql).await;
    assert_eq!(twin.osc.rows(sql).await[0][0].as_deref(), Some("bigint"));
    twin.same_rows("SELECT nextval('renamed_seq')").await;
}

on_both!(everything_of_the_table_is_kept, a_key_of_an_identity_is_widened);
