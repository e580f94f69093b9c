//! Making a slot: who is waited for, and that nothing is left behind.

use std::cell::Cell;
use std::time::Duration;

use osc::engine::postgres::connect::Address;
use osc::engine::postgres::names::Names;
use osc::engine::postgres::sql::Table;
use osc::engine::postgres::{feed, slot};
use osc::error::Kind;

use super::world::*;

const T: &str = "id int PRIMARY KEY, v int";

async fn left(app: &tokio_postgres::Client, names: &Names) -> String {
    let sql = format!(
        "SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{}') + \
         (SELECT count(*) FROM pg_publication WHERE pubname = '{}')",
        names.slot,
        names.publication.bare()
    );
    get(app, &sql).await.unwrap()
}

#[tokio::test]
async fn who_is_waited_for_is_said() {
    on_both(|server| async move {
        let (schema, app) = schema(&server, T).await;
        let address = Address::parse(&server.osc, None).unwrap();
        let names = Names::of("shop", &Table::new(&schema, "t"));
        let (found, key) = look(&address, &names).await;
        let writer = connect(&server.app).await;
        run(&writer, &format!("BEGIN; INSERT INTO {schema}.t VALUES (1, 1)")).await;
        let pid = get(&writer, "SELECT pg_backend_pid()").await.unwrap();
        let short = Duration::from_secs(2);
        let error = feed::prepare(&address, &names, &found, &key, short).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.what().contains(&format!("session {pid} of app")), "{error}");
        assert_eq!(left(&app, &names).await, "0");
        run(&writer, &format!("PREPARE TRANSACTION '{schema}'")).await;
        let error = feed::prepare(&address, &names, &found, &key, short).await.unwrap_err();
        assert!(error.what().contains(&format!("prepared transaction '{schema}'")), "{error}");
        assert_eq!(left(&app, &names).await, "0");
        // A client that goes away while it waits leaves nothing either.
        let waiting = tokio::time::timeout(Duration::from_secs(1), slot::create(&address, &names, PATIENCE)).await;
        assert!(waiting.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        run(&writer, &format!("COMMIT PREPARED '{schema}'")).await;
        assert_eq!(left(&app, &names).await, "0", "the abandoned slot was made all the same");
        feed::prepare(&address, &names, &found, &key, PATIENCE).await.unwrap();
        let error = feed::prepare(&address, &names, &found, &key, PATIENCE).await.unwrap_err();
        assert!(error.what().contains("already"), "{error}");
        feed::remove(&address, &names).await.unwrap();
        assert_eq!(left(&app, &names).await, "0");
        feed::remove(&address, &names).await.unwrap();
        run(&app, &format!("DROP SCHEMA {schema} CASCADE")).await;
    })
    .await;
}

/// A commit that hangs for a standby while the slot is made is neither in its stream nor visible, if it began after
/// the server had last listed the running transactions: it does so when the slot is begun and when all of the
/// first list have ended, so it takes two others to make the gap.
#[tokio::test]
async fn a_commit_that_hangs_while_the_slot_is_made_is_waited_for() {
    let _alone = alone().await;
    on_both(|server| async move {
        let (schema, app) = schema(&server, T).await;
        run(&app, "CREATE TABLE other (id int)").await;
        let admin = connect(&server.admin).await;
        let address = Address::parse(&server.osc, None).unwrap();
        let names = Names::of("shop", &Table::new(&schema, "t"));
        let (found, key) = look(&address, &names).await;
        let begin = format!("BEGIN; INSERT INTO {schema}.other VALUES (1)");
        let (first, second, writer) =
            (connect(&server.app).await, connect(&server.app).await, connect(&server.app).await);
        run(&first, &begin).await;
        let freed = Cell::new(false);
        let script = async {
            let step = || tokio::time::sleep(Duration::from_millis(1500));
            step().await;
            run(&second, &begin).await;
            run(&first, "ROLLBACK").await;
            step().await;
            run(&admin, "ALTER SYSTEM SET synchronous_standby_names = 'away'").await;
            run(&admin, "SELECT pg_reload_conf()").await;
            step().await;
            let sql = format!("INSERT INTO {schema}.t VALUES (7, 7)");
            let hanging = tokio::spawn(async move { run(&writer, &sql).await });
            step().await;
            run(&second, "ROLLBACK").await;
            step().await;
            step().await;
            assert!(!hanging.is_finished(), "nothing hangs: the test shows nothing");
            freed.set(true);
            run(&admin, "ALTER SYSTEM RESET synchronous_standby_names").await;
            run(&admin, "SELECT pg_reload_conf()").await;
            hanging.await.unwrap();
        };
        let prepare = async {
            let made = feed::prepare(&address, &names, &found, &key, PATIENCE).await;
            (made, freed.get(), get(&app, "SELECT count(*) FROM t").await.unwrap())
        };
        let ((made, freed, seen), ()) = tokio::join!(prepare, script);
        made.unwrap();
        assert!(freed, "made while a commit hung");
        assert_eq!(seen, "1", "the copy would miss the row");
        feed::remove(&address, &names).await.unwrap();
        run(&app, &format!("DROP SCHEMA {schema} CASCADE")).await;
    })
    .await;
}
