//! What SHOW GRANTS says, read the way the servers read it.
//!
//! Where several entries for databases fit one name the servers don't add them up: they take one, each by
//! its own rule ([`Lookup`], tried out on MySQL 9.7 and MariaDB 10.11). Where a rule leaves two, what both
//! have counts. MariaDB adds to what it finds for the account what it finds for the active role.

use std::collections::BTreeSet;

/// Privileges in upper case, as the servers list them.
pub type Set = BTreeSet<String>;

const ALL: &str = "ALL PRIVILEGES";

/// One line of SHOW GRANTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    revoke: bool,
    privileges: Set,
    scope: Scope,
    /// The account or role as it's written.
    grantee: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Global,
    Database(String),
    Table(String, String),
    /// A role that is granted.
    Role(String),
    /// Routines, proxies.
    Other,
}

/// How this server finds the entry for a database.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    pub lookup: Lookup,
    pub fold_case: bool,
    /// MySQL's partial_revokes: no wildcards at all.
    pub no_wildcards: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lookup {
    /// MySQL without active roles: the one whose first wildcard comes latest, or that has none.
    #[default]
    LongestPrefix,
    /// MySQL with active roles: the one that is the name and has no wildcard, or else the first in the
    /// order of their bytes.
    FirstInOrder,
    /// MariaDB: the one that the fewest names fit; one without % before one with it.
    FewestNames,
}

/// All that an account holds, with its active roles.
#[derive(Debug, Default)]
pub struct Privileges {
    lines: Vec<Line>,
    rules: Rules,
}

impl Privileges {
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>, rules: Rules) -> Privileges {
        Privileges { lines: lines.into_iter().filter_map(line).collect(), rules }
    }

    pub fn global(&self) -> Set {
        self.granted(|scope| *scope == Scope::Global)
    }

    /// What holds on every table of a database.
    pub fn on_database(&self, db: &str) -> Set {
        let revoked: Set = self
            .lines
            .iter()
            .filter(|l| l.revoke && matches!(&l.scope, Scope::Database(of) if self.same(of, db)))
            .flat_map(|l| l.privileges.iter().cloned())
            .collect();
        let mut set = self.global();
        if !revoked.is_empty() && set.remove(ALL) {
            // Not to be told apart any more; the servers that know revokes list all privileges.
            set.clear();
        }
        set.retain(|p| !revoked.contains(p) && !revoked.contains(ALL));
        for grantee in self.grantees() {
            let chosen = self.chosen(grantee, db);
            let common = chosen.iter().map(|l| l.privileges.clone()).reduce(both).unwrap_or_default();
            set.extend(common);
        }
        set
    }

    pub fn on_table(&self, db: &str, table: &str) -> Set {
        let mut set = self.on_database(db);
        set.extend(
            self.granted(|scope| matches!(scope, Scope::Table(d, t) if self.same(d, db) && self.same(t, table))),
        );
        set
    }

    /// The names, as GRANT takes them, under which a privilege on a database has to be granted to the
    /// account itself: those of the entries that the server takes now. A new one could hide them.
    pub fn names_to_grant_on(&self, db: &str) -> Vec<String> {
        let own = self.lines.first().map(|l| l.grantee.clone()).unwrap_or_default();
        let grantee = if self.rules.lookup == Lookup::FirstInOrder {
            own.as_str()
        } else {
            self.grantees().first().copied().unwrap_or_default()
        };
        let mut names: Vec<String> = self
            .chosen(grantee, db)
            .iter()
            .filter_map(|l| if let Scope::Database(name) = &l.scope { Some(name.clone()) } else { None })
            .collect();
        if names.is_empty() {
            names.push(db.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"));
        }
        names
    }

    /// Roles that are granted to the account itself.
    pub fn roles(&self) -> Vec<&str> {
        let own = self.grantees().first().copied().unwrap_or_default();
        let role = |l: &'_ Line| l.grantee == own;
        self.lines
            .iter()
            .filter(|l| role(l))
            .filter_map(|l| if let Scope::Role(name) = &l.scope { Some(name.as_str()) } else { None })
            .collect()
    }

    /// The account first: both servers list it before its roles.
    fn grantees(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for line in &self.lines {
            if !out.contains(&line.grantee.as_str()) {
                out.push(&line.grantee);
            }
        }
        out
    }

    fn granted(&self, of: impl Fn(&Scope) -> bool) -> Set {
        self.lines.iter().filter(|l| !l.revoke && of(&l.scope)).flat_map(|l| l.privileges.iter().cloned()).collect()
    }

    /// The entries for a database of one grantee between which the server chooses.
    fn chosen(&self, grantee: &str, db: &str) -> Vec<&Line> {
        let entries: Vec<(&Line, &str)> = self
            .lines
            .iter()
            .filter(|l| !l.revoke && l.grantee == grantee)
            .filter_map(|l| if let Scope::Database(name) = &l.scope { Some((l, name.as_str())) } else { None })
            .filter(|(_, name)| self.fits(name, db))
            .collect();
        if self.rules.lookup == Lookup::FirstInOrder {
            let exact = entries.iter().find(|(_, name)| self.same(name, db) && first_wildcard(name) == usize::MAX);
            let first = exact.or_else(|| entries.iter().min_by_key(|(_, name)| *name));
            return first.map(|(l, _)| *l).into_iter().collect();
        }
        let generality = |name: &str| match self.rules.lookup {
            Lookup::FewestNames => fitting(name),
            _ => [usize::MAX - first_wildcard(name), 0, 0],
        };
        let least = entries.iter().map(|(_, name)| generality(name)).min();
        entries.iter().filter(|(_, name)| Some(generality(name)) == least).map(|(l, _)| *l).collect()
    }

    fn same(&self, a: &str, b: &str) -> bool {
        a == b || (self.rules.fold_case && a.to_lowercase() == b.to_lowercase())
    }

    fn fits(&self, pattern: &str, db: &str) -> bool {
        if self.same(pattern, db) {
            return true;
        }
        let chars =
            |s: &str| if self.rules.fold_case { s.to_lowercase() } else { s.to_owned() }.chars().collect::<Vec<_>>();
        let (pattern, db) = (chars(pattern), chars(db));
        like(&pattern, &db, !self.rules.no_wildcards)
    }
}

fn both(a: Set, b: Set) -> Set {
    match (a.contains(ALL), b.contains(ALL)) {
        (true, _) => b,
        (_, true) => a,
        _ => a.intersection(&b).cloned().collect(),
    }
}

/// Whether a set has a privilege, by itself or by ALL.
pub fn has(set: &Set, privilege: &str) -> bool {
    set.contains(privilege)
        || set.contains(ALL)
        || (privilege == "REPLICATION CLIENT" && set.contains("BINLOG MONITOR"))
        || (privilege == "BINLOG MONITOR" && set.contains("REPLICATION CLIENT"))
}

fn like(pattern: &[char], name: &[char], wildcards: bool) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['\\', c, rest @ ..] => name.split_first().is_some_and(|(n, name)| n == c && like(rest, name, wildcards)),
        ['%', rest @ ..] if wildcards => {
            (0..=name.len()).any(|at| name.get(at..).is_some_and(|name| like(rest, name, wildcards)))
        }
        ['_', rest @ ..] if wildcards => name.split_first().is_some_and(|(_, name)| like(rest, name, wildcards)),
        [c, rest @ ..] => name.split_first().is_some_and(|(n, name)| n == c && like(rest, name, wildcards)),
    }
}

fn first_wildcard(pattern: &str) -> usize {
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '%' | '_' => return at,
            _ => {}
        }
    }
    usize::MAX
}

/// Grows with the number of names that fit a pattern.
fn fitting(pattern: &str) -> [usize; 3] {
    let (mut letters, mut single, mut many, mut escaped) = (0, 0, 0, false);
    for c in pattern.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '%' if !escaped => many += 1,
            '_' if !escaped => single += 1,
            _ => letters += 1,
        }
        escaped = false;
    }
    match many {
        0 => [0, single, 0],
        _ => [usize::MAX - letters - single, many, single],
    }
}

/// Reads one line; none for what is no grant (`SET DEFAULT ROLE …`).
fn line(text: &str) -> Option<Line> {
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

#[cfg(test)]
mod tests;
