//! From a checked connection to the engine's own address and table.

use super::connection::Connection;
use super::table_name::TableName;
use crate::engine::mysql;
use crate::engine::mysql::failover;
use crate::engine::postgres;
use crate::engine::postgres::preflight;
use crate::engine::postgres::session::Session;
use crate::error::Result;

/// The server to work on: the only one of the URL, or the one of its list that can be written to.
pub async fn mysql_address(connection: &Connection) -> Result<mysql::connect::Address> {
    let urls = std::iter::once(&connection.url).chain(&connection.others);
    let list = urls.map(|url| mysql_parse(url, connection)).collect::<Result<Vec<_>>>()?;
    failover::choose(&list).await
}

pub fn mysql_parse(url: &str, connection: &Connection) -> Result<mysql::connect::Address> {
    mysql::connect::Address::parse(url, connection.password.as_ref().map(|p| p.expose()))
}

pub fn mysql_table(name: &TableName) -> mysql::sql::Table {
    mysql::sql::Table::new(name.space.as_deref().unwrap_or_default(), &name.table)
}

pub fn postgres_address(connection: &Connection) -> Result<postgres::connect::Address> {
    postgres::connect::Address::parse(&connection.url, connection.password.as_ref().map(|p| p.expose()))
}

/// The table that is meant, in the schema that the server finds it in. The name is completed for messages.
pub async fn postgres_table(
    address: &postgres::connect::Address,
    name: &mut TableName,
) -> Result<postgres::sql::Table> {
    let mut session = Session::open(address).await?;
    let table = preflight::spelled(&mut session, name.space.as_deref(), &name.table).await?;
    name.space = Some(table.schema.bare().to_owned());
    Ok(table)
}
