//! The comparison: what of the shadow is not what a sync would write there now.
//!
//! One statement joins both tables by the key and compares every column (`shadow::equal` says how), so
//! both sides are read in one snapshot (READ COMMITTED takes one per statement), nothing is hashed and
//! nothing leaves the server but four counts. Only where they don't fit are the keys asked for, by
//! further statements, whose snapshots are later; the core takes what they find for suspects, not more.
//! A row of the shadow that the source lacks shows in the counts, since no key of the source's can be
//! matched by two rows of the shadow without one of them differing or the counts telling.
//!
//! **What it costs.** Measured on 200,000 rows of 200 bytes with two secondary indexes, in CPU time of a server
//! that did nothing else, as parts of the CPU time of the copy (DELETE and INSERT … SELECT) on the same
//! server; a second figure in brackets is MariaDB 10.11's, the first MySQL 9.7's:
//!
//! | way | part of the copy |
//! |---|---|
//! | this join, with the count of the shadow's rows | 19 % (24 %) |
//! | the same join by the key alone: the floor of any join | 9 % (11 %) |
//! | reading both tables and nothing else: the floor of any digest | 3 % (4 %) |
//! | SHA2 of each row of both sides, summed | 47 % (50 %) |
//! | the square of a CRC32 of each row, summed | 42 % (37 %) |
//! | the product of two CRC32 of each row, summed | 78 % (75 %) |
//! | a hash join of both ranges (MySQL, with a large join_buffer_size) | 15 % |
//!
//! A comparison of one more column is some 25 ns; a digest has to turn every value into text first. So
//! the exact way is also the cheapest but for the hash join, which spills to disk where rows are wide.
//!
//! In time, of a million such rows with two lanes and a copy that nothing held up, on a busy machine of two cores,
//! the comparison took 12.7 % (15.1 %) of the copy's time, and 10.8 % (13.5 %) since its statements are short, so
//! that the lanes end together, and MariaDB compares strings without a copy of them. Where the copy rests for the
//! application's sake it is less (6 %). What else was tried, again in CPU time, where this join was 16.7 % (19.6 %):
//!
//! | way | part of the copy |
//! |---|---|
//! | without the count of the shadow's rows (it can't do without) | 15.2 % (17.6 %) |
//! | strings under an exact collation instead of as binary strings: taken on MariaDB | 16.7 % (15.6 %) |
//! | strings by BINARY instead of CAST | 17.6 % (18.3 %) |
//! | ENUM by `+ 0` instead of CAST | 17.4 % (16.9 %), within what is noise on MySQL |
//! | without the three strings at all | 13.8 % (14.6 %) |
//! | a hash join of ranges of 10,000 rows that fit into a join_buffer_size of 16 MB | 15.9 % (16.3 %) |
//! | … with the exact collation | 15.7 % (15.6 %) |
//!
//! So no way of comparing these columns in SQL is much cheaper: half of it is the look for each row's other side.
//!
//! A difference that a conversion may explain is decided by the server's own assignment: the source's
//! rows go by INSERT … SELECT into a session's temporary table of the shadow's definition, as a sync
//! would put them into the shadow, and that is compared. Temporary tables need the privilege CREATE
//! TEMPORARY TABLES, which the documented account has, and their rows are in no binary log under
//! binlog_format=ROW.

mod statements;

pub mod show;

use mysql_async::Row;

use super::mirror::Rewrite;
use super::session::Session;
use crate::engine::Compared;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::model::{Key, Rows};
use statements::Statements;

/// Compares the rows of a set.
pub async fn compare(session: &mut Session, rewrite: &Rewrite, rows: Rows<'_>, most: usize) -> Result<Compared> {
    failpoint::hit("comparing", &[session.id]).await;
    let statements = Statements::new(rewrite, rows)?;
    let mut counts = None;
    if let Some(quick) = statements.quick() {
        let found = count(session, &quick).await?;
        if found.equal() {
            return Ok(Compared { rows: found.source, ..Compared::default() });
        }
        counts = Some(found);
    }
    if statements.exact() {
        return differing(session, rewrite, &statements, counts, most).await;
    }
    assigned(session, rewrite, &statements, most).await
}

/// How many rows there are, and how many of them are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    /// Rows of the source.
    source: u64,
    /// Rows of the source with the rows of the shadow that have their key.
    pairs: u64,
    /// Pairs that differ, and rows of the source without a row of the shadow.
    wrong: u64,
    shadow: u64,
}

impl Counts {
    fn equal(self) -> bool {
        self.wrong == 0 && self.pairs == self.source && self.shadow == self.source
    }
}

async fn count(session: &mut Session, sql: &str) -> Result<Counts> {
    let found: Option<(u64, u64, u64, u64)> = session.first(sql).await?;
    let (pairs, wrong, shadow, source) =
        found.ok_or_else(|| Error::definite("The server gave no answer to a comparison."))?;
    Ok(Counts { source, pairs, wrong, shadow })
}

/// The keys of the rows that differ, where the columns themselves tell.
async fn differing(
    session: &mut Session,
    rewrite: &Rewrite,
    statements: &Statements<'_>,
    counts: Option<Counts>,
    most: usize,
) -> Result<Compared> {
    let ours = session.rows(&statements.differing(most)).await?;
    gather(session, rewrite, statements, &ours, counts.map_or(0, |c| c.source), most).await
}

/// The same, where the server's assignment has to tell.
async fn assigned(
    session: &mut Session,
    rewrite: &Rewrite,
    statements: &Statements<'_>,
    most: usize,
) -> Result<Compared> {
    statements.clear(session).await?;
    session.exec(&statements.create()).await?;
    session.exec_long(&statements.fill()?).await?;
    let found = count(session, &statements.assigned()).await?;
    let result = if found.equal() {
        Ok(Compared { rows: found.source, ..Compared::default() })
    } else {
        let ours = session.rows(&statements.unassigned(most)).await?;
        gather(session, rewrite, statements, &ours, found.source, most).await
    };
    statements.clear(session).await?;
    result
}

/// Adds the rows that the shadow alone has.
async fn gather(
    session: &mut Session,
    rewrite: &Rewrite,
    statements: &Statements<'_>,
    ours: &[Row],
    rows: u64,
    most: usize,
) -> Result<Compared> {
    let mut differing = ours.iter().map(|row| rewrite.key.read_row(row, 0)).collect::<Result<Vec<Key>>>()?;
    let theirs = session.rows(&statements.extra(most)).await?;
    for row in &theirs {
        let key = rewrite.key.read_shadow_row(row)?;
        differing.push(key.ok_or_else(|| {
            Error::different("The shadow table has a row whose key no row of the table can have.")
                .table("The table is unchanged; the shadow table and the run's state are kept.")
                .todo("Find out who writes to the shadow table; then `osc cleanup` and begin anew.")
        })?);
    }
    let more = ours.len() >= most || theirs.len() >= most;
    Ok(Compared { rows, differing, more })
}
