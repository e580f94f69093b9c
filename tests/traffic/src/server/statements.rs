//! The SQL of the traffic. Every statement names its columns, as an application's does, so that it
//! keeps working whatever columns the table has got in the meantime.

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
