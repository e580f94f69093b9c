//! What hangs on a table from outside: triggers and foreign keys, also those of tables in databases
//! that osc's account has no rights on.

use super::Relations;
use crate::engine::mysql::session::Session;
use crate::engine::mysql::sql::{Table, text};
use crate::error::Result;

/// Reads what hangs on a table, by the name that the catalog spells. Needs TRIGGER on the database and
/// PROCESS; without TRIGGER the server shows no triggers, without PROCESS it refuses.
pub async fn relations(session: &mut Session, table: &Table) -> Result<Relations> {
    let (db, name) = (text(table.db.bare()), text(table.name.bare()));
    let triggers = session
        .all(&format!(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS \
             WHERE EVENT_OBJECT_SCHEMA = {db} AND EVENT_OBJECT_TABLE = {name} ORDER BY TRIGGER_NAME"
        ))
        .await?;
    // InnoDB's own list is complete; information_schema.REFERENTIAL_CONSTRAINTS shows only tables that
    // the account may see. Names in it are `db/table`, in MariaDB as in file names.
    let sql = if session.flavor.is_mariadb() {
        let part = |column: &str, n: i8| {
            format!(
                "CONVERT(CONVERT(CAST(SUBSTRING_INDEX({column}, '/', {n}) AS BINARY) USING filename) USING utf8mb4)"
            )
        };
        format!(
            "SELECT CONCAT({}, '/', {}), CONCAT({}, '/', {}), ID FROM information_schema.INNODB_SYS_FOREIGN",
            part("FOR_NAME", 1),
            part("FOR_NAME", -1),
            part("REF_NAME", 1),
            part("REF_NAME", -1)
        )
    } else {
        "SELECT FOR_NAME, REF_NAME, ID FROM information_schema.INNODB_FOREIGN".to_owned()
    };
    let own = format!("{}/{}", table.db.bare(), table.name.bare());
    let all: Vec<(String, String, String)> = session.all(&sql).await?;
    let mut relations = Relations { triggers, ..Relations::default() };
    for (child, parent, id) in all {
        let name = id.rsplit('/').next().unwrap_or(&id).to_owned();
        if child == own {
            relations.foreign_keys.push(name);
        } else if parent == own {
            relations.referenced_by.push((child.replacen('/', ".", 1), name));
        }
    }
    Ok(relations)
}
