//! Which table a statement is about.
//!
//! Where the place of a table's name is known (ALTER TABLE, CREATE INDEX … ON …) only that place
//! counts, so that a column that happens to have our table's name does no harm; in a statement of a
//! kind not listed here every mention of our table counts.

use super::lex::Token;
use super::query::OurName;

/// A statement in words, and what they are compared with.
pub struct View<'a> {
    pub tokens: &'a [Token],
    pub ours: &'a OurName,
    /// The default database, in lower case.
    pub schema: &'a str,
}

impl View<'_> {
    /// The word at this place in capitals; empty for anything else.
    pub fn word(&self, at: usize) -> String {
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
    pub fn is_system_dml(&self) -> bool {
        let at = self.skip(1, &["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE", "INTO", "FROM"]);
        self.ident(at).is_some_and(|db| db == "mysql") && self.symbol(at + 1, b'.')
    }

    /// Where the statement begins that MariaDB's SET STATEMENT … FOR is about.
    pub fn set_statement(&self) -> Option<usize> {
        (self.is(0, "SET") && self.is(1, "STATEMENT"))
            .then(|| self.find(2, "FOR").map_or(self.tokens.len(), |at| at + 1))
    }

    /// Whether the DDL that begins here can change our table.
    pub fn touches(&self, at: usize) -> bool {
        match self.word(at).as_str() {
            "ALTER" => self.alter(at + 1),
            "CREATE" => self.create(at + 1),
            "DROP" => self.drop(at + 1),
            "RENAME" if self.is(at + 1, "USER") => false,
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
