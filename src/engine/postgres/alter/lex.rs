//! SQL text as tokens: what is a name, what is a string, what stands in which parentheses.
//!
//! Enough to cut a text into clauses and to change a table's name in what the server printed. Comments become
//! spaces, so any part of the text can be cut out and put somewhere else. What could hide something from the
//! reader (`U&"…"`) is refused.

use crate::engine::postgres::sql::{Ident, Table};
use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a bare name.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string, whatever its quotes are.
    Text,
    Number,
    /// Anything else, one character.
    Sign(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Of a name: as the server stores it. Of anything else: as it is written.
    pub value: String,
    /// Where it stands, in bytes.
    pub start: usize,
    pub end: usize,
    /// In how many parentheses or brackets it stands; they themselves stand outside of what they enclose.
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

    pub fn name(&self) -> Option<Ident> {
        matches!(self.kind, Kind::Word | Kind::Quoted).then(|| Ident::new(self.value.clone()))
    }
}

/// A text whose comments are blank, and its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexed {
    pub text: String,
    pub tokens: Vec<Token>,
}

impl Lexed {
    /// The text from the first to the last of these tokens.
    pub fn span(&self, tokens: &[Token]) -> &str {
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => self.text.get(first.start..last.end).unwrap_or_default(),
            _ => "",
        }
    }
}

pub fn lex(text: &str) -> Result<Lexed> {
    let mut blank = String::with_capacity(text.len());
    let mut tokens: Vec<Token> = Vec::new();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        if let Some(len) = comment(rest)? {
            // As many bytes, so that a place in one is the same place in the other.
            blank.extend(std::iter::repeat_n(' ', len));
            at += len;
            continue;
        }
        if c.is_whitespace() {
            blank.push(c);
            at += c.len_utf8();
            continue;
        }
        let (kind, value, len) = token(rest, c)?;
        if matches!(c, ')' | ']') {
            depth = depth.checked_sub(1).ok_or_else(|| confused(&format!("a '{c}' that closes nothing")))?;
        }
        tokens.push(Token { kind, value, start: at, end: at + len, depth });
        if matches!(c, '(' | '[') {
            depth += 1;
        }
        blank.push_str(rest.get(..len).unwrap_or_default());
        at += len;
    }
    if depth > 0 {
        return Err(confused("a parenthesis that is not closed"));
    }
    Ok(Lexed { text: blank, tokens })
}

/// The token that `rest` begins with, and its length.
fn token(rest: &str, c: char) -> Result<(Kind, String, usize)> {
    let written = |len: usize| rest.get(..len).unwrap_or_default().to_string();
    if c == '"' {
        let len = quoted(rest, '"', false)?;
        return Ok((Kind::Quoted, written(len).get(1..len - 1).unwrap_or_default().replace("\"\"", "\""), len));
    }
    if c == '\'' {
        let len = quoted(rest, '\'', false)?;
        return Ok((Kind::Text, written(len), len));
    }
    if c == '$'
        && let Some(len) = dollar(rest)?
    {
        return Ok((Kind::Text, written(len), len));
    }
    if c.is_ascii_digit() {
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len());
        return Ok((Kind::Number, written(len), len));
    }
    if !begins_word(c) {
        return Ok((Kind::Sign(c), c.to_string(), c.len_utf8()));
    }
    let len = rest.find(|c| !(begins_word(c) || c.is_ascii_digit() || c == '$')).unwrap_or(rest.len());
    let word = written(len);
    let after = rest.get(len..).unwrap_or_default();
    if word.eq_ignore_ascii_case("u") && (after.starts_with("&'") || after.starts_with("&\"")) {
        return Err(confused("a U&'…' or U&\"…\""));
    }
    if after.starts_with('\'') && word.len() == 1 && "eEbBxXnN".contains(&word) {
        let len = len + quoted(after, '\'', word.eq_ignore_ascii_case("e"))?;
        return Ok((Kind::Text, written(len), len));
    }
    // As the server folds names in UTF-8: ASCII letters only.
    Ok((Kind::Word, word.to_ascii_lowercase(), len))
}

fn confused(what: &str) -> Error {
    Error::usage(format!("The ALTER can't be read: it has {what}."))
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

/// The length of the quoted thing that `rest` begins with.
fn quoted(rest: &str, quote: char, backslashes: bool) -> Result<usize> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && backslashes {
            chars.next();
        } else if c == quote {
            if chars.peek().is_none_or(|(_, next)| *next != quote) {
                return Ok(at + 1);
            }
            chars.next();
        }
    }
    Err(confused(&format!("a {quote} without its end")))
}

/// The length of the `$tag$…$tag$` that `rest` begins with, if it does.
fn dollar(rest: &str) -> Result<Option<usize>> {
    let Some(end) = rest.get(1..).and_then(|r| r.find('$')) else { return Ok(None) };
    let opening = rest.get(..end + 2).unwrap_or_default();
    let tag = opening.trim_matches('$');
    let is_tag =
        tag.chars().all(|c| begins_word(c) || c.is_ascii_digit()) && !tag.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return Ok(None);
    }
    match rest.get(opening.len()..).and_then(|r| r.find(opening)) {
        Some(inside) => Ok(Some(inside + 2 * opening.len())),
        None => Err(confused(&format!("a {opening} without its end"))),
    }
}

/// The length of the comment that `rest` begins with, if it does. Those in `/* */` nest.
fn comment(rest: &str) -> Result<Option<usize>> {
    if rest.starts_with("--") {
        return Ok(Some(rest.find(['\n', '\r']).unwrap_or(rest.len())));
    }
    if !rest.starts_with("/*") {
        return Ok(None);
    }
    let (mut at, mut depth) = (0, 0usize);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(Some(at));
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(confused("a comment that does not end"))
}

/// What the server printed, with other relations in it: each `schema.name` of the left ones becomes the right one.
///
/// Printed under search_path = pg_catalog, every relation stands there with its schema. Strings are left alone. A
/// column `name` of something that is called `schema` would be taken for it; the server then finds no such thing, or
/// who calls finds other dependencies than before.
pub fn requalify(printed: &str, relations: &[(Table, Table)]) -> Result<String> {
    let lexed = lex(printed)?;
    let mut out = String::with_capacity(printed.len());
    let (mut at, mut copied) = (0, 0);
    while let Some([schema, dot, name, ..]) = lexed.tokens.get(at..) {
        let named = dot.is_sign('.').then(|| Some((schema.name()?, name.name()?))).flatten();
        let inner = at > 0 && lexed.tokens.get(at - 1).is_some_and(|before| before.is_sign('.'));
        let found = named
            .filter(|_| !inner)
            .and_then(|(schema, name)| relations.iter().find(|(from, _)| from.schema == schema && from.name == name));
        if let Some((_, to)) = found {
            out.push_str(lexed.text.get(copied..schema.start).unwrap_or_default());
            out.push_str(&to.to_string());
            copied = name.end;
            at += 3;
        } else {
            at += 1;
        }
    }
    out.push_str(lexed.text.get(copied..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        lex(text).unwrap().tokens.into_iter().map(|t| t.value).collect()
    }

    #[test]
    fn nothing_hides_in_quotes_or_comments() {
        assert_eq!(values("A \"B\"\"c\" 'd''e' -- f\n g"), ["a", "B\"c", "'d''e'", "g"]);
        assert_eq!(values("E'a\\'b' x'00' $$a'b$$ $t$ $$ $t$"), ["E'a\\'b'", "x'00'", "$$a'b$$", "$t$ $$ $t$"]);
        assert_eq!(values("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(values("1.5e3, x$1"), ["1.5e3", ",", "x$1"]);
        for text in ["'a", "\"a", "$a$ b", "/* /* */", "(", ")", "U&\"a\""] {
            assert_eq!(lex(text).unwrap_err().kind(), crate::error::Kind::Usage, "{text}");
        }
    }

    #[test]
    fn places_hold_through_comments() {
        let lexed = lex("é /* é */ (a, [b])").unwrap();
        let b = lexed.tokens.iter().find(|t| t.value == "b").unwrap();
        assert_eq!((b.depth, lexed.text.get(b.start..b.end)), (2, Some("b")));
    }

    #[test]
    fn a_relation_is_renamed_where_it_is_one() {
        let map = [(Table::new("public", "t"), Table::new("n", "t"))];
        let sql = "SELECT t.a, 'public.t' FROM public.t JOIN \"public\".\"t\" u ON x.public.t AND public.t2.a";
        assert_eq!(
            requalify(sql, &map).unwrap(),
            "SELECT t.a, 'public.t' FROM \"n\".\"t\" JOIN \"n\".\"t\" u ON x.public.t AND public.t2.a"
        );
    }
}
