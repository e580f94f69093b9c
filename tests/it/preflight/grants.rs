//! Missing privileges: each named, with the GRANT that mends it; roles, patterns, and what is as good.

use mysql_async::Conn;

use super::*;

fn account(db: &Database) -> String {
    format!("'osc_{}'@'%'", db.name)
}

#[tokio::test]
async fn each_missing_privilege_is_named_with_its_grant() {
    for kind in Kind::QUICK {
        let server = Server::shared(kind);
        let db = orders(&server, "pregrants").await;
        let on_database = [
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "CREATE",
            "DROP",
            "ALTER",
            "INDEX",
            "LOCK TABLES",
            "CREATE TEMPORARY TABLES",
            "TRIGGER",
        ];
        let on_server: &[&str] = match kind.is_mariadb() {
            true => &["REPLICATION SLAVE", "BINLOG MONITOR", "PROCESS"],
            false => &["REPLICATION SLAVE", "REPLICATION CLIENT", "PROCESS", "XA_RECOVER_ADMIN"],
        };
        let cases = on_database.iter().map(|p| (p, "`pregrants`.*")).chain(on_server.iter().map(|p| (p, "*.*")));
        for (privilege, scope) in cases {
            server.run(&[&format!("REVOKE {privilege} ON {scope} FROM {}", account(&db))]).await;
            let todo = refused_for(&db, "orders", &[&account(&db), &format!("lacks {privilege} on the")]).await;
            assert_eq!(todo, format!("GRANT {privilege} ON {scope} TO {};", account(&db)));
            obey(&server, &todo).await;
            passes(&db, "orders").await;
        }
    }
}

#[tokio::test]
async fn an_account_without_any_learns_all_at_once() {
    for kind in Kind::QUICK {
        let server = Server::shared(kind);
        let db = orders(&server, "pre_nothing").await;
        server.run(&[&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {}", account(&db))]).await;
        let url = db.osc_url().replace("/pre_nothing", "/");
        let address = Address::parse(&url, Some("osc-secret")).unwrap();
        let names = Names::of(&Table::new(&db.name, "orders")).unwrap();
        let mut osc = Session::open(&address).await.unwrap();
        let error = preflight::check(&mut osc, &names, false).await.unwrap_err();
        assert_eq!(error.what().lines().count(), 2, "{error}");
        assert!(error.what().contains("TRIGGER on the database pre_nothing"), "{error}");
        let todo = error.what_to_do().unwrap();
        assert!(todo.contains("ON `pre\\_nothing`.*"), "{todo}");
        obey(&server, todo).await;
        passes(&db, "orders").await;
    }
}

#[tokio::test]
async fn a_role_counts_when_it_is_active() {
    for kind in Kind::QUICK {
        let server = Server::shared(kind);
        let db = orders(&server, "prerole").await;
        let account = account(&db);
        server
            .run(&["DROP ROLE IF EXISTS prerole_inner, prerole_outer", "CREATE ROLE prerole_inner, prerole_outer"])
            .await;
        server
            .run(&[
                &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"),
                "GRANT ALL ON prerole.* TO prerole_inner",
                "GRANT prerole_inner TO prerole_outer",
                "GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO prerole_outer",
                &format!("GRANT prerole_outer TO {account}"),
                // Or the account could not sign in to the database.
                &format!("GRANT SELECT ON prerole.* TO {account}"),
            ])
            .await;
        if !kind.is_mariadb() {
            server.run(&["GRANT XA_RECOVER_ADMIN ON *.* TO prerole_outer"]).await;
        }
        let (what, todo) = refused(&db, "orders").await;
        assert!(what.contains("roles (prerole_outer") && what.contains("not active"), "{what}");
        let todo = todo.lines().last().unwrap().to_owned();
        assert!(todo.contains("SET DEFAULT ROLE"), "{todo}");
        obey(&server, &todo).await;
        passes(&db, "orders").await;
        server.run(&["REVOKE prerole_inner FROM prerole_outer"]).await;
        let (what, _) = refused(&db, "orders").await;
        assert!(what.contains("lacks INSERT, UPDATE, DELETE, CREATE") && !what.contains("not active"), "{what}");
        server.run(&["DROP ROLE prerole_inner, prerole_outer"]).await;
    }
}

#[tokio::test]
async fn all_privileges_anywhere_are_enough() {
    for kind in Kind::QUICK {
        let server = Server::shared(kind);
        let db = orders(&server, "preall").await;
        let account = account(&db);
        server
            .run(&[
                &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"),
                &format!("GRANT ALL ON *.* TO {account}"),
            ])
            .await;
        passes(&db, "orders").await;
    }
}

/// The servers take one of several entries that fit a database, each by its own rules. Whatever they do,
/// the preflight says what a CREATE TABLE then meets, and its GRANT mends it.
#[tokio::test]
async fn of_several_patterns_the_one_that_the_server_takes() {
    let both = ["pre%", "pre\\_w%", "pre\\_wild", "pre_wild", "pre_%"];
    for kind in Kind::QUICK {
        let server = Server::shared(kind);
        let mut db = orders(&server, "pre_wild").await;
        let account = account(&db);
        server
            .run(&[
                "DROP ROLE IF EXISTS pre_wild_role",
                "CREATE ROLE pre_wild_role",
                &format!("GRANT pre_wild_role TO {account}"),
            ])
            .await;
        let default = match kind.is_mariadb() {
            true => format!("SET DEFAULT ROLE pre_wild_role FOR {account}"),
            false => format!("SET DEFAULT ROLE ALL TO {account}"),
        };
        let (mut denied, mut granted) = (0, 0);
        let pairs =
            || both.iter().flat_map(|all| both.iter().filter(move |few| *few != all).map(move |few| (*all, *few)));
        for (with_role, holder) in [(false, account.as_str()), (true, account.as_str()), (true, "pre_wild_role")] {
            if with_role {
                server.run(&[&default]).await;
            }
            for (all, few) in pairs() {
                clear(&mut db.admin, &[&account, "pre_wild_role"], &both).await;
                let grants =
                    [format!("GRANT ALL ON `{all}`.* TO {holder}"), format!("GRANT SELECT ON `{few}`.* TO {account}")];
                db.run(&[&grants[0], &grants[1]]).await;
                let mut osc = session(&db).await;
                let can = osc.exec("CREATE TABLE pre_wild.probe (a INT)").await.is_ok();
                if can {
                    osc.exec("DROP TABLE pre_wild.probe").await.unwrap();
                }
                let case = format!("{}, role {with_role}: {grants:?}", server.name);
                match check(&db, "orders").await {
                    Ok(_) if can => granted += 1,
                    Err(error) if error.what().contains("CREATE, DROP") => {
                        // What two entries that are equal by the server's rule don't share is not counted.
                        assert!(!can || tie(kind, all, few), "{case}: {error}");
                        denied += 1;
                        // Not the advice to make the role a default one.
                        let todo: Vec<&str> =
                            error.what_to_do().unwrap().lines().filter(|l| l.starts_with("GRANT")).collect();
                        obey(&server, &todo.join("\n")).await;
                        check(&db, "orders").await.unwrap_or_else(|e| panic!("{case}: obeyed, and then: {e}"));
                    }
                    other => panic!("{case}: CREATE TABLE works: {can}, the preflight says {other:?}"),
                }
            }
        }
        assert!(denied > 5 && granted > 5, "{denied} {granted}");
        server.run(&["DROP ROLE pre_wild_role"]).await;
    }
}

/// Whether MySQL's first wildcards stand at the same place, or MariaDB's have as many letters and %.
fn tie(kind: Kind, a: &str, b: &str) -> bool {
    let count = |p: &str, of: char| p.replace("\\_", "x").matches(of).count();
    let first = |p: &str| p.replace("\\_", "  ").find(['%', '_']);
    match kind.is_mariadb() {
        true => {
            a.replace('\\', "").len() == b.replace('\\', "").len()
                && count(a, '%') == count(b, '%')
                && count(a, '_') == count(b, '_')
        }
        false => first(a) == first(b),
    }
}

async fn clear(admin: &mut Conn, holders: &[&str], patterns: &[&str]) {
    for holder in holders {
        for pattern in patterns {
            // Not all of them are there.
            let _ = admin.query_drop(format!("REVOKE ALL ON `{pattern}`.* FROM {holder}")).await;
        }
    }
}

#[tokio::test]
async fn partial_revokes() {
    let server = Server::own(Kind::MySql, "pre-revokes", &["--partial-revokes=ON"]);
    let db = orders(&server, "my_shop").await;
    let account = account(&db);
    server
        .run(&[
            &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"),
            &format!("GRANT ALL ON *.* TO {account}"),
            &format!("REVOKE DELETE, INDEX ON my_shop.* FROM {account}"),
            &format!("REVOKE INSERT ON other.* FROM {account}"),
        ])
        .await;
    let todo = refused_for(&db, "orders", &["lacks DELETE, INDEX on the database my_shop"]).await;
    obey(&server, &todo).await;
    passes(&db, "orders").await;
    // Without wildcards `_` is a letter: a grant on another database does not fit.
    server
        .run(&[
            &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"),
            &format!("GRANT SELECT ON *.* TO {account}"),
        ])
        .await;
    server.run(&[&format!("GRANT ALL ON `my%`.* TO {account}")]).await;
    let (what, todo) = refused(&db, "orders").await;
    assert!(what.contains("lacks INSERT"), "{what}");
    obey(&server, &todo).await;
    passes(&db, "orders").await;
}

#[tokio::test]
async fn performance_schema_is_a_hint() {
    let server = Server::shared(Kind::MySql);
    let db = orders(&server, "preperf").await;
    server.run(&[&format!("REVOKE SELECT ON performance_schema.threads FROM {}", account(&db))]).await;
    let hints = passes(&db, "orders").await.hints.join("\n");
    assert!(hints.contains("GRANT SELECT ON performance_schema.threads TO 'osc_preperf'@'%';"), "{hints}");
}

#[tokio::test]
async fn what_everybody_may_counts() {
    // GRANT … TO PUBLIC came with MariaDB 10.11; on a server of its own, as it means everybody.
    let server = Server::own(Kind::MariaDb, "pre-public", &[]);
    let db = orders(&server, "shop1").await;
    let account = account(&db);
    server
        .run(&[&format!("REVOKE TRIGGER ON shop1.* FROM {account}"), &format!("REVOKE PROCESS ON *.* FROM {account}")])
        .await;
    let (what, _) = refused(&db, "orders").await;
    assert!(what.contains("lacks PROCESS") && what.contains("lacks TRIGGER"), "{what}");
    server.run(&["GRANT PROCESS ON *.* TO PUBLIC", "GRANT TRIGGER ON shop1.* TO PUBLIC"]).await;
    passes(&db, "orders").await;
}
