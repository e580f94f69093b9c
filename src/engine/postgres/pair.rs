//! Two tables beside each other, compared without a run: what another tool has copied, or what is left of
//! a run that was not swapped.
//!
//! The second table stands in the shadow's place. Its columns are found by their names, or by the renames
//! that are told; then all is as in a run: the same statements, and each column of the first table is cast to the type
//! that it has in the second. A column that only one table has is not compared, and named.

use std::cell::RefCell;
use std::rc::Rc;

use super::compare;
use super::connect::Address;
use super::identity::{Found, Identity};
use super::key;
use super::mirror::Rewrite;
use super::names::Names;
use super::session::{Session, is_lost, number, text_at};
use super::shadow::{Shadow, Written};
use super::sql::{Ident, Table, TypeName};
use super::swap::Swap;
use crate::engine::{Compared, Pair};
use crate::error::{Error, Result};
use crate::model::{Key, Rows};

/// Which tables, and how the second came from the first.
#[derive(Debug, Clone)]
pub struct Request {
    pub address: Address,
    pub table: Table,
    pub with: Table,
    /// Columns by their names in the first table and in the second.
    pub renames: Vec<(String, String)>,
}

pub struct PostgresPair {
    address: Address,
    rewrite: Rc<Rewrite>,
    session: RefCell<Option<Session>>,
    /// An estimate.
    pub rows: u64,
    /// What is not compared, in sentences.
    pub left_out: Vec<String>,
}

struct Column {
    name: Ident,
    kind: TypeName,
}

impl PostgresPair {
    pub async fn open(request: Request) -> Result<PostgresPair> {
        let (table, with) = (&request.table, &request.with);
        if table == with {
            return Err(Error::usage("--table and --with name the same table."));
        }
        let mut session = Session::open(&request.address).await?;
        let server = session.identity().await?;
        let address = request.address.pinned(&server);
        let (ours, rows) = columns(&mut session, table).await?;
        let (theirs, _) = columns(&mut session, with).await?;
        let known = renames(&request, &ours, &theirs)?;
        let named = |name: &Ident| known.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to).clone();
        let written = ours.iter().filter_map(|from| {
            let to = theirs.iter().find(|to| to.name == named(&from.name))?;
            Some(Written {
                column: to.name.clone(),
                kind: to.kind.clone(),
                expression: from.name.to_string(),
                compared: true,
            })
        });
        let written: Vec<Written> = written.collect();
        // Any key will do: nothing is read from the stream.
        let oid = number(&session.row(&format!("SELECT {}::oid", table.regclass())).await?, 0)?;
        let any = Found { oid, identity: Identity::Full, fingerprint: String::new() };
        let key = key::choose(&mut session, table, &any).await?;
        let shadow_key: Vec<Ident> = key.columns.iter().map(|c| named(&c.name)).collect();
        if let Some(lost) = shadow_key.iter().find(|k| !written.iter().any(|w| w.column == **k)) {
            return Err(Error::refused(format!(
                "{} has no column {}, which is of the key of {}.",
                with.bare(),
                lost.bare(),
                table.bare()
            ))
            .todo("If it is called otherwise there, say so by --rename OLD=NEW."));
        }
        let mut left_out =
            only_in(table, ours.iter().map(|c| &c.name), |name| theirs.iter().any(|to| to.name == named(name)));
        left_out
            .extend(only_in(with, theirs.iter().map(|c| &c.name), |name| written.iter().any(|w| w.column == *name)));
        let shadow = Shadow {
            columns: written,
            overriding: false,
            later: Vec::new(),
            deferred: false,
            unique: Vec::new(),
            key,
            shadow_key,
            statements: Vec::new(),
            warnings: Vec::new(),
            alter: String::new(),
            swap: Swap::default(),
        };
        let names = Names { shadow: with.clone(), ..Names::of(address.database(), table) };
        Ok(PostgresPair {
            address,
            rewrite: Rc::new(Rewrite::new(names, shadow)),
            session: RefCell::new(None),
            rows,
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

impl Pair for PostgresPair {
    async fn next_range(&self, after: Option<&Key>, rows: u64) -> Result<Option<Key>> {
        self.with(async |session, rewrite| rewrite.read_bound(session, after, rows).await).await
    }

    async fn compare(&self, rows: Rows<'_>, most: usize) -> Result<Compared> {
        self.with(async |session, rewrite| compare::compare(session, rewrite, rows, most).await).await
    }

    async fn show(&self, keys: &[Key]) -> Result<Vec<String>> {
        self.with(async |session, rewrite| compare::show::rows(session, rewrite, keys).await).await
    }
}

/// The columns of an ordinary table, and about how many rows it has.
async fn columns(session: &mut Session, table: &Table) -> Result<(Vec<Column>, u64)> {
    let sql = format!(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), greatest(c.reltuples, 0)::bigint \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.oid = {} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        table.regclass()
    );
    let rows = session.rows(&sql).await?;
    let Some(first) = rows.first() else {
        return Err(Error::refused(format!("{} is no ordinary table with columns.", table.bare())));
    };
    let count = number(first, 2)?;
    let column = |row| Column {
        name: Ident::new(text_at(row, 0).unwrap_or_default()),
        kind: TypeName::from_server(text_at(row, 1).unwrap_or_default()),
    };
    Ok((rows.iter().map(column).collect(), count))
}

/// Columns that the second table calls otherwise.
fn renames(request: &Request, ours: &[Column], theirs: &[Column]) -> Result<Vec<(Ident, Ident)>> {
    let mut known = Vec::new();
    for (from, to) in &request.renames {
        for (table, columns, name) in [(&request.table, ours, from), (&request.with, theirs, to)] {
            if !columns.iter().any(|c| c.name.bare() == name) {
                return Err(Error::usage(format!("--rename {from}={to}: {} has no column {name}.", table.bare())));
            }
        }
        known.push((Ident::new(from), Ident::new(to)));
    }
    Ok(known)
}

fn only_in<'a>(table: &Table, names: impl Iterator<Item = &'a Ident>, both: impl Fn(&Ident) -> bool) -> Vec<String> {
    let names: Vec<&str> = names.filter(|name| !both(name)).map(Ident::bare).collect();
    if names.is_empty() { Vec::new() } else { vec![format!("{} (only in {})", names.join(", "), table.bare())] }
}
