//! Families of types that convert alike.

use crate::engine::mysql::catalog::Column;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Int,
    Decimal,
    Float,
    Bit,
    Year,
    Date,
    DateTime,
    Timestamp,
    Time,
    Text,
    Binary,
    Enum,
    Set,
    Json,
    /// MariaDB's UUID, INET4 and INET6.
    Address,
    /// Anything else: copied as it is, or not at all.
    Other,
}

pub fn class(column: &Column) -> Class {
    match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Class::Int,
        "decimal" => Class::Decimal,
        "float" | "double" => Class::Float,
        "bit" => Class::Bit,
        "year" => Class::Year,
        "date" => Class::Date,
        "datetime" => Class::DateTime,
        "timestamp" => Class::Timestamp,
        "time" => Class::Time,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Class::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Class::Binary,
        "enum" => Class::Enum,
        "set" => Class::Set,
        "json" => Class::Json,
        "uuid" | "inet4" | "inet6" => Class::Address,
        _ => Class::Other,
    }
}
