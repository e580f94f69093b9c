//! What the self-check says to each server.

use crate::server::Dialect;

/// The statements, for names that need no quotes.
pub(crate) struct Words(pub Dialect);

impl Words {
    /// An empty table like another one.
    pub fn like(&self, new: &str, table: &str) -> String {
        match self.0 {
            Dialect::MySql => format!("CREATE TABLE {new} LIKE {table}"),
            Dialect::Postgres => format!("CREATE TABLE {new} (LIKE {table} INCLUDING ALL)"),
        }
    }

    /// Locks tables for this session alone.
    pub fn lock(&self, tables: [&str; 2]) -> String {
        let [a, b] = tables;
        match self.0 {
            Dialect::MySql => format!("LOCK TABLES {a} WRITE, {b} WRITE"),
            Dialect::Postgres => format!("BEGIN; LOCK TABLE {a}, {b} IN ACCESS EXCLUSIVE MODE"),
        }
    }

    pub fn unlock(&self) -> &'static str {
        match self.0 {
            Dialect::MySql => "UNLOCK TABLES",
            Dialect::Postgres => "COMMIT",
        }
    }

    /// Gives tables other names, all at once.
    pub fn rename(&self, pairs: &[(&str, &str)]) -> String {
        match self.0 {
            Dialect::MySql => {
                let pairs: Vec<String> = pairs.iter().map(|(from, to)| format!("{from} TO {to}")).collect();
                format!("RENAME TABLE {}", pairs.join(", "))
            }
            Dialect::Postgres => {
                let each = pairs.iter().map(|(from, to)| format!("ALTER TABLE {from} RENAME TO {to}"));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// Keys are generated from this one on.
    pub fn keys_from(&self, table: &str, key: u64) -> String {
        match self.0 {
            Dialect::MySql => format!("ALTER TABLE {table} AUTO_INCREMENT = {key}"),
            Dialect::Postgres => format!("ALTER TABLE {table} ALTER COLUMN id RESTART WITH {key}"),
        }
    }

    /// Keys are generated as if there had been only those that are in the table now; MySQL does so by itself.
    pub fn forget_keys(&self, table: &str) -> Option<String> {
        let forget = format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}");
        (self.0 == Dialect::Postgres).then_some(forget)
    }

    /// Deletes rows that the traffic is at work on. PostgreSQL would find deadlocks with its transactions.
    pub fn delete(&self, table: &str, condition: &str) -> String {
        let delete = format!("DELETE FROM {table} WHERE {condition}");
        match self.0 {
            Dialect::MySql => delete,
            Dialect::Postgres => format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; {delete}; COMMIT"),
        }
    }

    pub fn kill(&self, id: u32) -> String {
        match self.0 {
            Dialect::MySql => format!("KILL {id}"),
            Dialect::Postgres => format!("SELECT pg_terminate_backend({id})"),
        }
    }

    /// The code of "no such table".
    pub fn no_such_table(&self) -> &'static str {
        match self.0 {
            Dialect::MySql => "1146",
            Dialect::Postgres => "42P01",
        }
    }
}
