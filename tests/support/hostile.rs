//! What a DBA may have given osc's role on PostgreSQL as defaults: osc must work all the same.

const SETTINGS: [&str; 14] = [
    "extra_float_digits = 0",
    "datestyle = 'SQL, DMY'",
    "timezone = 'Asia/Kolkata'",
    "intervalstyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "search_path = 'nowhere'",
    "statement_timeout = '20ms'",
    "lock_timeout = '1ms'",
    "idle_session_timeout = '300ms'",
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "synchronous_commit = off",
    "standard_conforming_strings = off",
    "row_security = on",
];

/// The statements that give a role all of them.
pub fn hostile(role: &str) -> String {
    SETTINGS.map(|setting| format!("ALTER ROLE {role} SET {setting}")).join("; ")
}
