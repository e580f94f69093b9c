//! A unique index that the ALTER adds or changes: a true duplicate stops the run, whenever it comes;
//! values that only move between rows don't.

use super::{CASE, Case, End, run};
use crate::harness::{Kind, Server, on_both};

/// Rows from 100000 on are not the traffic's.
const DUPLICATES: &[Case] = &[
    Case {
        name: "u_from_start",
        columns: "id integer PRIMARY KEY, u integer",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 77001), (100002, 77002), (100003, 77001)"],
        alter: "ADD CONSTRAINT u_start UNIQUE (u), ALTER v TYPE bigint",
        end: End::Failed(&["u_start", "77001", "100001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_late",
        columns: "id integer PRIMARY KEY, u integer",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 77001), (100002, 77002), (100003, 77003)"],
        late: &["UPDATE {t} SET u = 77001 WHERE id = 100003"],
        alter: "ADD CONSTRAINT u_late_key UNIQUE (u), ALTER v TYPE bigint",
        end: End::Failed(&["u_late_key", "77001", "100001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_by_collation",
        types: &["CREATE COLLATION public.u_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        columns: "id integer PRIMARY KEY, u text UNIQUE",
        values: &["id = #", "u = NULL"],
        setup: &["INSERT INTO {t} (id, u) VALUES (100001, 'dup'), (100002, 'other'), (100003, 'DUP')"],
        alter: "ALTER u TYPE text COLLATE public.u_ci",
        end: End::Failed(&["dup", "100001", "100003"]),
        ..CASE
    },
    Case {
        name: "u_nulls_equal",
        columns: "id integer PRIMARY KEY, u integer",
        values: &["id = #", "u = # + 1000 * (#)"],
        swaps: "",
        setup: &["DELETE FROM {t}", "INSERT INTO {t} (id, u) VALUES (100001, NULL), (100002, 77002), (100003, NULL)"],
        alter: "ADD CONSTRAINT u_nulls UNIQUE NULLS NOT DISTINCT (u, id), ALTER v TYPE bigint",
        end: End::Twin,
        ..CASE
    },
];

const MOVES: &[Case] = &[
    Case {
        name: "u_swapped",
        columns: "id integer PRIMARY KEY, u text UNIQUE",
        values: &["id = #", "u = 'u#'"],
        swaps: "u",
        alter: "ALTER u TYPE varchar(40), ALTER v TYPE bigint",
        ..CASE
    },
    Case {
        name: "u_swapped_new",
        columns: "id integer PRIMARY KEY, u text",
        values: &["id = #", "u = 'u#'"],
        swaps: "u",
        alter: "ADD UNIQUE (u), ALTER v TYPE bigint",
        ..CASE
    },
    Case {
        name: "u_swapped_expression",
        columns: "id integer PRIMARY KEY, u text",
        values: &["id = #", "u = 'u#'"],
        swaps: "u",
        setup: &["CREATE UNIQUE INDEX u_expression ON {t} (lower(u), (id > -1)) WHERE v < 100000"],
        alter: "ALTER v TYPE bigint",
        ..CASE
    },
];

async fn matrix_of_unique(kind: Kind) {
    run(&Server::shared(kind), "unique", &[DUPLICATES, MOVES]).await;
}

on_both!(matrix_of_unique);
