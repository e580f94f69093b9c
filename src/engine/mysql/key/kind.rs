//! The types that a key column may have, and what osc has to know of each.

use serde::{Deserialize, Serialize};

use crate::engine::mysql::catalog::Column;
use crate::model::KeyOrder;

/// The type of a key column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Int {
        width: u32,
        unsigned: bool,
    },
    Decimal {
        precision: u32,
        scale: u32,
    },
    Date,
    DateTime {
        fsp: u32,
    },
    Timestamp {
        fsp: u32,
    },
    Time {
        fsp: u32,
    },
    Year,
    Bit {
        bits: u32,
    },
    /// By the number of the member; 0 is the error value ''.
    Enum {
        members: Vec<String>,
        charset: String,
    },
    Set {
        members: Vec<String>,
        charset: String,
    },
    /// BINARY(n), which the server fills up with zero bytes.
    Binary {
        len: usize,
    },
    VarBinary {
        len: u64,
    },
    /// CHAR and VARCHAR. What is equal, and what comes first, only the server knows.
    Text {
        charset: String,
        collation: String,
        chars: u64,
        fixed: bool,
    },
}

/// As many values of a column may be spelled out where the server has no range access by comparison.
const SPELLED_OUT: usize = 256;

impl Kind {
    /// The kind of a column, or why it can't be in a key.
    pub fn of(column: &Column) -> Result<Kind, String> {
        let refuse = |why: &str| Err(format!("{} is {}, {why}", column.name, column.column_type));
        if column.column_type.contains("mariadb-5.3") {
            return refuse(
                "a format of times that osc does not read; rebuild the table with mysql56_temporal_format=ON",
            );
        }
        let int = |width| Ok(Kind::Int { width, unsigned: column.unsigned });
        let charset = column.charset.clone().unwrap_or_default();
        let members = || column.members().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let octets = column.octets.unwrap_or(0);
        match column.data_type.as_str() {
            "tinyint" => int(1),
            "smallint" => int(2),
            "mediumint" => int(3),
            "int" => int(4),
            "bigint" => int(8),
            "decimal" => {
                Ok(Kind::Decimal { precision: column.precision.unwrap_or(10), scale: column.scale.unwrap_or(0) })
            }
            "date" => Ok(Kind::Date),
            "datetime" => Ok(Kind::DateTime { fsp: column.fsp }),
            "timestamp" => Ok(Kind::Timestamp { fsp: column.fsp }),
            "time" => Ok(Kind::Time { fsp: column.fsp }),
            "year" => Ok(Kind::Year),
            "bit" => Ok(Kind::Bit { bits: column.precision.unwrap_or(64) }),
            "enum" => Ok(Kind::Enum { members: members(), charset }),
            // The server takes the last bit of a full SET for a sign in one place and not in another.
            "set" if members().len() < 64 => Ok(Kind::Set { members: members(), charset }),
            "binary" => Ok(Kind::Binary { len: usize::try_from(octets).unwrap_or(255) }),
            "varbinary" => Ok(Kind::VarBinary { len: octets }),
            "char" | "varchar" if charset == "binary" => refuse("a string without a character set"),
            "char" | "varchar" => Ok(Kind::Text {
                charset,
                collation: column.collation.clone().unwrap_or_default(),
                chars: column.chars.unwrap_or(0),
                fixed: column.data_type == "char",
            }),
            "float" | "double" => refuse("and no literal compares with a float exactly"),
            _ => refuse("a type that osc can't use in a key yet"),
        }
    }

    pub fn order(&self) -> KeyOrder {
        if matches!(self, Kind::Text { .. }) { KeyOrder::Unknown } else { KeyOrder::Bytes }
    }

    /// The highest value of a column whose comparisons the server does not turn into range access, so
    /// that they are better spelled out; none for a column that compares well, or has too many values.
    pub fn spelled_out(&self) -> Option<i128> {
        match self {
            Kind::Enum { members, .. } if members.len() < SPELLED_OUT => i128::try_from(members.len()).ok(),
            Kind::Set { members, .. } if members.len() <= 8 => Some((1i128 << members.len()) - 1),
            _ => None,
        }
    }

    /// Whether the first column of a key may be of this kind: ranges must be range access.
    pub fn ranges_well(&self) -> bool {
        !matches!(self, Kind::Enum { .. } | Kind::Set { .. }) || self.spelled_out().is_some()
    }

    /// Whether a column of this kind that becomes one of `later` keeps every value distinct, and equal
    /// to the same literal. `strict`: values that do not fit are errors, not cut.
    pub fn survives_as(&self, later: &Kind, strict: bool) -> bool {
        use Kind::*;
        let grown = |from: &[String], to: &[String]| to.starts_with(from);
        match (self, later) {
            (Int { .. }, Int { .. }) if strict => true,
            (Int { width: w, unsigned: u }, Int { width: v, unsigned: t }) => {
                (u == t && v >= w) || (*u && !*t && v > w)
            }
            (Int { width, .. }, Decimal { precision, scale }) => {
                let digits = match width {
                    1 => 3,
                    2 => 5,
                    3 => 8,
                    4 => 10,
                    _ => 20,
                };
                precision.saturating_sub(*scale) >= digits
            }
            (Decimal { precision: p, scale: s }, Decimal { precision: q, scale: t }) => {
                t >= s && q.saturating_sub(*t) >= p.saturating_sub(*s)
            }
            (Date, Date) | (Year, Year) => true,
            (DateTime { fsp: a }, DateTime { fsp: b })
            | (Timestamp { fsp: a }, Timestamp { fsp: b })
            | (Time { fsp: a }, Time { fsp: b }) => b >= a,
            (Bit { bits: a }, Bit { bits: b }) => b >= a,
            (Enum { members: a, charset: c }, Enum { members: b, charset: d })
            | (Set { members: a, charset: c }, Set { members: b, charset: d }) => c == d && grown(a, b),
            (Binary { len: a }, Binary { len: b }) => b >= a,
            (VarBinary { len: a }, VarBinary { len: b }) => b >= a,
            (
                Text { charset: a, collation: c, chars: m, fixed: f },
                Text { charset: b, collation: d, chars: n, fixed: g },
            ) => a == b && c == d && n >= m && (f == g || *f),
            _ => false,
        }
    }
}
