//! A schema of its own on a real server, with a table and a feed on it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::hostile::hostile;
use osc::engine::postgres::connect::Address;
use osc::engine::postgres::feed::{self, Followed, Handle, PostgresFeed};
use osc::engine::postgres::identity::{self, Found};
use osc::engine::postgres::key::KeyShape;
use osc::engine::postgres::marks::Marker;
use osc::engine::postgres::names::Names;
use osc::engine::postgres::session::Session;
use osc::engine::postgres::sql::Table;
use osc::engine::postgres::stream::Options;
use osc::engine::{Event, Feed};
use osc::error::{Error, Kind, Result};
use osc::model::{Key, Position, Token};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One server and its accounts.
#[derive(Debug, Clone)]
pub struct Server {
    pub admin: String,
    pub app: String,
    pub osc: String,
    pub data: String,
}

pub fn db(words: &[&str]) -> String {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/db")).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server of this suite, other suites' servers see no changes of settings.
pub fn server(kind: &str, name: &str) -> Server {
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(|e| e.into_inner());
    let printed = db(&["start", kind, "--name", name]);
    let value = |name: &str| printed.lines().find_map(|l| l.strip_prefix(name)).unwrap().to_string();
    // What a test that failed in the middle may have left: every commit would hang.
    db(&["client", name, "-qc", "ALTER SYSTEM RESET synchronous_standby_names", "-c", "SELECT pg_reload_conf()"]);
    db(&["client", name, "-qc", &hostile("osc")]);
    // A test process that was killed leaves prepared transactions, for which every new slot waits, and slots.
    let stale = "SELECT gid FROM pg_prepared_xacts WHERE prepared < now() - interval '2 minutes'";
    for gid in db(&["client", name, "-Atc", stale]).lines() {
        db(&["client", name, "-qc", &format!("ROLLBACK PREPARED '{gid}'")]);
    }
    let slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                 WHERE NOT active AND (SELECT count(*) FROM pg_replication_slots) > 25";
    db(&["client", name, "-qc", slots]);
    Server { admin: value("OSC_ADMIN_URL="), app: value("APP_URL="), osc: value("OSC_URL="), data: value("DATADIR=") }
}

pub const KINDS: [&str; 2] = ["postgres15", "postgres"];

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

/// Runs the same on both versions.
pub async fn on_both<F: Future<Output = ()>>(test: impl Fn(Server) -> F) {
    share().await;
    for kind in KINDS {
        eprintln!("-- on {kind}");
        test(server(kind, &format!("pgfeed-{kind}"))).await;
    }
}

/// A connection as the application makes it.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs statements, and says which ones failed.
pub async fn run(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{error:?}\n{}", sql.chars().take(500).collect::<String>());
    }
}

/// The first value of a query's first row.
pub async fn get(client: &Client, sql: &str) -> Option<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{e:?}\n{sql}"));
    messages.into_iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_string)),
        _ => None,
    })?
}

/// The feed, always there but while it is replaced: two on one slot would drive each other out.
pub struct Open(Option<PostgresFeed>);

impl Deref for Open {
    type Target = PostgresFeed;
    fn deref(&self) -> &PostgresFeed {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut PostgresFeed {
        self.0.as_mut().unwrap()
    }
}

pub struct World {
    pub server: Server,
    pub address: Address,
    /// The application; its search_path is this world's schema.
    pub app: Client,
    pub admin: Client,
    pub schema: String,
    pub names: Names,
    pub followed: Followed,
    pub key: KeyShape,
    pub feed: Open,
    pub handle: Handle,
    pub marker: Marker,
    life: u64,
    token: u64,
}

/// A schema with table t in it, not published yet.
pub async fn schema(server: &Server, columns: &str) -> (String, Client) {
    share().await;
    let schema = format!("feed_{:08x}", rand::random::<u32>());
    let app = connect(&server.app).await;
    run(&app, &format!("CREATE SCHEMA {schema}; SET search_path = {schema}, public; CREATE TABLE t ({columns})")).await;
    (schema, app)
}

impl World {
    /// `columns` are those of table t, with its primary key.
    pub async fn new(server: &Server, columns: &str) -> World {
        World::with(server, columns, "", Options::default()).await
    }

    /// With statements that are run before the table is looked at.
    pub async fn with(server: &Server, columns: &str, more: &str, options: Options) -> World {
        let (schema, app) = schema(server, columns).await;
        run(&app, more).await;
        let admin = connect(&server.admin).await;
        let address = Address::parse(&server.osc, None).unwrap();
        let names = Names::of("shop", &Table::new(&schema, "t"));
        let (found, key) = look(&address, &names).await;
        let followed = feed::prepare(&address, &names, &found, &key, PATIENCE).await.unwrap();
        let life = rand::random();
        let marker = Marker::new(&address, &names, life);
        let (feed, handle, _) =
            PostgresFeed::open(&address, &names, &followed, &key, life, None, options).await.unwrap();
        World {
            server: server.clone(),
            address,
            app,
            admin,
            schema,
            names,
            followed,
            key,
            feed: Open(Some(feed)),
            handle,
            marker,
            life,
            token: 0,
        }
    }

    /// Replaces the feed by one from this position, as a new process would.
    pub async fn reopen(&mut self, from: Option<&Position>, options: Options) -> Result<()> {
        self.life = rand::random();
        self.marker = Marker::new(&self.address, &self.names, self.life);
        self.feed.0 = None;
        let (feed, handle, _) =
            PostgresFeed::open(&self.address, &self.names, &self.followed, &self.key, self.life, from, options).await?;
        (self.feed.0, self.handle) = (Some(feed), handle);
        Ok(())
    }

    pub async fn run(&self, sql: &str) {
        run(&self.app, sql).await;
    }

    /// Another connection of the application, with the same search_path.
    pub async fn other(&self) -> Client {
        let client = connect(&self.server.app).await;
        run(&client, &format!("SET search_path = {}, public", self.schema)).await;
        client
    }

    /// Sends a mark and waits for its commit.
    pub async fn mark(&mut self) -> Token {
        self.token += 1;
        let begun = Instant::now();
        while let Err(error) = self.marker.mark(Token(self.token)).await {
            assert!(error.kind() == Kind::Transient && begun.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Token(self.token)
    }

    pub async fn next(&mut self) -> Result<Event> {
        tokio::time::timeout(PATIENCE, self.feed.next()).await.expect("the feed went silent")
    }

    /// Reads up to the mark; returns the keys before it, in order, and its position.
    pub async fn upto(&mut self, mark: Token) -> Result<(Vec<Key>, Position)> {
        let mut keys = Vec::new();
        loop {
            match self.next().await? {
                Event::Keys(more) => keys.extend(more),
                Event::Mark { token, position } if token == mark => return Ok((keys, position)),
                Event::Mark { .. } => {}
            }
        }
    }

    /// Sends a mark and reads up to it.
    pub async fn drain(&mut self) -> Vec<Key> {
        let token = self.mark().await;
        self.upto(token).await.unwrap().0
    }

    /// The same, for a key of one column that is printed as it is.
    pub async fn drain_ids(&mut self) -> Vec<i64> {
        let keys = self.drain().await;
        keys.iter().map(|key| id(&self.key, key)).collect()
    }

    /// Reads until the feed ends in an error.
    pub async fn error(&mut self) -> Error {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }

    /// Removes all of it. A test that fails leaves it for inspection.
    pub async fn done(self) {
        drop(self.feed);
        feed::remove(&self.address, &self.names).await.unwrap();
        run(&self.app, &format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }
}

pub async fn look(address: &Address, names: &Names) -> (Found, KeyShape) {
    let mut session = Session::open(address).await.unwrap();
    let found = identity::find(&mut session, &names.original).await.unwrap();
    let key = osc::engine::postgres::key::choose(&mut session, &names.original, &found).await.unwrap();
    (found, key)
}

/// The value of a key of one integer column.
pub fn id(shape: &KeyShape, key: &Key) -> i64 {
    let literal = shape.literals(key).unwrap().remove(0);
    literal.trim_start_matches('\'').split('\'').next().unwrap().parse().unwrap()
}

pub fn sorted(mut keys: Vec<i64>) -> Vec<i64> {
    keys.sort_unstable();
    keys.dedup();
    keys
}
