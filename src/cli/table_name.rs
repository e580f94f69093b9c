//! The name of a table as it is typed: `orders`, `shop.orders`, `` `odd.name` ``, `` shop.`a``b` ``.

use std::fmt;

/// A table and its database, both without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    pub database: String,
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// What MySQL allows, in characters.
const LONGEST: usize = 64;

/// Reads `[db.]table`. Outside of backticks only the dot and the backtick mean something; so a name
/// that would need quotes in SQL, such as `order-items`, needs none here.
pub fn parse(text: &str) -> Result<(Option<String>, String), String> {
    let (first, rest) = part(text)?;
    match rest.strip_prefix('.') {
        None if rest.is_empty() => Ok((None, first)),
        None => Err(WANTED.into()),
        Some(rest) => match part(rest)? {
            (second, "") => Ok((Some(first), second)),
            _ => Err(WANTED.into()),
        },
    }
}

const WANTED: &str = "must be TABLE or DATABASE.TABLE; a name that contains a dot or a backtick stands in \
                      backticks, with the backticks in it doubled";

/// One name and what stands after it.
fn part(text: &str) -> Result<(String, &str), String> {
    let (name, rest) = match text.strip_prefix('`') {
        Some(quoted) => unquote(quoted).ok_or("must close the backtick that it opens")?,
        None => {
            let end = text.find(['.', '`']).unwrap_or(text.len());
            (text[..end].to_owned(), &text[end..])
        }
    };
    if name.is_empty() {
        return Err(WANTED.into());
    }
    if name.chars().count() > LONGEST {
        return Err(format!("must not have a name of more than {LONGEST} characters"));
    }
    if name.ends_with(' ') || name.contains('\0') {
        return Err("must not have a name that ends with a space or contains a zero byte".into());
    }
    Ok((name, rest))
}

/// The text up to the closing backtick, with doubled ones made single, and the rest.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let at = rest.find('`')?;
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_quotes() {
        let longest = "x".repeat(64);
        assert_eq!(parse(&longest), Ok((None, longest.clone())));
        let ok = |text, database: Option<&str>, table: &str| {
            assert_eq!(parse(text), Ok((database.map(String::from), table.into())), "{text}");
        };
        ok("orders", None, "orders");
        ok("shop.orders", Some("shop"), "orders");
        ok("`orders`", None, "orders");
        ok("`a.b`.`c``d`", Some("a.b"), "c`d");
        ok("shop.`x y`", Some("shop"), "x y");
        ok("order-items", None, "order-items");
        ok("größe.🦀", Some("größe"), "🦀");
        ok("````", None, "`");
    }

    #[test]
    fn what_is_not_a_name_is_said() {
        for bad in ["", ".", "a.", ".a", "a.b.c", "`a", "a`b", "`a`b", "``", "`a`.", "a. ", &"x".repeat(65)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
