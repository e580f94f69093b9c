//! What is refused before anything is touched, each refusal on real servers, and that nothing else is.

mod grants;
mod leftovers;
mod server;
mod table;

use mysql_async::prelude::Queryable;
use osc::engine::mysql::connect::Address;
use osc::engine::mysql::names::Names;
use osc::engine::mysql::preflight::{self, Facts};
use osc::engine::mysql::session::Session;
use osc::engine::mysql::sql::Table;
use osc::error::{Error, Kind as Sort};

use super::harness::{Database, Kind, Server};

/// A session of osc's own account.
pub async fn session(db: &Database) -> Session {
    let address = Address::parse(&db.osc_url(), Some("osc-secret")).expect("the harness makes good URLs");
    Session::open(&address).await.unwrap_or_else(|e| panic!("{}: {e}", db.name))
}

async fn check(db: &Database, table: &str) -> Result<Facts, Error> {
    let names = Names::of(&Table::new(&db.name, table))?;
    preflight::check(&mut session(db).await, &names, false).await
}

/// What the refusal says, and what to do.
async fn refused(db: &Database, table: &str) -> (String, String) {
    match check(db, table).await {
        Ok(_) => panic!("{} on {}: not refused", table, db.server.name),
        Err(error) => {
            assert_eq!(error.kind(), Sort::Refused, "{error}: {:?}", error.causes());
            assert_eq!(error.table_state(), Some("Nothing was changed."));
            (error.what().to_owned(), error.what_to_do().unwrap_or_default().to_owned())
        }
    }
}

/// The refusal says one thing alone, with all of these words.
async fn refused_for(db: &Database, table: &str, words: &[&str]) -> String {
    let (what, todo) = refused(db, table).await;
    assert_eq!(what.lines().count(), 1, "{}: {what}", db.server.name);
    for word in words {
        assert!(what.contains(word), "{}: no '{word}' in: {what}", db.server.name);
    }
    assert!(!todo.is_empty());
    todo
}

async fn passes(db: &Database, table: &str) -> Facts {
    check(db, table).await.unwrap_or_else(|e| panic!("{} on {}: {e}", table, db.server.name))
}

/// Runs what a refusal asks for.
async fn obey(server: &Server, todo: &str) {
    let mut admin = server.admin().await;
    for statement in todo.lines() {
        let statement = statement.rsplit_once(": ").filter(|(_, s)| s.ends_with(';')).map_or(statement, |(_, s)| s);
        admin.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

async fn orders(server: &Server, name: &str) -> Database {
    let mut db = Database::create(server, name).await;
    db.run(&["CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(20)) COMMENT 'mine'"]).await;
    db
}

#[tokio::test]
async fn an_ordinary_table_passes() {
    for kind in [Kind::MySql, Kind::MariaDb, Kind::MariaDb118] {
        let db = orders(&Server::shared(kind), "pre_ordinary").await;
        let facts = passes(&db, "orders").await;
        assert_eq!(facts.flavor.is_mariadb(), kind.is_mariadb());
        assert!(facts.gtid_mode && !facts.semi_sync);
        assert_eq!((facts.row_image.as_str(), facts.lower_case_table_names), ("FULL", 0));
        assert!(facts.max_allowed_packet >= 1 << 20 && !facts.time_zone.is_empty());
        assert_eq!(facts.autoinc_lock_mode, if kind.is_mariadb() { 1 } else { 2 });
        assert!(facts.sql_mode.contains("STRICT_TRANS_TABLES"));
        assert_eq!((facts.table.table.name.bare(), facts.table.columns.len()), ("orders", 2));
        assert_eq!(facts.hints.iter().any(|h| h.contains("innodb_autoinc_lock_mode")), kind.is_mariadb());
        assert!(!facts.hints.iter().any(|h| h.contains("sync_binlog") || h.contains("strict") || h.contains("GRANT")));
    }
}

#[tokio::test]
async fn the_preflight_changes_nothing() {
    for kind in Kind::QUICK {
        let mut db = orders(&Server::shared(kind), "pre_harmless").await;
        let before = (db.tables().await, db.show_create("orders").await);
        passes(&db, "orders").await;
        refused(&db, "order").await;
        assert_eq!((db.tables().await, db.show_create("orders").await), before);
    }
}
