//! The user's text as tokens.
//!
//! Comments are taken out first, as the server does: an executable comment (`/*!80016 … */`) that the
//! server would execute loses only its brackets, one that it would skip goes altogether. So nothing
//! that takes effect can hide from the parser, and any part of what is left can be cut out and put
//! together again.

use crate::engine::mysql::flavor::Flavor;
use crate::error::{Error, Result};

/// What the meaning of a text depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub flavor: Flavor,
    /// sql_mode ANSI_QUOTES: `"x"` is a name.
    pub ansi_quotes: bool,
    /// sql_mode NO_BACKSLASH_ESCAPES: a backslash in a string is a backslash.
    pub no_backslash_escapes: bool,
    /// lower_case_table_names is not 0: table names are compared without case.
    pub fold_tables: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, a bare name or a number.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string.
    Text,
    /// Anything else, one character.
    Sign(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Without its quotes.
    pub value: String,
    /// Where it stands, in bytes.
    pub start: usize,
    pub end: usize,
    /// In how many parentheses it stands; a parenthesis itself stands outside of what it encloses.
    pub depth: usize,
}

impl Token {
    /// Whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.value.eq_ignore_ascii_case(keyword)
    }

    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// The text without comments, as this server reads it.
pub fn without_comments(text: &str, dialect: Dialect) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut executing = false;
    while let Some(c) = rest.chars().next() {
        let step = if is_quote(c) {
            let (_, len) = quoted(rest, c, dialect)?;
            out.push_str(rest.get(..len).unwrap_or_default());
            len
        } else if c == '#' || starts_dash_comment(rest) {
            out.push(' ');
            rest.find('\n').unwrap_or(rest.len())
        } else if executing && rest.starts_with("*/") {
            executing = false;
            out.push(' ');
            2
        } else if rest.starts_with("/*") {
            out.push(' ');
            match executable(rest, dialect.flavor) {
                Some(_) if executing => return Err(confused("a comment inside an executable comment")),
                Some((true, len)) => {
                    executing = true;
                    len
                }
                _ => comment(rest)?,
            }
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = rest.get(step..).unwrap_or_default();
    }
    if executing {
        return Err(confused("a comment that does not end"));
    }
    Ok(out)
}

/// The tokens of a text without comments.
pub fn tokens(text: &str, dialect: Dialect) -> Result<Vec<Token>> {
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    let mut depth = 0usize;
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        if c == ')' {
            depth = depth.checked_sub(1).ok_or_else(|| confused("a ')' without its '('"))?;
        }
        let (kind, value, len) = if is_quote(c) {
            let (value, len) = quoted(rest, c, dialect)?;
            let name = c == '`' || (c == '"' && dialect.ansi_quotes);
            (if name { Kind::Quoted } else { Kind::Text }, value, len)
        } else if is_word(c) {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Kind::Word, rest.get(..len).unwrap_or_default().to_owned(), len)
        } else {
            (Kind::Sign(c), c.to_string(), c.len_utf8())
        };
        out.push(Token { kind, value, start: at, end: at + len, depth });
        at += len;
        if c == '(' {
            depth += 1;
        }
    }
    if depth > 0 {
        return Err(confused("a '(' without its ')'"));
    }
    Ok(out)
}

fn confused(what: &str) -> Error {
    Error::usage(format!("The ALTER can't be read: it has {what}."))
}

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// Two dashes begin a comment only before white space; otherwise they are two minus signs.
fn starts_dash_comment(rest: &str) -> bool {
    rest.strip_prefix("--")
        .is_some_and(|after| after.chars().next().is_none_or(|c| c.is_whitespace() || c.is_control()))
}

/// The value of the quoted thing that `rest` begins with, and its length with the quotes.
fn quoted(rest: &str, quote: char, dialect: Dialect) -> Result<(String, usize)> {
    let name = quote == '`' || (quote == '"' && dialect.ansi_quotes);
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    value.push(quote);
                    chars.next();
                }
                _ => return Ok((value, at + c.len_utf8())),
            }
        } else if c == '\\' && !name && !dialect.no_backslash_escapes {
            value.extend(chars.next().map(|(_, escaped)| escaped));
        } else {
            value.push(c);
        }
    }
    Err(confused(&format!("a {quote} without its end")))
}

/// The length of the comment that `rest` begins with.
fn comment(rest: &str) -> Result<usize> {
    let inside = rest.get(2..).unwrap_or_default();
    let end = inside.find("*/").ok_or_else(|| confused("a comment that does not end"))?;
    if inside.get(..end).is_some_and(|text| text.contains("/*")) {
        return Err(confused("a comment inside a comment"));
    }
    Ok(end + 4)
}

/// Whether the server executes the executable comment that `rest` begins with, and the length of its
/// opening; none if it is an ordinary comment.
fn executable(rest: &str, flavor: Flavor) -> Option<(bool, usize)> {
    let (for_mariadb, opening) = match (rest.strip_prefix("/*!"), rest.strip_prefix("/*M!")) {
        (Some(_), _) => (false, 3),
        (None, Some(_)) => (true, 4),
        (None, None) => return None,
    };
    let after = rest.get(opening..).unwrap_or_default();
    let digits = match after.bytes().take(6).take_while(u8::is_ascii_digit).count() {
        n @ (5 | 6) => n,
        // Fewer digits are no version, they belong to the text.
        _ => return Some((!for_mariadb || flavor.is_mariadb(), opening)),
    };
    let version: u32 = after.get(..digits)?.parse().ok()?;
    let (major, minor, patch) = flavor.version;
    let own = u32::from(major) * 10_000 + u32::from(minor) * 100 + u32::from(patch);
    let executed = if flavor.is_mariadb() {
        // Versions that only MySQL has had are not MariaDB's business.
        version <= own && (for_mariadb || !(50_700..=99_999).contains(&version))
    } else {
        !for_mariadb && version <= own
    };
    Some((executed, opening + digits))
}
