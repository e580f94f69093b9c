//! The crate's one error.

/// Why a call of this crate could not do its work. Errors of the traffic's own statements are not
/// here: those are counted in the verdict.
#[derive(Debug)]
pub enum Error {
    /// The connection broke, or none could be made.
    Lost(String),
    /// The server answered with an error.
    Server { code: String, text: String },
    /// What was asked for makes no sense, or the table is not what it should be.
    Usage(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Lost(text) => write!(f, "connection lost: {text}"),
            Error::Server { code, text } => write!(f, "server error {code}: {text}"),
            Error::Usage(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}
