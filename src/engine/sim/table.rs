//! Tables: what is committed and visible, the unique index, and the names.
//!
//! Only the newest visible version of a row is kept. That is enough for snapshots: a read copies what
//! it will return when it begins, then takes its time.

use std::collections::BTreeMap;

/// A table's identity, which a rename does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u8);

/// The names, in the order in which the server locks them: the original's sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    Original,
    Shadow,
    Old,
}

/// The values of a row besides its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// No two writes have the same.
    pub value: u64,
    /// The value under the unique key; 0 is NULL.
    pub unique: u32,
    /// How the key is written, where a collation takes several spellings for equal.
    pub spelling: u8,
    /// The new definition can't hold it.
    pub unfit: bool,
}

/// One row as a transaction leaves it.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    pub table: TableId,
    pub id: u32,
    pub row: Option<Row>,
}

#[derive(Debug, Default)]
pub struct Table {
    pub rows: BTreeMap<u32, Row>,
    /// Which row has a value, where there is a unique key.
    pub unique: Option<BTreeMap<u32, u32>>,
    /// Indexes that are still to be built.
    pub unbuilt: u8,
}

impl Table {
    pub fn new(unique: bool) -> Self {
        Table { rows: BTreeMap::new(), unique: unique.then(BTreeMap::new), unbuilt: 0 }
    }

    /// Which row holds a unique value.
    pub fn holder(&self, value: u32) -> Option<u32> {
        self.unique.as_ref().and_then(|u| u.get(&value).copied())
    }

    /// Makes a transaction's writes visible, all at once.
    fn apply(&mut self, writes: &[(u32, Option<Row>)]) {
        if let Some(unique) = &mut self.unique {
            for (id, _) in writes {
                if let Some(old) = self.rows.get(id)
                    && unique.get(&old.unique) == Some(id)
                {
                    unique.remove(&old.unique);
                }
            }
            for (id, row) in writes {
                if let Some(row) = row.filter(|r| r.unique != 0) {
                    unique.insert(row.unique, *id);
                }
            }
        }
        for (id, row) in writes {
            match row {
                Some(row) => self.rows.insert(*id, *row),
                None => self.rows.remove(id),
            };
        }
    }
}

#[derive(Debug)]
pub struct Catalog {
    tables: Vec<Table>,
    names: BTreeMap<Name, TableId>,
    /// An empty table stands under the old table's name.
    sentry: bool,
}

impl Catalog {
    /// The original and nothing else.
    pub fn new(original: Table) -> Self {
        Catalog { tables: vec![original], names: BTreeMap::from([(Name::Original, TableId(0))]), sentry: false }
    }

    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[usize::from(id.0)]
    }

    pub fn named(&self, name: Name) -> Option<TableId> {
        self.names.get(&name).copied()
    }

    pub fn create(&mut self, name: Name, table: Table) {
        let id = TableId(self.tables.len() as u8);
        self.tables.push(table);
        self.names.insert(name, id);
    }

    pub fn drop_name(&mut self, name: Name) {
        self.names.remove(&name);
    }

    pub fn put_sentry(&mut self) {
        self.sentry = true;
    }

    pub fn drop_sentry(&mut self) {
        self.sentry = false;
    }

    /// What the catalog says about the swap.
    pub fn swapped(&self) -> bool {
        self.names.contains_key(&Name::Old)
    }

    pub fn truncate(&mut self, id: TableId) {
        let table = &mut self.tables[usize::from(id.0)];
        *table = Table::new(table.unique.is_some());
    }

    /// Builds one index. True: there is another one to build.
    pub fn build(&mut self, id: TableId) -> bool {
        let table = &mut self.tables[usize::from(id.0)];
        table.unbuilt = table.unbuilt.saturating_sub(1);
        table.unbuilt > 0
    }

    /// Original to Old, Shadow to Original. False: a name was taken or missing, and nothing was done.
    pub fn swap(&mut self) -> bool {
        let (Some(original), Some(shadow), None) =
            (self.named(Name::Original), self.named(Name::Shadow), self.named(Name::Old))
        else {
            return false;
        };
        if self.sentry {
            return false;
        }
        self.names = BTreeMap::from([(Name::Original, shadow), (Name::Old, original)]);
        true
    }

    pub fn apply(&mut self, writes: &[Write]) {
        for (at, table) in self.tables.iter_mut().enumerate() {
            // Of several writes of a row the last one counts.
            let mut last: BTreeMap<u32, Option<Row>> = BTreeMap::new();
            last.extend(writes.iter().filter(|w| usize::from(w.table.0) == at).map(|w| (w.id, w.row)));
            if !last.is_empty() {
                table.apply(&last.into_iter().collect::<Vec<_>>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_values_change_places_in_one_commit() {
        let row = |unique| Some(Row { value: 1, unique, spelling: 0, unfit: false });
        let write = |id, row| Write { table: TableId(0), id, row };
        let mut catalog = Catalog::new(Table::new(true));
        catalog.apply(&[write(1, row(7)), write(2, row(8))]);
        catalog.apply(&[write(1, row(0)), write(2, row(7)), write(1, row(8))]);
        let table = catalog.table(TableId(0));
        assert_eq!((table.holder(7), table.holder(8)), (Some(2), Some(1)));
        catalog.apply(&[write(1, None)]);
        assert_eq!(catalog.table(TableId(0)).holder(8), None);
    }
}
