use super::*;
use crate::engine::mysql::flavor::Flavor;
use crate::error::Kind;

fn dialect(version: &str) -> Dialect {
    Dialect {
        flavor: Flavor::parse(version).unwrap(),
        ansi_quotes: false,
        no_backslash_escapes: false,
        fold_tables: false,
    }
}

fn parse(text: &str) -> Result<Alter> {
    Alter::parse(text, &Table::new("shop", "orders"), dialect("9.7.4"))
}

fn text(text: &str) -> String {
    parse(text).unwrap().text(Clone::clone)
}

fn names<'a>(idents: impl IntoIterator<Item = &'a Ident>) -> Vec<&'a str> {
    idents.into_iter().map(Ident::bare).collect()
}

fn refusal(text: &str) -> String {
    let error = parse(text).expect_err(text);
    assert_eq!(error.kind(), Kind::Refused, "{text}: {error}");
    error.what().to_owned()
}

fn usage(text: &str) -> String {
    let error = parse(text).expect_err(text);
    assert_eq!(error.kind(), Kind::Usage, "{text}: {error}");
    error.what().to_owned()
}

#[test]
fn the_prefix_may_be_there_and_names_the_table() {
    for whole in [
        "ADD COLUMN a INT",
        "ALTER TABLE orders ADD COLUMN a INT;",
        "alter table `shop`.`orders` ADD COLUMN a INT ; ",
        "ALTER TABLE shop . orders ADD COLUMN a INT",
        "/* why */ ALTER ONLINE TABLE IF EXISTS orders WAIT 5 -- now\n ADD COLUMN a INT # done",
        "ALTER TABLE orders NOWAIT ADD COLUMN a INT",
    ] {
        assert_eq!(text(whole), "ADD COLUMN a INT", "{whole}");
    }
    assert!(usage("ALTER TABLE other ADD COLUMN a INT").contains("other"));
    assert!(usage("ALTER TABLE stock.orders ADD COLUMN a INT").contains("shop.orders"));
    assert!(usage("ALTER TABLE Orders ADD COLUMN a INT").contains("Orders"));
    let folding = Dialect { fold_tables: true, ..dialect("9.7.4") };
    assert!(Alter::parse("ALTER TABLE Orders FORCE", &Table::new("shop", "orders"), folding).is_ok());
}

#[test]
fn one_statement_and_only_one() {
    assert!(usage("ADD COLUMN a INT; DROP COLUMN b").contains("more than one"));
    assert!(usage(" ; ").contains("empty"));
    assert!(usage("").contains("empty"));
    assert!(usage("ALTER TABLE orders").contains("nothing"));
    assert!(usage("ADD COLUMN a INT,, DROP COLUMN b").contains("comma"));
    assert!(usage("ADD COLUMN a INT,").contains("comma"));
    assert!(usage("ADD COLUMN a VARCHAR(10").contains('('));
    assert!(usage("ADD COLUMN a VARCHAR(10))").contains(')'));
    assert!(usage("ADD COLUMN a INT COMMENT 'x").contains('\''));
}

#[test]
fn columns_come_and_go() {
    let a = parse(
        "ADD a INT, ADD COLUMN `b``c` VARCHAR(10) DEFAULT 'x, DROP COLUMN y' AFTER a, ADD COLUMN (d INT, e DECIMAL(10,2), \
         INDEX (d, e)), DROP f, DROP COLUMN g",
    )
    .unwrap();
    assert_eq!(names(a.added.iter().map(|x| &x.name)), ["a", "b`c", "d", "e"]);
    assert_eq!(names(a.dropped.iter().map(|x| &x.name)), ["f", "g"]);
    let a = parse("ADD COLUMN IF NOT EXISTS a INT, DROP COLUMN IF EXISTS b").unwrap();
    assert!(a.added[0].if_not_exists && a.dropped[0].if_exists);
}

#[test]
fn columns_change_their_names() {
    let a =
        parse("CHANGE a b INT, CHANGE COLUMN `b` a BIGINT, RENAME COLUMN c TO `d e`, CHANGE f f INT, MODIFY g TEXT")
            .unwrap();
    let renames: Vec<_> = a.renames.iter().map(|r| (r.from.bare(), r.to.bare())).collect();
    assert_eq!(renames, [("a", "b"), ("b", "a"), ("c", "d e")]);
    assert_eq!(names(&a.modified), ["f", "g"]);
}

#[test]
fn quotes_hide_what_is_in_them() {
    assert_eq!(parse("ADD a INT COMMENT 'it''s \\', DROP b'").unwrap().dropped, []);
    assert_eq!(parse("ADD a INT COMMENT \"x\\\", DROP b\"").unwrap().dropped, []);
    assert_eq!(parse("ADD a INT COMMENT '-- # /* not a comment', DROP b").unwrap().dropped.len(), 1);
    let plain = Dialect { no_backslash_escapes: true, ..dialect("9.7.4") };
    let a = Alter::parse("ADD a INT COMMENT '\\', DROP b", &Table::new("shop", "orders"), plain).unwrap();
    assert_eq!(a.dropped.len(), 1);
    let ansi = Dialect { ansi_quotes: true, ..dialect("9.7.4") };
    let a = Alter::parse("RENAME COLUMN \"a\\\" TO b", &Table::new("shop", "orders"), ansi).unwrap();
    assert_eq!(a.renames[0].from.bare(), "a\\");
}

#[test]
fn executable_comments_count_where_the_server_executes_them() {
    let with = |version| {
        let text = "ADD a INT /*!80016 NOT NULL */ /*!90900 , DROP x */ /*M!100500 , DROP y */ /*! , DROP z */";
        Alter::parse(text, &Table::new("shop", "orders"), dialect(version)).unwrap()
    };
    assert_eq!(names(with("9.7.4").dropped.iter().map(|d| &d.name)), ["z"]);
    assert_eq!(names(with("10.11.2-MariaDB").dropped.iter().map(|d| &d.name)), ["y", "z"]);
    let squeezed = |version| with(version).text(Clone::clone).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed("9.7.4"), "ADD a INT NOT NULL, DROP z");
    assert_eq!(squeezed("10.11.2-MariaDB"), "ADD a INT, DROP y, DROP z");
    assert!(usage("ADD a INT /*! DROP /*! b */ */").contains("comment"));
    assert!(usage("ADD a INT /* x").contains("comment"));
}

#[test]
fn the_manner_and_the_counter_are_left_out() {
    let a = parse("ALGORITHM=INPLACE, ADD a INT, LOCK = NONE, AUTO_INCREMENT=7").unwrap();
    assert_eq!(a.text(Clone::clone), "ADD a INT");
    assert_eq!(a.auto_increment, Some(7));
    let a = parse("ENGINE=InnoDB AUTO_INCREMENT 12 ROW_FORMAT = DYNAMIC COMMENT 'a, b', DEFAULT CHARACTER SET utf8mb4")
        .unwrap();
    assert_eq!(
        a.text(Clone::clone),
        "ENGINE=InnoDB ROW_FORMAT = DYNAMIC COMMENT 'a, b', DEFAULT CHARACTER SET utf8mb4"
    );
    assert_eq!(a.auto_increment, Some(12));
    assert!(refusal("AUTO_INCREMENT = 5").contains("AUTO_INCREMENT"));
    assert!(usage("LOCK=NONE").contains("nothing"));
}

#[test]
fn what_the_shadow_takes_passes() {
    for whole in [
        "ENGINE=InnoDB",
        "engine innodb",
        "FORCE",
        "ADD INDEX i (a, b DESC), ADD UNIQUE KEY (c), ADD FULLTEXT f (d), ADD KEY k ((lower(a)))",
        "DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)",
        "ADD CONSTRAINT PRIMARY KEY (a)",
        "ADD CONSTRAINT c CHECK (a > 0) NOT ENFORCED, ADD CHECK (b < 2)",
        "ALTER COLUMN a SET DEFAULT 5, ALTER b DROP DEFAULT, ALTER COLUMN c SET INVISIBLE",
        "ALTER INDEX i INVISIBLE, RENAME INDEX a TO b, RENAME KEY c TO d",
        "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "DEFAULT COLLATE utf8mb4_bin",
        "ADD COLUMN g INT GENERATED ALWAYS AS (a + 1) STORED",
        "ADD period INT, ADD vector INT, ADD `check` INT, ADD system INT",
        "MODIFY a INT AFTER auto_increment",
        "MODIFY id BIGINT NOT NULL AUTO_INCREMENT",
        "PAGE_COMPRESSED=1 `ENCRYPTED`='YES'",
    ] {
        assert_eq!(text(whole), whole);
    }
}

#[test]
fn partitioning_stands_behind_the_clauses() {
    let whole = "ADD COLUMN a INT, ROW_FORMAT=DYNAMIC PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)";
    assert_eq!(text(whole), whole);
    assert_eq!(text("PARTITION BY HASH (id) PARTITIONS 4"), "PARTITION BY HASH (id) PARTITIONS 4");
    assert_eq!(text("REMOVE PARTITIONING"), "REMOVE PARTITIONING");
    assert_eq!(text("ALGORITHM=COPY REMOVE PARTITIONING"), "REMOVE PARTITIONING");
    for alone in [
        "ADD PARTITION (PARTITION p2 VALUES LESS THAN (20))",
        "COALESCE PARTITION 2",
        "REORGANIZE PARTITION p0, p1 INTO (PARTITION p VALUES LESS THAN (20))",
    ] {
        let a = parse(alone).unwrap();
        assert!(a.partitioning);
        assert_eq!(a.text(Clone::clone), alone);
    }
}

#[test]
fn what_a_copy_can_not_do_is_refused() {
    for (clause, why) in [
        ("RENAME TO other", "renames"),
        ("RENAME other", "renames"),
        ("RENAME AS shop.other", "renames"),
        ("ADD FOREIGN KEY (a) REFERENCES p (id)", "foreign key"),
        ("ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (id)", "foreign key"),
        ("ADD CONSTRAINT FOREIGN KEY (a) REFERENCES p (id)", "foreign key"),
        ("ADD COLUMN a INT REFERENCES p (id)", "foreign key"),
        ("ADD (a INT, FOREIGN KEY (a) REFERENCES p (id))", "foreign key"),
        ("MODIFY a INT REFERENCES p (id)", "foreign key"),
        ("DROP FOREIGN KEY fk", "foreign key"),
        ("DISCARD TABLESPACE", "tablespace"),
        ("IMPORT TABLESPACE", "tablespace"),
        ("DISCARD PARTITION p TABLESPACE", "tablespace"),
        ("EXCHANGE PARTITION p WITH TABLE u", "rows"),
        ("TRUNCATE PARTITION p, q", "rows"),
        ("DROP PARTITION p, q", "rows"),
        ("REBUILD PARTITION ALL", "run it directly"),
        ("OPTIMIZE PARTITION p", "run it directly"),
        ("ENGINE=MyISAM", "MyISAM"),
        ("ENGINE = 'Aria'", "Aria"),
        ("ADD id INT AUTO_INCREMENT PRIMARY KEY", "AUTO_INCREMENT"),
        ("ADD id SERIAL", "AUTO_INCREMENT"),
        ("ADD SYSTEM VERSIONING", "versioning"),
        ("DROP SYSTEM VERSIONING", "versioning"),
        ("WITH SYSTEM VERSIONING", ""),
        ("ADD rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START", "versioning"),
        ("ORDER BY a, b", "ORDER BY"),
        ("ENABLE KEYS", "KEYS"),
        ("TABLESPACE ts", ""),
        ("DATA DIRECTORY = '/x'", ""),
        ("FROBNICATE a", "FROBNICATE"),
        ("ADD COLUMN t.a INT", ""),
        ("DROP COLUMN a b", ""),
        ("CHANGE a", ""),
        ("CHANGE a b", ""),
        ("MODIFY a.b INT", ""),
        ("COLUMN a", ""),
        ("ENGINE=InnoDB SHINY=1", ""),
        ("ALTER TABLE orders ADD a INT DROP b INT", ""),
    ] {
        // The last is one clause to osc and a syntax error to the server.
        if clause.starts_with("ALTER TABLE") {
            continue;
        }
        assert!(refusal(clause).contains(why), "{clause}: {}", refusal(clause));
    }
    assert!(refusal("ALTER IGNORE TABLE orders ADD UNIQUE (a)").contains("IGNORE"));
}

#[test]
fn the_names_of_constraints_can_be_replaced() {
    let a = parse("DROP CHECK c1, DROP CONSTRAINT `c 2`, ALTER CHECK c3 NOT ENFORCED, ADD a INT").unwrap();
    let other = a.text(|name| Ident::new(format!("x_{}", name.bare())));
    assert_eq!(other, "DROP CHECK `x_c1`, DROP CONSTRAINT `x_c 2`, ALTER CHECK `x_c3` NOT ENFORCED, ADD a INT");
}

#[test]
fn nothing_makes_the_parser_panic() {
    let pieces = [
        "ADD",
        " ",
        "(",
        ")",
        ",",
        "`",
        "'",
        "\\",
        "/*!",
        "*/",
        "--",
        "é",
        "COLUMN",
        "a",
        ".",
        "=",
        "PARTITION BY",
        ";",
    ];
    let mut state = 7u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            text.push(' ');
        }
        let _ = parse(&text);
        let _ = parse(&text.replace(' ', ""));
    }
}
