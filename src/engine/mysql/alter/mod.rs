//! The user's ALTER TABLE, read just enough.
//!
//! The server does the work on the empty shadow and says what is wrong with the SQL. osc reads the
//! text for two things that the server can't tell it: which column of the shadow takes its values
//! from which column of the original, and whether a clause does something that a copy can't do.
//! Whatever is not understood is refused, never guessed.

mod clause;
mod cursor;
mod lex;
mod options;

pub use lex::Dialect;

use super::session::Session;
use super::sql::{Ident, Table};
use crate::error::{Error, Result};
use clause::{Effect, unknown};
use cursor::Cursor;
use lex::Token;

/// What an ALTER TABLE does to the table, as far as osc has to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alter {
    pieces: Vec<Piece>,
    /// Columns that get another name, by their names before and after. All names before are those of
    /// the original table: the clauses of one ALTER don't see each other.
    pub renames: Vec<Rename>,
    pub added: Vec<Added>,
    pub dropped: Vec<Dropped>,
    /// Columns that a MODIFY names.
    pub modified: Vec<Ident>,
    /// The table option AUTO_INCREMENT=n, which is not in the text.
    pub auto_increment: Option<u64>,
    pub partitioning: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    pub from: Ident,
    pub to: Ident,
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    pub name: Ident,
    pub if_not_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    pub name: Ident,
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The name of one of the original's constraints.
    Constraint(Ident),
}

impl Dialect {
    /// What the session makes of a text.
    pub async fn of(session: &mut Session) -> Result<Dialect> {
        let found: Option<(String, u8)> = session.first("SELECT @@sql_mode, @@lower_case_table_names").await?;
        let (mode, fold) = found.unwrap_or_default();
        let has = |flag: &str| mode.split(',').any(|m| m == flag);
        Ok(Dialect {
            flavor: session.flavor,
            ansi_quotes: has("ANSI_QUOTES"),
            no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
            fold_tables: fold != 0,
        })
    }
}

impl Alter {
    /// Reads the user's text, with or without `ALTER TABLE name` in front.
    pub fn parse(text: &str, table: &Table, dialect: Dialect) -> Result<Alter> {
        let text = lex::without_comments(text, dialect)?;
        let tokens = lex::tokens(&text, dialect)?;
        let mut statements = tokens.split(|t| t.is_sign(';') && t.depth == 0).filter(|s| !s.is_empty());
        let statement = statements.next().ok_or_else(|| Error::usage("The ALTER is empty."))?;
        if statements.next().is_some() {
            return Err(Error::usage("The ALTER is more than one statement; osc runs one."));
        }
        let body = prefix(statement, table, dialect)?;
        let mut alter = Alter::default();
        alter.read(&text, body)?;
        if alter.pieces.is_empty() {
            return Err(match alter.auto_increment {
                Some(n) => Error::refused("The ALTER only sets AUTO_INCREMENT, which takes the server a moment.")
                    .todo(format!("Run it directly: ALTER TABLE {table} AUTO_INCREMENT = {n}")),
                None => Error::usage("The ALTER changes nothing."),
            });
        }
        Ok(alter)
    }

    /// What leads from the columns of one table to those of another that is there already: by their names,
    /// but for those that were renamed.
    pub fn between(from: &[&Ident], to: &[&Ident], renames: Vec<Rename>) -> Alter {
        let renamed = |name: &Ident| renames.iter().find(|r| r.from.same_column(name)).map(|r| r.to.clone());
        let later: Vec<Ident> = from.iter().map(|name| renamed(name).unwrap_or_else(|| (*name).clone())).collect();
        let has = |names: &[&Ident], name: &Ident| names.iter().any(|n| n.same_column(name));
        let dropped = from.iter().zip(&later).filter(|(_, later)| !has(to, later));
        let dropped = dropped.map(|(name, _)| Dropped { name: (*name).clone(), if_exists: false }).collect();
        let added = to.iter().filter(|name| !later.iter().any(|l| l.same_column(name)));
        let added = added.map(|name| Added { name: (*name).clone(), if_not_exists: false }).collect();
        Alter { renames, dropped, added, ..Alter::default() }
    }

    /// The clauses, to stand behind `ALTER TABLE shadow`. `constraint` tells what the shadow calls
    /// one of the original's constraints.
    pub fn text(&self, constraint: impl Fn(&Ident) -> Ident) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Constraint(name) => constraint(name).to_string(),
            })
            .collect()
    }

    fn read(&mut self, text: &str, body: &[Token]) -> Result<()> {
        let (body, tail) = split_partitioning(body);
        let whole = maintains_partitions(body)?;
        let clauses: Vec<&[Token]> =
            if whole { vec![body] } else { body.split(|t| t.is_sign(',') && t.depth == 0).collect() };
        for clause in clauses {
            if clause.is_empty() && (body.is_empty() || tail.is_some()) && self.pieces.is_empty() {
                continue;
            }
            if clause.is_empty() {
                return Err(Error::usage("The ALTER has an empty clause (a comma too many?)."));
            }
            if whole {
                self.partitioning = true;
                self.push(text, clause, None);
            } else {
                self.clause(text, clause)?;
            }
        }
        if let Some(tail) = tail {
            if tail.iter().any(|t| t.is("SYSTEM_TIME")) {
                return Err(clause::refused("partitions by system time, which needs system versioning"));
            }
            self.partitioning = true;
            let text = span(text, tail);
            self.pieces.push(Piece::Text(if self.pieces.is_empty() { text } else { format!(" {text}") }));
        }
        Ok(())
    }

    fn clause(&mut self, text: &str, clause: &[Token]) -> Result<()> {
        if options::begins(&Cursor::new(clause)) {
            return self.options(text, clause);
        }
        for effect in clause::read(clause)? {
            match effect {
                Effect::Manner => return Ok(()),
                Effect::AddColumn { name, if_not_exists } => self.added.push(Added { name, if_not_exists }),
                Effect::DropColumn { name, if_exists } => self.dropped.push(Dropped { name, if_exists }),
                Effect::RenameColumn { from, to, .. } if from == to => self.modified.push(from),
                Effect::RenameColumn { from, to, if_exists } => self.renames.push(Rename { from, to, if_exists }),
                Effect::ModifyColumn { name } => self.modified.push(name),
                Effect::NamesConstraint { name, at } => {
                    self.push(text, clause, Some((at, name)));
                    return Ok(());
                }
                Effect::Other => {}
            }
        }
        self.push(text, clause, None);
        Ok(())
    }

    fn options(&mut self, text: &str, clause: &[Token]) -> Result<()> {
        let read = options::read(clause)?;
        self.auto_increment = read.auto_increment.or(self.auto_increment);
        let kept: Vec<String> = read.kept.iter().map(|option| span(text, option)).collect();
        if !kept.is_empty() {
            self.separate();
            self.pieces.push(Piece::Text(kept.join(" ")));
        }
        Ok(())
    }

    fn separate(&mut self) {
        if !self.pieces.is_empty() {
            self.pieces.push(Piece::Text(", ".into()));
        }
    }

    /// Adds a clause as it is, but for the name of a constraint at a place in it.
    fn push(&mut self, text: &str, clause: &[Token], constraint: Option<(usize, Ident)>) {
        self.separate();
        match constraint.and_then(|(at, name)| Some((clause.get(..at)?, name, clause.get(at + 1..)?))) {
            Some((before, name, after)) => {
                self.pieces.push(Piece::Text(format!("{} ", span(text, before))));
                self.pieces.push(Piece::Constraint(name));
                if !after.is_empty() {
                    self.pieces.push(Piece::Text(format!(" {}", span(text, after))));
                }
            }
            None => self.pieces.push(Piece::Text(span(text, clause))),
        }
    }
}

/// The text from the first to the last token.
fn span(text: &str, tokens: &[Token]) -> String {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => text.get(first.start..last.end).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// Reads `ALTER TABLE name`, if it is there, and returns what comes after it.
fn prefix<'a>(statement: &'a [Token], table: &Table, dialect: Dialect) -> Result<&'a [Token]> {
    let mut c = Cursor::new(statement);
    let bare = c;
    if !c.take("ALTER") {
        return Ok(statement);
    }
    c.take("ONLINE");
    if c.take("IGNORE") {
        return Err(clause::refused("has IGNORE, which drops rows"));
    }
    if !c.take("TABLE") {
        // ALTER COLUMN …, a clause.
        return Ok(bare.rest());
    }
    c.take("IF EXISTS");
    let named = table_name(&mut c).ok_or_else(|| Error::usage("The ALTER TABLE does not name its table."))?;
    let same = |a: &Ident, b: &Ident| {
        if dialect.fold_tables { a.bare().to_lowercase() == b.bare().to_lowercase() } else { a == b }
    };
    let (db, name) = named;
    if !same(&name, &table.name) || db.is_some_and(|db| !same(&db, &table.db)) {
        return Err(Error::usage(format!(
            "The ALTER is for the table {name}, but the table to change is {}.",
            table.bare()
        )));
    }
    if c.take("WAIT") {
        c.next();
    } else {
        c.take("NOWAIT");
    }
    Ok(c.rest())
}

fn table_name(c: &mut Cursor<'_>) -> Option<(Option<Ident>, Ident)> {
    if let Some(name) = c.name() {
        return Some((None, name));
    }
    let db = c.next()?;
    c.take_sign('.').then_some(())?;
    Some((Some(Ident::new(db.value.clone())), c.name()?))
}

/// Splits off `PARTITION BY …` or `REMOVE PARTITIONING`, which stand behind the clauses without a comma.
fn split_partitioning(body: &[Token]) -> (&[Token], Option<&[Token]>) {
    let found = (0..body.len()).find(|&at| {
        let Some(rest) = body.get(at..) else { return false };
        rest.first().is_some_and(|t| t.depth == 0)
            && (Cursor::new(rest).sees("PARTITION BY") || Cursor::new(rest).sees("REMOVE PARTITIONING"))
    });
    match found.and_then(|at| body.split_at_checked(at)) {
        Some((clauses, tail)) => (clauses, Some(tail)),
        None => (body, None),
    }
}

/// Whether the body is a maintenance of partitions, which is always alone and may have commas.
fn maintains_partitions(body: &[Token]) -> Result<bool> {
    let c = Cursor::new(body);
    if c.sees("ADD PARTITION") || c.sees("COALESCE PARTITION") || c.sees("REORGANIZE PARTITION") {
        return Ok(true);
    }
    if body.iter().any(|t| t.is("PARTITION") && t.depth == 0) && !c.sees("PARTITION") {
        // Whatever it is, the clause reader knows what to say.
        clause::read(body)?;
        return Err(unknown(body));
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
