//! Values that the new definition can't hold: the run ends as a native ALTER would, with the table untouched.

use super::{CASE, Case, End, run};
use crate::harness::{Kind, Server, on_both};

const ALL: &[Case] = &[
    Case {
        name: "v_too_large",
        columns: "id integer PRIMARY KEY, a integer",
        values: &["id = #", "a = #"],
        setup: &["INSERT INTO {t} (id, a) VALUES (100001, 70000)"],
        alter: "ALTER a TYPE smallint",
        end: End::Failed(&["smallint", "100001"]),
        ..CASE
    },
    Case {
        name: "v_too_long_late",
        columns: "id integer PRIMARY KEY, a text",
        values: &["id = #", "a = 'a#'"],
        setup: &["INSERT INTO {t} (id, a) VALUES (100001, 'short')"],
        late: &["UPDATE {t} SET a = 'much too long' WHERE id = 100001"],
        alter: "ALTER a TYPE varchar(8)",
        end: End::Failed(&["varying(8)", "100001"]),
        ..CASE
    },
    Case {
        name: "v_null",
        columns: "id integer PRIMARY KEY, a text",
        values: &["id = #", "a = 'a#'"],
        setup: &["INSERT INTO {t} (id, a) VALUES (100001, NULL)"],
        alter: "ALTER a SET NOT NULL, ALTER v TYPE bigint",
        end: End::Failed(&["100001"]),
        ..CASE
    },
    Case {
        name: "v_check",
        columns: "id integer PRIMARY KEY, a integer",
        values: &["id = #", "a = #"],
        setup: &["INSERT INTO {t} (id, a) VALUES (100001, -7)"],
        alter: "ADD CONSTRAINT v_low CHECK (a >= 0), ALTER v TYPE bigint",
        end: End::Failed(&["v_low", "100001"]),
        ..CASE
    },
    Case {
        name: "v_using",
        columns: "id integer PRIMARY KEY, a text",
        values: &["id = #", "a = '#'"],
        setup: &["INSERT INTO {t} (id, a) VALUES (100001, 'no number')"],
        alter: "ALTER a TYPE integer USING a::integer",
        end: End::Failed(&["no number"]),
        ..CASE
    },
    // Not injective: two rows would become one.
    Case {
        name: "v_key_collation",
        types: &["CREATE COLLATION public.v_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        columns: "id text PRIMARY KEY",
        values: &["id = 'k#'"],
        alter: "ALTER id TYPE text COLLATE public.v_ci",
        end: End::Refused(&["id"]),
        ..CASE
    },
    Case {
        name: "v_unlogged",
        columns: "id integer PRIMARY KEY",
        values: &["id = #"],
        alter: "SET UNLOGGED",
        end: End::Refused(&["UNLOGGED"]),
        ..CASE
    },
];

async fn matrix_of_values(kind: Kind) {
    run(&Server::shared(kind), "values", &[ALL]).await;
}

on_both!(matrix_of_values);
