//! A database of a test's own, with the accounts that the documentation asks for.

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Row};

use super::osc::Place;
use super::server::{Server, project};

/// osc's account has the documented grants on this database and nothing else; the application's has
/// all on it.
pub struct Database {
    pub server: Server,
    pub name: String,
    pub admin: Conn,
}

impl Database {
    /// Creates the database anew.
    pub async fn create(server: &Server, name: &str) -> Database {
        let mut admin = server.admin().await;
        let osc = format!("osc_{name}");
        for statement in [
            format!("DROP DATABASE IF EXISTS `{name}`"),
            format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"),
            format!("DROP USER IF EXISTS '{osc}'@'%', 'app_{name}'@'%'"),
            format!("CREATE USER '{osc}'@'%' IDENTIFIED BY 'osc-secret'"),
            format!("CREATE USER 'app_{name}'@'%' IDENTIFIED BY 'app-secret'"),
            format!("GRANT ALL ON `{name}`.* TO 'app_{name}'@'%'"),
        ] {
            admin.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        for statement in grants(server, name, &osc) {
            admin.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        admin.query_drop(format!("USE `{name}`")).await.expect("the database exists");
        Database { server: server.clone(), name: name.to_owned(), admin }
    }

    /// osc's URL, without the password.
    pub fn osc_url(&self) -> String {
        format!("mysql://osc_{}@127.0.0.1:{}/{}", self.name, self.server.port(), self.name)
    }

    /// The application's URL.
    pub fn app_url(&self) -> String {
        format!("mysql://app_{}:app-secret@127.0.0.1:{}/{}", self.name, self.server.port(), self.name)
    }

    /// A connection of the application.
    pub async fn app(&self) -> Conn {
        self.server.connect(&format!("app_{}", self.name), Some("app-secret"), Some(&self.name)).await
    }

    /// Runs statements as the administrator, in this database.
    pub async fn run(&mut self, statements: &[&str]) {
        for statement in statements {
            let head: String = statement.chars().take(300).collect();
            self.admin.query_drop(*statement).await.unwrap_or_else(|e| panic!("{head}: {e}"));
        }
    }

    pub async fn rows(&mut self, query: &str) -> Vec<Row> {
        self.admin.query(query).await.unwrap_or_else(|e| panic!("{query}: {e}"))
    }

    pub async fn one<T: FromRow + Send + 'static>(&mut self, query: &str) -> T {
        let found: Option<T> = self.admin.query_first(query).await.unwrap_or_else(|e| panic!("{query}: {e}"));
        found.unwrap_or_else(|| panic!("{query}: no row"))
    }

    /// The tables there are.
    pub async fn tables(&mut self) -> Vec<String> {
        self.admin.query("SHOW TABLES").await.expect("SHOW TABLES")
    }

    pub async fn show_create(&mut self, table: &str) -> String {
        let (_, text): (String, String) = self.one(&format!("SHOW CREATE TABLE `{}`", table.replace('`', "``"))).await;
        text
    }
}

impl Place for Database {
    fn url(&self) -> String {
        self.osc_url()
    }

    fn label(&self) -> String {
        format!("{}-{}", self.server.name, self.name)
    }
}

/// The documented grants, with the test's names put in.
fn grants(server: &Server, database: &str, user: &str) -> Vec<String> {
    let file = if server.kind.is_mariadb() { "docs/grants/mariadb.sql" } else { "docs/grants/mysql.sql" };
    let text = std::fs::read_to_string(project().join(file)).expect("the grants are documented");
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("--")).map(|l| format!("{l}\n")).collect();
    let code = code.replace("`shop`", &format!("`{database}`")).replace("'osc'@'%'", &format!("'{user}'@'%'"));
    let statements: Vec<String> = code.split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
    assert!(statements.iter().all(|s| s.starts_with("GRANT ")) && !statements.is_empty());
    statements
}
