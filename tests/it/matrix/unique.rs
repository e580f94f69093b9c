//! A UNIQUE key that the ALTER adds or changes: a true duplicate stops the run, whenever it comes;
//! values that only move between rows don't.

use super::{CASE, Case, End, On, run};
use crate::harness::{Kind, Server};

/// Rows from 100000 on are not the traffic's.
const DUPLICATES: &[Case] = &[
    Case {
        name: "u_from_start",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 77001), (100002, 77002), (100003, 77001)"],
        alter: "ADD UNIQUE KEY by_u (u)",
        end: End::Failed(&["by_u", "77001", "100001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_same_chunk_text",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20)",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 'dupé'), (100002, 'other'), (200003, 'DUPÉ')"],
        alter: "ADD UNIQUE KEY by_u (u)",
        end: End::Failed(&["by_u", "dup", "100001", "200003"]),
        ..CASE
    },
    Case {
        name: "u_during_copy",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (-5, 77001), (100002, 77002), (100003, 77003)"],
        during: &["UPDATE {t} SET u = 77001 WHERE id = 100003"],
        alter: "ADD UNIQUE KEY by_u (u)",
        end: End::Failed(&["by_u", "77001", "-5", "100003"]),
        ..CASE
    },
    Case {
        name: "u_late",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (-5, 77001), (100002, 77002), (100003, 77003)"],
        late: &["UPDATE {t} SET u = 77001 WHERE id = 100003"],
        alter: "ADD UNIQUE KEY by_u (u)",
        end: End::Failed(&["by_u", "77001", "-5", "100003"]),
        ..CASE
    },
    Case {
        name: "u_late_insert",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20), g INT NOT NULL",
        values: &["id = #", "u = NULL", "g = #"],
        setup: &["INSERT INTO {t} (id, u, g) VALUES (-5, 'one', 1), (100002, 'two', 1)"],
        late: &["INSERT INTO {t} (id, u, g) VALUES (100003, 'ONE', 1)"],
        alter: "ADD UNIQUE KEY by_u_g (u, g)",
        end: End::Failed(&["by_u_g", "-5", "100003"]),
        ..CASE
    },
    Case {
        name: "u_by_collation",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE KEY by_u (u)",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 'same'), (100002, 'x'), (100003, 'SAME')"],
        alter: "MODIFY u VARCHAR(20) COLLATE utf8mb4_general_ci",
        end: End::Failed(&["by_u", "100001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_by_type",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20), UNIQUE KEY by_u (u)",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, '77001'), (100002, '9'), (100003, '077001')"],
        alter: "MODIFY u INT",
        end: End::Failed(&["by_u", "77001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_by_rounding",
        columns: "id INT NOT NULL PRIMARY KEY, u DECIMAL(10,3), UNIQUE KEY by_u (u)",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 77001.2), (100002, 9), (100003, 77001.4)"],
        alter: "MODIFY u DECIMAL(10,0)",
        end: End::Failed(&["by_u", "77001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_prefix",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20)",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 'abcd1'), (100002, 'abc'), (100003, 'abcd2')"],
        alter: "ADD UNIQUE KEY by_u (u(4))",
        end: End::Failed(&["by_u", "abcd", "100003"]),
        ..CASE
    },
    Case {
        name: "u_generated",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 77001), (100002, 9), (100003, 77001)"],
        alter: "ADD g INT AS (u + 1) VIRTUAL, ADD UNIQUE KEY by_g (g)",
        end: End::Failed(&["by_g", "77002", "100003"]),
        ..CASE
    },
    Case {
        name: "u_text_key",
        columns: "id BIGINT NOT NULL, k VARCHAR(20) NOT NULL PRIMARY KEY, u INT",
        values: &["k = 'k#' | 'K#'", "id = #", "u = NULL"],
        setup: &[
            "INSERT INTO {t} (id, k, u) VALUES (100001, 'first', 77001), (100002, 'x', 9), (100003, 'second', 77001)",
        ],
        alter: "ADD UNIQUE KEY by_u (u)",
        end: End::Failed(&["by_u", "77001", "first", "second"]),
        ..CASE
    },
    Case {
        name: "u_new_column",
        columns: "id INT NOT NULL PRIMARY KEY",
        values: &["id = #"],
        alter: "ADD u INT NOT NULL DEFAULT 4, ADD UNIQUE KEY by_u (u)",
        end: End::Failed(&["by_u", "4"]),
        ..CASE
    },
];

const MOVING: &[Case] = &[
    Case {
        name: "m_new",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u)",
        ..CASE
    },
    Case {
        name: "m_existing",
        columns: "id INT NOT NULL PRIMARY KEY, u INT NOT NULL, UNIQUE KEY by_u (u)",
        values: &["id = #", "u = #"],
        swaps: "u",
        ..CASE
    },
    Case {
        name: "m_two",
        columns: "id INT NOT NULL PRIMARY KEY, u INT NOT NULL, w INT NOT NULL, UNIQUE KEY by_w (w)",
        values: &["id = #", "u = #", "w = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u), ADD UNIQUE KEY by_both (w, u)",
        ..CASE
    },
    Case {
        name: "m_text",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20)",
        values: &["id = #", "u = 'kÉ#'"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u), MODIFY u VARCHAR(40) COLLATE utf8mb4_general_ci",
        ..CASE
    },
    Case {
        name: "m_retyped",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20), UNIQUE KEY by_u (u)",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "CHANGE u uu BIGINT NOT NULL",
        ..CASE
    },
    Case {
        name: "m_prefix",
        columns: "id INT NOT NULL PRIMARY KEY, u VARCHAR(20)",
        values: &["id = #", "u = LPAD(#, 5, '0')"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u(8))",
        ..CASE
    },
    Case {
        name: "m_generated",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "ADD g BIGINT AS (u * 2) STORED, ADD UNIQUE KEY by_g (g)",
        ..CASE
    },
    Case {
        name: "m_text_key",
        columns: "id INT NOT NULL, k VARCHAR(20) NOT NULL PRIMARY KEY, u INT, UNIQUE KEY (id)",
        values: &["id = #", "k = 'k#'", "u = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u)",
        ..CASE
    },
    Case {
        name: "m_renamed_key",
        columns: "id INT NOT NULL PRIMARY KEY, u INT, g INT NOT NULL DEFAULT 1",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "CHANGE id nr BIGINT NOT NULL, CHANGE u id INT, ADD UNIQUE KEY by_u (id, g)",
        ..CASE
    },
    Case {
        name: "m_auto",
        columns: "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, u INT",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u), MODIFY v BIGINT NOT NULL",
        ..CASE
    },
    Case {
        name: "m_fulltext",
        columns: "id INT NOT NULL PRIMARY KEY, u INT, d TEXT, FULLTEXT KEY (d)",
        values: &["id = #", "u = #", "d = 'some words'"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u)",
        ..CASE
    },
    Case {
        name: "m_compressed",
        columns: "id INT NOT NULL PRIMARY KEY, u INT",
        options: "ROW_FORMAT=COMPRESSED",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u)",
        ..CASE
    },
    Case {
        name: "m_partitioned",
        columns: "id INT NOT NULL, u INT NOT NULL, g INT NOT NULL, PRIMARY KEY (id, g), UNIQUE KEY only_id (id, g, u)",
        options: "PARTITION BY HASH (g) PARTITIONS 2",
        values: &["id = #", "u = #", "g = 1"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u (u, g)",
        ..CASE
    },
    Case {
        name: "m_functional",
        on: On::MySql,
        columns: "id INT NOT NULL PRIMARY KEY, u INT NOT NULL",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY by_u ((u + 1))",
        end: End::Refused(&["over an expression"]),
        ..CASE
    },
    Case {
        name: "m_checked",
        columns: "id INT NOT NULL PRIMARY KEY, u INT NOT NULL, `UPPER``case` INT DEFAULT 1, CHECK (u > -5)",
        values: &["id = #", "u = #"],
        swaps: "u",
        alter: "ADD UNIQUE KEY `by``u` (u)",
        ..CASE
    },
];

const ALL: &[&[Case]] = &[DUPLICATES, MOVING];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_unique_on_mysql() {
    run(&Server::without_xa(Kind::MySql), "unique", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_unique_on_mariadb() {
    run(&Server::without_xa(Kind::MariaDb), "unique", ALL).await;
}
