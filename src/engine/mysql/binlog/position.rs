//! Where the stream stands, and from where it can be read again.
//!
//! A place is only ever a boundary between transactions. It names the binlog file and offset, and on
//! MySQL with GTIDs the set of all transactions before it as well; the set is then what the stream is
//! asked for. Offsets are 64 bits here, though an event's header and the dump request hold 32: in a
//! file over 4 GiB the offset is followed through its wraps, and a boundary beyond the reach of a
//! request does not move the place; the next file does.

use serde::{Deserialize, Serialize};

use super::gtid::{GtidSet, Uuid};
use crate::error::{Error, Result};
use crate::model::Position;

/// A boundary between transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub file: String,
    pub pos: u64,
    /// All transactions before it; none without GTIDs.
    pub gtid: Option<GtidSet>,
    /// Which server's files these are.
    pub server: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    file: String,
    pos: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gtid: Option<String>,
    server: String,
}

impl Spot {
    pub fn to_position(&self) -> Position {
        let stored = Stored {
            file: self.file.clone(),
            pos: self.pos,
            gtid: self.gtid.as_ref().map(|g| g.to_string()),
            server: self.server.clone(),
        };
        // A struct of strings and a number can't fail to print.
        Position(serde_json::to_string(&stored).unwrap_or_default())
    }

    pub fn parse(position: &Position) -> Result<Spot> {
        let unreadable = || Error::definite(format!("The stored binlog position can't be read: {}", position.0));
        let stored: Stored = serde_json::from_str(&position.0).map_err(|e| unreadable().caused_by(e))?;
        let gtid = match stored.gtid {
            Some(text) => Some(GtidSet::parse(&text).ok_or_else(unreadable)?),
            None => None,
        };
        Ok(Spot { file: stored.file, pos: stored.pos, gtid, server: stored.server })
    }

    /// For people: `binlog.000003:4567, GTID …`.
    pub fn describe(&self) -> String {
        match &self.gtid {
            Some(set) => format!("{}:{}, GTID {set}", self.file, self.pos),
            None => format!("{}:{}", self.file, self.pos),
        }
    }
}

/// A stored position in words; the position itself when it is none of ours.
pub fn describe(position: &Position) -> String {
    Spot::parse(position).map(|spot| spot.describe()).unwrap_or_else(|_| position.0.clone())
}

/// Follows the stream from event to event.
#[derive(Debug)]
pub struct Track {
    /// The last boundary.
    boundary: Spot,
    /// The file that is being read.
    file: String,
    /// The beginning and the end of the last event in it.
    start: u64,
    end: u64,
    /// The transaction that is being read.
    current: Option<(Uuid, u64)>,
}

impl Track {
    pub fn new(start: Spot) -> Track {
        Track { file: start.file.clone(), start: start.pos, end: start.pos, current: None, boundary: start }
    }

    pub fn boundary(&self) -> &Spot {
        &self.boundary
    }

    /// The stream begins anew at the boundary.
    pub fn reconnected(&mut self, server: String) {
        self.file = self.boundary.file.clone();
        (self.start, self.end) = (self.boundary.pos, self.boundary.pos);
        self.current = None;
        self.boundary.server = server;
    }

    /// Another file begins, or the same one at an offset.
    pub fn rotate(&mut self, file: &str, pos: u64) {
        (self.start, self.end) = (pos, pos);
        if self.file != file {
            self.file = file.to_string();
        }
    }

    /// An event of this size that lies in the file ends at this offset, modulo 2^32.
    pub fn advance(&mut self, log_pos: u32, size: u32) {
        let low = u64::from(log_pos);
        let high = self.end & !0xffff_ffff;
        self.end = if high + low < self.end { high + low + (1 << 32) } else { high + low };
        self.start = self.end.saturating_sub(size.into());
    }

    /// A transaction of this GTID begins with the last event. None: it has none that a set can hold,
    /// and from here on files and offsets say where we are.
    pub fn begin(&mut self, gtid: Option<(Uuid, u64)>) {
        self.current = gtid;
        if gtid.is_none() && self.boundary.gtid.take().is_some() {
            // The stream was asked for by the set: the boundary's offset can lie behind this place.
            self.settle_at(self.start);
        }
    }

    fn settle_at(&mut self, pos: u64) {
        if pos <= u64::from(u32::MAX) {
            self.boundary.file.clone_from(&self.file);
            self.boundary.pos = pos;
        }
    }

    /// The transaction ends with the last event.
    pub fn commit(&mut self) {
        if let (Some(set), Some((uuid, number))) = (&mut self.boundary.gtid, self.current.take()) {
            set.insert(uuid, number);
        }
        self.settle_at(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(pos: u64, gtid: Option<&str>) -> Spot {
        Spot { file: "b.000001".into(), pos, gtid: gtid.map(|g| GtidSet::parse(g).unwrap()), server: "uuid".into() }
    }

    #[test]
    fn a_position_survives_the_checkpoint() {
        let set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
        for s in [spot(4, None), spot(1 << 31, Some(set)), spot(4, Some(""))] {
            assert_eq!(Spot::parse(&s.to_position()).unwrap(), s);
        }
        assert_eq!(spot(4, Some(set)).describe(), format!("b.000001:4, GTID {set}"));
        assert_eq!(describe(&spot(4, None).to_position()), "b.000001:4");
        assert!(Spot::parse(&Position("0/16B3748".into())).is_err());
    }

    #[test]
    fn a_boundary_moves_only_with_a_whole_transaction() {
        let mut t = Track::new(spot(100, None));
        t.advance(200, 100);
        t.advance(300, 100);
        assert_eq!(t.boundary().pos, 100);
        t.commit();
        assert_eq!(t.boundary().pos, 300);
        t.rotate("b.000002", 4);
        assert_eq!(t.boundary().describe(), "b.000001:300");
        t.advance(150, 20);
        t.commit();
        assert_eq!(t.boundary().describe(), "b.000002:150");
    }

    #[test]
    fn offsets_over_4_gib_hold_the_boundary_until_the_next_file() {
        let mut t = Track::new(spot(100, None));
        t.advance(u32::MAX - 5, 900);
        t.commit();
        assert_eq!(t.boundary().pos, u64::from(u32::MAX) - 5);
        for low in [90, 3_000_000_000, 4, 200] {
            t.advance(low, 4);
            t.commit();
            assert_eq!(t.boundary().pos, u64::from(u32::MAX) - 5);
        }
        assert_eq!(t.end, 2 * (1 << 32) + 200);
        t.rotate("b.000002", 4);
        t.advance(500, 9);
        t.commit();
        assert_eq!(t.boundary().describe(), "b.000002:500");
    }

    #[test]
    fn gtids_are_added_with_their_transaction_and_dropped_with_the_first_that_has_none() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mut t = Track::new(spot(100, Some(&format!("{uuid}:1-5"))));
        let bytes = [0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95, 0x62];
        t.begin(Some((bytes, 6)));
        assert_eq!(t.boundary().gtid.as_ref().unwrap().to_string(), format!("{uuid}:1-5"));
        t.commit();
        assert_eq!(t.boundary().gtid.as_ref().unwrap().to_string(), format!("{uuid}:1-6"));
        t.advance(300, 80);
        t.begin(None);
        assert_eq!((t.boundary().gtid.as_ref(), t.boundary().pos), (None, 220));
        t.begin(Some((bytes, 7)));
        t.commit();
        assert_eq!(t.boundary().gtid, None);
    }
}
