//! A place in the server's log, and what a run stores of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Position;

/// A byte's place in the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Lsn(pub u64);

impl Lsn {
    pub fn parse(text: &str) -> Option<Lsn> {
        let (high, low) = text.split_once('/')?;
        let part = |text: &str| u32::from_str_radix(text, 16).ok().map(u64::from);
        Some(Lsn(part(high)? << 32 | part(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// A place in the stream: a log's place means something only in the history of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    pub server: String,
    pub timeline: u32,
    lsn: String,
}

impl Spot {
    pub fn new(server: &str, timeline: u32, lsn: Lsn) -> Spot {
        Spot { server: server.to_string(), timeline, lsn: lsn.to_string() }
    }

    pub fn lsn(&self) -> Lsn {
        Lsn::parse(&self.lsn).unwrap_or_default()
    }

    pub fn to_position(&self) -> Position {
        Position(serde_json::to_string(self).unwrap_or_default())
    }

    pub fn parse(position: &Position) -> Result<Spot> {
        let bad = || Error::definite(format!("The stored place '{}' in the stream can't be read.", position.0));
        let spot: Spot = serde_json::from_str(&position.0).map_err(|e| bad().caused_by(e))?;
        Lsn::parse(&spot.lsn).ok_or_else(bad)?;
        Ok(spot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_checkpoint() {
        let spot = Spot::new("7345", 2, Lsn(0x1_0000_00ab));
        assert_eq!(spot.lsn().to_string(), "1/AB");
        assert_eq!(Spot::parse(&spot.to_position()).unwrap(), spot);
        assert!(Spot::parse(&Position("{}".into())).is_err());
        assert!(Spot::parse(&Position("{\"server\":\"1\",\"timeline\":1,\"lsn\":\"x\"}".into())).is_err());
    }
}
