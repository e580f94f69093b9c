//! What a statement in the binlog means for us.
//!
//! Under row format only a few statements are logged as text: transaction control, DDL and
//! administration. A statement that changes rows as text is a session in STATEMENT format: its rows
//! are not in the stream, so the run must stop. DDL is looked at name by name ([`super::ddl`]). What is
//! not understood is a disturbance, never ignored.

use super::ddl::View;
use super::lex::{Lexer, Token};
use super::xa::Xid;

/// What is asked about a statement: our table, in lower case.
#[derive(Debug, Clone)]
pub struct OurName {
    pub(super) db: String,
    pub(super) table: String,
}

/// A Query event, unpacked.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    pub text: &'a [u8],
    /// The default database.
    pub schema: &'a [u8],
    /// The session's sql_mode, as bits.
    pub sql_mode: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Begin,
    Commit,
    Rollback,
    XaStart(Xid),
    XaCommit(Xid),
    XaRollback(Xid),
    /// A savepoint or XA END: inside a transaction, without meaning for us.
    Inside,
    /// A statement of its own that can't change our rows or columns.
    Harmless,
    Disturbance(String),
}

impl OurName {
    pub fn new(db: &str, table: &str) -> OurName {
        OurName { db: db.to_lowercase(), table: table.to_lowercase() }
    }
}

/// Judges one statement.
pub fn judge(statement: Statement<'_>, ours: &OurName) -> Verdict {
    match statement.text {
        b"BEGIN" => return Verdict::Begin,
        b"COMMIT" => return Verdict::Commit,
        _ => {}
    }
    let mut lexer = Lexer::new(statement.text, statement.sql_mode);
    // Row changes can be long; their first words say enough.
    let mut tokens: Vec<Token> = lexer.by_ref().take(6).collect();
    let view = View { tokens: &tokens, ours, schema: &String::from_utf8_lossy(statement.schema).to_lowercase() };
    let first = view.word(0);
    match first.as_str() {
        "" if view.tokens.is_empty() => return Verdict::Harmless,
        "BEGIN" => return Verdict::Begin,
        "START" if view.word(1) == "TRANSACTION" => return Verdict::Begin,
        "COMMIT" => return Verdict::Commit,
        "ROLLBACK" if view.word(1) == "TO" || view.word(2) == "TO" => return Verdict::Inside,
        "ROLLBACK" => return Verdict::Rollback,
        "SAVEPOINT" | "RELEASE" => return Verdict::Inside,
        "INSERT" | "REPLACE" | "DELETE" | "UPDATE" if view.is_system_dml() => return Verdict::Harmless,
        "XA" | "ALTER" | "ANALYZE" | "CACHE" | "CHECK" | "CREATE" | "DROP" | "FLUSH" | "GRANT" | "IMPORT"
        | "INSTALL" | "OPTIMIZE" | "RENAME" | "REPAIR" | "REVOKE" | "SET" | "TRUNCATE" | "UNINSTALL" => {}
        _ => return Verdict::Disturbance(statement_format(statement.text)),
    }
    tokens.extend(lexer.by_ref());
    let schema = String::from_utf8_lossy(statement.schema).to_lowercase();
    let view = View { tokens: &tokens, ours, schema: &schema };
    if first == "XA" {
        return xa(&view, statement.text);
    }
    if lexer.carries_our_tag {
        return Verdict::Harmless;
    }
    let start = match view.set_statement() {
        Some(inner)
            if matches!(
                view.word(inner).as_str(),
                "ALTER" | "CREATE" | "DROP" | "RENAME" | "TRUNCATE" | "ANALYZE" | "OPTIMIZE"
            ) =>
        {
            inner
        }
        Some(_) => return Verdict::Disturbance(statement_format(statement.text)),
        None => 0,
    };
    // Text in another character set than UTF-8: a name in it can't be compared with ours.
    let blind = !ours.table.is_ascii() && std::str::from_utf8(statement.text).is_err();
    if blind || view.touches(start) {
        Verdict::Disturbance(format!("a statement that can change the table or its rows: {}", head(statement.text)))
    } else {
        Verdict::Harmless
    }
}

fn statement_format(text: &[u8]) -> String {
    format!("a session that writes in STATEMENT format, whose rows are not in the binlog: {}", head(text))
}

/// The beginning of a statement, for a message.
pub fn head(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..500).unwrap_or(text)).into_owned();
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.chars().count() > 120 {
        out = out.chars().take(119).collect();
        out.push('…');
    }
    out
}

fn xa(view: &View<'_>, text: &[u8]) -> Verdict {
    let verb = view.word(1);
    if matches!(verb.as_str(), "END" | "PREPARE" | "RECOVER") {
        return Verdict::Inside;
    }
    let Some(xid) = Xid::from_tokens(view.tokens.get(2..).unwrap_or_default()) else {
        return Verdict::Disturbance(format!("an XA statement that osc can't read: {}", head(text)));
    };
    match verb.as_str() {
        "START" | "BEGIN" => Verdict::XaStart(xid),
        "COMMIT" => Verdict::XaCommit(xid),
        "ROLLBACK" => Verdict::XaRollback(xid),
        _ => Verdict::Disturbance(format!("an XA statement that osc can't read: {}", head(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, schema: &str, sql_mode: u64) -> Verdict {
        let statement = Statement { text: text.as_bytes(), schema: schema.as_bytes(), sql_mode };
        judge(statement, &OurName::new("Shop", "orders"))
    }

    #[test]
    fn what_can_change_our_table_is_a_disturbance() {
        for text in [
            "ALTER TABLE orders ADD c INT",
            "alter ignore table `Shop`.`ORDERS` engine=innodb",
            "ALTER/*x*/TABLE/**/shop . orders FORCE",
            "ALTER ONLINE TABLE IF EXISTS orders DROP COLUMN a",
            "SET STATEMENT max_statement_time=10 FOR ALTER TABLE orders FORCE",
            "ALTER TABLE other EXCHANGE PARTITION p WITH TABLE orders",
            "ALTER TABLE other RENAME TO orders",
            "ALTER TABLE other RENAME shop.orders",
            "ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES orders (id)",
            "ALTER TABLE other CONVERT PARTITION p TO TABLE orders",
            "DROP TABLE IF EXISTS a, `orders` /* generated by server */",
            "DROP TABLES a, shop.orders",
            "RENAME TABLE orders TO x, y TO orders",
            "TRUNCATE orders",
            "TRUNCATE TABLE shop.orders",
            "CREATE OR REPLACE TABLE orders (a INT)",
            "CREATE TABLE orders (a INT)",
            "CREATE TABLE lines (o INT REFERENCES orders (id))",
            "CREATE UNIQUE INDEX i ON orders (a)",
            "CREATE INDEX IF NOT EXISTS i USING BTREE ON shop.orders (a)",
            "DROP INDEX `PRIMARY` ON orders",
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.a = 1",
            "CREATE DEFINER=`root`@`localhost` TRIGGER t AFTER DELETE ON shop.orders FOR EACH ROW DO 0",
            "CREATE DEFINER=event@a.b.c TRIGGER t AFTER DELETE ON orders FOR EACH ROW DO 0",
            "CREATE OR REPLACE DEFINER=CURRENT_USER() TRIGGER t AFTER DELETE ON orders FOR EACH ROW DO 0",
            "DROP DATABASE shop",
            "DROP SCHEMA IF EXISTS `shop`",
            "CREATE OR REPLACE DATABASE shop",
            "REPAIR TABLE orders",
            "ALTER SEQUENCE orders RESTART",
            "DROP /*!50000 TABLE orders */",
        ] {
            assert!(matches!(verdict(text, "shop", 0), Verdict::Disturbance(_)), "{text}");
        }
    }

    #[test]
    fn what_cannot_is_harmless() {
        for text in [
            "ALTER TABLE other ADD orders INT, ADD INDEX orders (orders), COMMENT 'RENAME TO orders'",
            "ALTER TABLE other RENAME COLUMN a TO orders",
            "ALTER TABLE shop2.orders FORCE",
            "ALTER TABLE orders2 FORCE",
            "ALTER DATABASE shop CHARACTER SET utf8mb4",
            "DROP TABLE other.orders",
            "DROP TEMPORARY TABLE IF EXISTS orders",
            "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `orders`",
            "CREATE TEMPORARY TABLE orders (a INT)",
            "CREATE TABLE IF NOT EXISTS orders (a INT)",
            "CREATE TABLE x LIKE orders",
            "CREATE TABLE x (orders INT)",
            "CREATE DATABASE shop",
            "DROP DATABASE shop2",
            "CREATE VIEW v AS SELECT * FROM orders",
            "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS SELECT * FROM orders",
            "CREATE OR REPLACE PROCEDURE p() DELETE FROM orders",
            "CREATE TRIGGER orders BEFORE INSERT ON other FOR EACH ROW SET NEW.a = 1",
            "DROP TRIGGER shop.orders",
            "CREATE INDEX orders ON other (orders)",
            "ANALYZE TABLE orders",
            "OPTIMIZE TABLE orders",
            "FLUSH TABLES orders",
            "GRANT SELECT ON shop.orders TO a@b",
            "REVOKE ALL ON orders FROM a@b",
            "SET PASSWORD FOR 'a'@'b'='x'",
            "SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE other FORCE",
            "/* osc:1f2e */ RENAME TABLE orders TO orders_osc_old, orders_osc_new TO orders",
            "# Dummy event replacing event type 160 that slave cannot handle.",
            "INSERT INTO mysql.rds_heartbeat2(id, value) values (1,2) ON DUPLICATE KEY UPDATE value = 2",
            "DELETE FROM mysql.rds_sysinfo where name = 'innodb_txn_key'",
            "CREATE USER orders",
            "RENAME USER orders TO o2",
            "CREATE SPATIAL REFERENCE SYSTEM 1 NAME 'orders'",
        ] {
            assert_eq!(verdict(text, "shop", 0), Verdict::Harmless, "{text}");
        }
    }

    #[test]
    fn row_changes_as_text_are_a_disturbance_whatever_the_table() {
        for text in [
            "INSERT INTO x VALUES (1)",
            "/* app */ update x set a=1",
            "DELETE FROM x",
            "REPLACE INTO x VALUES (1)",
            "LOAD DATA INFILE 'x' INTO TABLE y",
            "CALL p()",
            "SELECT f()",
            "WITH a AS (SELECT 1) DELETE FROM x",
            "(SELECT 1)",
            "DO f()",
            "SET STATEMENT max_statement_time=1 FOR DELETE FROM x",
            "DELETE a FROM mysql.x JOIN a",
            "MERGE INTO x",
        ] {
            assert!(matches!(verdict(text, "d", 0), Verdict::Disturbance(why) if why.contains("STATEMENT")), "{text}");
        }
    }

    #[test]
    fn quotes_follow_the_sql_mode() {
        assert_eq!(verdict("TRUNCATE \"orders\"", "shop", 0), Verdict::Harmless);
        assert!(matches!(verdict("TRUNCATE \"orders\"", "shop", 4), Verdict::Disturbance(_)));
    }

    #[test]
    fn a_name_that_cannot_be_compared_is_taken_for_ours() {
        let latin1 = Statement { text: b"TRUNCATE caf\xe9", schema: b"shop", sql_mode: 0 };
        assert!(matches!(judge(latin1, &OurName::new("shop", "café")), Verdict::Disturbance(_)));
        assert_eq!(judge(latin1, &OurName::new("shop", "orders")), Verdict::Harmless);
        let utf8 = Statement { text: "TRUNCATE CAFÉ".as_bytes(), ..latin1 };
        assert!(matches!(judge(utf8, &OurName::new("shop", "café")), Verdict::Disturbance(_)));
    }

    #[test]
    fn transactions_are_followed() {
        let xid = Xid { format: 1, gtrid: b"ab".to_vec(), bqual: b"c".to_vec() };
        for (text, expected) in [
            ("BEGIN", Verdict::Begin),
            ("START TRANSACTION", Verdict::Begin),
            ("COMMIT", Verdict::Commit),
            ("ROLLBACK", Verdict::Rollback),
            ("ROLLBACK TO `s`", Verdict::Inside),
            ("SAVEPOINT `s`", Verdict::Inside),
            ("XA END X'6162',X'63',1", Verdict::Inside),
            ("XA START X'6162',X'63',1", Verdict::XaStart(xid.clone())),
            ("XA COMMIT X'6162',X'63',1", Verdict::XaCommit(xid.clone())),
            ("XA ROLLBACK X'6162',X'63',1", Verdict::XaRollback(xid)),
        ] {
            assert_eq!(verdict(text, "shop", 0), expected, "{text}");
        }
    }

    #[test]
    fn the_head_of_a_statement_fits_in_a_message() {
        assert_eq!(head(b"ALTER\n  TABLE t"), "ALTER TABLE t");
        assert_eq!(head("é".repeat(300).as_bytes()).chars().count(), 120);
    }
}
