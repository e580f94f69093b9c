//! Readers of a hot standby, while the table changes on the primary: what they see, which errors they get, and whether
//! anybody there misses rows; beside the same under a native ALTER.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement};

use crate::harness::standby::Standby;
use crate::harness::{Database, Kind, Osc, Server, blocking, get, on_both, run, wait_for};

const ROWS: u64 = 20_000;
const WIDEN: &str = "ALTER COLUMN version TYPE bigint";

async fn shop(server: &Server, name: &str) -> Database {
    let db = Database::create(server, name).await;
    for table in ["orders", "native"] {
        db.as_app(&[
            &format!("CREATE TABLE {table} (id bigint PRIMARY KEY, version int NOT NULL)"),
            &format!("INSERT INTO {table} SELECT g, 1 FROM generate_series(1, {ROWS}) g"),
        ])
        .await;
    }
    db
}

/// How often a reader was answered, how often with another table than the whole, the longest that it waited, and how often
/// each error came.
#[derive(Debug, Default)]
struct Read {
    answers: u64,
    torn: u64,
    slowest: Duration,
    errors: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Plain,
    /// As drivers do it: bound and executed, not EXECUTE, which takes its snapshot before it waits for a lock.
    Prepared,
    /// Two looks in one REPEATABLE READ transaction of a tenth of a second.
    Twice,
    /// One that has looked and stays in its transaction, until the standby ends it or the test does.
    Stays,
}

/// A connection of a reader's, with its statement.
struct Reader {
    client: Client,
    whole: Statement,
}

impl Reader {
    async fn look(&self) -> Result<bool, Error> {
        let row = self.client.query_one(&self.whole, &[]).await?;
        let (rows, sum): (i64, Option<i64>) = (row.get(0), row.get(1));
        Ok((rows, sum) == (ROWS as i64, Some(ROWS as i64)))
    }

    /// Keeps no snapshot behind it, as a statement that was bound does to the transaction's end.
    async fn plain(&self, table: &str) -> Result<bool, Error> {
        let sql = format!("SELECT count(*) || ' ' || coalesce(sum(version), 0) FROM {table}");
        let messages = self.client.simple_query(&sql).await?;
        let seen = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(seen == Some(&format!("{ROWS} {ROWS}")))
    }

    /// Whether each look was of the whole table: all rows, and every transfer as a whole.
    async fn read(&self, how: How, table: &str, stop: &AtomicBool) -> Result<bool, Error> {
        match how {
            How::Prepared => self.look().await,
            How::Plain => self.plain(table).await,
            How::Stays => {
                self.client.batch_execute("BEGIN").await?;
                let first = self.plain(table).await?;
                while !stop.load(Ordering::Relaxed) && !self.client.is_closed() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let second = self.plain(table).await?;
                self.client.batch_execute("COMMIT").await?;
                Ok(first && second)
            }
            How::Twice => {
                self.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
                let first = self.look().await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
                let second = self.look().await?;
                self.client.batch_execute("COMMIT").await?;
                Ok(first && second)
            }
        }
    }
}

async fn reader(standby: Arc<Standby>, database: String, how: How, table: &'static str, stop: Arc<AtomicBool>) -> Read {
    let mut read = Read::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let one = async {
            let reader = match kept.take() {
                Some(reader) => reader,
                None => {
                    let client = standby.try_connect(&database).await?;
                    let whole = client.prepare(&format!("SELECT count(*), sum(version)::bigint FROM {table}")).await?;
                    Reader { client, whole }
                }
            };
            let whole = reader.read(how, table, &stop).await?;
            kept = Some(reader);
            Ok::<bool, Error>(whole)
        };
        match one.await {
            Ok(whole) => {
                read.answers += 1;
                read.torn += u64::from(!whole);
                read.slowest = read.slowest.max(sent.elapsed());
            }
            Err(error) => {
                let code = error.code().map_or("closed".to_owned(), |code| code.code().to_owned());
                *read.errors.entry(code).or_default() += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    read
}

/// Transfers on the primary, each of which leaves the sum as it is.
async fn writer(db: Database, table: &'static str, stop: Arc<AtomicBool>) -> u64 {
    let app = db.app().await;
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let (from, to) = (1 + done * 7 % ROWS, 1 + (done * 7 + 3) % ROWS);
        let add = |id: u64, what: &str| format!("UPDATE {table} SET version = version {what} WHERE id = {id}");
        run(&app, &format!("BEGIN; {}; {}; COMMIT", add(from, "+ 1"), add(to, "- 1"))).await;
        done += 1;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    done
}

/// The readers' accounts, with the ALTER in the middle.
async fn read_while(
    standby: &Arc<Standby>,
    db: &Database,
    table: &'static str,
    alter: impl AsyncFnOnce(),
) -> Vec<(How, Read)> {
    let stop = Arc::new(AtomicBool::new(false));
    let all = [How::Plain, How::Plain, How::Prepared, How::Twice, How::Stays];
    let writing = tokio::spawn(writer(db.again().await, table, stop.clone()));
    let readers = all.map(|how| tokio::spawn(reader(standby.clone(), db.name.clone(), how, table, stop.clone())));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    alter().await;
    standby.replayed(&db.server).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut out = Vec::new();
    for (how, task) in all.into_iter().zip(readers) {
        out.push((how, task.await.expect("the reader ends")));
    }
    assert!(writing.await.expect("every transfer succeeded") > 100);
    out
}

fn errors(read: &[(How, Read)]) -> BTreeMap<&str, u64> {
    let mut all = BTreeMap::new();
    for (code, count) in read.iter().flat_map(|(_, read)| &read.errors) {
        *all.entry(code.as_str()).or_default() += count;
    }
    all
}

async fn readers_see_a_whole_table(kind: Kind) {
    let server = Server::own(kind, "standby-readers", &[]);
    // So that the writers' own clearing up is in nobody's way, and what is counted is the swap's.
    let options = ["max_standby_streaming_delay=1s", "hot_standby_feedback=on", "wal_receiver_status_interval=1s"];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-c", option]).collect();
    let standby = Arc::new(Standby::of(&server, &options).await);
    let db = shop(&server, "standby_readers").await;
    standby.replayed(&server).await;
    let native =
        read_while(&standby, &db, "native", async || db.as_app(&[&format!("ALTER TABLE native {WIDEN}")]).await).await;
    let ours = read_while(&standby, &db, "orders", async || {
        let osc = Osc::alter(&db, "orders", WIDEN).args(["--max-lag-millis", "60000"]);
        blocking(move || osc.run()).await.exited(0);
    })
    .await;
    for ((how, native), (_, ours)) in native.iter().zip(&ours) {
        println!("{kind:?} {how:?}: native {native:?}, osc {ours:?}");
        assert!(native.answers > 0 && ours.answers > 0);
        // Under REPEATABLE READ the snapshot may be from before the lock: natively the table is empty then.
        if matches!(how, How::Plain | How::Prepared) {
            assert_eq!(ours.torn, 0, "{how:?} saw something else than the whole table");
        }
        assert!(ours.torn <= native.torn.max(1), "{how:?}: {} looks, natively {}", ours.torn, native.torn);
    }
    let (native, ours) = (errors(&native), errors(&ours));
    println!("{kind:?}: errors of a native ALTER {native:?}, of osc {ours:?}");
    // The one that stayed.
    assert!(native.contains_key("closed") && ours.contains_key("closed"), "nobody was in the way of the replay");
    for code in ours.keys() {
        // A conflict with recovery: of a statement, and of a session that was idle in its transaction.
        assert!(["40001", "closed"].contains(code), "{code}");
    }
    assert!(ours.values().sum::<u64>() <= 5, "a reader was hit more than once");
}

/// A snapshot from before the copy, of a transaction that has not read the table yet, sees nothing of the new one: so it is
/// waited for where the standby tells of it.
async fn an_old_snapshot_on_a_standby_is_waited_for(kind: Kind) {
    let server = Server::own(kind, "standby-old", &[]);
    let standby =
        Standby::of(&server, &["-c", "hot_standby_feedback=on", "-c", "wal_receiver_status_interval=1s"]).await;
    let db = shop(&server, "standby_old").await;
    standby.replayed(&server).await;
    let old = standby.connect(&db.name).await;
    run(&old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let xmin = "SELECT count(*) FROM pg_stat_replication WHERE backend_xmin IS NOT NULL AND application_name = 'far'";
    wait_for("the feedback", async || db.one::<u32>(xmin).await == 1).await;
    let osc = Osc::alter(&db, "orders", WIDEN).args(["-v"]).start();
    let osc = blocking(move || {
        let mut osc = osc;
        osc.until_phase("cutover");
        std::thread::sleep(Duration::from_secs(4));
        assert!(!osc.has_ended(), "it did not wait");
        osc
    })
    .await;
    assert_eq!(get(&old, "SELECT count(*) FROM orders").await, Some(ROWS.to_string()));
    // What it would have seen; should a server ever be better, this is to be known.
    db.as_app(&[&format!("ALTER TABLE native {WIDEN}")]).await;
    standby.replayed(&server).await;
    assert_eq!(get(&old, "SELECT count(*) FROM native").await, Some("0".to_owned()), "natively");
    run(&old, "COMMIT").await;
    let report = blocking(move || osc.wait()).await.exited(0);
    assert!(report.says("a snapshot on the standby far"), "{}", report.stderr);
    assert!(report.says("The standby far tells the primary of its snapshots"), "{:?}", report.events);
    standby.replayed(&server).await;
    assert_eq!(get(&old, "SELECT count(*) FROM orders").await, Some(ROWS.to_string()));
}

/// Where the standby does not tell of it nothing is known: the plan says so.
async fn a_standby_that_tells_of_nothing(kind: Kind) {
    let server = Server::own(kind, "standby-silent", &[]);
    let standby = Standby::of(&server, &["-c", "max_standby_streaming_delay=2s"]).await;
    let db = shop(&server, "standby_silent").await;
    standby.replayed(&server).await;
    let old = standby.connect(&db.name).await;
    run(&old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let osc = Osc::alter(&db, "orders", WIDEN).args(["-v", "--max-lag-millis", "60000"]);
    let report = blocking(move || osc.run()).await.exited(0);
    assert!(report.says("finds rows missing or none, without an error"), "{:?}", report.events);
    assert!(report.says("set hot_standby_feedback = on"), "{:?}", report.events);
    standby.replayed(&server).await;
    let seen = old.simple_query("SELECT count(*) FROM orders").await.map(|messages| format!("{messages:?}"));
    // The server may have ended it for another reason: what the catalogs' old rows are cleared of.
    println!("{kind:?}: the old snapshot sees {seen:?}");
    let fresh = standby.connect(&db.name).await;
    assert_eq!(get(&fresh, "SELECT count(*) FROM orders").await, Some(ROWS.to_string()));
}

on_both!(readers_see_a_whole_table, an_old_snapshot_on_a_standby_is_waited_for, a_standby_that_tells_of_nothing);
