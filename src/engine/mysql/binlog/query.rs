//! What a statement in the binlog means for us.
//!
//! Under row format only a few statements are logged as text: transaction control, DDL and
//! administration. A statement that changes rows as text is a session in STATEMENT format: its rows
//! are not in the stream, so the run must stop. DDL is looked at name by name. Where the place of a
//! table's name is known (ALTER TABLE, CREATE INDEX … ON …) only that place counts, so that a column
//! that happens to have our table's name does no harm; in a statement of a kind not listed here every
//! mention of our table counts. What is not understood is a disturbance, never ignored.

use super::lex::{Lexer, Token};
use super::xa::Xid;

/// What is asked about a statement: our table, in lower case.
#[derive(Debug, Clone)]
pub struct OurName {
    db: String,
    table: String,
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
        return view.xa(statement.text);
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

struct View<'a> {
    tokens: &'a [Token],
    ours: &'a OurName,
    schema: &'a str,
}

impl View<'_> {
    /// The word at this place in capitals; empty for anything else.
    fn word(&self, at: usize) -> String {
        match self.tokens.get(at) {
            Some(Token::Word(w)) => w.to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn symbol(&self, at: usize, symbol: u8) -> bool {
        matches!(self.tokens.get(at), Some(Token::Symbol(s)) if *s == symbol)
    }

    fn ident(&self, at: usize) -> Option<String> {
        match self.tokens.get(at) {
            Some(Token::Word(name) | Token::Quoted(name)) => Some(name.to_lowercase()),
            _ => None,
        }
    }

    /// Whether the name that begins here is our table's.
    fn ours_at(&self, at: usize) -> bool {
        let at = if self.symbol(at, b'.') { at + 1 } else { at };
        let Some(first) = self.ident(at) else { return false };
        if self.symbol(at + 1, b'.') {
            first == self.ours.db && self.ident(at + 2).is_some_and(|name| name == self.ours.table)
        } else {
            first == self.ours.table && self.schema == self.ours.db
        }
    }

    /// Whether any name from here on can be our table's.
    fn ours_anywhere(&self, from: usize) -> bool {
        (from..self.tokens.len()).any(|at| match self.symbol(at, b'.') {
            // `.name`, as old clients write it, has no database before its dot.
            true => {
                matches!(self.word(at.saturating_sub(1)).as_str(), "TABLE" | "TABLES" | "EXISTS" | "TO" | "TRUNCATE")
                    && self.ours_at(at)
            }
            false => !(at > 0 && self.symbol(at - 1, b'.')) && self.ours_at(at),
        })
    }

    /// The first place from `from` on that holds the word.
    fn find(&self, from: usize, word: &str) -> Option<usize> {
        (from..self.tokens.len()).find(|at| self.is(*at, word))
    }

    fn skip(&self, mut at: usize, words: &[&str]) -> usize {
        while words.iter().any(|w| self.is(at, w)) {
            at += 1;
        }
        at
    }

    /// A change of one of the server's own tables, as managed services write them as text. These have
    /// no triggers and no foreign keys, so nothing of ours can hang on them.
    fn is_system_dml(&self) -> bool {
        let at = self.skip(1, &["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE", "INTO", "FROM"]);
        self.ident(at).is_some_and(|db| db == "mysql") && self.symbol(at + 1, b'.')
    }

    /// Where the statement begins that MariaDB's SET STATEMENT … FOR is about.
    fn set_statement(&self) -> Option<usize> {
        (self.is(0, "SET") && self.is(1, "STATEMENT"))
            .then(|| self.find(2, "FOR").map_or(self.tokens.len(), |at| at + 1))
    }

    fn xa(&self, text: &[u8]) -> Verdict {
        let verb = self.word(1);
        if matches!(verb.as_str(), "END" | "PREPARE" | "RECOVER") {
            return Verdict::Inside;
        }
        let Some(xid) = Xid::from_tokens(self.tokens.get(2..).unwrap_or_default()) else {
            return Verdict::Disturbance(format!("an XA statement that osc can't read: {}", head(text)));
        };
        match verb.as_str() {
            "START" | "BEGIN" => Verdict::XaStart(xid),
            "COMMIT" => Verdict::XaCommit(xid),
            "ROLLBACK" => Verdict::XaRollback(xid),
            _ => Verdict::Disturbance(format!("an XA statement that osc can't read: {}", head(text))),
        }
    }

    /// Whether the DDL that begins here can change our table.
    fn touches(&self, at: usize) -> bool {
        match self.word(at).as_str() {
            "ALTER" => self.alter(at + 1),
            "CREATE" => self.create(at + 1),
            "DROP" => self.drop(at + 1),
            "ANALYZE" | "CACHE" | "CHECK" | "FLUSH" | "GRANT" | "INSTALL" | "OPTIMIZE" | "REVOKE" | "SET"
            | "UNINSTALL" => false,
            _ => self.ours_anywhere(at + 1),
        }
    }

    fn alter(&self, at: usize) -> bool {
        let at = self.skip(at, &["ONLINE", "OFFLINE", "IGNORE"]);
        match self.object(at) {
            Some((Object::Table, at)) => {
                let name = self.skip(at, &["IF", "EXISTS"]);
                self.ours_at(name) || self.ours_behind(name, true)
            }
            Some((Object::Harmless, _)) | Some((Object::Database, _)) => false,
            _ => self.ours_anywhere(at),
        }
    }

    fn create(&self, at: usize) -> bool {
        let replace = self.is(at, "OR") && self.is(at + 1, "REPLACE");
        let at = if replace { at + 2 } else { at };
        if self.is(at, "TEMPORARY") {
            return false;
        }
        match self.object(at) {
            Some((Object::Table, at)) => {
                // Applications send IF NOT EXISTS at every start, and it is logged though it did nothing.
                let name = self.skip(at, &["IF", "NOT", "EXISTS"]);
                (name == at && self.ours_at(name)) || self.ours_behind(name, false)
            }
            Some((Object::OnTable, at)) => self.find(at, "ON").is_none_or(|on| self.ours_at(on + 1)),
            Some((Object::Database, at)) => replace && self.our_database(at),
            Some((Object::Harmless, _)) => false,
            _ => self.ours_anywhere(at),
        }
    }

    fn drop(&self, at: usize) -> bool {
        if self.is(at, "TEMPORARY") {
            return false;
        }
        match self.object(at) {
            // A trigger's name does not say which table it is on; its rows and columns stay as they are.
            Some((Object::OnTable, _)) if self.is(at, "TRIGGER") => false,
            Some((Object::OnTable, at)) => self.find(at, "ON").is_none_or(|on| self.ours_at(on + 1)),
            Some((Object::Database, at)) => self.our_database(at),
            Some((Object::Harmless, _)) => false,
            _ => self.ours_anywhere(at),
        }
    }

    fn our_database(&self, at: usize) -> bool {
        let at = self.skip(at, &["IF", "NOT", "EXISTS"]);
        self.ident(at).is_none_or(|db| db == self.ours.db)
    }

    /// Whether our table is named as a second one: the parent of a foreign key, and in ALTER TABLE the
    /// new name, the table of EXCHANGE PARTITION, the other side of MariaDB's CONVERT.
    fn ours_behind(&self, from: usize, alter: bool) -> bool {
        (from..self.tokens.len()).any(|at| {
            let word = self.word(at);
            match word.as_str() {
                "REFERENCES" => self.ours_at(at + 1),
                "TABLE" if alter => self.ours_at(at + 1),
                "RENAME" if alter && !matches!(self.word(at + 1).as_str(), "COLUMN" | "INDEX" | "KEY") => {
                    let name = self.skip(at + 1, &["TO", "AS"]);
                    self.ours_at(if self.symbol(name, b'=') { name + 1 } else { name })
                }
                _ => false,
            }
        })
    }

    /// What kind of object the statement is about, and the place behind the word that says so.
    fn object(&self, from: usize) -> Option<(Object, usize)> {
        let mut at = from;
        while at < from + 40 {
            let kind = match self.word(at).as_str() {
                "TABLE" | "TABLES" => Object::Table,
                "INDEX" | "TRIGGER" => Object::OnTable,
                "DATABASE" | "SCHEMA" => Object::Database,
                "VIEW" | "PROCEDURE" | "FUNCTION" | "EVENT" | "USER" | "ROLE" | "SERVER" | "TABLESPACE" | "LOGFILE"
                | "INSTANCE" | "RESOURCE" | "REFERENCE" | "PACKAGE" | "LIBRARY" => Object::Harmless,
                "DEFINER" => {
                    at = self.definer(at + 1);
                    continue;
                }
                // What may stand before the word: kinds of index, of view, of function.
                "UNIQUE" | "FULLTEXT" | "SPATIAL" | "VECTOR" | "ALGORITHM" | "MERGE" | "TEMPTABLE" | "UNDEFINED"
                | "SQL" | "SECURITY" | "INVOKER" | "AGGREGATE" | "UNDO" | "ONLINE" | "OFFLINE" | "IGNORE" => {
                    at += 1;
                    continue;
                }
                _ if self.symbol(at, b'=') => {
                    at += 1;
                    continue;
                }
                _ => return None,
            };
            return Some((kind, at + 1));
        }
        None
    }

    /// The place behind `= user@host`. The user may be called like one of the words above.
    fn definer(&self, mut at: usize) -> usize {
        // SQL SECURITY DEFINER stands alone.
        if !self.symbol(at, b'=') {
            return at;
        }
        at += 2;
        if self.symbol(at, b'@') {
            at += 2;
            while self.symbol(at, b'.') {
                at += 2;
            }
        }
        if self.symbol(at, b'(') && self.symbol(at + 1, b')') {
            at += 2;
        }
        at
    }
}

#[derive(Clone, Copy)]
enum Object {
    Table,
    OnTable,
    Database,
    Harmless,
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
