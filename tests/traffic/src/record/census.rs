//! The table as it was before the traffic: which rows are as `fill` made them, and a hash of each
//! other row. Read once at the start, so that the check at the end knows every row there should be.

use std::collections::HashMap;

use crate::error::Error;
use crate::model::keyset::KeySet;
use crate::model::row::Seen;
use crate::model::state::State;
use crate::server::{Session, Statements};

/// What was there at the start.
#[derive(Default)]
pub(crate) struct Census {
    /// Rows as filled. The traffic changes these.
    pub pristine: KeySet,
    /// Other rows, by their digest: left by an earlier run. The traffic leaves them alone.
    pub found: HashMap<i64, u64>,
    pub min: i64,
    pub max: i64,
    /// The highest number of an earlier run, so that tokens don't repeat.
    pub latest_run: u16,
}

impl Census {
    pub async fn take(session: &mut Session, statements: &Statements) -> Result<Census, Error> {
        let mut census = Census { min: i64::MAX, max: i64::MIN, ..Census::default() };
        let mut trouble = None;
        session
            .scan(&statements.scan, Vec::new(), |seen| {
                if let Err(why) = census.add(seen) {
                    trouble.get_or_insert(why);
                }
            })
            .await?;
        match trouble {
            Some(why) => Err(Error::Usage(format!("not a table for this traffic: {why}"))),
            None => Ok(census),
        }
    }

    pub fn add(&mut self, seen: Seen) -> Result<(), String> {
        let row = seen.row.map_err(|why| format!("the row with id {}: {why}", seen.key))?;
        self.min = self.min.min(row.key);
        self.max = self.max.max(row.key);
        if State::filled(row.key).difference(&row).is_none() {
            self.pristine.insert(row.key);
        } else {
            self.latest_run = self.latest_run.max(row.token.run());
            self.found.insert(row.key, row.digest());
        }
        Ok(())
    }

    pub fn contains(&self, key: i64) -> bool {
        self.pristine.contains(key) || self.found.contains_key(&key)
    }
}

#[cfg(test)]
impl Census {
    /// A table with these keys as filled.
    pub fn of(keys: impl IntoIterator<Item = i64>) -> Census {
        let mut census = Census { min: i64::MAX, max: i64::MIN, ..Census::default() };
        for key in keys {
            let seen = Seen { key, row: Ok(State::filled(key).to_row(key)) };
            assert_eq!(census.add(seen), Ok(()));
        }
        census
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::token::Token;

    #[test]
    fn tells_filled_rows_from_others() {
        let mut census = Census::of(1..=3);
        let row = State::filled(4).touched(Token(5 << 47)).to_row(4);
        assert!(census.add(Seen { key: 4, row: Ok(row) }).is_ok());
        assert!(census.add(Seen { key: 5, row: Err("no".into()) }).is_err());
        assert_eq!((census.pristine.len(), census.found.len()), (3, 1));
        assert_eq!((census.min, census.max, census.latest_run), (1, 4, 5));
        assert!(census.contains(4) && !census.contains(5));
    }
}
