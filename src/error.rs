//! The error of every fallible path, and its kind.
//!
//! A kind answers one question: what may be done next? Retrying is a function of the kind alone
//! (`Kind::retry`), exit codes are too (`Kind::exit`), so no caller looks into a message to decide.
//! For the user an error carries three sentences: what happened, what state their table is in, and
//! what to do; the technical cause travels in the source chain.

use std::error::Error as StdError;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What may be done after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The same operation may succeed when repeated (deadlock, lock wait, lost connection). Only
    /// operations that are safe to repeat return it after their outcome became unknown.
    Transient,
    /// Repeating gives the same answer: bad data, a true duplicate, a bug.
    Definite,
    /// Refused before anything was touched: a preflight check. Exit 3.
    Refused,
    /// The words of the command line or of the configuration are wrong. Exit 2.
    Usage,
    /// Two tables that should be equal are not. Exit 4.
    Different,
    /// The server may or may not have done it: look at the catalog before deciding anything.
    Ambiguous,
    /// The run stopped where it can be resumed: on request, or a lost connection that stayed lost.
    Stopped,
    /// The user asked for the run to be given up (panic flag, critical load).
    Aborted,
}

impl Kind {
    /// Whether the operation may be tried again as it is.
    pub fn retry(self) -> bool {
        matches!(self, Kind::Transient)
    }

    /// The exit code of a process that ends with this kind of error.
    pub fn exit(self) -> u8 {
        match self {
            Kind::Definite => 1,
            Kind::Usage => 2,
            Kind::Refused => 3,
            Kind::Different => 4,
            Kind::Transient | Kind::Stopped => 5,
            Kind::Aborted => 6,
            Kind::Ambiguous => 7,
        }
    }
}

/// An error with its kind, what the user reads, and its cause.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    table: Option<String>,
    todo: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `what` is one sentence on what happened.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error { kind, what: what.into(), table: None, todo: None, source: None }
    }

    pub fn transient(what: impl Into<String>) -> Self {
        Error::new(Kind::Transient, what)
    }

    pub fn definite(what: impl Into<String>) -> Self {
        Error::new(Kind::Definite, what)
    }

    pub fn refused(what: impl Into<String>) -> Self {
        Error::new(Kind::Refused, what)
    }

    pub fn different(what: impl Into<String>) -> Self {
        Error::new(Kind::Different, what)
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Error::new(Kind::Usage, what)
    }

    pub fn stopped(what: impl Into<String>) -> Self {
        Error::new(Kind::Stopped, what)
    }

    pub fn aborted(what: impl Into<String>) -> Self {
        Error::new(Kind::Aborted, what)
    }

    pub fn ambiguous(what: impl Into<String>) -> Self {
        Error::new(Kind::Ambiguous, what)
    }

    /// One sentence on the state of the user's table.
    pub fn table(mut self, sentence: impl Into<String>) -> Self {
        self.table = Some(sentence.into());
        self
    }

    /// One sentence on what to do.
    pub fn todo(mut self, sentence: impl Into<String>) -> Self {
        self.todo = Some(sentence.into());
        self
    }

    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with another kind: a boundary that knows more than the place it arose in.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Puts what was being done in front of the sentence.
    pub fn context(mut self, doing: &str) -> Self {
        self.what = format!("{doing}: {}", self.what);
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn what(&self) -> &str {
        &self.what
    }

    pub fn table_state(&self) -> Option<&str> {
        self.table.as_deref()
    }

    pub fn what_to_do(&self) -> Option<&str> {
        self.todo.as_deref()
    }

    /// The chain of causes in one line each, outermost first, without those that the sentence already says.
    pub fn causes(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !self.what.contains(&text) && out.last() != Some(&text) {
                out.push(text);
            }
            next = cause.source();
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
