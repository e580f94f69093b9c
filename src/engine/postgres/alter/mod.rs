//! The user's ALTER TABLE, read just enough.
//!
//! The server does the work on the empty shadow and says what is wrong with the SQL; columns are followed by their
//! numbers. What is read out of the text is what the catalog does not tell afterwards: by which expression a
//! column is converted (USING), which sequences begin anew (RESTART), and whether a clause does something that
//! a copy can't do.

pub mod lex;

use serde::{Deserialize, Serialize};

use super::sql::{Ident, Table};
use crate::error::{Error, Result};
use lex::{Kind, Lexed, Token};

/// What an ALTER TABLE does to the table, as far as osc has to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alter {
    /// The clauses, to stand behind `ALTER TABLE shadow`.
    pub clauses: String,
    /// Columns with the expression of their USING.
    pub using: Vec<(Ident, Using)>,
    /// Identity columns whose sequence is told where to begin.
    pub restarts: Vec<Ident>,
    /// The tables that new foreign keys lead to.
    pub references: Vec<Reference>,
    /// Every name in it.
    pub says: Vec<Ident>,
}

/// A name behind REFERENCES, in its parts, and where it stands in the clauses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub name: Vec<Ident>,
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Using {
    pub expression: String,
    /// A lone string or NULL: it takes the new type directly, not by way of text.
    pub literal: bool,
}

impl Alter {
    /// Reads the user's text, with or without `ALTER TABLE name` in front.
    pub fn parse(text: &str, table: &Table) -> Result<Alter> {
        let lexed = lex::lex(text)?;
        let mut statements = lexed.tokens.split(|t| t.is_sign(';')).filter(|s| !s.is_empty());
        let statement = statements.next().ok_or_else(|| Error::usage("The ALTER is empty."))?;
        if statements.next().is_some() {
            return Err(Error::usage("The ALTER is more than one statement; osc runs one."));
        }
        let body = prefix(statement, table)?;
        if body.is_empty() {
            return Err(Error::usage("The ALTER changes nothing."));
        }
        let mut alter = Alter { clauses: lexed.span(body).to_string(), ..Alter::default() };
        alter.says = body.iter().filter_map(Token::name).collect();
        alter.references = references(body);
        for clause in body.split(|t| t.is_sign(',') && t.depth == 0) {
            alter.read(&lexed, clause)?;
        }
        Ok(alter)
    }

    fn read(&mut self, lexed: &Lexed, clause: &[Token]) -> Result<()> {
        let Some(first) = clause.first() else {
            return Err(Error::usage("The ALTER has an empty clause (a comma too many?)."));
        };
        let says = |words: &str| starts(clause, words);
        if let Some((words, why)) = REFUSED.iter().find(|(words, _)| says(words)) {
            return Err(Error::refused(format!("osc does not do {}: {why}.", words.to_uppercase()))
                .table("The table is untouched.")
                .todo("Run it directly, on its own."));
        }
        if !first.is("alter") || says("alter constraint") {
            return Ok(());
        }
        let at = if says("alter column") { 2 } else { 1 };
        let Some(column) = clause.get(at).and_then(Token::name) else { return Ok(()) };
        let rest = clause.get(at + 1..).unwrap_or_default();
        if (starts(rest, "type") || starts(rest, "set data type"))
            && let Some(place) = rest.iter().position(|t| t.depth == 0 && t.is("using"))
        {
            let expression = rest.get(place + 1..).unwrap_or_default();
            let using = Using { expression: lexed.span(expression).to_string(), literal: is_literal(expression) };
            self.using.push((column, using));
        } else if rest.iter().any(|t| t.depth == 0 && t.is("restart")) {
            self.restarts.push(column);
        }
        Ok(())
    }
}

/// What a new table in the old one's place can't do, or what takes the server a moment without a copy.
const REFUSED: &[(&str, &str)] = &[
    ("rename to", "the table keeps its name, and to change it takes the server a moment"),
    ("set schema", "the table keeps its schema, and to change it takes the server a moment"),
    ("owner to", "it takes the server a moment without a copy"),
    ("set unlogged", "changes of an unlogged table are in no stream"),
    ("set logged", "changes of an unlogged table are in no stream"),
    ("attach", "it is about the table's partitions, not the table"),
    ("detach", "it is about the table's partitions, not the table"),
    ("inherit", "it takes the server a moment without a copy, and the new table hangs where the old one did"),
    ("no inherit", "it takes the server a moment without a copy, and the new table hangs where the old one did"),
    ("of", "typed tables are not supported yet"),
    ("not of", "typed tables are not supported yet"),
    ("all in tablespace", "it is about many tables"),
];

fn starts(tokens: &[Token], words: &str) -> bool {
    let mut tokens = tokens.iter();
    words.split(' ').all(|word| tokens.next().is_some_and(|t| t.is(word)))
}

/// The names behind REFERENCES. It is a reserved word: unquoted it's nothing else.
fn references(body: &[Token]) -> Vec<Reference> {
    let from = body.first().map_or(0, |t| t.start);
    let mut out = Vec::new();
    for (at, _) in body.iter().enumerate().filter(|(_, t)| t.depth == 0 && t.is("references")) {
        let rest = body.get(at + 1..).unwrap_or_default();
        let dots = rest.chunks(2).take_while(|pair| matches!(pair, [_, dot] if dot.is_sign('.'))).count();
        let tokens: Vec<&Token> = rest.iter().step_by(2).take(dots + 1).collect();
        let name: Option<Vec<Ident>> = tokens.iter().map(|t| t.name()).collect();
        if let (Some(name), Some(first), Some(last)) = (name, tokens.first(), tokens.last()) {
            out.push(Reference { name, start: first.start - from, end: last.end - from });
        }
    }
    out
}

/// A string or NULL, in however many parentheses.
fn is_literal(expression: &[Token]) -> bool {
    match expression {
        [one] => one.kind == Kind::Text || one.is("null"),
        [first, inner @ .., last] => first.is_sign('(') && last.is_sign(')') && is_literal(inner),
        [] => false,
    }
}

/// Reads `ALTER TABLE name`, if it is there, and returns what comes after it.
fn prefix<'a>(statement: &'a [Token], table: &Table) -> Result<&'a [Token]> {
    if !starts(statement, "alter table") {
        return Ok(statement);
    }
    let mut rest = statement.get(2..).unwrap_or_default();
    for words in ["if exists", "only"] {
        if starts(rest, words) {
            rest = rest.get(words.split(' ').count()..).unwrap_or_default();
        }
    }
    let unnamed = || Error::usage("The ALTER TABLE does not name its table.");
    let mut names = vec![rest.first().and_then(Token::name).ok_or_else(unnamed)?];
    rest = rest.get(1..).unwrap_or_default();
    while let [dot, name, ..] = rest
        && dot.is_sign('.')
    {
        names.push(name.name().ok_or_else(unnamed)?);
        rest = rest.get(2..).unwrap_or_default();
    }
    if rest.first().is_some_and(|t| t.is_sign('*')) {
        rest = rest.get(1..).unwrap_or_default();
    }
    let same = match names.as_slice() {
        [name] => *name == table.name,
        [.., schema, name] => *schema == table.schema && *name == table.name,
        [] => false,
    };
    if !same {
        let named = names.iter().map(Ident::bare).collect::<Vec<_>>().join(".");
        return Err(Error::usage(format!(
            "The ALTER is for the table {named}, but the table to change is {}.",
            table.bare()
        )));
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind as ErrorKind;

    fn parse(text: &str) -> Result<Alter> {
        Alter::parse(text, &Table::new("public", "orders"))
    }

    #[test]
    fn the_expression_of_using_is_found() {
        let alter = parse(
            "ALTER TABLE ONLY public.Orders ALTER id TYPE bigint, \
             ALTER COLUMN \"Amount\" SET DATA TYPE numeric(12,2) USING (ARRAY[amount, 1])[1] / 100.0 /* x */ + f(a, b), ADD x int;",
        )
        .unwrap();
        assert!(alter.clauses.starts_with("ALTER id") && alter.clauses.ends_with("ADD x int"));
        let [(column, using)] = alter.using.as_slice() else { panic!("{alter:?}") };
        assert_eq!(column.bare(), "Amount");
        assert!(using.expression.ends_with("+ f(a, b)") && !using.expression.contains("x") && !using.literal);
        assert!(parse("ALTER a TYPE int USING (NULL)").unwrap().using[0].1.literal);
        assert_eq!(parse("ALTER a RESTART WITH 5").unwrap().restarts, [Ident::new("a")]);
        assert!(parse("ALTER restart TYPE int").unwrap().restarts.is_empty());
    }

    #[test]
    fn what_foreign_keys_lead_to_is_found() {
        let alter = parse(
            "ALTER TABLE orders /* x */ ADD a int REFERENCES b ON DELETE CASCADE REFERENCES \"S\".\"references\" (x), \
             ADD CHECK (a > 0), ADD FOREIGN KEY (a, b) REFERENCES s.c (d, e) NOT VALID, ADD \"references\" int",
        )
        .unwrap();
        let found: Vec<&str> = alter.references.iter().map(|r| &alter.clauses[r.start..r.end]).collect();
        assert_eq!(found, ["b", "\"S\".\"references\"", "s.c"]);
        assert_eq!(alter.references[1].name, [Ident::new("S"), Ident::new("references")]);
        assert!(alter.says.contains(&Ident::new("c")) && !alter.says.contains(&Ident::new("x x")));
        assert!(parse("ADD a int REFERENCES").unwrap().references.is_empty());
    }

    #[test]
    fn what_a_copy_can_not_do_is_refused() {
        for text in ["RENAME TO x", "set schema x", "ADD a int, OWNER TO x", "SET UNLOGGED", "INHERIT x"] {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Refused, "{text}");
        }
        for text in
            ["", ";", "ALTER TABLE other ADD a int", "ADD a int; DROP TABLE x", "ADD a int,", "ALTER TABLE orders"]
        {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        assert!(parse("RENAME COLUMN a TO b").is_ok() && parse("ADD CHECK (a IN (1, 2))").is_ok());
    }
}
