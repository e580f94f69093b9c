//! Keys of strings: character sets, collations with and without padding, and bytes.

use super::{CASE, Case, On, run};
use crate::harness::{Kind, Server};

const BYTES: &[Case] = &[
    Case {
        name: "t_binary",
        columns: "k BINARY(4) NOT NULL PRIMARY KEY",
        values: &["k = '' | x'00' | x'61' | x'6100ff' | x'ffffffff' | 'a\\\\' | LPAD('#', 4, '0') | '#'"],
        alter: "MODIFY k BINARY(9) NOT NULL",
        ..CASE
    },
    Case {
        name: "t_binary16",
        columns: "k BINARY(16) NOT NULL PRIMARY KEY",
        values: &["k = '' | x'00' | UNHEX(REPEAT('ff', 16)) | REPEAT(' ', 16) | UNHEX(LPAD(HEX(# * 99991), 32, 'a'))"],
        ..CASE
    },
    Case {
        name: "t_varbinary",
        columns: "k VARBINARY(20) NOT NULL PRIMARY KEY",
        values: &[
            "k = '' | x'00' | x'0000' | 'a' | x'6100' | x'610000' | 'a ' | x'ff' | 'k#' | UNHEX(LPAD(HEX(#), 6, '0'))",
        ],
        alter: "MODIFY k VARBINARY(300) NOT NULL",
        ..CASE
    },
    Case {
        name: "t_varbinary_long",
        columns: "k VARBINARY(700) NOT NULL PRIMARY KEY",
        values: &[
            "k = REPEAT('a', 700) | REPEAT(x'00', 700) | REPEAT(x'00', 699) | CONCAT(REPEAT('a', 690), '#') | REPEAT(x'ff', #)",
        ],
        ..CASE
    },
];

const TEXTS: &[Case] = &[
    Case {
        name: "t_latin1",
        columns: "k VARCHAR(20) CHARACTER SET latin1 NOT NULL PRIMARY KEY",
        values: &[
            "k = '' | 'a' | 'A' | _latin1 x'e4' | _latin1 x'c4' | _latin1 x'ff' | _latin1 x'80' | 'a ' | 'ss' | \
             _latin1 x'df' | 'k#' | 'K#'",
        ],
        ..CASE
    },
    Case {
        name: "t_latin1_char",
        columns: "k CHAR(8) CHARACTER SET latin1 COLLATE latin1_german2_ci NOT NULL PRIMARY KEY",
        values: &[
            "k = '' | 'a' | 'A' | 'ae' | _latin1 x'e4' | _latin1 x'c4' | 'a ' | 'ss' | _latin1 x'df' | 'k#' | 'K#'",
        ],
        alter: "MODIFY k VARCHAR(30) CHARACTER SET latin1 COLLATE latin1_german2_ci NOT NULL",
        ..CASE
    },
    Case {
        name: "t_latin1_bin",
        columns: "k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | _latin1 x'e4' | _latin1 x'00' | _latin1 x'6109' | 'a ' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_ascii",
        columns: "k CHAR(10) CHARACTER SET ascii NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | '''' | '\\\\' | '`' | '\"' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_gbk",
        columns: "k VARCHAR(20) CHARACTER SET gbk NOT NULL PRIMARY KEY",
        values: &[
            "k = '' | 'a' | 'A' | _gbk x'8140' | _gbk x'815c' | _gbk x'b0a1' | _gbk x'bf5c27' | _gbk x'fe4f' | 'k#' | \
             CONCAT(_gbk x'815c', '#')",
        ],
        alter: "MODIFY k VARCHAR(60) CHARACTER SET gbk NOT NULL, ADD INDEX (v)",
        ..CASE
    },
    Case {
        name: "t_sjis",
        columns: "k VARCHAR(20) CHARACTER SET sjis NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | _sjis x'8140' | _sjis x'835c' | _sjis x'b1' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_ucs2",
        columns: "k VARCHAR(20) CHARACTER SET ucs2 NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | 'ß' | '漢' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_utf16",
        columns: "k CHAR(20) CHARACTER SET utf16 NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | '漢' | '😀' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_utf32",
        columns: "k VARCHAR(20) CHARACTER SET utf32 COLLATE utf32_bin NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | '漢' | '😀' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_utf8mb3",
        columns: "k VARCHAR(20) CHARACTER SET utf8mb3 NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | 'É' | 'e' | '漢' | 'a ' | 'k#' | 'K#'"],
        ..CASE
    },
    Case {
        name: "t_general",
        columns: "k VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY",
        values: &[
            "k = '' | ' ' | 'a' | 'A' | 'á' | 'Á' | 'a ' | 's' | 'ß' | 'ss' | '😀' | '🍣' | 'x😀' | 'X🍣' | '\\t' | 'k#' | 'K#'",
        ],
        alter: "CHANGE k `key` VARCHAR(191) COLLATE utf8mb4_general_ci NOT NULL",
        ..CASE
    },
    Case {
        name: "t_unicode",
        columns: "k CHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'á' | 'ss' | 'ß' | '😀' | '🍣' | 'æ' | 'ae' | 'k#' | 'K#' | 'ḱ#'"],
        ..CASE
    },
    Case {
        name: "t_520",
        columns: "k VARCHAR(20) COLLATE utf8mb4_unicode_520_ci NOT NULL, n INT NOT NULL, PRIMARY KEY (k, n)",
        values: &["k = '' | 'a' | 'A' | 'á' | 'l·' | '😀' | '🍣' | 'k#' | 'K#'", "n = 1 | # % 3"],
        ..CASE
    },
    Case {
        name: "t_turkish",
        columns: "k VARCHAR(20) COLLATE utf8mb4_turkish_ci NOT NULL PRIMARY KEY",
        values: &["k = 'i' | 'I' | 'ı' | 'İ' | 'ş' | 'Ş' | 'i#' | 'İ#'"],
        ..CASE
    },
    Case {
        name: "t_bin",
        columns: "k VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'á' | '😀' | '🍣' | 'a ' | 'a\\t' | 'k#' | 'K#'"],
        ..CASE
    },
    Case {
        name: "t_0900",
        on: On::MySql,
        columns: "k VARCHAR(20) COLLATE utf8mb4_0900_ai_ci NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | 'á' | 'A  ' | '😀' | '🍣' | 'ss' | 'ß' | 'k#' | 'K#' | 'k# '"],
        ..CASE
    },
    Case {
        name: "t_0900_char",
        on: On::MySql,
        columns: "k CHAR(20) COLLATE utf8mb4_0900_ai_ci NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | 'á' | '😀' | '🍣' | 'k#' | 'K#'"],
        alter: "MODIFY k VARCHAR(40) COLLATE utf8mb4_0900_ai_ci NOT NULL",
        ..CASE
    },
    Case {
        name: "t_0900_as_cs",
        on: On::MySql,
        columns: "k VARCHAR(20) COLLATE utf8mb4_0900_as_cs NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | 'á' | x'61cc81' | '😀' | 'k#' | 'K#'"],
        ..CASE
    },
    Case {
        name: "t_0900_bin",
        on: On::MySql,
        columns: "k VARCHAR(20) COLLATE utf8mb4_0900_bin NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | '😀' | 'k#'"],
        ..CASE
    },
    Case {
        name: "t_nopad",
        on: On::MariaDb,
        columns: "k VARCHAR(20) COLLATE utf8mb4_general_nopad_ci NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | 'á' | '😀' | 'k#' | 'K#' | 'k# '"],
        ..CASE
    },
    Case {
        name: "t_nopad_bin",
        on: On::MariaDb,
        columns: "k VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_nopad_bin NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | _latin1 x'6100' | 'k#' | 'k# '"],
        ..CASE
    },
    Case {
        name: "t_uca1400",
        on: On::MariaDb,
        columns: "k VARCHAR(20) COLLATE utf8mb4_uca1400_ai_ci NOT NULL PRIMARY KEY",
        values: &["k = '' | ' ' | 'a' | 'a ' | 'A' | 'á' | '😀' | '🍣' | 'ss' | 'ß' | 'k#' | 'K#'"],
        ..CASE
    },
];

const ALL: &[&[Case]] = &[BYTES, TEXTS];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_texts_on_mysql() {
    run(&Server::without_xa(Kind::MySql), "texts", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_texts_on_mariadb() {
    run(&Server::without_xa(Kind::MariaDb), "texts", ALL).await;
}
