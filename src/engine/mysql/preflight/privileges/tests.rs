//! Lines as MySQL 9.7 and MariaDB 10.11 print them.

use super::*;

fn read(lines: &[&str]) -> Privileges {
    Privileges::read(lines.iter().copied(), Rules::default())
}

fn can(set: &Set, privileges: &str) -> bool {
    privileges.split(", ").all(|p| has(set, p))
}

#[test]
fn mysql() {
    let p = read(&[
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO `osc`@`%`",
        "GRANT XA_RECOVER_ADMIN ON *.* TO `osc`@`%`",
        "GRANT SELECT, INSERT, LOCK TABLES, CREATE TEMPORARY TABLES ON `shop`.* TO `osc`@`%` WITH GRANT OPTION",
        "GRANT SELECT, INSERT (`a`, `b,c`), UPDATE ON `shop`.`or``ders` TO `osc`@`%`",
        "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `osc`@`%`",
        "GRANT PROXY ON ``@`` TO `osc`@`%`",
        "GRANT `reader`@`%`,`writer`@`%` TO `osc`@`%`",
    ]);
    assert!(can(&p.global(), "PROCESS, XA_RECOVER_ADMIN, REPLICATION CLIENT, BINLOG MONITOR"));
    assert!(can(&p.on_database("shop"), "SELECT, INSERT, LOCK TABLES, CREATE TEMPORARY TABLES, PROCESS"));
    assert!(!can(&p.on_database("shop"), "UPDATE"));
    assert!(can(&p.on_table("shop", "or`ders"), "UPDATE, LOCK TABLES"));
    assert!(!can(&p.on_database("Shop"), "SELECT"));
    assert_eq!(p.roles(), ["reader@%,writer@%"]);
}

#[test]
fn mariadb() {
    let p = read(&[
        "GRANT `r` TO `osc`@`%`",
        "GRANT BINLOG MONITOR ON *.* TO `osc`@`%` IDENTIFIED BY PASSWORD '*B69027D44F6E5EDC07F1AEAD1477967B16F28227'",
        "GRANT SELECT, DELETE HISTORY ON `shop`.* TO `osc`@`%`",
        "GRANT USAGE ON *.* TO `r`",
        "GRANT TRIGGER ON `shop`.* TO `r`",
        "SET DEFAULT ROLE `r` FOR `osc`@`%`",
    ]);
    assert!(can(&p.global(), "REPLICATION CLIENT, BINLOG MONITOR"));
    assert!(can(&p.on_database("shop"), "SELECT, TRIGGER"));
    assert_eq!(p.roles(), ["r"]);
}

#[test]
fn all_is_all() {
    assert!(can(
        &read(&["GRANT ALL PRIVILEGES ON *.* TO 'a'@'b' WITH GRANT OPTION"]).on_database("x"),
        "TRIGGER, PROCESS"
    ));
    assert!(can(&read(&["GRANT ALL PRIVILEGES ON \"x\".* TO \"a\"@\"b\""]).on_database("x"), "TRIGGER"));
    assert!(can(&read(&["GRANT ALL ON x.* TO a@b"]).on_database("x"), "TRIGGER"));
}

#[test]
fn wildcards_fit_and_can_be_escaped() {
    let on = |pattern: &str, db: &str| {
        can(&read(&[&format!("GRANT SELECT ON `{pattern}`.* TO `a`@`b`")]).on_database(db), "SELECT")
    };
    assert!(on("shop\\_%", "shop_eu") && on("shop_eu", "shop_eu") && on("shop_eu", "shopXeu") && on("%", "x"));
    assert!(!on("shop\\_%", "shopXeu") && !on("shop\\_eu", "shopXeu") && !on("shop", "shop_eu"));
}

#[test]
fn only_one_of_several_entries_counts() {
    let lines = ["GRANT ALL PRIVILEGES ON `s%`.* TO `a`@`b`", "GRANT DELETE ON `shop`.* TO `a`@`b`"];
    assert_eq!(read(&lines).on_database("shop").into_iter().collect::<Vec<_>>(), ["DELETE"]);
    assert_eq!(read(&lines).names_to_grant_on("shop"), ["shop"]);
    assert_eq!(read(&lines).names_to_grant_on("show"), ["s%"]);
    assert_eq!(read(&lines).names_to_grant_on("my_db"), ["my\\_db"]);
    // Two that are equally exact: what both have.
    let lines = ["GRANT ALL PRIVILEGES ON `a%`.* TO `a`@`b`", "GRANT DELETE ON `a_b`.* TO `a`@`b`"];
    assert_eq!(read(&lines).on_database("a_b").into_iter().collect::<Vec<_>>(), ["DELETE"]);
    // MySQL with active roles.
    let rules = Rules { lookup: Lookup::FirstInOrder, ..Rules::default() };
    let lines = ["GRANT DELETE ON `sh%`.* TO `a`@`b`", "GRANT ALL PRIVILEGES ON `s%`.* TO `a`@`b`"];
    let p = Privileges::read(lines, rules);
    assert!(can(&p.on_database("shop"), "TRIGGER"));
    // MariaDB: one without % first.
    let rules = Rules { lookup: Lookup::FewestNames, ..Rules::default() };
    let lines = ["GRANT ALL PRIVILEGES ON `sh\\_%`.* TO `a`@`b`", "GRANT DELETE ON `sh_p`.* TO `a`@`b`"];
    assert_eq!(Privileges::read(lines, rules).on_database("sh_p").into_iter().collect::<Vec<_>>(), ["DELETE"]);
}

#[test]
fn a_partial_revoke_takes_away() {
    let lines = ["GRANT SELECT, INSERT ON *.* TO `a`@`b`", "REVOKE INSERT ON `shop`.* FROM `a`@`b`"];
    let p = Privileges::read(lines, Rules { no_wildcards: true, ..Rules::default() });
    assert!(can(&p.on_database("shop"), "SELECT") && !can(&p.on_database("shop"), "INSERT"));
    assert!(can(&p.on_database("other"), "INSERT"));
}

#[test]
fn nonsense_is_no_grant() {
    for text in ["", "GRANT", "GRANT SELECT ON", "`", "REVOKE TO", "GRANT SELECT ON `a TO b"] {
        assert!(read(&[text]).global().is_empty());
    }
}
