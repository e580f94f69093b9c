//! Provisional.
use super::catalog::{self, TableInfo};
use super::flavor::Flavor;
use super::names::Names;
use super::session::Session;
use crate::error::{Error, Result};
pub struct Facts {
    pub flavor: Flavor,
    pub table: TableInfo,
    pub row_image: String,
    pub sql_mode: String,
    pub hints: Vec<String>,
}
impl Facts {
    pub fn strict(&self) -> bool {
        self.sql_mode.contains("STRICT_")
    }
}
pub async fn check(session: &mut Session, names: &Names, _resuming: bool) -> Result<Facts> {
    let table = catalog::read(session, &names.original).await?.ok_or_else(|| Error::refused("no such table"))?;
    let vars: Option<(String, String)> = session.first("SELECT @@GLOBAL.binlog_row_image, @@GLOBAL.sql_mode").await?;
    let (row_image, sql_mode) = vars.unwrap_or_default();
    Ok(Facts { flavor: session.flavor, table, row_image, sql_mode, hints: vec![] })
}
pub async fn prepared_xa(session: &mut Session) -> Result<Vec<String>> {
    let rows: Vec<mysql_async::Row> = session.rows("XA RECOVER").await?;
    Ok(rows.iter().map(|r| r.get::<String, _>(3).unwrap_or_default()).collect())
}
