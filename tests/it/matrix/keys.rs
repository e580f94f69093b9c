//! Keys of numbers, times, bits and members, and of several columns.

use super::{CASE, Case, End, On, run};
use crate::harness::{Kind, Server};

const NUMBERS: &[Case] = &[
    Case {
        name: "k_int",
        columns: "k INT NOT NULL PRIMARY KEY",
        values: &["k = 0 | -1 | 1 | -2147483648 | 2147483647 | # | -#"],
        ..CASE
    },
    Case {
        name: "k_tinyint",
        columns: "k TINYINT NOT NULL PRIMARY KEY",
        values: &["k = 0 | -1 | -128 | 127 | # % 100 | -(# % 100)"],
        ..CASE
    },
    Case {
        name: "k_tinyint_u",
        columns: "k TINYINT UNSIGNED NOT NULL PRIMARY KEY",
        values: &["k = 0 | 127 | 128 | 255 | # % 250"],
        alter: "MODIFY k SMALLINT NOT NULL",
        ..CASE
    },
    Case {
        name: "k_smallint",
        columns: "k SMALLINT NOT NULL PRIMARY KEY",
        values: &["k = 0 | -32768 | 32767 | -# | #"],
        alter: "CHANGE k kk BIGINT NOT NULL",
        ..CASE
    },
    Case {
        name: "k_mediumint",
        columns: "k MEDIUMINT NOT NULL PRIMARY KEY",
        values: &["k = 0 | -8388608 | 8388607 | -1 | -# | #"],
        ..CASE
    },
    Case {
        name: "k_mediumint_u",
        columns: "k MEDIUMINT UNSIGNED ZEROFILL NOT NULL PRIMARY KEY",
        values: &["k = 0 | 8388607 | 8388608 | 16777215 | #"],
        ..CASE
    },
    Case {
        name: "k_bigint",
        columns: "k BIGINT NOT NULL PRIMARY KEY",
        values: &["k = 0 | -9223372036854775808 | 9223372036854775807 | -1 | # | -#"],
        ..CASE
    },
    Case {
        name: "k_bigint_u",
        columns: "k BIGINT UNSIGNED NOT NULL PRIMARY KEY",
        values: &[
            "k = 0 | 9223372036854775807 | 9223372036854775808 | 18446744073709551615 | 9223372036854775900 + # | #",
        ],
        ..CASE
    },
    Case {
        name: "k_decimal",
        columns: "k DECIMAL(20,6) NOT NULL PRIMARY KEY",
        values: &["k = 0 | -0.000001 | 0.000001 | -99999999999999.999999 | 99999999999999.999999 | 1.10 | #.5 | -#.05"],
        alter: "MODIFY k DECIMAL(30,8) NOT NULL, ADD x INT NOT NULL DEFAULT 1 FIRST",
        ..CASE
    },
    Case {
        name: "k_decimal_wide",
        columns: "k DECIMAL(65,30) NOT NULL PRIMARY KEY",
        values: &[
            "k = 0 | 1e-30 | -1e-30 | 99999999999999999999999999999999999.999999999999999999999999999999 | # / 7 | -# / 7",
        ],
        ..CASE
    },
    Case {
        name: "k_decimal_whole",
        columns: "k DECIMAL(9,0) UNSIGNED NOT NULL PRIMARY KEY",
        values: &["k = 0 | 999999999 | 100000000 | # | # * 1000000"],
        ..CASE
    },
    Case {
        name: "k_bit",
        columns: "k BIT(10) NOT NULL PRIMARY KEY",
        values: &["k = b'0' | b'1111111111' | b'1000000000' | #"],
        alter: "MODIFY k BIT(17) NOT NULL",
        ..CASE
    },
    Case {
        name: "k_bit64",
        columns: "k BIT(64) NOT NULL PRIMARY KEY",
        values: &["k = b'0' | 18446744073709551615 | 9223372036854775808 | 9223372036854775807 | #"],
        ..CASE
    },
    Case {
        name: "k_year",
        columns: "k YEAR NOT NULL PRIMARY KEY",
        values: &["k = '0000' | 1901 | 2155 | 2000 | 1950 + # % 150"],
        ..CASE
    },
];

const TIMES: &[Case] = &[
    Case {
        name: "k_date",
        columns: "k DATE NOT NULL PRIMARY KEY",
        values: &["k = '1000-01-01' | '9999-12-31' | '2024-02-29' | '1969-12-31' | '2000-01-01' + INTERVAL # DAY"],
        ..CASE
    },
    Case {
        name: "k_date_zero",
        columns: "k DATE NOT NULL PRIMARY KEY",
        values: &["k = '0000-00-00' | '2024-00-00' | '2024-05-00' | '0001-01-01' | '2000-01-01' + INTERVAL # DAY"],
        mode: Some(""),
        ..CASE
    },
    Case {
        name: "k_datetime",
        columns: "k DATETIME NOT NULL PRIMARY KEY",
        values: &["k = '1000-01-01' | '9999-12-31 23:59:59' | '2024-02-29 12:00:00' | '2000-01-01' + INTERVAL # HOUR"],
        alter: "MODIFY k DATETIME(3) NOT NULL",
        ..CASE
    },
    Case {
        name: "k_datetime6",
        columns: "k DATETIME(6) NOT NULL PRIMARY KEY",
        values: &["k = '1000-01-01' | '9999-12-31 23:59:59.999999' | '2024-01-01 00:00:00.000001' | '2024-01-01' | \
             '2000-01-01' + INTERVAL # * 1001 MICROSECOND"],
        ..CASE
    },
    Case {
        name: "k_datetime_zero",
        columns: "k DATETIME(2) NOT NULL PRIMARY KEY",
        values: &["k = '0000-00-00' | '2024-00-01' | '2024-02-30 10:00:00.5' | '2000-01-01' + INTERVAL # SECOND"],
        mode: Some("ALLOW_INVALID_DATES"),
        ..CASE
    },
    Case {
        name: "k_timestamp6",
        columns: "k TIMESTAMP(6) NOT NULL DEFAULT '2020-01-01' PRIMARY KEY",
        values: &["k = '1970-01-01 00:00:01' | '2038-01-19 03:14:07.999999' | '2024-03-31 01:30:00.000001' | \
             '2024-10-27 00:30:00' | '2024-10-27 01:30:00' | '2000-01-01' + INTERVAL # * 1001 MICROSECOND"],
        ..CASE
    },
    Case {
        name: "k_timestamp",
        columns: "k TIMESTAMP NOT NULL DEFAULT '2020-01-01' PRIMARY KEY",
        values: &[
            "k = '0000-00-00' | '1970-01-01 00:00:01' | '2024-03-31 01:30:00' | '2000-01-01' + INTERVAL # MINUTE",
        ],
        mode: Some(""),
        alter: "MODIFY k TIMESTAMP(4) NOT NULL DEFAULT '2020-01-01', ADD INDEX (v)",
        ..CASE
    },
    Case {
        name: "k_time6",
        columns: "k TIME(6) NOT NULL PRIMARY KEY",
        values: &[
            "k = '00:00:00' | '-838:59:59' | '838:59:59' | '-00:00:00.000001' | '00:00:00.000001' | '-01:00:00.5' | \
             SEC_TO_TIME(# - 150) | SEC_TO_TIME(# + 0.25)",
        ],
        ..CASE
    },
    Case {
        name: "k_time",
        columns: "k TIME NOT NULL PRIMARY KEY",
        values: &["k = '00:00:00' | '-838:59:59' | '838:59:59' | '-00:00:01' | SEC_TO_TIME((# - 150) * 60)"],
        alter: "MODIFY k TIME(3) NOT NULL",
        ..CASE
    },
];

const MEMBERS: &[Case] = &[
    Case {
        name: "k_enum",
        columns: "k ENUM('b','a','C','','é') NOT NULL, n INT NOT NULL, PRIMARY KEY (k, n)",
        values: &["n = #", "k = 'b' | 'a' | 'C' | 'é' | 1 + # % 5"],
        ..CASE
    },
    Case {
        name: "k_enum_error",
        columns: "k ENUM('b','a') NOT NULL, n INT NOT NULL, PRIMARY KEY (k, n)",
        values: &["n = #", "k = 'nonsense' | 'b' | 'a' | 1 + # % 2"],
        mode: Some(""),
        ..CASE
    },
    Case {
        name: "k_enum_second",
        columns: "k ENUM('z','y','x') NOT NULL, n INT NOT NULL, PRIMARY KEY (n, k)",
        values: &["n = # % 60", "k = 'x' | 'y' | 'z' | 1 + # % 3"],
        alter: "MODIFY k ENUM('z','y','x','w') NOT NULL",
        ..CASE
    },
    Case {
        name: "k_set",
        columns: "k SET('x','y','z') NOT NULL, n INT NOT NULL, PRIMARY KEY (k, n)",
        values: &["n = #", "k = '' | 'x,z' | 'z' | # % 8"],
        alter: "MODIFY k SET('x','y','z','w') NOT NULL",
        ..CASE
    },
    Case {
        name: "k_set_second",
        columns: "k SET('a','b','c','d','e','f','g','h','i') NOT NULL, n TINYINT NOT NULL, PRIMARY KEY (n, k)",
        values: &["n = # % 20", "k = '' | 'a,i' | 'i' | # % 512"],
        ..CASE
    },
];

const COMPOSITE: &[Case] = &[
    Case {
        name: "k_two",
        columns: "a INT NOT NULL, b VARCHAR(20) NOT NULL, PRIMARY KEY (a, b)",
        values: &["a = # % 20 | -1", "b = '' | 'a' | 'A' | 'é' | 'k#'"],
        ..CASE
    },
    Case {
        name: "k_desc",
        columns: "a INT NOT NULL, b DATETIME(6) NOT NULL, PRIMARY KEY (a, b DESC)",
        values: &["a = # % 10 | -1", "b = '1000-01-01' | '9999-12-31' | '2024-01-01' + INTERVAL # MICROSECOND"],
        ..CASE
    },
    Case {
        name: "k_desc_first",
        columns: "a DECIMAL(10,3) NOT NULL, b BINARY(3) NOT NULL, c TINYINT NOT NULL, PRIMARY KEY (a DESC, b, c DESC)",
        values: &["a = 0 | -1.001 | #.25", "b = '' | x'00ff' | 'abc'", "c = -128 | 127 | # % 100"],
        ..CASE
    },
    Case {
        name: "k_four",
        columns: "a TINYINT UNSIGNED NOT NULL, b VARBINARY(8) NOT NULL, c DATE NOT NULL, d BIGINT UNSIGNED NOT NULL, \
                  PRIMARY KEY (a, b, c, d)",
        values: &[
            "a = 0 | 255 | # % 4",
            "b = '' | x'00' | x'0000' | 'a' | x'6100'",
            "c = '2024-01-01' | '1000-01-01'",
            "d = 0 | 18446744073709551615 | #",
        ],
        alter: "CHANGE a d SMALLINT UNSIGNED NOT NULL, CHANGE d a BIGINT UNSIGNED NOT NULL",
        ..CASE
    },
    Case {
        name: "k_four_texts",
        columns: "a VARCHAR(5) NOT NULL, b ENUM('x','y') NOT NULL, c TIME NOT NULL, d CHAR(3) COLLATE utf8mb4_bin NOT NULL, \
                  PRIMARY KEY (a, b, c, d)",
        values: &["a = '' | 'a' | 'Á' | 'k#'", "b = 'x' | 'y'", "c = '-01:00:00' | '00:00:00'", "d = '' | 'a' | 'A'"],
        ..CASE
    },
];

const CHANGED: &[Case] = &[
    Case {
        name: "k_renamed",
        columns: "k INT NOT NULL PRIMARY KEY",
        values: &["k = 0 | -5 | #"],
        alter: "RENAME COLUMN k TO id, ADD COLUMN k INT NOT NULL DEFAULT 5",
        ..CASE
    },
    Case {
        name: "k_swapped",
        columns: "k INT NOT NULL PRIMARY KEY, w INT NOT NULL",
        values: &["k = 0 | -5 | #", "w = 1 | #"],
        alter: "CHANGE k w INT NOT NULL, CHANGE w k BIGINT NOT NULL",
        ..CASE
    },
    Case {
        name: "k_reordered",
        columns: "a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b)",
        values: &["a = # % 20", "b = #"],
        alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (b, a), ADD UNIQUE (a, b)",
        ..CASE
    },
    Case {
        name: "k_widened",
        columns: "k INT NOT NULL PRIMARY KEY, b INT NOT NULL",
        values: &["k = -1 | #", "b = #"],
        alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (k, b)",
        ..CASE
    },
    Case {
        name: "k_replaced",
        columns: "a INT NOT NULL PRIMARY KEY, b INT NOT NULL, UNIQUE KEY by_b (b)",
        values: &["a = -1 | #", "b = -1 | #"],
        alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (b), DROP KEY by_b, ADD UNIQUE (a)",
        ..CASE
    },
    Case {
        name: "k_unique",
        columns: "a INT NOT NULL, b INT, UNIQUE KEY (b), UNIQUE KEY (a)",
        values: &["a = -1 | #", "b = NULL | #"],
        ..CASE
    },
    Case {
        name: "k_unique_two",
        columns: "f DOUBLE NOT NULL PRIMARY KEY, a VARBINARY(5) NOT NULL, b INT NOT NULL, UNIQUE KEY (a, b)",
        values: &["a = '' | x'00' | '#'", "b = -1 | #", "f = 0.1 | # / 3"],
        ..CASE
    },
    Case {
        name: "k_gets_primary",
        columns: "a INT NOT NULL, UNIQUE KEY ua (a)",
        values: &["a = -1 | #"],
        alter: "ADD PRIMARY KEY (a), DROP KEY ua",
        ..CASE
    },
    Case {
        name: "k_stored",
        on: On::MySql,
        columns: "n INT NOT NULL, k INT AS (n * 2) STORED NOT NULL, PRIMARY KEY (k)",
        values: &["n = -1 | #"],
        ..CASE
    },
    Case {
        name: "k_virtual",
        on: On::MySql,
        columns: "n INT NOT NULL, w INT NOT NULL, k INT AS (n * 2) VIRTUAL NOT NULL, UNIQUE KEY (k)",
        values: &["n = -1 | #", "w = 1 | #"],
        ..CASE
    },
    Case {
        name: "k_virtual_text",
        on: On::MySql,
        columns: "n VARCHAR(20) NOT NULL, k VARCHAR(30) AS (CONCAT(n, '!')) VIRTUAL NOT NULL, UNIQUE KEY (k)",
        values: &["n = 'a' | 'A' | 'é' | '' | 'k#'"],
        ..CASE
    },
    Case {
        name: "k_stored_mariadb",
        on: On::MariaDb,
        columns: "n INT NOT NULL, k INT AS (n * 2) STORED, UNIQUE KEY (k)",
        values: &["n = -1 | #"],
        end: End::Refused(&["can be NULL"]),
        ..CASE
    },
];

const fn refuses(
    name: &'static str,
    columns: &'static str,
    alter: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case { name, columns, alter, end: End::Refused(says), ..CASE }
}

const REFUSED: &[Case] = &[
    refuses("r_float", "k FLOAT NOT NULL PRIMARY KEY", CASE.alter, &["float"]),
    refuses("r_double", "k DOUBLE NOT NULL PRIMARY KEY", CASE.alter, &["double"]),
    refuses("r_nullable", "k INT, UNIQUE KEY (k)", CASE.alter, &["can be NULL"]),
    refuses("r_no_key", "k INT NOT NULL, KEY (k)", CASE.alter, &["no primary key"]),
    refuses("r_prefix", "k VARCHAR(20) NOT NULL, UNIQUE KEY (k(5))", CASE.alter, &["whole columns"]),
    refuses("r_dropped", "k INT NOT NULL PRIMARY KEY, u INT", "DROP k", &["drops its column"]),
    refuses("r_not_unique", "k VARCHAR(9) NOT NULL PRIMARY KEY, u INT", "DROP PRIMARY KEY, ADD KEY (k)", &["unique"]),
    refuses("r_no_index", "k INT NOT NULL PRIMARY KEY, u INT", "DROP PRIMARY KEY", &["no index"]),
    refuses(
        "r_collation",
        "k VARCHAR(9) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY",
        "MODIFY k VARCHAR(9) COLLATE utf8mb4_general_ci NOT NULL",
        &["might make two keys equal"],
    ),
    refuses("r_charset", "k VARCHAR(9) NOT NULL PRIMARY KEY", "CONVERT TO CHARACTER SET latin1", &["two keys equal"]),
    refuses("r_text_to_int", "k VARCHAR(9) NOT NULL PRIMARY KEY", "MODIFY k INT NOT NULL", &["two keys equal"]),
    refuses("r_micros", "k DATETIME(6) NOT NULL PRIMARY KEY", "MODIFY k DATETIME NOT NULL", &["two keys equal"]),
    refuses("r_decimal", "k DECIMAL(9,3) NOT NULL PRIMARY KEY", "MODIFY k DECIMAL(9,2) NOT NULL", &["two keys equal"]),
    refuses("r_enum", "k ENUM('a','b') NOT NULL PRIMARY KEY", "MODIFY k ENUM('b','a') NOT NULL", &["two keys equal"]),
    refuses("r_generated", "k INT NOT NULL PRIMARY KEY, n INT", "DROP k, ADD k INT NOT NULL", &["drops its column"]),
    refuses("r_no_column", "k INT NOT NULL PRIMARY KEY", "DROP nothing", &["nothing"]),
    refuses("r_syntax", "k INT NOT NULL PRIMARY KEY", "ADD x INT DEFAULT", &["syntax"]),
];

const ALL: &[&[Case]] = &[NUMBERS, TIMES, MEMBERS, COMPOSITE, CHANGED, REFUSED];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_keys_on_mysql() {
    run(&Server::without_xa(Kind::MySql), "keys", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_keys_on_mariadb() {
    run(&Server::without_xa(Kind::MariaDb), "keys", ALL).await;
}
