//! The name of a table as it is typed.
//!
//! For MySQL `orders`, `shop.orders`, `` `odd.name` ``, `` shop.`a``b` ``; for PostgreSQL `orders`, `public.orders`,
//! `"Odd.Name"."x"`, where what stands without quotes is folded to lower case, as psql's users expect.

use std::fmt;

use super::engine::Engine;

/// A table and what it is in, both without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// MySQL's database; PostgreSQL's schema, none as long as only the server knows it.
    pub space: Option<String>,
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.space {
            Some(space) => write!(f, "{space}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// What differs between the engines' names.
struct Style {
    quote: char,
    fold: bool,
    fits: fn(&str) -> Result<(), String>,
    wanted: &'static str,
    unclosed: &'static str,
}

const MYSQL: Style = Style {
    quote: '`',
    fold: false,
    fits: fits_mysql,
    wanted: "must be TABLE or DATABASE.TABLE; a name that contains a dot or a backtick stands in \
             backticks, with the backticks in it doubled",
    unclosed: "must close the backtick that it opens",
};

const POSTGRES: Style = Style {
    quote: '"',
    fold: true,
    fits: fits_postgres,
    wanted: "must be TABLE or SCHEMA.TABLE; a name with capital letters, a dot or a double quote in it stands in \
             double quotes, with the double quotes in it doubled",
    unclosed: "must close the double quote that it opens",
};

/// What MySQL allows, in characters, and PostgreSQL, in bytes.
const LONGEST: usize = 64;
const LONGEST_BYTES: usize = 63;

fn fits_mysql(name: &str) -> Result<(), String> {
    if name.chars().count() > LONGEST {
        return Err(format!("must not have a name of more than {LONGEST} characters"));
    }
    if name.ends_with(' ') || name.contains('\0') {
        return Err("must not have a name that ends with a space or contains a zero byte".into());
    }
    Ok(())
}

fn fits_postgres(name: &str) -> Result<(), String> {
    // The server would cut it, and mean another table.
    if name.len() > LONGEST_BYTES {
        return Err(format!("must not have a name of more than {LONGEST_BYTES} bytes"));
    }
    if name.contains('\0') {
        return Err("must not have a name that contains a zero byte".into());
    }
    Ok(())
}

/// Reads `[space.]table`. Outside of quotes only the dot and the quote mean something; so a name
/// that would need quotes in SQL, such as `order-items`, needs none here.
pub fn parse(engine: Engine, text: &str) -> Result<(Option<String>, String), String> {
    let style = match engine {
        Engine::MySql => &MYSQL,
        Engine::Postgres => &POSTGRES,
    };
    let (first, rest) = style.part(text)?;
    match rest.strip_prefix('.') {
        None if rest.is_empty() => Ok((None, first)),
        None => Err(style.wanted.into()),
        Some(rest) => match style.part(rest)? {
            (second, "") => Ok((Some(first), second)),
            _ => Err(style.wanted.into()),
        },
    }
}

impl Style {
    /// One name and what stands after it.
    fn part<'a>(&self, text: &'a str) -> Result<(String, &'a str), String> {
        let (name, rest) = match text.strip_prefix(self.quote) {
            Some(quoted) => self.unquote(quoted).ok_or(self.unclosed)?,
            None => {
                let end = text.find(['.', self.quote]).unwrap_or(text.len());
                let name = text[..end].to_owned();
                // As the server folds: letters beyond ASCII stay as they are in the encodings that matter.
                (if self.fold { name.to_ascii_lowercase() } else { name }, &text[end..])
            }
        };
        if name.is_empty() {
            return Err(self.wanted.into());
        }
        (self.fits)(&name)?;
        Ok((name, rest))
    }

    /// The text up to the closing quote, with doubled ones made single, and the rest.
    fn unquote<'a>(&self, quoted: &'a str) -> Option<(String, &'a str)> {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let at = rest.find(self.quote)?;
            name.push_str(&rest[..at]);
            rest = &rest[at + self.quote.len_utf8()..];
            match rest.strip_prefix(self.quote) {
                Some(more) => {
                    name.push(self.quote);
                    rest = more;
                }
                None => return Some((name, rest)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_quotes() {
        let longest = "x".repeat(64);
        assert_eq!(parse(Engine::MySql, &longest), Ok((None, longest.clone())));
        let ok = |text, database: Option<&str>, table: &str| {
            assert_eq!(parse(Engine::MySql, text), Ok((database.map(String::from), table.into())), "{text}");
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
            assert!(parse(Engine::MySql, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn postgres_folds_what_has_no_quotes() {
        let ok = |text, schema: Option<&str>, table: &str| {
            assert_eq!(parse(Engine::Postgres, text), Ok((schema.map(String::from), table.into())), "{text}");
        };
        ok("orders", None, "orders");
        ok("Public.Orders", Some("public"), "orders");
        ok("\"Odd.Name\".\"x\"", Some("Odd.Name"), "x");
        ok("Shop.\"Größe\"\"s\"", Some("shop"), "Größe\"s");
        ok("GRÖßE", None, "grÖße");
        ok("`a`", None, "`a`");
        ok(&"x".repeat(63), None, &"x".repeat(63));
        for bad in ["", ".", "a.b.c", "\"a", "a\"b", "\"\"", &"x".repeat(64), &"é".repeat(32)] {
            assert!(parse(Engine::Postgres, bad).is_err(), "{bad}");
        }
    }
}
