//! The SQL of the traffic. Every statement names its columns, as an application's does, so that it
//! keeps working whatever columns the table has got in the meantime.

use crate::error::Error;

/// The table's columns in the order in which rows are read and written.
pub(crate) const COLUMNS: &str = "id, customer_id, status, amount, note, email, created_at, updated_at, version, token";

/// The SQL texts for one table.
pub(crate) struct Statements {
    pub read: String,
    pub read_customer: String,
    pub scan: String,
    pub count: String,
    /// Without id and updated_at: both by the server.
    pub insert: String,
    /// All columns.
    pub insert_explicit: String,
    pub update: String,
    pub update_customer: String,
    pub update_email: String,
    pub update_key: String,
    pub update_key_email: String,
    pub update_three: String,
    pub upsert: String,
    pub replace: String,
    pub delete: String,
}

/// A name in backticks; only plain names, so that nobody needs to think about quoting.
pub(crate) fn quote(name: &str) -> Result<String, Error> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(plain) {
        return Err(Error::Usage(format!("'{name}' is not a plain table name")));
    }
    Ok(format!("`{name}`"))
}

impl Statements {
    pub fn new(table: &str) -> Result<Statements, Error> {
        let t = quote(table)?;
        let touch = "version = version + 1, token = ?";
        Ok(Statements {
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_or_refused() {
        assert_eq!(quote("orders_osc_old").ok().as_deref(), Some("`orders_osc_old`"));
        for bad in ["", "a`b", "a.b", "a b", "x; DROP TABLE y"] {
            assert!(quote(bad).is_err(), "{bad}");
        }
    }
}
