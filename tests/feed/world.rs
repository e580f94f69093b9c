//! A database of its own on a real server, with a table, a mark table, and a feed on it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::process::Command;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::binlog::value::BinlogValue;
use mysql_async::prelude::{FromRow, Queryable};
use osc::engine::mysql::binlog::Options;
use osc::engine::mysql::connect::Address;
use osc::engine::mysql::decode::KeyReader;
use osc::engine::mysql::feed::{Marks, MySqlFeed};
use osc::engine::mysql::flavor::Flavor;
use osc::engine::mysql::session::Session;
use osc::engine::mysql::sql::Table;
use osc::engine::{Event, Feed};
use osc::error::{Error, Result};
use osc::model::{Key, Position, Token};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn mysql() -> Address {
    Address::parse(&server("mysql", "feed-mysql", &[]).0, None).unwrap()
}

pub fn mariadb() -> Address {
    Address::parse(&server("mariadb", "feed-mariadb", &[]).0, None).unwrap()
}

/// The certificate of the authority that signed the servers' own.
pub fn authority() -> String {
    server("mysql", "feed-mysql", &[]).1
}

/// Settings that change what stands in the binlog, all at once; only in the long tier.
const OTHERS: [(&str, &str, &[&str]); 3] = [
    (
        "mysql",
        "feed-mysql-other",
        &[
            "--gtid-mode=OFF",
            "--enforce-gtid-consistency=OFF",
            "--binlog-row-image=MINIMAL",
            "--binlog-transaction-compression=ON",
            "--binlog-checksum=NONE",
            "--binlog-row-metadata=FULL",
            "--binlog-row-value-options=PARTIAL_JSON",
        ],
    ),
    (
        "mariadb",
        "feed-mariadb-other",
        &["--binlog-checksum=CRC32", "--binlog-row-image=NOBLOB", "--binlog-row-metadata=FULL"],
    ),
    ("mariadb118", "feed-mariadb118", &["--binlog-row-image=FULL_NODUP"]),
];

/// The admin account of a server of its own, and its authority: other suites' servers see no GLOBAL
/// changes of this one.
fn server(kind: &str, name: &str, options: &[&str]) -> (String, String) {
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(|e| e.into_inner());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/db");
    let output = Command::new(script)
        .args(["start", kind, "--name", name, "--", "--max-allowed-packet=128M"])
        .args(options)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value = |name: &str| printed.lines().find_map(|l| l.strip_prefix(name)).unwrap().to_string();
    (value("OSC_ADMIN_URL="), value("OSC_CA="))
}

/// Held by every test, and held alone by those that disturb all feeds of a server.
static SERVERS: RwLock<()> = RwLock::const_new(());

thread_local! {
    /// How the test of this thread holds it.
    static SHARED: RefCell<Option<RwLockReadGuard<'static, ()>>> = const { RefCell::new(None) };
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Waits until no other test runs, and lets none begin.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    SHARED.take();
    ALONE.set(true);
    SERVERS.write().await
}

async fn share() {
    if !ALONE.get() && SHARED.with_borrow(Option::is_none) {
        let guard = SERVERS.read().await;
        SHARED.set(Some(guard));
    }
}

/// Runs the same on both servers, in the long tier also on others.
pub async fn on_both<F: Future<Output = ()>>(test: impl Fn(Address) -> F) {
    let mut servers = vec![mysql(), mariadb()];
    if std::env::var_os("OSC_TEST_FULL").is_some() {
        servers
            .extend(OTHERS.map(|(kind, name, options)| Address::parse(&server(kind, name, options).0, None).unwrap()));
    }
    for address in servers {
        eprintln!("-- on {}", address.describe());
        test(address).await;
    }
}

/// Runs a statement, and says which one failed.
pub async fn run(conn: &mut Conn, sql: &str) {
    if let Err(error) = conn.query_drop(sql).await {
        panic!("{error}\n{}", sql.chars().take(500).collect::<String>());
    }
}

pub async fn get<T: FromRow + Send + 'static>(conn: &mut Conn, sql: &str) -> T {
    conn.query_first(sql).await.unwrap_or_else(|e| panic!("{e}\n{sql}")).unwrap_or_else(|| panic!("no row: {sql}"))
}

/// Keys of one integer column, as eight bytes.
pub struct IntKey {
    pub at: Vec<usize>,
    pub columns: usize,
}

impl KeyReader for IntKey {
    fn columns(&self) -> &[usize] {
        &self.at
    }

    fn encode(&self, values: &[&BinlogValue<'_>]) -> Result<Key> {
        match values {
            [BinlogValue::Value(mysql_async::Value::Int(n))] => Ok(Key::new(&n.to_be_bytes())),
            other => Err(Error::definite(format!("no integer: {other:?}"))),
        }
    }

    fn table_columns(&self) -> usize {
        self.columns
    }
}

pub struct World {
    pub address: Address,
    /// The application, an admin in truth.
    pub app: Conn,
    marker: Conn,
    pub feed: MySqlFeed,
    pub marks: Rc<Marks>,
    pub start: Position,
    pub db: String,
    life: u64,
    columns: usize,
    token: u64,
    pub flavor: Flavor,
}

impl World {
    /// `columns` are those of table t, its key a first integer column `id`.
    pub async fn new(address: &Address, columns: &str) -> World {
        World::with(address, columns, Options::default()).await
    }

    pub async fn with(address: &Address, columns: &str, options: Options) -> World {
        World::with_reader(address, columns, options, |columns| Box::new(IntKey { at: vec![0], columns })).await
    }

    /// With a feed that reaches the server by another way.
    pub async fn behind(address: &Address, through: &Address, columns: &str, options: Options) -> World {
        let mut world = World::with(address, columns, options).await;
        let reader = Box::new(IntKey { at: vec![0], columns: world.columns });
        let (feed, marks, _) = open(through, &world.db, reader, world.life, None, options).await.unwrap();
        (world.feed, world.marks) = (feed, marks);
        world
    }

    /// With a reader for keys that are no integers.
    pub async fn with_reader(
        address: &Address,
        columns: &str,
        options: Options,
        reader: impl Fn(usize) -> Box<dyn KeyReader>,
    ) -> World {
        share().await;
        let db = format!("feed_{:08x}", rand::random::<u32>());
        let mut app = address.connect().await.unwrap();
        run(&mut app, &format!("CREATE DATABASE {db}")).await;
        run(&mut app, &format!("USE {db}")).await;
        run(&mut app, &format!("CREATE TABLE t ({columns})")).await;
        run(
            &mut app,
            "CREATE TABLE marks (slot INT UNSIGNED NOT NULL PRIMARY KEY, life BIGINT UNSIGNED NOT NULL, \
             token BIGINT UNSIGNED NOT NULL, at TIMESTAMP(6) NOT NULL)",
        )
        .await;
        run(&mut app, "INSERT INTO marks VALUES (0, 0, 0, UTC_TIMESTAMP(6))").await;
        let count: usize = get(
            &mut app,
            &format!(
                "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = '{db}' AND table_name = 't'"
            ),
        )
        .await;
        let life = rand::random::<u64>() | 1 << 63;
        let mut marker = address.connect().await.unwrap();
        run(&mut marker, &format!("USE {db}")).await;
        let flavor = Session::open(address).await.unwrap().flavor;
        let (feed, marks, start) = open(address, &db, reader(count), life, None, options).await.unwrap();
        World { address: address.clone(), app, marker, feed, marks, start, db, life, columns: count, token: 0, flavor }
    }

    /// Replaces the feed by one from this position, as a new process would.
    pub async fn reopen(&mut self, from: Option<&Position>) -> Result<()> {
        self.life = rand::random::<u64>();
        let reader = Box::new(IntKey { at: vec![0], columns: self.columns });
        let (feed, marks, _) = open(&self.address, &self.db, reader, self.life, from, Options::default()).await?;
        (self.feed, self.marks) = (feed, marks);
        Ok(())
    }

    pub async fn run(&mut self, sql: &str) {
        run(&mut self.app, sql).await;
    }

    /// Another connection of the application, in the same database.
    pub async fn other(&self) -> Conn {
        let mut conn = self.address.connect().await.unwrap();
        run(&mut conn, &format!("USE {}", self.db)).await;
        conn
    }

    /// The statement of a mark.
    pub fn mark_sql(&mut self) -> (Token, String) {
        self.token += 1;
        let sql = format!(
            "UPDATE marks SET life = {}, token = {}, at = UTC_TIMESTAMP(6) WHERE slot = 0",
            self.life, self.token
        );
        (Token(self.token), sql)
    }

    /// Sends a mark and waits for its commit.
    pub async fn mark(&mut self) -> Token {
        let (token, sql) = self.mark_sql();
        self.marks.sent(token);
        run(&mut self.marker, &sql).await;
        self.marks.returned(token);
        token
    }

    pub async fn next(&mut self) -> Result<Event> {
        tokio::time::timeout(PATIENCE, self.feed.next()).await.expect("the feed went silent")
    }

    /// Reads up to the mark; returns the keys before it, in order, and its position.
    pub async fn upto(&mut self, mark: Token) -> Result<(Vec<i64>, Position)> {
        let mut keys = Vec::new();
        loop {
            match self.next().await? {
                Event::Keys(more) => keys.extend(more.iter().map(int)),
                Event::Mark { token, position } if token == mark => {
                    // Runs of one key are made one within a batch, and where batches end is chance.
                    keys.dedup();
                    return Ok((keys, position));
                }
                Event::Mark { .. } => {}
            }
        }
    }

    /// Sends a mark and reads up to it.
    pub async fn drain(&mut self) -> Vec<i64> {
        let token = self.mark().await;
        self.upto(token).await.unwrap().0
    }

    /// Reads until the feed ends in an error.
    pub async fn error(&mut self) -> Error {
        loop {
            self.mark().await;
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }

    /// Drops the database. A test that fails leaves it for inspection.
    pub async fn done(mut self) {
        let sql = format!("DROP DATABASE {}", self.db);
        drop(self.feed);
        run(&mut self.app, &sql).await;
    }
}

async fn open(
    address: &Address,
    db: &str,
    reader: Box<dyn KeyReader>,
    life: u64,
    from: Option<&Position>,
    options: Options,
) -> Result<(MySqlFeed, Rc<Marks>, Position)> {
    let flavor = Session::open(address).await?.flavor;
    let (ours, marks) = (Table::new(db, "t"), Table::new(db, "marks"));
    MySqlFeed::open_with(address, flavor, &ours, &marks, reader, life, from, options).await
}

pub fn int(key: &Key) -> i64 {
    i64::from_be_bytes(key.as_bytes().try_into().unwrap())
}

pub fn sorted(mut keys: Vec<i64>) -> Vec<i64> {
    keys.sort_unstable();
    keys.dedup();
    keys
}
