//! Two databases with the same schema; in one the ALTER is native, in the other it is osc's, and then their dumps are compared.

use std::cell::RefCell;
use std::collections::BTreeSet;

use osc::engine::postgres::connect::Address;
use osc::engine::postgres::fence::follow;
use osc::engine::postgres::names::Names;
use osc::engine::postgres::session::Session;
use osc::engine::postgres::shadow::Shadow;
use osc::engine::postgres::sql::Table;
use osc::engine::postgres::{dependents, identity};
use osc::error::Result;

use crate::harness::server::db as server_tool;
use crate::harness::{Database, Kind, Server};

pub struct Twin {
    pub osc: Database,
    pub native: Database,
    /// What both were like at last.
    last: RefCell<String>,
}

impl Twin {
    /// `setup` is run by the application in both; APP in it is the application's role.
    pub async fn new(kind: Kind, name: &str, setup: &[&str]) -> Twin {
        let server = Server::shared(kind);
        let twin = Twin {
            osc: Database::create(&server, &format!("{name}_a")).await,
            native: Database::create(&server, &format!("{name}_b")).await,
            last: RefCell::default(),
        };
        for db in [&twin.osc, &twin.native] {
            let setup: Vec<String> = setup.iter().map(|sql| sql.replace("APP", &db.app_role())).collect();
            db.as_app(&setup.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        let dumped = dump(&twin.osc);
        assert_same(&dumped, &dump(&twin.native), "before the ALTER");
        twin.last.replace(dumped);
        twin
    }

    /// Statements of a superuser, in both.
    pub async fn admin(&self, statements: &[&str]) {
        for db in [&self.osc, &self.native] {
            for sql in statements {
                db.run(&[&sql.replace("APP", &db.app_role())]).await;
            }
        }
    }

    /// The ALTER in both; the dumps must be equal, and different from what they were (a sequence's value is in none).
    pub async fn alter(&self, table: &str, alter: &str) -> Shadow {
        self.native.as_app(&[&format!("ALTER TABLE {table} {alter}")]).await;
        let shadow = change(&self.osc, table, alter).await.unwrap_or_else(|e| panic!("{e} {:?}", e.what_to_do()));
        let after = dump(&self.osc);
        let before = self.last.replace(after.clone());
        assert!(before != after || alter.contains("RESTART"), "the ALTER changed nothing: {alter}");
        assert_same(&after, &dump(&self.native), alter);
        shadow
    }

    /// Compares the rows of a query in both.
    pub async fn same_rows(&self, query: &str) {
        assert_eq!(self.osc.rows(query).await, self.native.rows(query).await, "{query}");
    }
}

pub fn parse(table: &str) -> Table {
    match table.split_once('.') {
        Some((schema, name)) => Table::new(schema.trim_matches('"'), name.trim_matches('"')),
        None => Table::new("public", table.trim_matches('"')),
    }
}

pub async fn open(db: &Database) -> Session {
    let url = db.osc_url().replacen('@', ":osc-secret@", 1);
    Session::open(&Address::parse(&url, None).unwrap()).await.unwrap()
}

pub async fn build(db: &Database, session: &mut Session, table: &str, alter: &str) -> Result<(Names, Shadow)> {
    let names = Names::of(&db.name, &parse(table));
    let found = identity::find(session, &names.original).await?;
    let shadow = session.transaction(async |session| Shadow::build(session, &names, &found, alter).await).await?;
    Ok((names, shadow))
}

/// What a run does to the catalog, with a plain copy; then the old table is dropped.
pub async fn change(db: &Database, table: &str, alter: &str) -> Result<Shadow> {
    let mut session = open(db).await;
    let (names, shadow) = build(db, &mut session, table, alter).await?;
    let overriding = if shadow.overriding { " OVERRIDING SYSTEM VALUE" } else { "" };
    let copy = format!(
        "INSERT INTO {} ({}){overriding} SELECT {} FROM {}",
        names.shadow,
        shadow.insert_columns(),
        shadow.select_list(),
        names.original
    );
    session.exec(&copy).await?;
    for statement in shadow.later.iter().flat_map(|index| &index.statements) {
        session.exec(statement).await.map_err(|error| error.context(statement))?;
    }
    let swap = dependents::plan(&mut session, &names, &shadow).await?;
    let address = Address::parse(&db.osc_url().replacen('@', ":osc-secret@", 1), None)?;
    dependents::proofs::hold(&address, &swap.checks).await?;
    session.exec("BEGIN").await?;
    for statement in swap.first.iter().chain(&swap.tables).chain(&swap.statements) {
        session.exec(statement).await.map_err(|error| error.context(statement))?;
    }
    session.exec("COMMIT").await?;
    for statement in &swap.after {
        session.exec(statement).await.map_err(|error| error.context(statement))?;
    }
    let mut matviews = swap.matviews;
    follow::settings(&address, &mut session, &mut matviews).await?;
    for matview in &matviews {
        follow::lead(&mut session, &names, matview).await?;
    }
    // Nothing may be left in the shadow's schema, and nothing may depend on the old table.
    session.exec(&format!("DROP SCHEMA {}", names.shadow.schema)).await?;
    session.exec(&format!("DROP TABLE {}", names.old)).await?;
    session.exec(&format!("DROP SCHEMA {} CASCADE", names.old.schema)).await?;
    Ok(shadow)
}

/// `pg_dump --schema-only`, without what differs by nature: the roles' names, and the order in which it happens to say
/// things (by number, among equals).
pub fn dump(db: &Database) -> String {
    let port = db.server.port().to_string();
    let text = server_tool(&[
        "run",
        &db.server.name,
        "pg_dump",
        "--schema-only",
        "--host=127.0.0.1",
        &format!("--port={port}"),
        "--username=postgres",
        &db.name,
    ]);
    assert!(text.contains("PostgreSQL database dump complete"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.replace(&db.app_role(), "app").replace(&db.osc_role(), "osc").replace(&db.name, "db")
}

/// Entry by entry, for a message that can be read.
fn assert_same(ours: &str, native: &str, what: &str) {
    if ours == native {
        return;
    }
    let entries = |text: &str| text.split("\n--\n").map(str::to_owned).collect::<BTreeSet<String>>();
    let (a, b) = (entries(ours), entries(native));
    let only = |x: &BTreeSet<String>, y: &BTreeSet<String>| x.difference(y).cloned().collect::<Vec<_>>().join("\n--\n");
    let (left, right) = (only(&a, &b), only(&b, &a));
    if left.is_empty() && right.is_empty() {
        // The same entries in another order: pg_dump sorts objects of one kind and name by their number.
        return;
    }
    panic!("{what}\n===== only after osc:\n{left}\n===== only after the native ALTER:\n{right}");
}
