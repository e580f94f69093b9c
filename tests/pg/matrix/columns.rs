//! Columns: added, dropped, renamed, and of another type.

use super::{CASE, Case, End, run};
use crate::harness::{Kind, Server, on_both};

const ID: &str = "id = #";

const CHANGES: &[Case] = &[
    Case {
        name: "c_widened",
        columns: "id integer PRIMARY KEY, a smallint, b integer, c real, d varchar(10), e numeric(8, 2), f char(5), g bit varying(8)",
        values: &[
            ID,
            "a = NULL | -32768 | #",
            "b = 2147483647 | #",
            "c = 0.1 | '-0' | 'NaN' | 1e30 | # / 7.0",
            "d = '' | 'é ' | 'k#'",
            "e = 999999.99 | 'NaN' | -0.01 | #.5",
            "f = 'a' | 'ab ' | NULL",
            "g = B'' | B'101' | NULL",
        ],
        alter: "ALTER COLUMN a TYPE integer, ALTER b TYPE bigint, ALTER c TYPE double precision, ALTER d TYPE varchar(99), \
                ALTER e TYPE numeric(12, 4), ALTER f TYPE char(9), ALTER g TYPE bit varying(40)",
        ..CASE
    },
    Case {
        name: "c_to_text",
        columns: "id integer PRIMARY KEY, a varchar(10), b char(6), c integer, d numeric, e boolean, f date, g timestamptz, h float8",
        values: &[
            ID,
            "a = '' | 'é ' | NULL | 'k#'",
            "b = 'a' | 'ab c' | NULL",
            "c = -1 | #",
            "d = 1.0 | 1.00 | 'NaN' | #.50",
            "e = true | false | NULL",
            "f = 'infinity' | '0044-03-15 BC' | date '2024-01-01' + #",
            "g = 'infinity' | '2024-02-29 10:11:12.123456+05:30' | timestamptz '2024-01-01 00:00:00+00' + # * interval '1 hour'",
            "h = 0.30000000000000004 | '-0' | 'NaN' | 1e300 | # / 7.0",
        ],
        alter: "ALTER a TYPE text, ALTER b TYPE text, ALTER c TYPE text, ALTER d TYPE text, ALTER e TYPE text, ALTER f TYPE text, \
                ALTER g TYPE text USING (g AT TIME ZONE 'Asia/Kolkata')::text, ALTER h TYPE varchar(40)",
        ..CASE
    },
    Case {
        name: "c_rounded",
        columns: "id integer PRIMARY KEY, a numeric(10, 3), b float8, c timestamp(6), d time, e interval, f numeric",
        values: &[
            ID,
            "a = 0.5 | 1.5 | -2.5 | 2.445 | #.555",
            "b = 0.5 | 1.5 | -2.5 | # / 4.0",
            "c = '2024-12-31 23:59:59.999999' | 'infinity' | timestamp '2024-01-01 00:00:00.5' + # * interval '1 second'",
            "d = '23:59:59.9999' | '10:00:00.05'",
            "e = '1 day 00:00:00.6' | '-00:00:01.5'",
            "f = 1e20 | 0.0005 | #.125",
        ],
        alter: "ALTER a TYPE integer, ALTER b TYPE integer, ALTER c TYPE timestamp(0), ALTER d TYPE time(1), ALTER e TYPE interval(0), \
                ALTER f TYPE numeric(24, 2)",
        ..CASE
    },
    Case {
        name: "c_using",
        columns: "id integer PRIMARY KEY, a text, b integer, c text, d jsonb, e integer, f text, g text",
        values: &[
            ID,
            "a = '12' | '-5' | NULL | '#'",
            "b = 0 | 12345 | #",
            "c = 'a,b,c' | '' | NULL | 'x,#'",
            "d = '{\"n\": 5}' | '{}' | '[1]' | NULL",
            "e = 0 | 1704067200 | #",
            "f = 'yes' | 'no' | NULL",
            "g = 'it''s; -- no comment' | '/* a'",
        ],
        alter: "ALTER a TYPE integer USING a::integer, ALTER COLUMN b SET DATA TYPE numeric(12,2) USING (b / 100.0), \
                ALTER c TYPE text[] USING string_to_array(c, ','), ALTER d TYPE integer USING (d ->> 'n')::integer /* , ; ' */, \
                ALTER e TYPE timestamptz USING to_timestamp(e), ALTER f TYPE boolean USING f = 'yes' OR f IS NULL, \
                ALTER g TYPE text USING $x$it's, $x$ || g || v",
        ..CASE
    },
    Case {
        name: "c_narrowed",
        columns: "id integer PRIMARY KEY, a bigint, b text, c integer, d numeric",
        values: &[
            ID,
            "a = 32767 | -32768 | #",
            "b = 'abcdefghij' | NULL | 'k#'",
            "c = 1 | 0 | #",
            "d = 99.5 | -0.4 | # % 90",
        ],
        alter: "ALTER a TYPE smallint, ALTER b TYPE varchar(5) USING left(b, 5), ALTER c TYPE boolean USING c <> 0, \
                ALTER d TYPE numeric(3, 0)",
        ..CASE
    },
    Case {
        name: "c_added",
        columns: "id integer PRIMARY KEY, a integer",
        values: &[ID, "a = NULL | #"],
        alter: "ADD COLUMN b integer NOT NULL DEFAULT 7, ADD c text DEFAULT 'é''\\', ADD IF NOT EXISTS d timestamptz, \
                ADD e numeric(5,2) DEFAULT 1.5, ADD f text[] DEFAULT '{a,b}', ADD g jsonb NOT NULL DEFAULT '{\"a\": 1}', \
                ADD h integer GENERATED ALWAYS AS (a * 2) STORED, ADD i boolean DEFAULT (1 > 0), ALTER v TYPE bigint",
        ..CASE
    },
    Case {
        name: "c_dropped",
        columns: "a integer, id integer PRIMARY KEY, b text, c integer, d integer, UNIQUE (b, id)",
        values: &["id = #", "a = NULL | #", "b = 'x' | NULL", "d = #"],
        setup: &["ALTER TABLE {t} DROP COLUMN c, ADD COLUMN e integer DEFAULT 4", "CREATE INDEX ON {t} (d, a)"],
        alter: "DROP COLUMN a, DROP IF EXISTS b, DROP COLUMN IF EXISTS nothing, ALTER d TYPE bigint",
        ..CASE
    },
    Case {
        name: "c_renamed",
        columns: "id integer PRIMARY KEY, a text, b integer, CHECK (b > -9)",
        values: &["id = #", "a = NULL | 'a#'", "b = #"],
        alter: "RENAME COLUMN a TO \"A a\"",
        ..CASE
    },
    Case {
        name: "c_replaced",
        columns: "id integer PRIMARY KEY, a integer",
        values: &["id = #"],
        alter: "DROP COLUMN a, ADD COLUMN a text DEFAULT 'new'",
        ..CASE
    },
    Case {
        name: "c_collations",
        types: &["CREATE COLLATION public.c_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"],
        columns: "id integer PRIMARY KEY, a text, b varchar(20) COLLATE \"C\", c text COLLATE \"und-x-icu\"",
        values: &[ID, "a = 'a' | 'A' | 'é' | NULL | 'k#'", "b = 'a' | 'Ä' | 'K#'", "c = 'z' | 'Z' | '#'"],
        setup: &["CREATE INDEX ON {t} (a, b)"],
        alter: "ALTER a TYPE text COLLATE \"C\", ALTER b TYPE text COLLATE public.c_ci, ALTER c TYPE varchar(30) COLLATE \"C\"",
        ..CASE
    },
    Case {
        name: "c_defaults",
        columns: "id integer PRIMARY KEY, a integer NOT NULL DEFAULT 1, b text, c timestamptz DEFAULT now()",
        values: &[ID, "a = #", "b = 'b#' | ''", "c = '2024-01-01 00:00:00+00'"],
        alter: "ALTER a DROP DEFAULT, ALTER a DROP NOT NULL, ALTER b SET DEFAULT 'x', ALTER b SET NOT NULL, \
                ALTER c TYPE timestamp USING c AT TIME ZONE 'UTC', \
                ALTER c SET DEFAULT clock_timestamp()",
        ..CASE
    },
];

const TYPES: &[Case] = &[
    Case {
        name: "c_times",
        columns: "id integer PRIMARY KEY, a timestamp, b timestamptz, c date, d interval, e timetz, f time",
        values: &[
            ID,
            "a = 'infinity' | '0044-03-15 12:00 BC' | '2024-03-31 02:30:00' | timestamp '2024-01-01' + # * interval '1 hour'",
            "b = '-infinity' | '2024-10-27 00:30:00+00' | timestamptz '2024-01-01 00:00:00+00' + # * interval '1 hour'",
            "c = 'infinity' | '4713-01-01 BC' | date '2024-01-01' + #",
            "d = '1 month' | '-1 year 2 days -03:04:05.6' | NULL",
            "e = '10:11:12.5+05:30' | NULL",
            "f = '24:00' | '00:00'",
        ],
        alter: "ALTER a TYPE timestamptz USING a AT TIME ZONE 'Europe/Berlin', ALTER b TYPE timestamp USING b AT TIME ZONE 'UTC', \
                ALTER c TYPE timestamp, ALTER d TYPE text, ALTER e TYPE time, ALTER f TYPE interval",
        ..CASE
    },
    // Which zone is meant nobody knows: the session's is not the one that the application had.
    Case {
        name: "c_zone_given",
        columns: "id integer PRIMARY KEY, a timestamp",
        values: &[ID, "a = '2024-03-31 02:30:00'"],
        alter: "ALTER a TYPE timestamptz",
        end: End::Refused(&["the column a", "session's time zone", "AT TIME ZONE"]),
        ..CASE
    },
    Case {
        name: "c_zone_taken",
        columns: "id integer PRIMARY KEY, a timestamptz",
        values: &[ID, "a = '2024-03-31 02:30:00+00'"],
        alter: "ALTER a TYPE text",
        end: End::Refused(&["the column a", "session's time zone", "USING"]),
        ..CASE
    },
    Case {
        name: "c_rich",
        types: &[
            "CREATE TYPE public.c_pair AS (a integer, b text)",
            "CREATE DOMAIN public.c_code AS text CHECK (VALUE <> 'x')",
        ],
        columns: "id integer PRIMARY KEY, a integer[], b int4range, c json, d jsonb, e bit(5), f interval, g money, h xml, i tsvector, \
                  j public.c_pair, k public.c_code, l point, m numrange[], n int4multirange, o bytea",
        values: &[
            ID,
            "a = '{}' | '{1,NULL}' | '{{1,2},{3,4}}' | '[0:1]={1,2}' | ARRAY[#]",
            "b = 'empty' | '[1,5)' | '(,)' | NULL",
            "c = '{\"b\": 1,  \"a\": 2.50}' | '[ ]' | NULL",
            "d = '{\"b\": 1, \"a\": 2.50}' | 'null' | to_jsonb(#)",
            "e = B'10101' | #::bit(5)",
            "f = '1 month' | '-00:00:00.000001' | NULL",
            "g = 1.5::money | #::money",
            "h = '<a b=\"1\">é</a>' | NULL",
            "i = to_tsvector('simple', 'a fat cat #') | '''a'':1A'",
            "j = ROW(1, 'a,\"b') | ROW(NULL, NULL) | NULL | ROW(#, '')",
            "k = '' | 'k#' | NULL",
            "l = '(1.5,-0)' | NULL",
            "m = '{\"[1.1,2.2)\",empty}' | NULL",
            "n = '{[1,3),[5,7)}' | '{}'",
            "o = '' | '\\x00ff' | NULL",
        ],
        alter: "ALTER v TYPE bigint, ALTER id TYPE bigint",
        ..CASE
    },
    Case {
        name: "c_rich_changed",
        types: &["CREATE TYPE public.c_old AS ENUM ('a', 'b')", "CREATE TYPE public.c_new AS ENUM ('b', 'c', 'a')"],
        columns: "id integer PRIMARY KEY, a integer[], b json, c jsonb, d public.c_old, e text, f bit(5), g money, h text, i int4range",
        values: &[
            ID,
            "a = '{}' | '{1,NULL}' | ARRAY[#]",
            "b = '{\"b\": 1,  \"a\": 2.50}' | '[ ]' | NULL",
            "c = '{\"b\": 1, \"a\": 2.50}' | to_jsonb(#)",
            "d = 'a' | 'b' | NULL",
            "e = 'a' | 'b' | NULL",
            "f = B'10101' | NULL",
            "g = 1.5::money | #::money",
            "h = '<a>é</a>' | NULL | '<b n=\"#\"/>'",
            "i = 'empty' | '[1,5)' | NULL",
        ],
        alter: "ALTER a TYPE bigint[], ALTER b TYPE jsonb, ALTER c TYPE json, ALTER d TYPE public.c_new USING d::text::public.c_new, \
                ALTER e TYPE public.c_old USING e::public.c_old, ALTER f TYPE bit(8) USING f::bit(8), ALTER g TYPE numeric(20,2), \
                ALTER h TYPE xml USING h::xml, ALTER i TYPE int8range USING int8range(lower(i), upper(i))",
        ..CASE
    },
    Case {
        name: "c_large",
        columns: "id integer PRIMARY KEY, a text, b bytea, c jsonb, d text",
        values: &[
            ID,
            "a = repeat(md5('#'), 4000) | repeat('x', 100000) | '' | 'a#'",
            "b = decode(repeat(md5('#'), 500), 'hex') | NULL",
            "c = to_jsonb(repeat(md5('#'), 300)) | NULL",
            "d = repeat('é', 3000) | NULL",
        ],
        setup: &[
            "ALTER TABLE {t} ALTER a SET STORAGE EXTERNAL, ALTER d SET STORAGE MAIN",
            "ALTER TABLE {t} ALTER b SET COMPRESSION pglz",
        ],
        alter: "ALTER v TYPE bigint, ALTER d TYPE varchar(4000)",
        ..CASE
    },
];

async fn matrix_of_columns(kind: Kind) {
    run(&Server::shared(kind), "columns", &[CHANGES]).await;
}

async fn matrix_of_types(kind: Kind) {
    run(&Server::shared(kind), "types", &[TYPES]).await;
}

on_both!(matrix_of_columns, matrix_of_types);
