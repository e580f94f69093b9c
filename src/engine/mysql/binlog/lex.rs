//! SQL text into words, just far enough to find names in it.
//!
//! Knows what decides where a name begins and ends: quotes and their escapes (which depend on the
//! session's sql_mode), comments, and comments that are code for the server (`/*!50003 … */`).

/// Bits of sql_mode, as a Query event carries them; the same in MySQL and MariaDB.
const ANSI_QUOTES: u64 = 4;
const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A keyword, a bare name or a number.
    Word(String),
    /// A quoted name.
    Quoted(String),
    /// A string, without its quotes.
    Text(Vec<u8>),
    Symbol(u8),
}

pub struct Lexer<'a> {
    rest: &'a [u8],
    sql_mode: u64,
    /// A comment of the form `/* osc:… */` was passed: the statement is our own.
    pub carries_our_tag: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8], sql_mode: u64) -> Lexer<'a> {
        Lexer { rest: text, sql_mode, carries_our_tag: false }
    }

    fn skip(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
    }

    fn skip_line(&mut self) {
        let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
        self.skip(end);
    }

    fn comment(&mut self) {
        self.skip(2);
        let code = if self.rest.starts_with(b"!") {
            1
        } else if self.rest.starts_with(b"M!") {
            2
        } else {
            0
        };
        if code > 0 {
            // What is inside is read as code; the closing mark is passed over when it comes.
            self.skip(code);
            let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            self.skip(digits);
            return;
        }
        let end = self.rest.windows(2).position(|w| w == b"*/");
        let body = self.rest.get(..end.unwrap_or(self.rest.len())).unwrap_or_default();
        self.carries_our_tag |= body.trim_ascii().starts_with(b"osc:");
        self.skip(end.map_or(self.rest.len(), |e| e + 2));
    }

    /// The text up to the closing quote, doubled quotes and escapes resolved.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Vec<u8> {
        self.skip(1);
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(&byte) = self.rest.get(at) {
            if byte == quote {
                if self.rest.get(at + 1) != Some(&quote) {
                    break;
                }
                at += 1;
            } else if byte == b'\\' && escapes {
                at += 1;
            }
            out.extend(self.rest.get(at));
            at += 1;
        }
        self.skip(at + 1);
        out
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let escapes = self.sql_mode & NO_BACKSLASH_ESCAPES == 0;
        loop {
            let first = *self.rest.first()?;
            let second = self.rest.get(1).copied();
            match (first, second) {
                (b'/', Some(b'*')) => self.comment(),
                (b'*', Some(b'/')) => self.skip(2),
                (b'#', _) => self.skip_line(),
                (b'-', Some(b'-'))
                    if self.rest.get(2).is_none_or(|b| b.is_ascii_whitespace() || b.is_ascii_control()) =>
                {
                    self.skip_line();
                }
                (b'`', _) => {
                    return Some(Token::Quoted(String::from_utf8_lossy(&self.quoted(b'`', false)).into_owned()));
                }
                (b'"', _) if self.sql_mode & ANSI_QUOTES != 0 => {
                    return Some(Token::Quoted(String::from_utf8_lossy(&self.quoted(b'"', false)).into_owned()));
                }
                (b'"' | b'\'', _) => return Some(Token::Text(self.quoted(first, escapes))),
                _ if first.is_ascii_whitespace() || first.is_ascii_control() => self.skip(1),
                _ if is_name(first) => {
                    let end = self.rest.iter().position(|b| !is_name(*b)).unwrap_or(self.rest.len());
                    let word = String::from_utf8_lossy(self.rest.get(..end).unwrap_or_default()).into_owned();
                    self.skip(end);
                    return Some(Token::Word(word));
                }
                _ => {
                    self.skip(1);
                    return Some(Token::Symbol(first));
                }
            }
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, sql_mode: u64) -> Vec<String> {
        Lexer::new(text.as_bytes(), sql_mode)
            .map(|t| match t {
                Token::Word(w) => w,
                Token::Quoted(q) => format!("`{q}`"),
                Token::Text(t) => format!("'{}'", String::from_utf8_lossy(&t)),
                Token::Symbol(s) => char::from(s).to_string(),
            })
            .collect()
    }

    #[test]
    fn quotes_and_comments_hide_what_is_in_them() {
        assert_eq!(
            words("ALTER/* TABLE x */TABLE `a``b`.c -- drop\n ADD d int # no\n, COMMENT 'it''s \\' ok'", 0),
            ["ALTER", "TABLE", "`a`b`", ".", "c", "ADD", "d", "int", ",", "COMMENT", "'it's ' ok'"]
        );
        assert_eq!(words("a--1", 0), ["a", "-", "-", "1"]);
        assert_eq!(words("'open", 0), ["'open'"]);
        assert_eq!(words("/* open", 0), Vec::<String>::new());
    }

    #[test]
    fn comments_for_the_server_are_code() {
        assert_eq!(words("DROP /*!40005 TEMPORARY */ TABLE t", 0), ["DROP", "TEMPORARY", "TABLE", "t"]);
        assert_eq!(words("/*M!100100 ALTER */ TABLE t", 0), ["ALTER", "TABLE", "t"]);
    }

    #[test]
    fn the_sql_mode_decides_about_quotes() {
        assert_eq!(words("x \"t\"", 0), ["x", "'t'"]);
        assert_eq!(words("x \"t\"", ANSI_QUOTES), ["x", "`t`"]);
        assert_eq!(words(r"'a\' , t", 0), ["'a' , t'"]);
        assert_eq!(words(r"'a\' , t", NO_BACKSLASH_ESCAPES), [r"'a\'", ",", "t"]);
    }

    #[test]
    fn our_tag_is_a_comment_not_a_string() {
        for (text, ours) in [
            ("/* osc:12ab */ RENAME TABLE a TO b", true),
            ("RENAME TABLE a TO b /*osc:12ab*/", true),
            ("RENAME TABLE a TO `/* osc:12ab */`", false),
            ("RENAME TABLE a TO b /* not osc:12ab */", false),
        ] {
            let mut lexer = Lexer::new(text.as_bytes(), 0);
            lexer.by_ref().for_each(drop);
            assert_eq!(lexer.carries_our_tag, ours, "{text}");
        }
    }
}
