//! Two tables beside each other, compared without a run: what another tool has copied, or what is left of
//! a run that was not swapped.
//!
//! The second table stands in the shadow's place. Its columns are found by their names, by the renames
//! that are told, or by the ALTER that made it; then all is as in a run: the same mapping, the same
//! conversions, the same statements. A column that only one table has is not compared, and named.

use std::cell::RefCell;
use std::rc::Rc;

use super::alter::{Alter, Dialect, Rename};
use super::catalog::{self, TableInfo, TableKind};
use super::compare;
use super::connect::Address;
use super::key::Conditions;
use super::mirror::Rewrite;
use super::names::Names;
use super::preflight::spelled;
use super::session::{Session, is_lost};
use super::shadow::Shadow;
use super::sql::{Ident, Table};
use crate::engine::{Compared, Pair};
use crate::error::{Error, Result};
use crate::model::{Key, Rows};

/// Which tables, and how the second came from the first.
#[derive(Debug, Clone)]
pub struct Request {
    pub address: Address,
    pub table: Table,
    pub with: Table,
    pub alter: Option<String>,
    /// Columns by their names in the first table and in the second.
    pub renames: Vec<(String, String)>,
}

pub struct MySqlPair {
    address: Address,
    rewrite: Rc<Rewrite>,
    session: RefCell<Option<Session>>,
    /// An estimate.
    pub rows: u64,
    /// What is not compared, in sentences.
    pub left_out: Vec<String>,
}

impl MySqlPair {
    pub async fn open(request: Request) -> Result<MySqlPair> {
        let mut session = Session::open(&request.address).await?;
        let table = spelled(&mut session, &request.table).await?;
        let with = spelled(&mut session, &request.with).await?;
        if table == with {
            return Err(Error::usage("--table and --with name the same table."));
        }
        let original = base(&mut session, &table).await?;
        let other = base(&mut session, &with).await?;
        let alter = match &request.alter {
            Some(text) => Alter::parse(text, &table, Dialect::of(&mut session).await?)?,
            None => by_names(&original, &other, &request.renames)?,
        };
        let names = Names { shadow: with.clone(), ..Names::of(&table)? };
        let shadow = Shadow::read(&mut session, &names, &original, &alter).await?;
        let key = shadow.choose_key(&original, Conditions { full_image: true, strict: true })?;
        let mut rewrite = Rewrite::new(names, &shadow, key);
        // Whoever made the other table may have filled its new columns.
        rewrite.equal.retain(|column| !column.added);
        let mut left_out = only_in(&table, alter.dropped.iter().map(|d| &d.name));
        left_out.extend(only_in(&with, alter.added.iter().map(|a| &a.name)));
        Ok(MySqlPair {
            address: request.address,
            rewrite: Rc::new(rewrite),
            session: RefCell::new(None),
            rows: original.rows,
            left_out,
        })
    }

    async fn with<T>(&self, work: impl AsyncFnOnce(&mut Session, &Rewrite) -> Result<T>) -> Result<T> {
        let kept = self.session.borrow_mut().take();
        let mut session = match kept {
            Some(session) => session,
            None => self.rewrite.session(&self.address).await?,
        };
        let result = work(&mut session, &self.rewrite).await;
        if !result.as_ref().is_err_and(is_lost) {
            *self.session.borrow_mut() = Some(session);
        }
        result
    }
}

impl Pair for MySqlPair {
    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>> {
        let sql = self.rewrite.bound(after, rows)?;
        let row = self.with(async |session, _| session.rows(&sql).await).await?.into_iter().next();
        row.map(|row| self.rewrite.key.read_row(&row, 0)).transpose()
    }

    async fn compare(&self, rows: Rows<'_>, most: usize) -> Result<Compared> {
        self.with(async |session, rewrite| compare::compare(session, rewrite, rows, most).await).await
    }

    async fn show(&self, keys: &[Key]) -> Result<Vec<String>> {
        self.with(async |session, rewrite| compare::show::rows(session, rewrite, keys).await).await
    }
}

async fn base(session: &mut Session, table: &Table) -> Result<TableInfo> {
    let found = catalog::read(session, table).await?;
    let found = found.ok_or_else(|| Error::refused(format!("There is no table {}.", table.bare())))?;
    if found.kind != TableKind::Base {
        return Err(Error::refused(format!("{} is no ordinary table.", table.bare())));
    }
    Ok(found)
}

fn by_names(original: &TableInfo, other: &TableInfo, renames: &[(String, String)]) -> Result<Alter> {
    let mut known = Vec::new();
    for (from, to) in renames {
        let rename = Rename { from: Ident::new(from), to: Ident::new(to), if_exists: false };
        for (table, name) in [(original, &rename.from), (other, &rename.to)] {
            if table.column(name).is_none() {
                let what = format!("--rename {from}={to}: {} has no column {name}.", table.table.bare());
                return Err(Error::usage(what));
            }
        }
        known.push(rename);
    }
    let names = |table: &'_ TableInfo| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let (from, to) = (names(original), names(other));
    Ok(Alter::between(&from.iter().collect::<Vec<_>>(), &to.iter().collect::<Vec<_>>(), known))
}

fn only_in<'a>(table: &Table, names: impl Iterator<Item = &'a Ident>) -> Vec<String> {
    let names: Vec<&str> = names.map(Ident::bare).collect();
    if names.is_empty() { Vec::new() } else { vec![format!("{} (only in {})", names.join(", "), table.bare())] }
}
