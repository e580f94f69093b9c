//! A database of a test's own, with the accounts that the documentation asks for.

use std::str::FromStr;

use tokio_postgres::Client;

use super::hostile::hostile;
use super::osc::Place;
use super::server::{Server, project};
use super::sql;

/// osc's account has the documented grants and nothing else, and every default that could hurt; the application's
/// owns the database and its tables.
pub struct Database {
    pub server: Server,
    pub name: String,
    /// The superuser, in this database.
    pub admin: Client,
}

impl Database {
    /// Creates the database anew. `name` is of a-z, 0-9 and _.
    pub async fn create(server: &Server, name: &str) -> Database {
        let out = server.admin("postgres").await;
        empty(server, &out, name).await;
        let (app, osc) = (format!("app_{name}"), format!("osc_{name}"));
        for statement in [
            format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS {osc}, {app}"),
            format!("CREATE ROLE {app} LOGIN PASSWORD 'app-secret'"),
            format!("CREATE ROLE {osc} LOGIN PASSWORD 'osc-secret'"),
            format!("CREATE DATABASE \"{name}\" OWNER {app}"),
        ] {
            sql::run(&out, &statement).await;
        }
        let admin = server.admin(name).await;
        sql::run(&admin, &grants(&format!("\"{name}\""), &app, &osc)).await;
        sql::run(&admin, &hostile(&osc)).await;
        Database { server: server.clone(), name: name.to_owned(), admin }
    }

    /// One with a small table `orders` in it.
    pub async fn with_orders(server: &Server, name: &str) -> Database {
        let db = Database::create(server, name).await;
        db.as_app(&[
            "CREATE TABLE orders (id int PRIMARY KEY, note text)",
            "INSERT INTO orders SELECT g, 'n' || g FROM generate_series(1, 100) g",
        ])
        .await;
        db
    }

    /// Another handle on a database that was created.
    pub async fn again(&self) -> Database {
        let admin = self.server.admin(&self.name).await;
        Database { server: self.server.clone(), name: self.name.clone(), admin }
    }

    pub fn osc_role(&self) -> String {
        format!("osc_{}", self.name)
    }

    pub fn app_role(&self) -> String {
        format!("app_{}", self.name)
    }

    /// osc's URL, without the password.
    pub fn osc_url(&self) -> String {
        format!("postgres://{}@127.0.0.1:{}/{}", self.osc_role(), self.server.port(), self.name)
    }

    /// The application's URL.
    pub fn app_url(&self) -> String {
        format!("postgres://{}:app-secret@127.0.0.1:{}/{}", self.app_role(), self.server.port(), self.name)
    }

    /// The superuser's URL: whoever looks into osc's schemas.
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.server.port(), self.name)
    }

    /// A connection of the application.
    pub async fn app(&self) -> Client {
        sql::connect(&self.app_url()).await
    }

    /// A connection of osc's account, with its hostile defaults.
    pub async fn osc(&self) -> Client {
        sql::connect(&self.osc_url().replacen('@', ":osc-secret@", 1)).await
    }

    /// Runs statements as the superuser, in this database.
    pub async fn run(&self, statements: &[&str]) {
        for statement in statements {
            sql::run(&self.admin, statement).await;
        }
    }

    /// Runs statements as the application: what they create it owns.
    pub async fn as_app(&self, statements: &[&str]) {
        let app = self.app().await;
        for statement in statements {
            sql::run(&app, statement).await;
        }
    }

    pub async fn rows(&self, query: &str) -> Vec<Vec<Option<String>>> {
        sql::rows(&self.admin, query).await
    }

    /// The first value of a query's first row, which must be there.
    pub async fn one<T: FromStr>(&self, query: &str) -> T {
        let value = sql::get(&self.admin, query).await.unwrap_or_else(|| panic!("{query}: no value"));
        value.parse().unwrap_or_else(|_| panic!("{query}: '{value}'"))
    }

    /// The tables there are, as schema.table, but the server's own.
    pub async fn tables(&self) -> Vec<String> {
        let sql = "SELECT schemaname || '.' || tablename FROM pg_tables \
                   WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";
        self.rows(sql).await.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
    }

    /// What is of osc in this database and beside it: schemas, publications, slots. After a run that swapped only the
    /// schema of the old table is left; after one that was cleaned up, nothing.
    pub async fn leftovers(&self) -> Vec<String> {
        let sql = "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname ~ '^osc_' \
                   UNION ALL SELECT 'publication ' || pubname FROM pg_publication WHERE pubname ~ '^osc_' \
                   UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots \
                             WHERE slot_name ~ '^osc_' AND database = current_database() ORDER BY 1";
        self.rows(sql).await.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
    }

    /// Where the swap has put the old table of this one, as schema.table.
    pub async fn old_of(&self, table: &str) -> String {
        let sql = format!(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname ~ '^osc_[0-9a-f]{{16}}_old$' AND c.relname = '{table}' AND c.relkind = 'r'"
        );
        self.one(&sql).await
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

/// Takes away what keeps a database from being dropped, if there is one: a test that was killed left it.
async fn empty(server: &Server, out: &Client, name: &str) {
    if sql::get(out, &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).await.is_none() {
        return;
    }
    let active = format!(
        "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots \
         WHERE database = '{name}' AND active_pid IS NOT NULL"
    );
    sql::run(out, &active).await;
    let inside = server.admin(name).await;
    let prepared = format!("SELECT gid FROM pg_prepared_xacts WHERE database = '{name}'");
    for gid in sql::rows(&inside, &prepared).await.into_iter().flatten().flatten() {
        sql::run(&inside, &format!("ROLLBACK PREPARED '{gid}'")).await;
    }
}

/// The documented grants, with the test's names put in.
fn grants(database: &str, app: &str, osc: &str) -> String {
    let text = std::fs::read_to_string(project().join("docs/grants/postgres.sql")).expect("the grants are documented");
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("--")).map(|l| format!("{l}\n")).collect();
    let mut out = String::new();
    for word in code.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let put = match bare {
            "shop" => database,
            "app" => app,
            "osc" => osc,
            other => other,
        };
        out.push_str(put);
        out.push_str(&word[bare.len()..]);
    }
    assert!(out.contains(app) && out.contains(osc) && out.contains(database), "{out}");
    out
}
