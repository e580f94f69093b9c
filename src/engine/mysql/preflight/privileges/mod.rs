//! What SHOW GRANTS says, read the way the servers read it.
//!
//! Where several entries for databases fit one name the servers don't add them up: they take one, each by
//! its own rule ([`Lookup`], tried out on MySQL 9.7 and MariaDB 10.11). Where a rule leaves two, what both
//! have counts. MariaDB adds to what it finds for the account what it finds for the active role.

mod line;
mod pattern;

use line::{ALL, Line, Scope};
use pattern::{first_wildcard, fitting, like};

pub use line::Set;

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
        Privileges { lines: lines.into_iter().filter_map(line::read).collect(), rules }
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

#[cfg(test)]
mod tests;
