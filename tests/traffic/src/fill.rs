//! Makes the table and fills it, inside the server.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::server::{Dialect, Session};

/// The smallest key is above this: what the traffic inserts below it comes before the first row.
pub(crate) const HEAD_ROOM: u64 = 1000;
/// After this many keys one is left out: a gap for the traffic's inserts. One more than it is a
/// prime, so that the gaps fall to all connections alike (a key belongs to connection `key % n`).
pub(crate) const GAP_EVERY: u64 = 96;
const CHUNK: u64 = 100_000;

/// What to fill.
#[derive(Clone, Debug)]
pub struct FillOptions {
    pub table: String,
    pub rows: u64,
    /// Drop a table of this name first; otherwise its presence is an error.
    pub replace: bool,
    /// Make `email` unique from the start.
    pub unique_email: bool,
}

impl FillOptions {
    /// Table `orders`, replacing an older one.
    pub fn new(rows: u64) -> FillOptions {
        FillOptions { table: "orders".into(), rows, replace: true, unique_email: false }
    }
}

/// Creates the table and puts `rows` rows into it; gives the time it took.
pub async fn fill(url: &str, options: &FillOptions) -> Result<Duration, Error> {
    let started = Instant::now();
    let filling = Dialect::of(url)?.filling(&options.table, options.unique_email)?;
    let mut session = Session::open(url).await?;
    let before = if options.replace { filling.drop.iter() } else { [].iter() };
    for statement in before.chain(&filling.create) {
        session.command(statement).await?;
    }
    let mut from = 0;
    while from < options.rows {
        let to = options.rows.min(from + CHUNK);
        let done = session.command(&(filling.chunk)(from, to)).await?;
        if done.affected != to - from {
            return Err(Error::Usage(format!("{} rows of {} arrived", done.affected, to - from)));
        }
        from = to;
    }
    for statement in &filling.after {
        session.command(statement).await?;
    }
    session.close().await?;
    Ok(started.elapsed())
}
