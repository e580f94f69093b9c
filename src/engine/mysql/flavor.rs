//! Which server this is, and the differences between them as values.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Brand {
    MySql,
    MariaDb,
}

/// The server's brand and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    pub brand: Brand,
    pub version: (u16, u16, u16),
}

impl Flavor {
    /// Reads the answer of `SELECT VERSION()`: `9.7.4`, `8.0.36-28`, `10.11.19-MariaDB-deb12`,
    /// `5.5.5-10.6.2-MariaDB`.
    pub fn parse(version: &str) -> Option<Flavor> {
        let brand = if version.to_ascii_lowercase().contains("mariadb") { Brand::MariaDb } else { Brand::MySql };
        let digits = version.strip_prefix("5.5.5-").filter(|_| brand == Brand::MariaDb).unwrap_or(version);
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let mut parts = digits[..end].split('.').map(|p| p.parse::<u16>());
        let mut next = || parts.next().and_then(|p| p.ok());
        Some(Flavor { brand, version: (next()?, next()?, next().unwrap_or(0)) })
    }

    pub fn is_mariadb(self) -> bool {
        self.brand == Brand::MariaDb
    }

    /// The statement that tells where the binlog ends (MySQL 8.2 brought the new name, 8.4 dropped the old).
    pub fn binlog_status(self) -> &'static str {
        if self.brand == Brand::MySql && self.version >= (8, 2, 0) {
            "SHOW BINARY LOG STATUS"
        } else {
            "SHOW MASTER STATUS"
        }
    }

    pub fn name(self) -> String {
        let brand = if self.is_mariadb() { "MariaDB" } else { "MySQL" };
        format!("{brand} {}.{}.{}", self.version.0, self.version.1, self.version.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let f = |v| Flavor::parse(v).map(|f| (f.is_mariadb(), f.version));
        assert_eq!(f("9.7.4"), Some((false, (9, 7, 4))));
        assert_eq!(f("8.0.36-28"), Some((false, (8, 0, 36))));
        assert_eq!(f("10.11.19-MariaDB-deb12-log"), Some((true, (10, 11, 19))));
        assert_eq!(f("5.5.5-10.6.2-MariaDB"), Some((true, (10, 6, 2))));
        assert_eq!(f("nonsense"), None);
    }
}
