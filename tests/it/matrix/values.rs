//! Values that the new type can't hold: under a strict sql_mode an error that leaves the table alone,
//! under a loose one the same values as a native ALTER's.

use super::{CASE, Case, End, run};
use crate::harness::{Kind, Server};

const fn fails(
    name: &'static str,
    column: &'static str,
    bad: &'static [&'static str],
    alter: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case { name, columns: column, values: &["id = #"], setup: bad, alter, end: End::Failed(says), ..CASE }
}

const STRICT: &[Case] = &[
    fails(
        "s_truncated",
        "id INT NOT NULL PRIMARY KEY, a VARCHAR(20)",
        &["INSERT INTO {t} (id, a) VALUES (100001, 'fits'), (100002, 'much too long')"],
        "MODIFY a VARCHAR(5)",
        &["100002", "'a'"],
    ),
    fails(
        "s_out_of_range",
        "id INT NOT NULL PRIMARY KEY, a INT",
        &["INSERT INTO {t} (id, a) VALUES (100001, 127), (100002, 128)"],
        "MODIFY a TINYINT",
        &["100002", "'a'"],
    ),
    fails(
        "s_negative",
        "id INT NOT NULL PRIMARY KEY, a INT",
        &["INSERT INTO {t} (id, a) VALUES (100001, 127), (100002, -1)"],
        "MODIFY a INT UNSIGNED",
        &["100002", "'a'"],
    ),
    fails(
        "s_no_number",
        "id INT NOT NULL PRIMARY KEY, a VARCHAR(20)",
        &["INSERT INTO {t} (id, a) VALUES (100001, '5'), (100002, 'five')"],
        "MODIFY a INT",
        &["100002", "five"],
    ),
    fails(
        "s_no_date",
        "id INT NOT NULL PRIMARY KEY, a VARCHAR(20)",
        &["INSERT INTO {t} (id, a) VALUES (100001, '2024-02-29'), (100002, '2023-02-29')"],
        "MODIFY a DATE",
        &["100002", "2023-02-29"],
    ),
    fails(
        "s_null",
        "id INT NOT NULL PRIMARY KEY, a INT",
        &["INSERT INTO {t} (id, a) VALUES (100001, 1), (100002, NULL)"],
        "MODIFY a INT NOT NULL",
        &["'a'"],
    ),
    fails(
        "s_no_member",
        "id INT NOT NULL PRIMARY KEY, a ENUM('x','y')",
        &["INSERT INTO {t} (id, a) VALUES (100001, 'x'), (100002, 'y')"],
        "MODIFY a ENUM('x')",
        &["100002", "'a'"],
    ),
    fails(
        "s_charset",
        "id INT NOT NULL PRIMARY KEY, a VARCHAR(20)",
        &["INSERT INTO {t} (id, a) VALUES (100001, 'é'), (100002, '漢')"],
        "MODIFY a VARCHAR(20) CHARACTER SET latin1",
        &["100002", "Incorrect string value"],
    ),
    fails(
        "s_decimal",
        "id INT NOT NULL PRIMARY KEY, a DECIMAL(10,2)",
        &["INSERT INTO {t} (id, a) VALUES (100001, 99.99), (100002, 100)"],
        "MODIFY a DECIMAL(4,2)",
        &["100002", "'a'"],
    ),
    fails(
        "s_no_json",
        "id INT NOT NULL PRIMARY KEY, a VARCHAR(20)",
        &["INSERT INTO {t} (id, a) VALUES (100001, '{}'), (100002, '{')"],
        "MODIFY a JSON",
        &["100002"],
    ),
    fails(
        "s_check",
        "id INT NOT NULL PRIMARY KEY, a INT",
        &["INSERT INTO {t} (id, a) VALUES (100001, 1), (100002, 11)"],
        "ADD CONSTRAINT few_s CHECK (a < 10)",
        &["100002", "few_s"],
    ),
    fails(
        "s_no_partition",
        "id INT NOT NULL PRIMARY KEY, a INT",
        &["INSERT INTO {t} (id, a) VALUES (100001, 1)"],
        "ADD x INT PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100000))",
        &["100001"],
    ),
    fails(
        "s_generated",
        "id INT NOT NULL PRIMARY KEY, a INT",
        &["INSERT INTO {t} (id, a) VALUES (100001, 1), (100002, 128)"],
        "ADD g TINYINT AS (a) STORED",
        &["100002", "'g'"],
    ),
    Case {
        name: "s_late",
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(20)",
        values: &["id = #"],
        setup: &["INSERT INTO {t} (id, a) VALUES (100001, 'fits'), (100002, 'fits')"],
        late: &["UPDATE {t} SET a = 'much too long' WHERE id = 100002"],
        alter: "MODIFY a VARCHAR(5)",
        end: End::Failed(&["100002", "'a'"]),
        ..CASE
    },
];

const LOOSE: &[Case] = &[
    Case {
        name: "l_texts",
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(20), b VARCHAR(20), c TEXT, d VARCHAR(20), e VARCHAR(20)",
        values: &[
            "id = #",
            "a = 'much too long' | 'é😀é😀é😀é' | 'k#'",
            "b = 'five' | '7 apples' | '99999999999' | '-1' | NULL | '#'",
            "c = REPEAT('é', 200) | 'x'",
            "d = '漢字' | 'é' | '😀'",
            "e = 'x' | 'nothing' | '1' | NULL",
        ],
        alter: "MODIFY a VARCHAR(5), MODIFY b INT UNSIGNED, MODIFY c TINYTEXT, MODIFY d VARCHAR(20) CHARACTER SET latin1, \
                MODIFY e ENUM('x','y')",
        ..CASE
    },
    Case {
        name: "l_numbers",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, b INT, c DECIMAL(10,3), d DOUBLE, e INT, f BIGINT",
        values: &[
            "id = #",
            "a = 128 | -129 | 2147483647 | #",
            "b = -1 | NULL | #",
            "c = 9999999.999 | -1.555 | #",
            "d = 1e30 | -1e30 | 0.5 | # / 3",
            "e = 0 | 70 | 2500 | 2024",
            "f = 9223372036854775807 | -1 | #",
        ],
        alter: "MODIFY a TINYINT, MODIFY b INT UNSIGNED NOT NULL, MODIFY c DECIMAL(4,1), MODIFY d INT, MODIFY e YEAR, MODIFY f BIT(8)",
        ..CASE
    },
    Case {
        name: "l_dates",
        columns: "id INT NOT NULL PRIMARY KEY, a VARCHAR(30), b VARCHAR(30), c DATETIME, d DATE NULL, e VARCHAR(30), f DATE",
        values: &[
            "id = #",
            "a = '2023-02-29' | 'x' | '2024-02-29' | '0000-00-00' | '2024-00-01'",
            "b = '2024-13-01 00:00:00' | '2024-01-01 25:00:00' | '2024-01-01' | NULL",
            "c = '0000-00-00' | '1000-01-01' | '2024-05-05 05:05:05'",
            "d = NULL | '2024-01-01'",
            "e = '900:00:00' | '-900' | '10:61:00' | 'x'",
            "f = '0000-00-00' | '2024-00-00' | '2024-01-01'",
        ],
        alter: "MODIFY a DATE, MODIFY b DATETIME, MODIFY c TIMESTAMP NULL, MODIFY d DATE NOT NULL, MODIFY e TIME, MODIFY f DATETIME(3)",
        ..CASE
    },
    Case {
        name: "l_nulls",
        columns: "id INT NOT NULL PRIMARY KEY, a INT, b VARCHAR(9), c DATETIME NULL, e BLOB, f DECIMAL(5,2)",
        values: &[
            "id = #",
            "a = NULL | #",
            "b = NULL | 'k#'",
            "c = NULL | '2024-01-01'",
            "e = NULL | x'00'",
            "f = NULL | 1.5",
        ],
        alter: "MODIFY a INT NOT NULL, MODIFY b VARCHAR(9) NOT NULL, MODIFY c DATETIME NOT NULL, \
                MODIFY e BLOB NOT NULL, MODIFY f DECIMAL(5,2) NOT NULL",
        ..CASE
    },
    Case {
        name: "l_members",
        columns: "id INT NOT NULL PRIMARY KEY, a ENUM('x','y','z'), b SET('p','q','r')",
        values: &["id = #", "a = 'x' | 'y' | 'z' | '' | NULL", "b = 'p,q,r' | 'r' | ''"],
        alter: "MODIFY a ENUM('z','x'), MODIFY b SET('r','p')",
        ..CASE
    },
];

const LOOSE_MODE: &[&str] = &["--sql-mode=NO_ENGINE_SUBSTITUTION"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_values_on_mysql() {
    run(&Server::without_xa(Kind::MySql), "values", &[STRICT]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_values_on_mariadb() {
    run(&Server::without_xa(Kind::MariaDb), "values", &[STRICT]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_loose_values_on_mysql() {
    run(&Server::own(Kind::MySql, "matrix-loose", LOOSE_MODE), "loose", &[LOOSE]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_loose_values_on_mariadb() {
    run(&Server::own(Kind::MariaDb, "matrix-loose", LOOSE_MODE), "loose", &[LOOSE]).await;
}
