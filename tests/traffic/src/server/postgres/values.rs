//! Values on their way to PostgreSQL, and back.

use std::error::Error as StdError;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::model::row::{Row, Seen};
use crate::model::token::Token;
use crate::server::cell::{self, Cell, civil, decimal};

impl Cell {
    /// As the server would print it; none for NULL.
    fn text(&self) -> Option<String> {
        Some(match self {
            Cell::Null => return None,
            Cell::Int(n) => n.to_string(),
            Cell::Token(token) => token.0.to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Cents(cents) => decimal(*cents),
            Cell::Moment(us) => {
                let c = civil(*us);
                format!(
                    "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
                    c.year, c.month, c.day, c.hour, c.minute, c.second, c.micros
                )
            }
        })
    }

    fn literal(&self) -> String {
        self.text().map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
    }
}

/// The values in place of `$1`, `$2`, …: the statement as an application sends it that prepares nothing.
pub(crate) fn inlined(sql: &str, args: &[Cell]) -> String {
    let mut parts = sql.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let arg = number.parse::<usize>().ok().and_then(|n| args.get(n.checked_sub(1)?));
        out.push_str(&arg.map_or_else(|| format!("${number}"), Cell::literal));
        out.push_str(rest);
    }
    out
}

impl ToSql for Cell {
    /// Numbers by the type that the server has found for the parameter, everything else as its text.
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (self, ty) {
            (Cell::Int(n), &Type::INT8) => n.to_sql(ty, out),
            (Cell::Int(n), &Type::INT4) => i32::try_from(*n)?.to_sql(ty, out),
            (Cell::Int(n), &Type::INT2) => i16::try_from(*n)?.to_sql(ty, out),
            // An enum's label is sent as it is.
            _ => match self.text() {
                Some(text) => {
                    out.extend_from_slice(text.as_bytes());
                    Ok(IsNull::No)
                }
                None => Ok(IsNull::Yes),
            },
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A row in the order of [`crate::server::statements::COLUMNS`]. `Err` when not even the key is a number: then nothing
/// can be said about the table.
pub(crate) fn row(values: &[Option<&str>]) -> Result<Seen, String> {
    let at = |n: usize, column: &str| values.get(n).copied().flatten().ok_or_else(|| format!("{column} is NULL"));
    let int = |n: usize, column: &str| -> Result<i64, String> {
        let text = at(n, column)?;
        text.parse().map_err(|_| format!("{column} is {text}"))
    };
    let key = int(0, "id")?;
    let rest = || -> Result<Row, String> {
        let (status, amount, token) = (at(2, "status")?, at(3, "amount")?, at(9, "token")?);
        Ok(Row {
            key,
            customer: int(1, "customer_id")?,
            status: cell::status(status).ok_or_else(|| format!("status is {status}"))?,
            cents: cell::cents(amount).ok_or_else(|| format!("amount is {amount}"))?,
            note: values.get(4).copied().flatten().map(str::to_owned),
            email: at(5, "email")?.to_owned(),
            created_us: int(6, "created_at")?,
            updated_us: int(7, "updated_at")?,
            version: int(8, "version")?,
            token: Token(token.parse().map_err(|_| format!("token is {token}"))?),
        })
    };
    Ok(Seen { key, row: rest() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_their_numbers_stood() {
        let args = [Cell::Int(-7), Cell::Text("it's $2".into()), Cell::Null];
        assert_eq!(inlined("SET a = $2, b = $3 WHERE id = $1", &args), "SET a = 'it''s $2', b = NULL WHERE id = '-7'");
    }

    #[test]
    fn moments_are_printed() {
        assert_eq!(Cell::Moment(1_704_067_200_000_001).text().as_deref(), Some("2024-01-01 00:00:00.000001"));
    }

    #[test]
    fn an_unreadable_value_keeps_its_key() {
        assert!(matches!(row(&[Some("7"), None]), Ok(Seen { key: 7, row: Err(_) })));
        assert!(row(&[None]).is_err());
    }
}
