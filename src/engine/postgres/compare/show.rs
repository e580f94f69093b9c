//! Rows as they are on both sides, for the message that names them.

use tokio_postgres::SimpleQueryRow;

use crate::engine::postgres::mirror::{Rewrite, Side};
use crate::engine::postgres::session::{Session, text_at};
use crate::engine::postgres::sql::list;
use crate::error::Result;
use crate::model::{Key, Rows};

/// The longest value that is shown as a whole, in characters.
const LONGEST: usize = 40;
/// More columns than this are not shown, but those that differ are.
const COLUMNS: usize = 12;

/// Each key with its two rows, in a sentence.
pub async fn rows(session: &mut Session, rewrite: &Rewrite, keys: &[Key]) -> Result<Vec<String>> {
    let columns = &rewrite.shadow.columns;
    let mut sentences = Vec::new();
    for key in keys {
        let set = Rows::Keys(std::slice::from_ref(key));
        let ours = format!(
            "SELECT {} FROM ONLY {} WHERE {}",
            list(columns.iter().map(|c| format!("({})::{}", c.expression, c.kind))),
            rewrite.names.original,
            rewrite.filter(Side::Source, set)?
        );
        let theirs = format!(
            "SELECT {} FROM ONLY {} WHERE {}",
            rewrite.insert_columns(),
            rewrite.names.shadow,
            rewrite.filter(Side::Shadow, set)?
        );
        let (ours, theirs) = (session.rows(&ours).await?, session.rows(&theirs).await?);
        sentences.push(sentence(rewrite, key, ours.first(), theirs.first()));
    }
    Ok(sentences)
}

fn sentence(rewrite: &Rewrite, key: &Key, ours: Option<&SimpleQueryRow>, theirs: Option<&SimpleQueryRow>) -> String {
    let (table, shadow) = (rewrite.names.original.bare(), rewrite.names.shadow.bare());
    let (key, columns) = (rewrite.key().describe(key), &rewrite.shadow.columns);
    let differs = |at: usize| ours.zip(theirs).is_some_and(|(a, b)| text_at(a, at) != text_at(b, at));
    let compared = |at: usize| columns.get(at).is_some_and(|c| c.compared);
    let shown: Vec<usize> = (0..columns.len()).filter(|at| compared(*at) && (*at < COLUMNS || differs(*at))).collect();
    let row = |row: &SimpleQueryRow| {
        let one = |at: &usize| {
            let name = columns.get(*at).map(|c| c.column.bare()).unwrap_or_default();
            format!("{name}={}", words(text_at(row, *at)))
        };
        let rest = if shown.len() < columns.len() { ", …" } else { "" };
        format!("({}{rest})", list(shown.iter().map(one)))
    };
    match (ours, theirs) {
        (Some(a), Some(b)) => format!("{key}: {table} has {}, {shadow} has {}.", row(a), row(b)),
        (Some(a), None) => format!("{key}: {table} has {}, {shadow} has no such row.", row(a)),
        (None, Some(b)) => format!("{key}: {table} has no such row, {shadow} has {}.", row(b)),
        (None, None) => format!("{key}: by now neither table has such a row."),
    }
}

fn words(value: Option<String>) -> String {
    let Some(value) = value else { return "NULL".into() };
    let more = if value.chars().count() > LONGEST { "…" } else { "" };
    let start: String = value
        .chars()
        .take(LONGEST)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    format!("'{start}{more}'")
}
