//! Sets of MySQL GTIDs, as intervals per server UUID.
//!
//! Only what the stream needs: start from the text of `gtid_executed`, add transactions one by one,
//! print, and ask the server for the rest. A tagged GTID (`uuid:tag:n`, MySQL 8.3) has no place here:
//! whoever meets one goes on by file and position.

use std::collections::BTreeMap;
use std::fmt;

use mysql_async::{GnoInterval, Sid};

pub type Uuid = [u8; 16];

/// Disjoint intervals with gaps between them, in order; the second number is the first one outside.
type Intervals = Vec<(u64, u64)>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GtidSet {
    of: BTreeMap<Uuid, Intervals>,
}

impl GtidSet {
    /// Reads `uuid:1-5:7,uuid:3`; none when the text is something else, tagged GTIDs included.
    pub fn parse(text: &str) -> Option<GtidSet> {
        let mut set = GtidSet::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let mut pieces = part.split(':').map(str::trim);
            let uuid = parse_uuid(pieces.next()?)?;
            let mut any = false;
            for interval in pieces {
                let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
                let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
                if first == 0 || last < first || last == u64::MAX {
                    return None;
                }
                set.add(uuid, first, last + 1);
                any = true;
            }
            if !any {
                return None;
            }
        }
        Some(set)
    }

    /// Adds one transaction.
    pub fn insert(&mut self, uuid: Uuid, number: u64) {
        self.add(uuid, number, number.saturating_add(1));
    }

    /// Whether this set has no gap beyond `base`: of each server's transactions, all up to the newest that is
    /// in this set and not in `base`.
    pub fn follows(&self, base: &GtidSet) -> bool {
        self.of.iter().all(|(uuid, intervals)| {
            let next = base.of.get(uuid).and_then(|known| known.last()).map_or(1, |last| last.1);
            match intervals.last() {
                Some((start, end)) if *end > next => *start <= next,
                _ => true,
            }
        })
    }

    fn add(&mut self, uuid: Uuid, start: u64, end: u64) {
        let intervals = self.of.entry(uuid).or_default();
        // Nearly always the number after the last one.
        if let Some(last) = intervals.last_mut()
            && last.1 == start
        {
            last.1 = end;
            return;
        }
        let from = intervals.partition_point(|i| i.1 < start);
        let upto = intervals.partition_point(|i| i.0 <= end);
        let touched = intervals.get(from..upto).unwrap_or_default();
        let merged = (touched.first().map_or(start, |i| i.0.min(start)), touched.last().map_or(end, |i| i.1.max(end)));
        intervals.splice(from..upto.max(from), [merged]);
    }

    /// The set in the form of the dump request.
    pub fn sids(&self) -> Vec<Sid<'static>> {
        self.of
            .iter()
            .map(|(uuid, intervals)| {
                Sid::new(*uuid).with_intervals(intervals.iter().map(|i| GnoInterval::new(i.0, i.1)).collect())
            })
            .collect()
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (uuid, intervals)) in self.of.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            for (i, byte) in uuid.iter().enumerate() {
                if matches!(i, 4 | 6 | 8 | 10) {
                    f.write_str("-")?;
                }
                write!(f, "{byte:02x}")?;
            }
            for (start, end) in intervals {
                write!(f, ":{start}")?;
                if end - start > 1 {
                    write!(f, "-{}", end - 1)?;
                }
            }
        }
        Ok(())
    }
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    let mut digits = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16));
    let mut uuid = Uuid::default();
    for byte in &mut uuid {
        *byte = u8::try_from(digits.next()?? * 16 + digits.next()??).ok()?;
    }
    digits.next().is_none().then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(text).unwrap()
    }

    #[test]
    fn text_goes_in_and_out() {
        for text in [String::new(), format!("{A}:1-5"), format!("{A}:1-5:7:9-10,{B}:3")] {
            assert_eq!(set(&text).to_string(), text);
        }
        assert_eq!(set(&format!("{}:1-5,\n{B}:1", A.to_uppercase())).to_string(), format!("{A}:1-5,{B}:1"));
        assert_eq!(set(&format!("{A}:7:1-3:2-4")).to_string(), format!("{A}:1-4:7"));
    }

    #[test]
    fn what_is_no_plain_set_is_refused() {
        for text in [format!("{A}:tag:1-5"), format!("{A}:0-5"), format!("{A}:5-3"), A.to_string(), "x:1".into()] {
            assert_eq!(GtidSet::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn transactions_join_their_neighbours() {
        let mut s = set(&format!("{A}:1-5"));
        let uuid = parse_uuid(A).unwrap();
        for (number, text) in
            [(6, "1-6"), (9, "1-6:9"), (8, "1-6:8-9"), (7, "1-9"), (3, "1-9"), (20, "1-9:20"), (11, "1-9:11:20")]
        {
            s.insert(uuid, number);
            assert_eq!(s.to_string(), format!("{A}:{text}"));
        }
        s.insert(parse_uuid(B).unwrap(), 1);
        assert_eq!(s.to_string(), format!("{A}:1-9:11:20,{B}:1"));
    }

    #[test]
    fn a_gap_beyond_the_base_is_seen() {
        let follows = |this: &str, base: &str| set(this).follows(&set(base));
        for (this, base) in [("1-5", "1-5"), ("1-9", "1-5"), ("1-3:5-9", "1-3:5-6"), ("1-3:5-6", "1-3:5-6")] {
            assert!(follows(&format!("{A}:{this}"), &format!("{A}:{base}")), "{this} {base}");
        }
        for (this, base) in [("1-5:7", "1-5"), ("1-6:8-9", "1-5"), ("1-3:5-9", "1-3")] {
            assert!(!follows(&format!("{A}:{this}"), &format!("{A}:{base}")), "{this} {base}");
        }
        // Another server's, which the base knows nothing of.
        assert!(follows(&format!("{A}:1-5,{B}:1-2"), &format!("{A}:1-5")));
        assert!(!follows(&format!("{A}:1-5,{B}:2"), &format!("{A}:1-5")));
    }

    #[test]
    fn any_order_gives_the_same_set() {
        let uuid = parse_uuid(A).unwrap();
        let mut state = 7u64;
        for _ in 0..200 {
            let (mut s, mut model) = (GtidSet::default(), std::collections::BTreeSet::new());
            for _ in 0..60 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let number = (state >> 33) % 40 + 1;
                s.insert(uuid, number);
                model.insert(number);
            }
            let listed: Vec<u64> = s.of[&uuid].iter().flat_map(|i| i.0..i.1).collect();
            assert_eq!(listed, model.into_iter().collect::<Vec<_>>());
            assert!(s.of[&uuid].windows(2).all(|w| w[0].1 < w[1].0));
        }
    }
}
