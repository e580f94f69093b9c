//! Names: reserved words, case, quotes, characters of every plane that a name may have, and long ones.

use super::{CASE, Case, On, run};
use crate::harness::{Kind, Server};

const TABLES: &[Case] = &[
    Case {
        name: "n_long",
        table: "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        columns: "id INT NOT NULL PRIMARY KEY",
        values: &["id = #"],
        ..CASE
    },
    Case {
        name: "n_long_sibling",
        table: "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzy",
        columns: "id INT NOT NULL PRIMARY KEY",
        values: &["id = #"],
        ..CASE
    },
    Case {
        name: "n_sixty",
        table: "a_name_of_sixty_characters_that_leaves_no_room_for_a_suffix_",
        columns: "id INT NOT NULL PRIMARY KEY, CHECK (v >= 0)",
        values: &["id = #"],
        on: On::MariaDb,
        ..CASE
    },
    Case { name: "n_reserved", table: "select", columns: "id INT NOT NULL PRIMARY KEY", values: &["id = #"], ..CASE },
    Case { name: "n_upper", table: "OrDeRs", columns: "id INT NOT NULL PRIMARY KEY", values: &["id = #"], ..CASE },
    Case {
        name: "n_spaces",
        table: "my own table",
        columns: "id INT NOT NULL PRIMARY KEY",
        values: &["id = #"],
        ..CASE
    },
    Case {
        name: "n_quotes",
        table: "a`b'c\"d\\e%f",
        columns: "id INT NOT NULL PRIMARY KEY",
        values: &["id = #"],
        ..CASE
    },
    Case {
        name: "n_unicode", table: "täble漢ﬀ", columns: "id INT NOT NULL PRIMARY KEY", values: &["id = #"], ..CASE
    },
    Case { name: "n_dollar", table: "1$2-3#@", columns: "id INT NOT NULL PRIMARY KEY", values: &["id = #"], ..CASE },
];

const COLUMNS: &[Case] = &[
    Case {
        name: "n_columns",
        columns: "`key` INT NOT NULL, `select` INT, `UPPER` INT, `a``b` INT, `with space` INT, `it's` INT, `\"q\"` INT, \
                  `é漢` INT, `back\\slash` INT, `a,b(c)` INT, `--x` INT, PRIMARY KEY (`key`), KEY `in``dex` (`a``b`)",
        values: &[
            "`key` = -1 | #",
            "`select` = NULL | #",
            "`UPPER` = #",
            "`a``b` = #",
            "`with space` = #",
            "`it's` = #",
            "`\"q\"` = #",
            "`é漢` = #",
            "`back\\slash` = #",
            "`a,b(c)` = #",
            "`--x` = #",
        ],
        alter: "CHANGE `select` `from` BIGINT, RENAME COLUMN `UPPER` TO `Upper`, MODIFY `a``b` BIGINT FIRST, \
                RENAME COLUMN `with space` TO `with``tick`, CHANGE `it's` `it''s` INT, DROP `\"q\"`, MODIFY `é漢` BIGINT, \
                CHANGE `back\\slash` `back\\\\` INT, CHANGE `a,b(c)` `a, ADD b` INT, RENAME COLUMN `--x` TO `/*x*/`, \
                ADD `# no comment` INT DEFAULT 1, ADD INDEX `i``n` (v)",
        ..CASE
    },
    Case {
        name: "n_key_columns",
        columns: "`a``b'c` VARCHAR(20) NOT NULL, `order by` INT NOT NULL, `É` DATE NOT NULL, \
                  PRIMARY KEY (`order by`, `a``b'c`, `É`)",
        values: &["`order by` = # % 50", "`a``b'c` = 'a' | 'A' | 'k#'", "`É` = '2024-01-01' | '1000-01-01'"],
        alter: "CHANGE `a``b'c` `c'``b` VARCHAR(60) NOT NULL, RENAME COLUMN `order by` TO `É`, RENAME COLUMN `É` TO `\"`",
        ..CASE
    },
    Case {
        name: "n_case",
        columns: "Id INT NOT NULL PRIMARY KEY, NaMe VARCHAR(20), other INT",
        values: &["id = #", "name = 'k#' | NULL", "OTHER = #"],
        alter: "CHANGE NAME full_name VARCHAR(30), MODIFY OTHER BIGINT, RENAME COLUMN ID TO iD",
        ..CASE
    },
    Case {
        name: "n_prefixed",
        columns: "id INT NOT NULL PRIMARY KEY, a INT",
        values: &["id = #", "a = NULL | #"],
        alter: "/* a note */ ADD COLUMN `b` INT DEFAULT 2 COMMENT 'it''s; a, b) /* no comment', -- and\n DROP a",
        ..CASE
    },
];

const ALL: &[&[Case]] = &[TABLES, COLUMNS];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_names_on_mysql() {
    run(&Server::without_xa(Kind::MySql), "names", ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matrix_of_names_on_mariadb() {
    run(&Server::without_xa(Kind::MariaDb), "names", ALL).await;
}
