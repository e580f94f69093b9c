//! The plan of a change on real servers: catalog, keys, the shadow and its mapping.

mod access;
mod catalog;
mod conversion_values;
mod conversions;
mod key_cases;
mod key_types;
mod shadow;

use std::collections::BTreeSet;

use osc::engine::mysql::alter::{Alter, Dialect};
use osc::engine::mysql::catalog::{TableInfo, read};
use osc::engine::mysql::connect::Address;
use osc::engine::mysql::feed::{Marks, MySqlFeed};
use osc::engine::mysql::key::{Conditions, KeySpec, Side};
use osc::engine::mysql::names::Names;
use osc::engine::mysql::session::Session;
use osc::engine::mysql::shadow::Shadow;
use osc::engine::mysql::sql::Table;
use osc::engine::{Event, Feed};
use osc::error::Result;
use osc::model::{Key, Token};

use crate::harness::{Database, Kind, Server};

/// A database and osc's own session in it, with the documented grants.
pub struct Bench {
    pub db: Database,
    pub session: Session,
    pub address: Address,
}

/// A change of a table, planned.
pub struct Planned {
    pub names: Names,
    pub shadow: Shadow,
    pub key: KeySpec,
}

impl Bench {
    pub async fn new(kind: Kind, name: &str) -> Bench {
        let db = Database::create(&Server::shared(kind), name).await;
        let address = Address::parse(&db.osc_url(), Some("osc-secret")).expect("the URL");
        let session = Session::open(&address).await.expect("osc's session");
        Bench { db, session, address }
    }

    pub fn table(&self, name: &str) -> Table {
        Table::new(self.db.name.clone(), name)
    }

    pub async fn original(&mut self, name: &str) -> TableInfo {
        let table = self.table(name);
        read(&mut self.session, &table).await.expect("the catalog").expect("the table")
    }

    /// Builds the shadow of a table.
    pub async fn plan(&mut self, name: &str, alter: &str) -> Result<Planned> {
        let original = self.original(name).await;
        let names = Names::of(&original.table)?;
        let dialect = Dialect::of(&mut self.session).await?;
        let alter = Alter::parse(alter, &original.table, dialect)?;
        self.session.exec(&format!("DROP TABLE IF EXISTS {}", names.shadow)).await?;
        let shadow = Shadow::build(&mut self.session, &names, &original, &alter).await?;
        let key = shadow.choose_key(&original, Conditions { full_image: true, strict: true })?;
        Ok(Planned { names, shadow, key })
    }

    pub async fn copy(&mut self, planned: &Planned, filter: &str) -> Result<u64> {
        let sql = planned.insert(filter);
        self.session.exec_long(&sql).await
    }

    pub async fn count(&mut self, from: &Table, filter: &str) -> u64 {
        let sql = format!("SELECT COUNT(*) FROM {from} WHERE {filter}");
        self.session.first(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).expect("a count")
    }

    /// All keys of a table in the server's order.
    pub async fn keys(&mut self, planned: &Planned) -> Vec<Key> {
        let key = &planned.key;
        let sql = format!(
            "SELECT {} FROM {} FORCE INDEX ({}) ORDER BY {}",
            key.select_list(),
            planned.names.original,
            key.index,
            key.order_by(Side::Source)
        );
        let rows = self.session.rows(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        rows.iter().map(|row| key.read_row(row, 0).unwrap_or_else(|e| panic!("{sql}: {e}"))).collect()
    }
}

impl Planned {
    pub fn insert(&self, filter: &str) -> String {
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} FORCE INDEX ({}) WHERE {filter}",
            self.names.shadow,
            self.shadow.insert_columns(),
            self.shadow.select_list(),
            self.names.original,
            self.key.index
        )
    }
}

/// The keys that a table's changes leave in the binlog, from here to [`Tail::keys`].
pub struct Tail {
    feed: MySqlFeed,
    marks: std::rc::Rc<Marks>,
    marks_table: Table,
}

impl Tail {
    pub async fn open(bench: &mut Bench, planned: &Planned) -> Tail {
        let marks_table = planned.names.marks.clone();
        for sql in osc::engine::mysql::state::create_statements(&planned.names) {
            bench
                .session
                .exec(&sql.replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
                .await
                .expect("osc's tables");
        }
        let (feed, marks, _) = MySqlFeed::open(
            &bench.address,
            bench.session.flavor,
            &planned.names.original,
            &marks_table,
            Box::new(planned.key.clone()),
            1,
            None,
        )
        .await
        .expect("the feed");
        Tail { feed, marks, marks_table }
    }

    pub async fn keys(mut self, bench: &mut Bench) -> BTreeSet<Key> {
        let token = Token(1);
        self.marks.sent(token);
        let sql =
            format!("REPLACE INTO {} (slot, life, token, at) VALUES (0, 1, 1, UTC_TIMESTAMP(6))", self.marks_table);
        bench.session.exec(&sql).await.expect("a mark");
        self.marks.returned(token);
        let mut all = BTreeSet::new();
        loop {
            match self.feed.next().await.expect("the stream") {
                Event::Keys(keys) => all.extend(keys),
                Event::Mark { .. } => return all,
            }
        }
    }
}

/// Runs a test on both kinds of server.
pub fn on_each<F: Future<Output = ()>>(test: impl Fn(Kind) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for kind in Kind::QUICK {
        runtime.block_on(test(kind));
    }
}
