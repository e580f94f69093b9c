//! What a table is besides its columns: counters, generated and invisible columns, constraints,
//! partitions, row formats, comments.

use super::{CASE, Case, End, On, run};
use crate::harness::{Kind, Server};

const COUNTERS: &[Case] = &[
    Case {
        name: "d_auto",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = DEFAULT | #", "a = #"],
        ..CASE
    },
    Case {
        name: "d_auto_gap",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = #", "a = #"],
        setup: &["INSERT INTO {t} (id, a) VALUES (70000, 1)", "DELETE FROM {t} WHERE id = 70000"],
        ..CASE
    },
    Case {
        name: "d_auto_gap_late",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = #", "a = #"],
        late: &["INSERT INTO {t} (id, a) VALUES (70000, 1)", "DELETE FROM {t} WHERE id = 70000"],
        ..CASE
    },
    Case {
        name: "d_auto_set",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = #", "a = #"],
        alter: "ADD x INT, AUTO_INCREMENT = 123456",
        ..CASE
    },
    Case {
        name: "d_auto_set_low",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = #", "a = #"],
        setup: &["INSERT INTO {t} (id, a) VALUES (70000, 1)", "DELETE FROM {t} WHERE id = 70000"],
        alter: "ADD x INT, AUTO_INCREMENT = 5",
        ..CASE
    },
    Case {
        name: "d_auto_zero",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = 0 | -1 | #", "a = #"],
        mode: Some("NO_AUTO_VALUE_ON_ZERO"),
        ..CASE
    },
    Case {
        name: "d_auto_second",
        columns: "k VARCHAR(9) NOT NULL PRIMARY KEY, id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, UNIQUE KEY (id)",
        values: &["k = 'k#' | ''", "id = DEFAULT | # + 5"],
        alter: "MODIFY v BIGINT NOT NULL, MODIFY id DECIMAL(20,0) NOT NULL",
        ..CASE
    },
    Case {
        name: "d_auto_widened",
        columns: "id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = DEFAULT | # + 1", "a = #"],
        alter: "CHANGE id nr BIGINT NOT NULL AUTO_INCREMENT",
        ..CASE
    },
    Case {
        name: "d_auto_dropped",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT",
        values: &["id = # + 1", "a = #"],
        alter: "MODIFY id INT NOT NULL",
        ..CASE
    },
    Case {
        name: "d_auto_new",
        columns: "id INT NOT NULL PRIMARY KEY, a INT",
        values: &["id = # + 1"],
        alter: "MODIFY id INT NOT NULL AUTO_INCREMENT",
        end: End::Refused(&["AUTO_INCREMENT"]),
        ..CASE
    },
];

const GENERATED: &[Case] = &[
    Case {
        name: "d_gen_added",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, b VARCHAR(20)",
        values: &["id = #", "a = NULL | #", "b = 'é' | 'k#'"],
        alter: "ADD s INT AS (a * 2) STORED AFTER id, ADD w VARCHAR(30) AS (CONCAT(b, '!')) VIRTUAL, ADD INDEX (w), ADD UNIQUE (id, s)",
        ..CASE
    },
    Case {
        name: "d_gen_kept",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, s INT AS (a * 2) STORED, w INT AS (a + 1) VIRTUAL, b TEXT, KEY (w)",
        values: &["id = #", "a = NULL | #", "b = 'x' | NULL"],
        alter: "MODIFY b VARCHAR(20) FIRST, ADD x INT DEFAULT 2",
        ..CASE
    },
    Case {
        name: "d_gen_dropped",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, s INT AS (a * 2) STORED, w INT AS (a + 1) VIRTUAL",
        values: &["id = #", "a = NULL | #"],
        alter: "DROP s, DROP w",
        ..CASE
    },
    Case {
        name: "d_gen_plain",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, s INT AS (a * 2) STORED",
        values: &["id = #", "a = NULL | #"],
        alter: "MODIFY s BIGINT",
        ..CASE
    },
    Case {
        name: "d_gen_base",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, s BIGINT AS (a * 2) STORED",
        values: &["id = #", "a = NULL | #"],
        alter: "MODIFY a BIGINT, ADD t BIGINT AS (s + a) STORED",
        ..CASE
    },
    Case {
        name: "d_gen_of_new",
        columns: "id INT NOT NULL PRIMARY KEY, a INT",
        values: &["id = #", "a = NULL | #"],
        alter: "ADD n INT NOT NULL DEFAULT 4, ADD s INT AS (n + id) STORED",
        ..CASE
    },
    Case {
        name: "d_invisible_mysql",
        on: On::MySql,
        columns: "id INT NOT NULL PRIMARY KEY, a INT INVISIBLE, b INT",
        values: &["id = #", "a = NULL | #", "b = #"],
        alter: "ALTER COLUMN b SET INVISIBLE, ADD c INT DEFAULT 5 INVISIBLE, ALTER INDEX `i` INVISIBLE, RENAME COLUMN a TO aa",
        setup: &["ALTER TABLE {t} ADD INDEX i (b)"],
        ..CASE
    },
    Case {
        name: "d_invisible_mariadb",
        on: On::MariaDb,
        columns: "id INT NOT NULL PRIMARY KEY, a INT INVISIBLE, b INT",
        values: &["id = #", "a = NULL | #", "b = #"],
        alter: "MODIFY b INT INVISIBLE, ADD c INT INVISIBLE DEFAULT 5, CHANGE a aa BIGINT INVISIBLE",
        ..CASE
    },
    Case {
        name: "d_invisible_key",
        on: On::MySql,
        columns: "a INT, id INT NOT NULL INVISIBLE PRIMARY KEY",
        values: &["id = #", "a = NULL | #"],
        ..CASE
    },
];

const OPTIONS: &[Case] = &[
    Case {
        name: "d_check",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, CHECK (a < 100000), CHECK (v > -5)",
        values: &["id = #", "a = NULL | #"],
        alter: "MODIFY a BIGINT, ADD x INT DEFAULT 1",
        ..CASE
    },
    Case {
        name: "d_check_named",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, CONSTRAINT low_d CHECK (a < 100000)",
        values: &["id = #", "a = NULL | #"],
        alter: "MODIFY a BIGINT",
        // In MySQL no two tables can have a constraint of one name: the plan says what it will be called.
        differs: "CONSTRAINT `",
        ..CASE
    },
    Case {
        name: "d_check_added",
        columns: "id INT NOT NULL PRIMARY KEY, a INT",
        values: &["id = #", "a = NULL | #"],
        alter: "ADD CONSTRAINT added_d CHECK (a < 100000)",
        on: On::MariaDb,
        ..CASE
    },
    Case {
        name: "d_partitioned",
        columns: "id INT NOT NULL, d DATE NOT NULL, PRIMARY KEY (id, d)",
        options: "PARTITION BY RANGE (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN (2020), \
                  PARTITION p2 VALUES LESS THAN MAXVALUE)",
        values: &["id = #", "d = '1999-12-31' | '2000-01-01' | '2024-01-01'"],
        ..CASE
    },
    Case {
        name: "d_to_partitions",
        columns: "id INT NOT NULL PRIMARY KEY, a INT",
        values: &["id = #", "a = NULL | #"],
        alter: "ADD x INT PARTITION BY HASH (id) PARTITIONS 4",
        ..CASE
    },
    Case {
        name: "d_unpartitioned",
        columns: "id INT NOT NULL PRIMARY KEY, a INT",
        options: "PARTITION BY KEY (id) PARTITIONS 3",
        values: &["id = #", "a = NULL | #"],
        alter: "REMOVE PARTITIONING",
        ..CASE
    },
    Case {
        name: "d_add_partition",
        columns: "id INT NOT NULL PRIMARY KEY",
        options: "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (1000))",
        values: &["id = #"],
        alter: "REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (200), PARTITION p2 VALUES LESS THAN MAXVALUE)",
        ..CASE
    },
    Case {
        name: "d_compressed",
        columns: "id INT NOT NULL PRIMARY KEY, a TEXT",
        options: "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 COMMENT='it''s' STATS_PERSISTENT=1",
        values: &["id = #", "a = REPEAT('x', 3000) | 'k#'"],
        ..CASE
    },
    Case {
        name: "d_dynamic",
        columns: "id INT NOT NULL PRIMARY KEY COMMENT 'the key', a VARCHAR(9) COMMENT 'é''' DEFAULT 'x', KEY (a) COMMENT 'idx'",
        options: "ROW_FORMAT=COMPACT",
        values: &["id = #", "a = 'k#' | NULL"],
        alter: "ROW_FORMAT=DYNAMIC, COMMENT='new', MODIFY a VARCHAR(9) COMMENT 'n''ew' DEFAULT 'y'",
        ..CASE
    },
    Case {
        name: "d_indexes",
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(50), b INT, KEY ab (a(10), b DESC), UNIQUE KEY u (b, id), KEY b (b)",
        values: &["id = #", "a = 'k#' | NULL", "b = #"],
        alter: "DROP KEY b, RENAME INDEX ab TO ba, ADD KEY (a(5)), DROP KEY u, ADD UNIQUE u2 (id, b), ADD KEY b (b)",
        ..CASE
    },
    Case {
        name: "d_functional",
        on: On::MySql,
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(50), KEY low ((LOWER(a))), KEY ((id + 1))",
        values: &["id = #", "a = 'K#' | NULL | 'É'"],
        alter: "ADD KEY up ((UPPER(a))), MODIFY v BIGINT",
        ..CASE
    },
    Case {
        name: "d_defaults",
        columns: "id INT NOT NULL PRIMARY KEY, a INT DEFAULT 3, t TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
                  d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3)",
        values: &["id = #", "a = NULL | #"],
        alter: "ALTER a SET DEFAULT 9, ALTER COLUMN d DROP DEFAULT, MODIFY v BIGINT",
        ..CASE
    },
    Case {
        name: "d_charset_default",
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(9)",
        values: &["id = #", "a = 'é' | NULL"],
        alter: "DEFAULT CHARACTER SET latin1, ADD b VARCHAR(5) DEFAULT 'é'",
        ..CASE
    },
    Case {
        name: "d_force",
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(9)",
        values: &["id = #", "a = 'é' | NULL"],
        alter: "FORCE, ALGORITHM=COPY",
        ..CASE
    },
];

const ALL: &[&[Case]] = &[COUNTERS, GENERATED, OPTIONS];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_definitions_on_mysql() {
    run(&Server::without_xa(Kind::MySql), "definitions", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_definitions_on_mariadb() {
    run(&Server::without_xa(Kind::MariaDb), "definitions", ALL).await;
}
