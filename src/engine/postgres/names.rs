//! The names of what osc puts into the database: a slot, a publication, a schema, the marks' prefix.
//!
//! The shadow keeps the table's own name in a schema of osc's, so no name of the user's is ever changed or
//! cut. What needs a name of its own is named by a hash of the table's names, so that it fits into the
//! 63 bytes of a name and into the alphabet of slots (a-z, 0-9, _) whatever the table is called. A slot's
//! name is the server's, not the database's: the database goes into the hash too.

use super::sql::{Ident, Table, text};

const PREFIX: &str = "osc_";

/// A table and what osc keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub database: String,
    pub original: Table,
    /// Where the shadow is built, under the original's name.
    pub shadow: Table,
    /// Where the old table goes.
    pub old: Table,
    /// What a run stores of itself, in a schema of its own.
    pub state: Table,
    pub publication: Ident,
    /// A replication slot, by its bare name: it is never an SQL identifier.
    pub slot: String,
    /// What the marks of this table's runs begin with in the stream.
    pub marks: String,
}

impl Names {
    pub fn of(database: &str, original: &Table) -> Names {
        let parts = [database, original.schema.bare(), original.name.bare()];
        let hash = fnv(parts.iter().flat_map(|part| part.bytes().chain([0])));
        let stem = format!("{PREFIX}{hash:016x}");
        Names {
            database: database.to_string(),
            original: original.clone(),
            shadow: Table { schema: Ident::new(format!("{stem}_new")), name: original.name.clone() },
            old: Table { schema: Ident::new(format!("{stem}_old")), name: original.name.clone() },
            state: Table::new(stem.clone(), "state"),
            publication: Ident::new(stem.clone()),
            slot: stem.clone(),
            marks: stem,
        }
    }

    /// Makes one of osc's schemas, with a comment that says whose it is: a DBA who finds it knows what it's for, and
    /// `osc cleanup` can tell it from a user's schema that happens to be called like that.
    pub fn create_schema(&self, schema: &Ident) -> [String; 2] {
        [format!("CREATE SCHEMA {schema}"), format!("COMMENT ON SCHEMA {schema} IS {}", text(&self.comment()))]
    }

    /// What osc's schemas say of themselves.
    pub fn comment(&self) -> String {
        format!("{COMMENT}{}.{}", self.database, self.original.bare())
    }

    /// The number of the advisory lock that a run holds for as long as it lives; advisory locks are of one database.
    pub fn lock(&self) -> i64 {
        let hash =
            fnv([self.original.schema.bare(), self.original.name.bare()].iter().flat_map(|p| p.bytes().chain([0])));
        (hash ^ LOCKS) as i64
    }
}

/// What the comments of osc's schemas begin with.
pub const COMMENT: &str = "osc: a run on ";
/// Keeps the numbers of osc's locks apart from those that an application takes of hashes.
const LOCKS: u64 = 0x6f73_632d_6c6f_636b;

/// Whether a slot or a publication carries a name that osc gives. The user may have named one like
/// that, so whoever wants to drop one looks into it first.
pub fn is_ours(name: &str) -> bool {
    let hash = name.strip_prefix(PREFIX).unwrap_or_default();
    hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// FNV-1a: names must come out the same in every version of osc.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_whatever_the_table_is_called() {
        for name in ["orders", "O", "a\"b", &"é".repeat(31), &"x".repeat(63)] {
            let n = Names::of("shop", &Table::new("public", name));
            assert!(is_ours(&n.slot) && n.slot.len() <= 63);
            assert_eq!(n.shadow.name.bare(), name);
            assert!(n.shadow.schema.bare().len() <= 63);
        }
        assert!(!is_ours("osc_orders") && !is_ours("orders") && !is_ours("osc_00112233445566GG"));
    }

    #[test]
    fn locks_differ_by_schema_and_table() {
        let lock = |schema: &str, name: &str| Names::of("shop", &Table::new(schema, name)).lock();
        assert_ne!(lock("a", "bc"), lock("ab", "c"));
        assert_ne!(lock("a", "T"), lock("a", "t"));
    }

    #[test]
    fn a_schema_says_whose_it_is() {
        let n = Names::of("shop", &Table::new("public", "it's"));
        assert_eq!(n.create_schema(&n.state.schema)[1].split(" IS ").nth(1), Some("'osc: a run on shop.public.it''s'"));
    }

    #[test]
    fn tables_do_not_collide() {
        let slot = |db: &str, schema: &str, name: &str| Names::of(db, &Table::new(schema, name)).slot;
        assert_ne!(slot("a", "b", "c"), slot("a", "bc", ""));
        assert_ne!(slot("a", "b", "c"), slot("ab", "", "c"));
        assert_ne!(slot("a", "public", "T"), slot("a", "public", "t"));
    }
}
