//! Table options: `ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT 'x'`.

use super::clause::unknown;
use super::cursor::Cursor;
use super::lex::{Kind, Token};
use crate::error::{Error, Result};

/// Options that a shadow takes as the original would.
const PLAIN: &[&str] = &[
    "AUTOEXTEND_SIZE",
    "AVG_ROW_LENGTH",
    "CHARSET",
    "CHECKSUM",
    "COLLATE",
    "COMMENT",
    "COMPRESSION",
    "DELAY_KEY_WRITE",
    "ENCRYPTED",
    "ENCRYPTION",
    "ENCRYPTION_KEY_ID",
    "ENGINE_ATTRIBUTE",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "ROW_FORMAT",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
];

/// What a run of options comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// The tokens to keep, option by option.
    pub kept: Vec<&'a [Token]>,
    pub auto_increment: Option<u64>,
}

/// Whether a clause that begins like this is made of table options.
pub fn begins(cursor: &Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    let default = ahead.take("DEFAULT");
    if ahead.sees("CHARACTER SET") {
        return true;
    }
    let Some(token) = ahead.next() else { return false };
    let named = |list: &[&str]| {
        matches!(token.kind, Kind::Word | Kind::Quoted) && list.iter().any(|o| token.value.eq_ignore_ascii_case(o))
    };
    if default {
        return named(&["CHARSET", "COLLATE"]);
    }
    named(PLAIN)
        || named(&["ENGINE", "TYPE", "AUTO_INCREMENT", "TABLESPACE", "UNION", "CONNECTION", "INSERT_METHOD"])
        || named(&[
            "SECONDARY_ENGINE",
            "SECONDARY_ENGINE_ATTRIBUTE",
            "SEQUENCE",
            "TRANSACTIONAL",
            "PASSWORD",
            "STORAGE",
        ])
        || cursor.sees("DATA DIRECTORY")
        || cursor.sees("INDEX DIRECTORY")
        || cursor.sees("START TRANSACTION")
        || cursor.sees("WITH SYSTEM")
}

/// Reads a clause that is made of table options.
pub fn read<'a>(clause: &'a [Token]) -> Result<Options<'a>> {
    let mut cursor = Cursor::new(clause);
    let mut options = Options::default();
    while !cursor.at_end() {
        let from = cursor.rest();
        let named = option_name(&mut cursor).ok_or_else(|| unknown(from))?;
        cursor.take_sign('=');
        let value = cursor.next().ok_or_else(|| unknown(from))?;
        if !matches!(value.kind, Kind::Word | Kind::Quoted | Kind::Text) {
            return Err(unknown(from));
        }
        match named.as_str() {
            "AUTO_INCREMENT" => {
                options.auto_increment = Some(value.value.parse().map_err(|_| unknown(from))?);
                continue;
            }
            "ENGINE" | "TYPE" if !value.value.eq_ignore_ascii_case("InnoDB") => {
                return Err(Error::refused(format!(
                    "The ALTER changes the storage engine to {}; osc works with InnoDB only.",
                    value.value
                )));
            }
            _ => {}
        }
        let len = from.len() - cursor.rest().len();
        options.kept.push(from.get(..len).unwrap_or_default());
    }
    Ok(options)
}

/// Reads the name of an option that osc lets through; none for any other.
fn option_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let default = cursor.take("DEFAULT");
    if cursor.take("CHARACTER SET") {
        return Some("CHARSET".into());
    }
    let token = cursor.next().filter(|t| matches!(t.kind, Kind::Word | Kind::Quoted))?;
    let name = token.value.to_ascii_uppercase();
    let known = match name.as_str() {
        "CHARSET" | "COLLATE" => true,
        "ENGINE" | "TYPE" | "AUTO_INCREMENT" => !default,
        other => !default && PLAIN.contains(&other),
    };
    known.then_some(name)
}
