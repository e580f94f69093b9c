//! The names of the tables that osc puts beside the user's table, and of the lock that says a run is alive.
//!
//! RENAME takes its metadata locks in the order of the names' bytes. Only if the shadow's and the old
//! table's names sort AFTER the original's does it queue on the original first; otherwise writers that
//! wait slip into the old table and their rows are lost (measured, see DESIGN). A suffix does that, but
//! a name that has to be cut to fit may not, so every name made here is checked.

use crate::error::{Error, Result};

use super::sql::{Ident, Table};

/// The servers' limit, in characters.
const LIMIT: usize = 64;
/// A file system's limit for `name.ibd`, with room for a partition's suffix.
const FILE_LIMIT: usize = 200;
/// Sorts above every character that is likely in a name, has no case, and is in the BMP.
const HIGHEST: char = '\u{ffdc}';

const LONGEST: &str = "_osc_marks";

/// What one of osc's tables is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Shadow,
    Old,
    Marks,
    State,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Shadow, Role::Old, Role::Marks, Role::State];

    fn suffix(self) -> &'static str {
        match self {
            Role::Shadow => "_osc_new",
            Role::Old => "_osc_old",
            Role::Marks => "_osc_marks",
            Role::State => "_osc_state",
        }
    }
}

/// A table and the tables that osc keeps beside it, all in the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub original: Table,
    pub shadow: Table,
    pub old: Table,
    pub marks: Table,
    pub state: Table,
}

impl Names {
    /// The names for a table, spelled as the catalog spells it.
    pub fn of(original: &Table) -> Result<Names> {
        let make = |role: Role| Ok::<_, Error>(original.sibling(derived(original.name.bare(), role)?));
        Ok(Names {
            original: original.clone(),
            shadow: make(Role::Shadow)?,
            old: make(Role::Old)?,
            marks: make(Role::Marks)?,
            state: make(Role::State)?,
        })
    }

    pub fn table(&self, role: Role) -> &Table {
        match role {
            Role::Shadow => &self.shadow,
            Role::Old => &self.old,
            Role::Marks => &self.marks,
            Role::State => &self.state,
        }
    }
}

/// A table that carries one of osc's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    pub role: Role,
    /// What the tables of one run share. The original's name, unless that had to be cut.
    pub stem: String,
}

impl Owned {
    /// The name of another table of the same run.
    pub fn other(&self, role: Role) -> Ident {
        Ident::new(format!("{}{}", self.stem, role.suffix()))
    }

    /// Whether this is a table of a run on `original`.
    pub fn belongs_to(&self, original: &str) -> bool {
        derived(original, self.role).is_ok_and(|name| name == self.other(self.role).bare())
    }
}

/// Recognises osc's tables by their names alone; the user may have named a table like that, so
/// whoever wants to drop one looks into it first.
pub fn owner_of(name: &str) -> Option<Owned> {
    Role::ALL.into_iter().find_map(|role| {
        let stem = name.strip_suffix(role.suffix())?;
        (!stem.is_empty()).then(|| Owned { role, stem: stem.to_owned() })
    })
}

/// The name of the user-level lock that a run on the table holds for as long as it lives.
pub fn lock_name(table: &Table) -> String {
    // The servers fold the case of lock names and limit them to 64 characters: a hash has neither trouble.
    let (db, name) = (table.db.bare(), table.name.bare());
    format!("osc:{:016x}{:016x}", fnv(db.bytes().chain([0]).chain(name.bytes())), fnv(name.bytes().rev()))
}

fn derived(original: &str, role: Role) -> Result<String> {
    let name = stem(original).map(|stem| format!("{stem}{}", role.suffix()));
    match name {
        Some(name) if sorts_after(&name, original) && fits(&name) => Ok(name),
        _ => Err(Error::refused(format!(
            "No name of at most {LIMIT} characters for osc's own tables sorts after '{original}'; \
             the tables could not be swapped without losing rows."
        ))
        .todo("Rename the table to a shorter name, or to one that begins with a Latin letter.")),
    }
}

/// What the suffixes are put behind, the same for all roles so that one table leads to the others:
/// the original's name, or if that is too long a beginning of it whose last character is raised, and a hash.
fn stem(original: &str) -> Option<String> {
    if fits(&format!("{original}{LONGEST}")) {
        return Some(original.to_owned());
    }
    let hash = format!("{:08x}", fnv(original.bytes()) >> 32);
    let chars: Vec<char> = original.chars().collect();
    let at = |keep: usize, raise: &dyn Fn(char) -> Option<char>| {
        let last = raise(*chars.get(keep)?)?;
        let mut stem: String = chars.iter().take(keep).collect();
        stem.push(last);
        stem.push_str(&hash);
        (fits(&format!("{stem}{LONGEST}")) && sorts_after(&stem, original)).then_some(stem)
    };
    let to_z = |c: char| c.to_lowercase().next().filter(|low| *low < 'z').map(|_| 'z');
    let to_highest = |c: char| (c < HIGHEST).then_some(HIGHEST);
    let positions = || (0..chars.len()).rev();
    positions().find_map(|keep| at(keep, &to_z)).or_else(|| positions().find_map(|keep| at(keep, &to_highest)))
}

/// Also when the server folds names to lower case before it locks them.
fn sorts_after(name: &str, original: &str) -> bool {
    name.as_bytes() > original.as_bytes() && name.to_lowercase().as_bytes() > original.to_lowercase().as_bytes()
}

fn fits(name: &str) -> bool {
    // In file names the servers write every character but ASCII letters, digits and _ as up to five bytes.
    let in_file: usize = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { 1 } else { 5 }).sum();
    name.chars().count() <= LIMIT && in_file <= FILE_LIMIT
}

/// FNV-1a: names must come out the same in every version of osc.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(original: &str) -> Names {
        Names::of(&Table::new("shop", original)).unwrap()
    }

    #[test]
    fn an_ordinary_name_takes_suffixes() {
        let n = names("orders");
        assert_eq!(n.shadow, Table::new("shop", "orders_osc_new"));
        assert_eq!(n.old, Table::new("shop", "orders_osc_old"));
        assert_eq!(n.marks, Table::new("shop", "orders_osc_marks"));
        assert_eq!(n.state, Table::new("shop", "orders_osc_state"));
    }

    #[test]
    fn every_name_fits_and_sorts_after_the_original() {
        let long = [
            "z".repeat(64),
            "Z".repeat(64),
            "~".repeat(64),
            "a".repeat(64),
            "_".repeat(57),
            format!("{}9", "z".repeat(63)),
            "订单".repeat(20),
            "é".repeat(48),
            "ÿ".repeat(64),
            "a`b'c\" d;--".repeat(5),
            "orders".into(),
            "O".into(),
            "\u{fffd}".into(),
        ];
        for original in &long {
            let n = names(original);
            for role in Role::ALL {
                let name = n.table(role).name.bare();
                assert!(name.as_bytes() > original.as_bytes(), "{name} {original}");
                assert!(name.to_lowercase() > original.to_lowercase(), "{name} {original}");
                assert!(name.chars().count() <= 64);
                let owner = owner_of(name).unwrap();
                assert_eq!(owner.role, role);
                assert!(owner.belongs_to(original));
                assert!(!owner.belongs_to("something"));
                assert_eq!(owner.other(Role::State), n.state.name);
            }
        }
    }

    #[test]
    fn a_name_that_nothing_sorts_after_is_refused() {
        assert!(Names::of(&Table::new("shop", "\u{fffd}".repeat(64))).is_err());
    }

    #[test]
    fn long_names_with_a_common_beginning_do_not_collide() {
        let (a, b) = (names(&format!("{}a", "t".repeat(63))), names(&format!("{}b", "t".repeat(63))));
        assert_ne!(a.shadow, b.shadow);
        assert_ne!(a.state, b.state);
    }

    #[test]
    fn only_names_with_something_before_the_suffix_are_recognised() {
        assert_eq!(owner_of("_osc_new"), None);
        assert_eq!(owner_of("orders"), None);
        assert_eq!(owner_of("orders_osc_old").map(|o| o.stem), Some("orders".into()));
    }

    #[test]
    fn lock_names_differ_by_database_and_table_and_fit() {
        let lock = |db, t| lock_name(&Table::new(db, t));
        assert_ne!(lock("a", "bc"), lock("ab", "c"));
        assert_ne!(lock("shop", "Orders"), lock("shop", "orders"));
        assert!(lock("shop", "orders").len() <= 64);
    }
}
