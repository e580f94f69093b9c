//! The traffic's SQL in the words of PostgreSQL.
//!
//! What is read is read as text, so that a column of another type changes the result of no prepared statement: a native
//! ALTER would end those too ("cached plan must not change result type").

use crate::error::Error;
use crate::server::statements::{COLUMNS, Statements};

/// The columns as [`super::values::row`] reads them.
const READ: &str = "id::text, customer_id::text, status::text, amount::text, note::text, email::text, \
                    (extract(epoch FROM created_at) * 1000000)::bigint::text, \
                    (extract(epoch FROM updated_at) * 1000000)::bigint::text, version::text, token::text";

/// Values for all columns.
const FULL: &str = "?, ?, ?, ?::text::numeric, ?, ?, ?::text::timestamp, ?::text::timestamptz, ?, ?::text::numeric";

/// A name, or schema.name, in double quotes; only plain ones.
pub(crate) fn quote(name: &str) -> Result<String, Error> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    let parts: Vec<&str> = name.split('.').collect();
    let bad = |part: &&str| part.is_empty() || part.len() > 63 || !part.chars().all(plain);
    if parts.len() > 2 || parts.iter().any(bad) {
        return Err(Error::Usage(format!("'{name}' is not a plain table name")));
    }
    Ok(parts.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join("."))
}

/// `t` is quoted.
pub(crate) fn of(t: &str) -> Statements {
    let token = "version = o.version + 1, token = ?::text::numeric";
    // As MySQL's ON UPDATE CURRENT_TIMESTAMP.
    let touch = format!("updated_at = clock_timestamp(), {token}");
    let body = "status = ?, amount = ?::text::numeric, note = ?, updated_at = ?::text::timestamptz";
    let each = |form: &str| COLUMNS.split(", ").skip(1).map(|c| form.replace('?', c)).collect::<Vec<_>>().join(", ");
    let texts = Statements {
        read: format!("SELECT {READ} FROM {t} WHERE id = ?"),
        read_customer: format!("SELECT {READ} FROM {t} WHERE customer_id = ?"),
        scan: format!("SELECT {READ} FROM {t} o ORDER BY o.id"),
        count: format!("SELECT count(*)::text FROM {t}"),
        insert: format!(
            "INSERT INTO {t} (customer_id, status, amount, note, email, created_at, version, token) \
             VALUES (?, ?, ?::text::numeric, ?, ?, ?::text::timestamp, ?, ?::text::numeric) RETURNING id::text"
        ),
        insert_explicit: format!("INSERT INTO {t} ({COLUMNS}) VALUES ({FULL})"),
        update: format!("UPDATE {t} o SET {body}, {token} WHERE id = ?"),
        update_customer: format!("UPDATE {t} o SET customer_id = ?, email = ?, {touch} WHERE id = ?"),
        update_email: format!("UPDATE {t} o SET email = ?, {touch} WHERE id = ?"),
        update_key: format!("UPDATE {t} o SET id = ?, {touch} WHERE id = ?"),
        update_key_email: format!("UPDATE {t} o SET id = ?, email = ?, {touch} WHERE id = ?"),
        update_three: format!(
            "UPDATE {t} o SET {touch} + array_position(ARRAY[?::bigint, ?::bigint, ?::bigint], id::bigint) \
             WHERE id IN (?, ?, ?)"
        ),
        upsert: format!(
            "INSERT INTO {t} AS o ({COLUMNS}) VALUES ({FULL}) ON CONFLICT (id) DO UPDATE SET {body}, {token}"
        ),
        replace: format!(
            "INSERT INTO {t} AS o ({COLUMNS}) VALUES ({FULL}) ON CONFLICT (id) DO UPDATE SET {}",
            each("? = excluded.?")
        ),
        delete: format!("DELETE FROM {t} WHERE id = ?"),
    };
    numbered(texts)
}

/// `?` as `$1`, `$2`, … in each of them.
fn numbered(mut texts: Statements) -> Statements {
    let Statements {
        read,
        read_customer,
        scan,
        count,
        insert,
        insert_explicit,
        update,
        update_customer,
        update_email,
        update_key,
        update_key_email,
        update_three,
        upsert,
        replace,
        delete,
    } = &mut texts;
    for text in [
        read,
        read_customer,
        scan,
        count,
        insert,
        insert_explicit,
        update,
        update_customer,
        update_email,
        update_key,
        update_key_email,
        update_three,
        upsert,
        replace,
        delete,
    ] {
        let mut parts = text.split('?');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for (at, part) in parts.enumerate() {
            out.push_str(&format!("${}{part}", at + 1));
        }
        *text = out;
    }
    texts
}
