//! One line of SHOW GRANTS, taken apart.
//!
//! Both servers print privileges without quotes and names in them, in backticks unless the sql_mode or
//! sql_quote_show_create says otherwise. A line that is something else is none.

use std::collections::BTreeSet;

/// Privileges in upper case, as the servers list them.
pub type Set = BTreeSet<String>;

pub const ALL: &str = "ALL PRIVILEGES";

/// One line of SHOW GRANTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub revoke: bool,
    pub privileges: Set,
    pub scope: Scope,
    /// The account or role as it's written.
    pub grantee: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Global,
    Database(String),
    Table(String, String),
    /// A role that is granted.
    Role(String),
    /// Routines, proxies.
    Other,
}

/// Reads one line; none for what is no grant (`SET DEFAULT ROLE …`).
pub fn read(text: &str) -> Option<Line> {
    let words = words(text);
    let (head, rest) = words.split_first()?;
    let revoke = match head.bare()? {
        "GRANT" => false,
        "REVOKE" => true,
        _ => return None,
    };
    let to = rest.iter().position(|w| w.is(if revoke { "FROM" } else { "TO" }))?;
    let (what, who) = rest.split_at(to);
    let grantee: String = who
        .iter()
        .skip(1)
        .take_while(|w| !w.is("IDENTIFIED") && !w.is("WITH") && !w.is("REQUIRE"))
        .map(Word::text)
        .collect();
    let Some(on) = what.iter().position(|w| w.is("ON")) else {
        let role = what.iter().map(Word::text).collect();
        return Some(Line { revoke, privileges: Set::new(), scope: Scope::Role(role), grantee });
    };
    let (privileges, object) = what.split_at(on);
    Some(Line { revoke, privileges: listed(privileges), scope: scope(object.get(1..)?), grantee })
}

/// The privileges that hold for whole tables: one with a list of columns doesn't.
fn listed(words: &[Word]) -> Set {
    let mut out = Set::new();
    let mut depth = 0;
    let mut current: Vec<&str> = Vec::new();
    let mut whole = true;
    for word in words {
        match word {
            Word::Sign('(') => {
                depth += 1;
                whole = false;
            }
            Word::Sign(')') => depth -= 1,
            Word::Sign(',') if depth == 0 => {
                if whole {
                    out.insert(current.join(" ").to_uppercase());
                }
                current.clear();
                whole = true;
            }
            Word::Bare(text) if depth == 0 => current.push(text),
            _ => {}
        }
    }
    if whole && !current.is_empty() {
        out.insert(current.join(" ").to_uppercase());
    }
    if out.remove("ALL") {
        out.insert(ALL.to_owned());
    }
    out
}

fn scope(object: &[Word]) -> Scope {
    match object {
        [Word::Sign('*'), Word::Sign('.'), Word::Sign('*')] => Scope::Global,
        [db, Word::Sign('.'), Word::Sign('*')] => Scope::Database(db.text()),
        [db, Word::Sign('.'), table] => Scope::Table(db.text(), table.text()),
        _ => Scope::Other,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Bare(String),
    Quoted(String),
    Sign(char),
}

impl Word {
    fn bare(&self) -> Option<&str> {
        if let Word::Bare(text) = self { Some(text) } else { None }
    }

    fn is(&self, word: &str) -> bool {
        self.bare().is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    fn text(&self) -> String {
        match self {
            Word::Bare(text) | Word::Quoted(text) => text.clone(),
            Word::Sign(c) => c.to_string(),
        }
    }
}

/// Splits a line. Quotes are doubled inside of names; a backslash there is part of the name.
fn words(text: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '`' | '"' | '\'' => {
                let mut name = String::new();
                while let Some(inner) = chars.next() {
                    if inner == c && chars.next_if_eq(&c).is_none() {
                        break;
                    }
                    name.push(inner);
                }
                out.push(Word::Quoted(name));
            }
            ',' | '(' | ')' | '.' | '*' | '@' => out.push(Word::Sign(c)),
            c if c.is_whitespace() => {}
            c => {
                let mut name = String::from(c);
                while let Some(next) = chars.next_if(|n| !n.is_whitespace() && !",().*@`\"'".contains(*n)) {
                    name.push(next);
                }
                out.push(Word::Bare(name));
            }
        }
    }
    out
}
