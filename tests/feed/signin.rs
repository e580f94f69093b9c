//! Getting in: passwords, TLS, and what is said when it fails.

use mysql_async::prelude::Queryable;
use osc::engine::mysql::connect::Address;
use osc::error::Kind;

use super::world::*;

/// A URL for the same server with another account and options.
fn url(address: &Address, account: &str, options: &str) -> String {
    format!("mysql://{account}@{}/?{options}", address.describe())
}

async fn cipher(address: &Address) -> String {
    let mut conn = address.connect().await.unwrap_or_else(|e| panic!("{e} {:?}", e.causes()));
    get::<(String, String)>(&mut conn, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").await.1
}

async fn account(admin: &Address, tls: &str) -> String {
    let mut conn = admin.connect().await.unwrap();
    let user = format!("u{:08x}", rand::random::<u32>());
    run(&mut conn, &format!("CREATE USER {user}@'%' IDENTIFIED BY 'p@ss/w:rd %&' {tls}")).await;
    user
}

const SECRET: &str = "p%40ss%2Fw%3Ard%20%25%26";

#[tokio::test]
async fn sha2_passwords_work_without_tls_too() {
    let admin = mysql();
    let user = account(&admin, "").await;
    let plain = Address::parse(&url(&admin, &format!("{user}:{SECRET}"), "ssl-mode=DISABLED"), None).unwrap();
    for _ in 0..2 {
        // The server forgets whom it has seen: the password goes over in full, under its public key.
        run(&mut admin.connect().await.unwrap(), "FLUSH PRIVILEGES").await;
        assert_eq!(cipher(&plain).await, "");
        // And now it remembers.
        assert_eq!(cipher(&plain).await, "");
    }
    run(&mut admin.connect().await.unwrap(), &format!("DROP USER {user}")).await;
}

#[tokio::test]
async fn the_default_is_tls_where_the_server_has_it() {
    on_both(|admin| async move {
        let user = account(&admin, "REQUIRE SSL").await;
        let preferred = Address::parse(&url(&admin, &user, ""), Some("p@ss/w:rd %&")).unwrap();
        let mut conn = admin.connect().await.unwrap();
        let offers: Option<(String, String)> = conn.query_first("SHOW GLOBAL VARIABLES LIKE 'have_ssl'").await.unwrap();
        if offers.is_some_and(|(_, value)| value != "YES") {
            // MariaDB here has no certificate: PREFERRED gets in without, REQUIRED says why it does not.
            assert_eq!(cipher(&admin).await, "");
            let required = Address::parse(&url(&admin, "root", "ssl-mode=required"), None).unwrap();
            let error = required.connect().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{error}");
            assert!(error.what().contains("TLS"), "{error}");
        } else {
            assert_ne!(cipher(&preferred).await, "");
            let plain = Address::parse(&url(&admin, &user, "ssl-mode=DISABLED"), Some("p@ss/w:rd %&")).unwrap();
            assert_eq!(plain.connect().await.unwrap_err().kind(), Kind::Refused);
        }
        run(&mut conn, &format!("DROP USER {user}")).await;
    })
    .await;
}

#[tokio::test]
async fn certificates_are_verified_when_asked() {
    let ca = authority();
    let admin = mysql();
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        let good = Address::parse(&url(&admin, "root", &format!("ssl-mode={mode}&ssl-ca={ca}")), None).unwrap();
        assert_ne!(cipher(&good).await, "", "{mode}");
    }
    // Without that authority the certificate is nobody's.
    let bad = Address::parse(&url(&admin, "root", "ssl-mode=VERIFY_IDENTITY"), None).unwrap();
    let error = bad.connect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    let missing = Address::parse(&url(&admin, "root", "ssl-mode=VERIFY_CA&ssl-ca=/nowhere.pem"), None).unwrap();
    let error = missing.connect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

#[tokio::test]
async fn a_server_that_insists_on_tls_is_no_obstacle() {
    let _alone = alone().await;
    let admin = mysql();
    let mut conn = admin.connect().await.unwrap();
    run(&mut conn, "SET GLOBAL require_secure_transport = ON").await;
    let result = World::new(&admin, "id INT PRIMARY KEY").await.drain().await;
    run(&mut conn, "SET GLOBAL require_secure_transport = OFF").await;
    assert!(result.is_empty());
}

#[tokio::test]
async fn failures_say_what_to_do() {
    on_both(|admin| async move {
        let wrong = Address::parse(&url(&admin, "root:wrong", ""), None).unwrap();
        let error = wrong.connect().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.what_to_do().unwrap().contains("password"));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = admin.with_host("127.0.0.1", port).connect().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Transient, "{error}");
        assert!(error.what().contains(&port.to_string()), "{error}");
        let error = admin.with_host("no-such-host.invalid", 3306).connect().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Transient, "{error}");
        // One that accepts and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = silent.local_addr().unwrap();
        let slow = Address::parse(&format!("mysql://root@{at}/?connect-timeout=1"), None).unwrap();
        let error = slow.connect().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Transient, "{error}");
        assert!(error.what().contains("1 s"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_socket_works() {
    on_both(|admin| async move {
        let mut conn = admin.connect().await.unwrap();
        let socket: String = get(&mut conn, "SELECT @@socket").await;
        let local = Address::parse(&format!("mysql://root@localhost/?socket={socket}"), None).unwrap();
        match local.connect().await {
            Ok(_) => {}
            // root@localhost may sign in by another way than root@127.0.0.1; the socket was there.
            Err(error) => assert_eq!(error.kind(), Kind::Refused, "{error}"),
        }
        let nowhere = Address::parse("mysql://root@localhost/?socket=/nowhere.sock", None).unwrap();
        assert_eq!(nowhere.connect().await.unwrap_err().kind(), Kind::Usage);
    })
    .await;
}
