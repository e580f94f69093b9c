//! Rows as they are on both sides, for the message that names them.

use mysql_async::Row;

use crate::engine::mysql::key::Side;
use crate::engine::mysql::mirror::Rewrite;
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::{bytes, list};
use crate::error::Result;
use crate::model::{Key, Rows};

/// The longest value that is shown as a whole, in characters or in bytes of a binary one.
const LONGEST: usize = 40;
/// More columns than this are not shown, but those that differ are.
const COLUMNS: usize = 12;

/// Each key with its two rows, in a sentence.
pub async fn rows(session: &mut Session, rewrite: &Rewrite, keys: &[Key]) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for key in keys {
        let set = Rows::Keys(std::slice::from_ref(key));
        let ours = session.rows(&rewrite.select(&rewrite.filter(Side::Source, set)?)).await?;
        let theirs = format!(
            "SELECT {} FROM {} WHERE {}",
            list(rewrite.columns.iter().map(|(column, _)| column)),
            rewrite.names.shadow,
            rewrite.filter(Side::Shadow, set)?
        );
        let theirs = session.rows(&theirs).await?;
        sentences.push(sentence(rewrite, key, ours.first(), theirs.first()));
    }
    Ok(sentences)
}

fn sentence(rewrite: &Rewrite, key: &Key, ours: Option<&Row>, theirs: Option<&Row>) -> String {
    let (table, shadow) = (rewrite.names.original.name.bare(), rewrite.names.shadow.name.bare());
    let key = rewrite.key.describe(key);
    let differs = |at: usize| ours.zip(theirs).is_some_and(|(a, b)| value(a, at) != value(b, at));
    let different: Vec<usize> = (0..rewrite.columns.len()).filter(|at| differs(*at)).collect();
    let shown: Vec<usize> = (0..rewrite.columns.len()).filter(|at| *at < COLUMNS || different.contains(at)).collect();
    let row = |row: &Row| {
        let one = |at: &usize| {
            let name = rewrite.columns.get(*at).map(|(column, _)| column.bare()).unwrap_or_default();
            format!("{name}={}", words(value(row, *at)))
        };
        let rest = if shown.len() < rewrite.columns.len() { ", …" } else { "" };
        format!("({}{rest})", list(shown.iter().map(one)))
    };
    match (ours, theirs) {
        (Some(a), Some(b)) => format!("{key}: {table} has {}, {shadow} has {}.", row(a), row(b)),
        (Some(a), None) => format!("{key}: {table} has {}, {shadow} has no such row.", row(a)),
        (None, Some(b)) => format!("{key}: {table} has no such row, {shadow} has {}.", row(b)),
        (None, None) => format!("{key}: by now neither table has such a row."),
    }
}

fn value(row: &Row, at: usize) -> Option<Vec<u8>> {
    row.get_opt::<Option<Vec<u8>>, _>(at).and_then(|v| v.ok()).flatten()
}

fn words(value: Option<Vec<u8>>) -> String {
    let Some(value) = value else { return "NULL".into() };
    let cut = value.len() > LONGEST;
    let more = if cut { "…" } else { "" };
    match std::str::from_utf8(&value) {
        Ok(text) if !text.chars().any(char::is_control) => {
            format!("'{}{more}'", text.chars().take(LONGEST).collect::<String>())
        }
        _ => format!("{}{more}", bytes(value.get(..LONGEST.min(value.len())).unwrap_or_default())),
    }
}
