//! The traffic's SQL in the words of MySQL and MariaDB.

use crate::error::Error;
use crate::server::statements::{COLUMNS, Statements};

/// A name in backticks; only plain names, so that nobody needs to think about quoting.
pub(crate) fn quote(name: &str) -> Result<String, Error> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(plain) {
        return Err(Error::Usage(format!("'{name}' is not a plain table name")));
    }
    Ok(format!("`{name}`"))
}

/// `t` is quoted.
pub(crate) fn of(t: &str) -> Statements {
    let touch = "version = version + 1, token = ?";
    Statements {
        read: format!("SELECT {COLUMNS} FROM {t} WHERE id = ?"),
        read_customer: format!("SELECT {COLUMNS} FROM {t} WHERE customer_id = ?"),
        scan: format!("SELECT {COLUMNS} FROM {t} ORDER BY id"),
        count: format!("SELECT COUNT(*) FROM {t}"),
        insert: format!(
            "INSERT INTO {t} (customer_id, status, amount, note, email, created_at, version, token) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        insert_explicit: format!("INSERT INTO {t} ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        update: format!("UPDATE {t} SET status = ?, amount = ?, note = ?, updated_at = ?, {touch} WHERE id = ?"),
        update_customer: format!("UPDATE {t} SET customer_id = ?, email = ?, {touch} WHERE id = ?"),
        update_email: format!("UPDATE {t} SET email = ?, {touch} WHERE id = ?"),
        update_key: format!("UPDATE {t} SET id = ?, {touch} WHERE id = ?"),
        update_key_email: format!("UPDATE {t} SET id = ?, email = ?, {touch} WHERE id = ?"),
        // The hint keeps a small table's writers from scanning, and so locking, each other's rows.
        update_three: format!(
            "UPDATE {t} FORCE INDEX (PRIMARY) SET version = version + 1, token = ? + FIELD(id, ?, ?, ?) \
                 WHERE id IN (?, ?, ?)"
        ),
        upsert: format!(
            "INSERT INTO {t} ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE \
                 status = ?, amount = ?, note = ?, updated_at = ?, {touch}"
        ),
        replace: format!("REPLACE INTO {t} ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        delete: format!("DELETE FROM {t} WHERE id = ?"),
    }
}
