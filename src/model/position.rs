//! Places in the change stream, and the marks put into it.

use serde::{Deserialize, Serialize};

/// A place in the source's change stream from which it can be read again. Only the engine that made
/// it can read it (MySQL: GTID set, binlog file and offset; PostgreSQL: LSN); the core stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub String);

/// The number of a mark within one life of the process; the engine adds what makes it unique
/// across lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);
