//! TLS as MySQL's own clients know it.

use std::path::PathBuf;
use std::process::Command;

use mysql_async::prelude::Queryable;

use super::ALTER;
use crate::harness::{Database, Kind, Osc, Server, on_both};

on_both!(a_server_that_demands_tls_gets_it);

/// A certificate authority that signed nothing.
fn wrong_ca(kind: Kind) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("osc-test-ca-{}", kind.name()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=another CA", "-keyout"])
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("ca.pem"))
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir.join("ca.pem")
}

async fn a_server_that_demands_tls_gets_it(kind: Kind) {
    let server = Server::own(kind, "e2e-tls", &[]);
    let mut db = Database::create(&server, "e2e_tls").await;
    db.run(&[
        "CREATE TABLE orders (id INT PRIMARY KEY)",
        "INSERT INTO orders VALUES (1), (2)",
        "SET GLOBAL require_secure_transport = ON",
    ])
    .await;
    // It does demand it.
    let plain = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port())
        .user(Some("osc_e2e_tls"))
        .pass(Some("osc-secret"))
        .prefer_socket(false);
    let error = mysql_async::Conn::new(plain).await.expect_err("a connection without TLS is turned away");
    // MariaDB doesn't say why.
    let why = if kind.is_mariadb() { "1045" } else { "3159" };
    assert!(error.to_string().contains(why), "{error}");

    let (right, wrong) = (server.value("OSC_CA").to_owned(), wrong_ca(kind));
    let with = |options: &str| format!("{}?{options}", db.osc_url());
    let refused = [
        (with(&format!("ssl-mode=VERIFY_CA&ssl-ca={}", wrong.display())), "certificate"),
        (with(&format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={}", wrong.display())), "certificate"),
        (with("ssl-mode=DISABLED"), why),
    ];
    let works = [
        db.osc_url(),
        with("ssl-mode=REQUIRED"),
        with(&format!("ssl-mode=VERIFY_CA&ssl-ca={right}")),
        with(&format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={right}")),
    ];
    for (url, says) in refused {
        let report = Osc::alter(&db, "orders", ALTER).args(["--url", &url]).run().exited(3);
        assert!(report.says(says), "{}", report.stderr);
        assert_eq!(db.tables().await, ["orders"]);
    }
    for url in works {
        let mut run = Osc::alter(&db, "orders", "COMMENT='x'").args(["--url", &url, "--drop-old"]).throttled().start();
        run.until("a hold", |e| e["held"].is_string());
        if !kind.is_mariadb() {
            let sql = "SELECT COUNT(*), SUM(connection_type = 'SSL/TLS') FROM performance_schema.threads \
                       WHERE processlist_user = 'osc_e2e_tls'";
            let (all, encrypted): (u64, u64) = db.one(sql).await;
            assert!(all >= 3 && all == encrypted, "{encrypted} of {all} connections are encrypted");
        }
        run.unthrottle();
        run.wait().exited(0);
        assert_eq!(db.tables().await, ["orders"]);
    }
    db.admin.query_drop("SET GLOBAL require_secure_transport = OFF").await.expect("the harness gets in again");
}

/// Without TLS the password travels encrypted with the server's key; only MySQL has this plugin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caching_sha2_password_works_without_tls() {
    let mut db = Database::create(&Server::shared(Kind::MySql), "e2e_sha2").await;
    db.run(&["CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1), (2)"]).await;
    let plugin: String = db.one("SELECT plugin FROM mysql.user WHERE user = 'osc_e2e_sha2'").await;
    assert_eq!(plugin, "caching_sha2_password");
    let url = format!("{}?ssl-mode=DISABLED", db.osc_url());
    let mut run = Osc::alter(&db, "orders", ALTER).args(["--url", &url]).throttled().start();
    run.until("a hold", |e| e["held"].is_string());
    let sql = "SELECT COUNT(*) FROM performance_schema.threads \
               WHERE processlist_user = 'osc_e2e_sha2' AND connection_type = 'TCP/IP'";
    assert!(db.one::<u64>(sql).await >= 3);
    run.unthrottle();
    run.wait().exited(0);
}
