//! One clause of an ALTER TABLE: what it does to the table's columns, or why osc can't do it.
//!
//! Only what decides is read: which columns come, go and change their names. The rest of a clause is
//! for the server, which is asked to run it on the empty shadow. A clause that is not recognised is
//! refused; a guess could map a column's values to another column.

use super::cursor::Cursor;
use super::lex::Token;
use crate::engine::mysql::sql::Ident;
use crate::error::{Error, Result};

/// What a clause does, as far as osc has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    AddColumn {
        name: Ident,
        if_not_exists: bool,
    },
    DropColumn {
        name: Ident,
        if_exists: bool,
    },
    /// Also a CHANGE that keeps the name.
    RenameColumn {
        from: Ident,
        to: Ident,
        if_exists: bool,
    },
    ModifyColumn {
        name: Ident,
    },
    /// Names a constraint of the original, which may have another name in the shadow; the token is
    /// the last but `after` tokens of the clause.
    NamesConstraint {
        name: Ident,
        at: usize,
    },
    /// Says how the server should do it, not what: left out, for the shadow is empty.
    Manner,
    /// Anything else that the shadow takes as the original would: indexes, defaults, CHECKs.
    Other,
}

pub fn refused(what: &str) -> Error {
    Error::refused(format!("The ALTER {what}."))
}

/// The error for a clause that osc does not know.
pub fn unknown(clause: &[Token]) -> Error {
    let words: Vec<&str> = clause.iter().take(5).map(|t| t.value.as_str()).collect();
    Error::refused(format!("osc does not know what '{} …' does in an ALTER TABLE.", words.join(" ")))
        .todo("Leave the clause out, or spell it as SHOW CREATE TABLE would.")
}

/// Reads one clause. Table options and partitioning are read elsewhere.
pub fn read(clause: &[Token]) -> Result<Vec<Effect>> {
    let mut c = Cursor::new(clause);
    if c.take("ADD") {
        return add(c, clause);
    }
    if c.take("DROP") {
        return drop_something(c, clause);
    }
    if c.take("CHANGE") {
        return change(c, clause);
    }
    if c.take("MODIFY") {
        c.take("COLUMN");
        c.take("IF EXISTS");
        let name = c.name().ok_or_else(|| unknown(clause))?;
        definition(c.rest())?;
        return Ok(vec![Effect::ModifyColumn { name }]);
    }
    if c.take("RENAME") {
        return rename(c, clause);
    }
    if c.take("ALTER") {
        return alter(c, clause);
    }
    if c.take("CONVERT TO") && c.take_any(&["CHARACTER SET", "CHARSET"]) {
        return Ok(vec![Effect::Other]);
    }
    if c.take("FORCE") && c.at_end() {
        return Ok(vec![Effect::Other]);
    }
    if c.take_any(&["ALGORITHM", "LOCK"]) {
        c.take_sign('=');
        c.next();
        return if c.at_end() { Ok(vec![Effect::Manner]) } else { Err(unknown(clause)) };
    }
    if c.take("WITHOUT VALIDATION") && c.at_end() {
        return Ok(vec![Effect::Manner]);
    }
    Err(why_not(&c).unwrap_or_else(|| unknown(clause)))
}

/// The reason for refusing a clause that osc knows and does not do.
fn why_not(c: &Cursor<'_>) -> Option<Error> {
    let table = [
        ("ORDER BY", "sorts the rows, which has no meaning for an InnoDB table with a key; leave ORDER BY out"),
        ("DISCARD", "works on a tablespace, not on the table's schema; run it directly"),
        ("IMPORT", "works on a tablespace, not on the table's schema; run it directly"),
        ("TABLESPACE", "moves the table to another tablespace, which osc does not do"),
        ("EXCHANGE PARTITION", "exchanges rows with another table; run it directly"),
        ("TRUNCATE PARTITION", "deletes rows; run it directly"),
        ("ANALYZE PARTITION", "maintains partitions and changes no schema; run it directly"),
        ("CHECK PARTITION", "maintains partitions and changes no schema; run it directly"),
        ("OPTIMIZE PARTITION", "maintains partitions and changes no schema; run it directly"),
        ("REBUILD PARTITION", "maintains partitions and changes no schema; run it directly"),
        ("REPAIR PARTITION", "maintains partitions and changes no schema; run it directly"),
        ("CONVERT PARTITION", "turns a partition into a table; run it directly"),
        ("CONVERT TABLE", "turns a table into a partition; run it directly"),
        ("WITH SYSTEM", "adds system versioning, whose history osc can't build"),
        ("WITH VALIDATION", "asks for WITH VALIDATION, which has no meaning for a copy; leave it out"),
        ("DISABLE KEYS", "has DISABLE KEYS, which InnoDB does not know; leave it out"),
        ("ENABLE KEYS", "has ENABLE KEYS, which InnoDB does not know; leave it out"),
        ("SECONDARY_LOAD", "works on a secondary engine; run it directly"),
        ("SECONDARY_UNLOAD", "works on a secondary engine; run it directly"),
        ("START TRANSACTION", "asks for START TRANSACTION, which is for the server's own use"),
    ];
    table.iter().find(|(words, _)| c.sees(words)).map(|(_, why)| refused(why))
}

fn add(mut c: Cursor<'_>, clause: &[Token]) -> Result<Vec<Effect>> {
    if let Some(effect) = add_index_or_constraint(c, clause)? {
        return Ok(vec![effect]);
    }
    if c.sees("SYSTEM VERSIONING") {
        return Err(refused("adds system versioning, whose history osc can't build"));
    }
    c.take("COLUMN");
    let if_not_exists = c.take("IF NOT EXISTS");
    if !c.take_sign('(') {
        return Ok(vec![add_column(c, if_not_exists, clause)?]);
    }
    let (last, list) = c.rest().split_last().ok_or_else(|| unknown(clause))?;
    if !last.is_sign(')') || list.iter().any(|t| t.depth <= last.depth) {
        return Err(unknown(clause));
    }
    list.split(|t| t.is_sign(',') && t.depth == last.depth + 1)
        .map(|element| match add_index_or_constraint(Cursor::new(element), clause)? {
            Some(effect) => Ok(effect),
            None => add_column(Cursor::new(element), if_not_exists, clause),
        })
        .collect()
}

/// What is added if it is not a column.
fn add_index_or_constraint(mut c: Cursor<'_>, clause: &[Token]) -> Result<Option<Effect>> {
    if c.take("CONSTRAINT") {
        c.take("IF NOT EXISTS");
        let unnamed = ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK"].iter().any(|k| c.sees(k));
        if !unnamed {
            c.name().ok_or_else(|| unknown(clause))?;
        }
        if !["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK"].iter().any(|k| c.sees(k)) {
            return Err(unknown(clause));
        }
    }
    if c.sees("FOREIGN KEY") {
        return Err(foreign_key());
    }
    if c.sees("PERIOD FOR") {
        return Err(refused("adds a period, which osc does not do yet"));
    }
    let index = ["PRIMARY KEY", "UNIQUE", "INDEX", "KEY", "FULLTEXT", "SPATIAL", "CHECK", "VECTOR INDEX", "VECTOR KEY"];
    Ok(index.iter().any(|k| c.sees(k)).then_some(Effect::Other))
}

fn add_column(mut c: Cursor<'_>, if_not_exists: bool, clause: &[Token]) -> Result<Effect> {
    let name = c.name().ok_or_else(|| unknown(clause))?;
    if definition(c.rest())?.auto_increment {
        return Err(Error::refused(format!(
            "The ALTER adds the AUTO_INCREMENT column {name}, whose numbers would be given in the order of the copy."
        ))
        .todo("Add it as an ordinary column, fill it, and make it AUTO_INCREMENT with a native ALTER."));
    }
    Ok(Effect::AddColumn { name, if_not_exists })
}

fn drop_something(mut c: Cursor<'_>, clause: &[Token]) -> Result<Vec<Effect>> {
    if c.take("PRIMARY KEY") || c.take("INDEX") || c.take("KEY") {
        return Ok(vec![Effect::Other]);
    }
    if c.sees("FOREIGN KEY") {
        return Err(foreign_key());
    }
    if c.sees("PARTITION") {
        return Err(refused("drops a partition with its rows; run it directly"));
    }
    if c.sees("SYSTEM VERSIONING") || c.sees("PERIOD FOR") {
        return Err(refused("drops a period or system versioning, which osc does not do"));
    }
    if c.take_any(&["CHECK", "CONSTRAINT"]) {
        c.take("IF EXISTS");
        return names_constraint(c, clause);
    }
    c.take("COLUMN");
    let if_exists = c.take("IF EXISTS");
    let name = c.name().ok_or_else(|| unknown(clause))?;
    c.take_any(&["RESTRICT", "CASCADE"]);
    if !c.at_end() {
        return Err(unknown(clause));
    }
    Ok(vec![Effect::DropColumn { name, if_exists }])
}

fn change(mut c: Cursor<'_>, clause: &[Token]) -> Result<Vec<Effect>> {
    c.take("COLUMN");
    let if_exists = c.take("IF EXISTS");
    let (Some(from), Some(to)) = (c.name(), c.name()) else { return Err(unknown(clause)) };
    if c.at_end() {
        return Err(unknown(clause));
    }
    definition(c.rest())?;
    Ok(vec![Effect::RenameColumn { from, to, if_exists }])
}

fn rename(mut c: Cursor<'_>, clause: &[Token]) -> Result<Vec<Effect>> {
    if c.take_any(&["INDEX", "KEY"]) {
        return Ok(vec![Effect::Other]);
    }
    if c.take("COLUMN") {
        let if_exists = c.take("IF EXISTS");
        let from = c.name().ok_or_else(|| unknown(clause))?;
        let to = c.take("TO").then(|| c.name()).flatten().ok_or_else(|| unknown(clause))?;
        return if c.at_end() { Ok(vec![Effect::RenameColumn { from, to, if_exists }]) } else { Err(unknown(clause)) };
    }
    Err(refused("renames the table; run the RENAME by itself, it takes the server a moment"))
}

fn alter(mut c: Cursor<'_>, clause: &[Token]) -> Result<Vec<Effect>> {
    if c.take_any(&["INDEX", "KEY"]) {
        return Ok(vec![Effect::Other]);
    }
    if c.take_any(&["CHECK", "CONSTRAINT"]) {
        return names_constraint(c, clause);
    }
    c.take("COLUMN");
    c.take("IF EXISTS");
    c.name().ok_or_else(|| unknown(clause))?;
    if c.take_any(&["SET DEFAULT", "DROP DEFAULT", "SET VISIBLE", "SET INVISIBLE"]) {
        return Ok(vec![Effect::Other]);
    }
    Err(unknown(clause))
}

fn names_constraint(mut c: Cursor<'_>, clause: &[Token]) -> Result<Vec<Effect>> {
    let at = clause.len() - c.rest().len();
    let name = c.name().ok_or_else(|| unknown(clause))?;
    Ok(vec![Effect::NamesConstraint { name, at }])
}

fn foreign_key() -> Error {
    refused("works on a foreign key, which osc does not do yet")
}

/// What osc has to know of a column's definition.
#[derive(Debug, Default)]
struct Definition {
    auto_increment: bool,
}

fn definition(tokens: &[Token]) -> Result<Definition> {
    let mut found = Definition::default();
    let depth = tokens.first().map_or(0, |t| t.depth);
    let mut previous: Option<&Token> = None;
    for token in tokens.iter().filter(|t| t.depth == depth) {
        // The name of a column stands there, whatever it looks like.
        let is_name = previous.is_some_and(|p| p.is("AFTER"));
        if !is_name {
            if token.is("REFERENCES") {
                return Err(foreign_key());
            }
            if token.is("SYSTEM") && previous.is_some_and(|p| p.is("WITH") || p.is("WITHOUT")) {
                return Err(refused("works on system versioning, which osc does not do"));
            }
            if token.is("ROW") && previous.is_some_and(|p| p.is("AS")) {
                return Err(refused("works on system versioning, which osc does not do"));
            }
            found.auto_increment |= token.is("AUTO_INCREMENT") || token.is("SERIAL");
        }
        previous = Some(token);
    }
    Ok(found)
}
