//! Keys of every type that can be a primary key, and of several columns.

use super::{CASE, Case, End, run};
use crate::harness::{Kind, Server, on_both};

const NUMBERS: &[Case] = &[
    Case {
        name: "k_smallint",
        columns: "k smallint PRIMARY KEY",
        values: &["k = 0 | -1 | -32768 | 32767 | -# | #"],
        alter: "ALTER COLUMN k TYPE integer",
        ..CASE
    },
    Case {
        name: "k_integer",
        columns: "k integer PRIMARY KEY",
        values: &["k = 0 | -1 | -2147483648 | 2147483647 | -# | #"],
        alter: "ALTER COLUMN k TYPE bigint, ADD COLUMN x integer NOT NULL DEFAULT 7",
        ..CASE
    },
    Case {
        name: "k_bigint",
        columns: "k bigint PRIMARY KEY",
        values: &["k = 0 | '-9223372036854775808' | 9223372036854775807 | -1 | # | -#"],
        ..CASE
    },
    Case {
        name: "k_identity",
        columns: "k integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a integer",
        values: &["k = DEFAULT", "a = #"],
        alter: "ALTER COLUMN k TYPE bigint, ALTER COLUMN a TYPE text",
        ..CASE
    },
    Case {
        name: "k_serial",
        columns: "k serial PRIMARY KEY, a integer",
        values: &["k = DEFAULT | # + 1", "a = #"],
        setup: &["SELECT setval(pg_get_serial_sequence('{t}', 'k'), 100000)"],
        alter: "ALTER COLUMN a TYPE bigint",
        ..CASE
    },
    // 1.0 and 1.00 are one key and two values.
    Case {
        name: "k_numeric",
        columns: "k numeric PRIMARY KEY",
        values: &["k = 0 | 0.000 | 1 | 1.0 | 1.00 | 'NaN' | 'Infinity' | '-Infinity' | -1.50 | 1e30 | #.5 | #.50 | #"],
        ..CASE
    },
    Case {
        name: "k_numeric_scaled",
        columns: "k numeric(20, 6) PRIMARY KEY",
        values: &[
            "k = 0 | -0.000001 | 0.000001 | -99999999999999.999999 | 99999999999999.999999 | 'NaN' | #.5 | -#.05",
        ],
        ..CASE
    },
    // 0 and -0 are one key and two values.
    Case {
        name: "k_float8",
        columns: "k float8 PRIMARY KEY",
        values: &[
            "k = 0 | '-0' | 'NaN' | 'Infinity' | '-Infinity' | 1e300 | 5e-324 | 0.30000000000000004 | # / 7.0 | #",
        ],
        ..CASE
    },
    Case {
        name: "k_float4",
        columns: "k float4 PRIMARY KEY",
        values: &["k = 0 | '-0' | 'NaN' | '-Infinity' | 1e30 | 0.1 | # / 7.0 | #"],
        ..CASE
    },
    Case {
        name: "k_money",
        columns: "k money PRIMARY KEY",
        values: &["k = 0::money | '-92233720368547758.08' | '92233720368547758.07' | '-0.01' | #::money"],
        ..CASE
    },
    Case { name: "k_oid", columns: "k oid PRIMARY KEY", values: &["k = 0 | 4294967295 | 2147483648 | #"], ..CASE },
    // Alone it would be a key of two rows, which traffic that deletes leaves empty now and then.
    Case {
        name: "k_boolean",
        columns: "k boolean, n integer, PRIMARY KEY (k, n)",
        values: &["k = true | false", "n = #"],
        ..CASE
    },
    Case {
        name: "k_bit",
        columns: "k bit(10) PRIMARY KEY",
        values: &["k = B'0000000000' | B'1111111111' | #::bit(10)"],
        ..CASE
    },
    Case {
        name: "k_varbit",
        columns: "k bit varying(20) PRIMARY KEY",
        values: &["k = B'' | B'0' | B'00' | B'1' | #::bit(9)::varbit"],
        ..CASE
    },
];

const TEXTS: &[Case] = &[
    Case {
        name: "k_text_c",
        columns: "k text COLLATE \"C\" PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | 'a ' | E'tab\\t\\\\' | '''' | 'k#' | 'K#'"],
        ..CASE
    },
    Case {
        name: "k_text_icu",
        columns: "k text COLLATE \"und-x-icu\" PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | 'é' | 'Ä' | 'z' | 'k#' | 'K#' | 'k-#'"],
        ..CASE
    },
    // 'k1' and 'K1' are one key and two values.
    Case {
        name: "k_text_ci",
        types: &["CREATE COLLATION public.k_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        columns: "k text COLLATE public.k_ci PRIMARY KEY",
        values: &["k = '' | 'a' | 'A' | 'é' | 'É' | 'z' | 'k#' | 'K#'"],
        ..CASE
    },
    Case {
        name: "k_text_ai",
        types: &["CREATE COLLATION public.k_ai (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"],
        columns: "k varchar(40) COLLATE public.k_ai PRIMARY KEY",
        values: &["k = 'resume' | 'Résumé' | 'a' | 'ä' | 'k#' | 'K#' | 'ḱ#'"],
        ..CASE
    },
    Case {
        name: "k_varchar",
        columns: "k varchar(20) PRIMARY KEY",
        values: &["k = '' | 'a' | 'a ' | 'é😀' | 'k#' | repeat('x', 17) || #"],
        alter: "ALTER COLUMN k TYPE varchar(60), ALTER COLUMN v TYPE bigint",
        ..CASE
    },
    Case {
        name: "k_varchar_to_text",
        columns: "k varchar(20) PRIMARY KEY",
        values: &["k = '' | 'a' | 'a ' | 'k#'"],
        alter: "ALTER COLUMN k TYPE text, ALTER COLUMN v TYPE bigint",
        ..CASE
    },
    // Blanks at the end do not count, and are there.
    Case { name: "k_char", columns: "k char(8) PRIMARY KEY", values: &["k = '' | 'a' | ' a' | 'é' | 'k#'"], ..CASE },
    Case {
        name: "k_char_internal",
        columns: "k \"char\" PRIMARY KEY",
        values: &["k = 'a' | 'b' | '' | chr(33 + # % 90)::\"char\""],
        ..CASE
    },
    Case { name: "k_name", columns: "k name PRIMARY KEY", values: &["k = '' | 'a' | 'A b' | 'k#'"], ..CASE },
    Case {
        name: "k_bytea",
        columns: "k bytea PRIMARY KEY",
        values: &["k = '' | '\\x00' | '\\xff' | '\\x27' | '\\x5c' | decode(lpad(to_hex(#), 4, '0'), 'hex')"],
        ..CASE
    },
    Case {
        name: "k_uuid",
        columns: "k uuid PRIMARY KEY",
        values: &[
            "k = '00000000-0000-0000-0000-000000000000' | 'ffffffff-ffff-ffff-ffff-ffffffffffff' | md5('#')::uuid",
        ],
        ..CASE
    },
];

const TIMES: &[Case] = &[
    Case {
        name: "k_date",
        columns: "k date PRIMARY KEY",
        values: &[
            "k = 'infinity' | '-infinity' | '4713-01-01 BC' | '5874897-12-31' | '2024-02-29' | date '2000-01-01' + #",
        ],
        ..CASE
    },
    Case {
        name: "k_timestamp",
        columns: "k timestamp PRIMARY KEY",
        values: &["k = 'infinity' | '-infinity' | '0044-03-15 12:00:00.000001 BC' | '2024-02-29 10:11:12.123456' | \
             timestamp '2000-01-01' + # * interval '61 minutes'"],
        ..CASE
    },
    Case {
        name: "k_timestamptz",
        columns: "k timestamptz PRIMARY KEY",
        values: &["k = 'infinity' | '-infinity' | '0044-03-15 12:00:00+00 BC' | '2024-02-29 10:11:12.123456+00' | \
             timestamptz '2000-01-01 00:00:00+00' + # * interval '61 minutes'"],
        ..CASE
    },
    Case {
        name: "k_time",
        columns: "k time PRIMARY KEY",
        values: &["k = '00:00' | '24:00' | '23:59:59.999999' | time '00:00' + # * interval '1 minute'"],
        ..CASE
    },
    Case {
        name: "k_timetz",
        columns: "k timetz PRIMARY KEY",
        values: &[
            "k = '00:00+00' | '24:00-15:59' | '12:00+05:30' | '06:30+00' | timetz '00:00+02' + # * interval '1 minute'",
        ],
        ..CASE
    },
    // '1 month' and '30 days' are one key and two values.
    Case {
        name: "k_interval",
        columns: "k interval PRIMARY KEY",
        values: &[
            "k = '0' | '1 month' | '30 days' | '720 hours' | '-1 year 2 days -03:04:05.6' | # * interval '1 minute'",
        ],
        ..CASE
    },
];

const OTHERS: &[Case] = &[
    Case {
        name: "k_inet",
        columns: "k inet PRIMARY KEY",
        values: &["k = '192.168.0.1' | '192.168.0.1/24' | '::1' | '::ffff:1.2.3.4/96' | inet '10.0.0.0' + #"],
        ..CASE
    },
    Case {
        name: "k_cidr",
        columns: "k cidr PRIMARY KEY",
        values: &["k = '0.0.0.0/0' | '::/0' | '192.168.0.0/24' | set_masklen(cidr '10.0.0.0', 32)::inet + #"],
        ..CASE
    },
    Case {
        name: "k_macaddr",
        columns: "k macaddr PRIMARY KEY",
        values: &["k = '00:00:00:00:00:00' | 'ff:ff:ff:ff:ff:ff' | ('08002b' || lpad(to_hex(#), 6, '0'))::macaddr"],
        ..CASE
    },
    Case {
        name: "k_enum",
        types: &["CREATE TYPE public.k_mood AS ENUM ('sad', 'ok', 'it''s', 'Ü b')"],
        columns: "k public.k_mood, n integer, PRIMARY KEY (k, n)",
        values: &["k = 'sad' | 'ok' | 'it''s' | 'Ü b'", "n = #"],
        ..CASE
    },
    Case {
        name: "k_domain",
        types: &["CREATE DOMAIN public.k_positive AS integer CHECK (VALUE >= 0)"],
        columns: "k public.k_positive PRIMARY KEY",
        values: &["k = 0 | 2147483647 | #"],
        ..CASE
    },
    Case {
        name: "k_domain_text",
        types: &["CREATE DOMAIN public.k_word AS varchar(20) COLLATE \"C\" CHECK (VALUE <> 'no')"],
        columns: "k public.k_word PRIMARY KEY",
        values: &["k = '' | 'A' | 'k#'"],
        ..CASE
    },
    Case {
        name: "k_array",
        columns: "k integer[] PRIMARY KEY",
        values: &["k = '{}' | '{NULL}' | '{1,NULL,3}' | '{{1,2},{3,4}}' | ARRAY[#, 1] | ARRAY[#]"],
        ..CASE
    },
    Case {
        name: "k_range",
        columns: "k int4range PRIMARY KEY",
        values: &["k = 'empty' | '(,)' | '[1,)' | '(,5]' | int4range(#, # + 300)"],
        ..CASE
    },
    Case {
        name: "k_jsonb",
        columns: "k jsonb PRIMARY KEY",
        values: &["k = 'null' | '1' | '1.0' | '\"a\"' | '[]' | '{\"a\": [1, null]}' | to_jsonb(#)"],
        ..CASE
    },
    Case {
        name: "k_row",
        types: &["CREATE TYPE public.k_pair AS (a integer, b text)"],
        columns: "k public.k_pair PRIMARY KEY",
        values: &["k = ROW(1, 'a')::public.k_pair | ROW(NULL, '')::public.k_pair | ROW(#, 'k#')::public.k_pair"],
        ..CASE
    },
    Case {
        name: "k_lsn",
        columns: "k pg_lsn PRIMARY KEY",
        values: &["k = '0/0' | 'FFFFFFFF/FFFFFFFF' | ('0/' || to_hex(#))::pg_lsn"],
        ..CASE
    },
];

const SEVERAL: &[Case] = &[
    Case {
        name: "k_two",
        columns: "a integer, b text COLLATE \"C\", c text, PRIMARY KEY (b, a)",
        values: &["a = 0 | -1 | # % 20", "b = '' | 'x' | 'k#'", "c = NULL | 'c#'"],
        alter: "ALTER COLUMN a TYPE bigint, ADD COLUMN x text",
        ..CASE
    },
    Case {
        name: "k_three",
        columns: "a date, b uuid, c numeric(10, 2), d text, PRIMARY KEY (a, b, c)",
        values: &[
            "a = 'infinity' | date '2024-01-01' + # % 5",
            "b = md5('#')::uuid",
            "c = 0 | -1.50 | #.25",
            "d = NULL | 'd#'",
        ],
        ..CASE
    },
    Case {
        name: "k_descending",
        columns: "id integer NOT NULL, a integer NOT NULL",
        values: &["id = #", "a = #"],
        setup: &[
            "CREATE UNIQUE INDEX k_descending_key ON {t} (id DESC, a DESC) INCLUDE (v)",
            "ALTER TABLE {t} REPLICA IDENTITY USING INDEX k_descending_key",
        ],
        ..CASE
    },
    // Ranges follow one another in the plain order of the columns, and this index has another one.
    Case {
        name: "k_partly_descending",
        columns: "id integer NOT NULL, a integer NOT NULL",
        values: &["id = #", "a = #"],
        setup: &[
            "CREATE UNIQUE INDEX k_partly_key ON {t} (id DESC, a)",
            "ALTER TABLE {t} REPLICA IDENTITY USING INDEX k_partly_key",
        ],
        end: End::Refused(&["partly descending", "(id, a)", "all ascending"]),
        ..CASE
    },
    Case {
        name: "k_full",
        columns: "id integer PRIMARY KEY, a text",
        values: &["id = #", "a = NULL | 'a#'"],
        setup: &["ALTER TABLE {t} REPLICA IDENTITY FULL"],
        ..CASE
    },
    Case {
        name: "k_quoted",
        columns: "\"K \"\"1\" integer, \"ключ\" text, PRIMARY KEY (\"K \"\"1\", \"ключ\")",
        values: &["\"K \"\"1\" = #", "\"ключ\" = '' | 'k#'"],
        ..CASE
    },
];

async fn matrix_of_number_keys(kind: Kind) {
    run(&Server::shared(kind), "number_keys", &[NUMBERS]).await;
}

async fn matrix_of_text_keys(kind: Kind) {
    run(&Server::shared(kind), "text_keys", &[TEXTS]).await;
}

async fn matrix_of_time_keys(kind: Kind) {
    run(&Server::shared(kind), "time_keys", &[TIMES]).await;
}

async fn matrix_of_other_keys(kind: Kind) {
    run(&Server::shared(kind), "other_keys", &[OTHERS, SEVERAL]).await;
}

on_both!(matrix_of_number_keys, matrix_of_text_keys, matrix_of_time_keys, matrix_of_other_keys);
