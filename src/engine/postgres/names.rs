//! The names of what osc puts into the database: a slot, a publication, a schema, the marks' prefix.
//!
//! The shadow keeps the table's own name in a schema of osc's, so no name of the user's is ever changed or
//! cut. What needs a name of its own is named by a hash of the table's names, so that it fits into the
//! 63 bytes of a name and into the alphabet of slots (a-z, 0-9, _) whatever the table is called. A slot's
//! name is the server's, not the database's: the database goes into the hash too.

use super::sql::{Ident, Table};

const PREFIX: &str = "osc_";

/// A table and what osc keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
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
            original: original.clone(),
            shadow: Table { schema: Ident::new(format!("{stem}_new")), name: original.name.clone() },
            old: Table { schema: Ident::new(format!("{stem}_old")), name: original.name.clone() },
            state: Table::new(stem.clone(), "state"),
            publication: Ident::new(stem.clone()),
            slot: stem.clone(),
            marks: stem,
        }
    }
}

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
    fn tables_do_not_collide() {
        let slot = |db: &str, schema: &str, name: &str| Names::of(db, &Table::new(schema, name)).slot;
        assert_ne!(slot("a", "b", "c"), slot("a", "bc", ""));
        assert_ne!(slot("a", "b", "c"), slot("ab", "", "c"));
        assert_ne!(slot("a", "public", "T"), slot("a", "public", "t"));
    }
}
