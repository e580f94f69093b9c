//! A place in a list of tokens, to read on from.

use super::lex::{Kind, Token};
use crate::engine::mysql::sql::Ident;

#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    tokens: &'a [Token],
}

impl<'a> Cursor<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Cursor { tokens }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [Token] {
        self.tokens
    }

    pub fn at_end(&self) -> bool {
        self.tokens.is_empty()
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    pub fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Reads these keywords, all or none of them.
    pub fn take(&mut self, keywords: &str) -> bool {
        let mut ahead = *self;
        for keyword in keywords.split(' ') {
            if !ahead.next().is_some_and(|t| t.is(keyword)) {
                return false;
            }
        }
        *self = ahead;
        true
    }

    /// Reads one of these keywords.
    pub fn take_any(&mut self, keywords: &[&str]) -> bool {
        keywords.iter().any(|k| self.take(k))
    }

    /// Whether these keywords come next.
    pub fn sees(&self, keywords: &str) -> bool {
        Cursor::take(&mut self.clone(), keywords)
    }

    pub fn take_sign(&mut self, sign: char) -> bool {
        let found = self.peek().is_some_and(|t| t.is_sign(sign));
        if found {
            self.next();
        }
        found
    }

    /// Reads a name, not a qualified one.
    pub fn name(&mut self) -> Option<Ident> {
        let mut ahead = *self;
        let token = ahead.next().filter(|t| matches!(t.kind, Kind::Word | Kind::Quoted))?;
        if ahead.peek().is_some_and(|t| t.is_sign('.')) {
            return None;
        }
        *self = ahead;
        Some(Ident::new(token.value.clone()))
    }
}
