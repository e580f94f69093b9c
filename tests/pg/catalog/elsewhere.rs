//! Policies of other tables that read the one that is altered: they read the new one after the swap.

use osc::error::Kind as ErrorKind;

use super::twin::{Twin, build, open};
use crate::harness::{Database, Kind, Server, on_both, run};

const SETUP: &[&str] = &[
    "CREATE SCHEMA blog",
    "CREATE TABLE members (id int PRIMARY KEY, who text NOT NULL, team int NOT NULL, role text, since int)",
    "INSERT INTO members SELECT i, CASE i % 2 WHEN 0 THEN 'pg_monitor' ELSE 'nobody' END, i % 5, 'r' || i % 3 FROM generate_series(1, 20) i",
    "CREATE TABLE blog.posts (id int PRIMARY KEY, team int, title text)",
    "INSERT INTO blog.posts SELECT i, i % 7, 'title ' || i FROM generate_series(1, 50) i",
    "ALTER TABLE blog.posts ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY reads ON blog.posts FOR SELECT TO pg_monitor USING (team IN (SELECT m.team FROM members m WHERE m.who = current_user \
       AND posts.id > 3 AND 'public.members' <> m.role))",
    "CREATE POLICY writes ON blog.posts AS RESTRICTIVE FOR INSERT TO APP, pg_monitor WITH CHECK (EXISTS (SELECT FROM public.members WHERE members.team = posts.team))",
    "CREATE POLICY two ON blog.posts FOR UPDATE USING (team IN (SELECT team FROM members)) WITH CHECK (id < (SELECT count(*) FROM members))",
    "CREATE POLICY own ON blog.posts FOR DELETE USING (true)",
    "COMMENT ON POLICY reads ON blog.posts IS 'reads members'",
    "GRANT USAGE ON SCHEMA blog TO pg_monitor",
    "GRANT SELECT ON blog.posts, members TO pg_monitor",
];

const SEEN: &str = "SELECT id FROM blog.posts ORDER BY id";

async fn they_read_the_new_table(kind: Kind) {
    for (number, alter) in [
        "ADD extra int DEFAULT 4, ALTER since TYPE bigint",
        "RENAME COLUMN who TO \"Who %\"",
        "RENAME COLUMN team TO crew",
    ]
    .into_iter()
    .enumerate()
    {
        let twin = Twin::new(kind, &format!("elsewhere_{number}"), SETUP).await;
        let shadow = twin.alter("members", alter).await;
        assert_eq!(shadow.swap.first.len(), 1, "{:?}", shadow.swap.first);
        let mut seen = Vec::new();
        for db in [&twin.osc, &twin.native] {
            // By way of the new table alone: the old one is dropped.
            db.as_app(&["DELETE FROM members WHERE id = 2"]).await;
            run(&db.admin, "SET ROLE pg_monitor").await;
            seen.push(db.rows(SEEN).await);
            run(&db.admin, "RESET ROLE").await;
        }
        assert!(seen[0] == seen[1] && (5..40).contains(&seen[0].len()), "{alter}: {seen:?}");
    }
}

async fn what_breaks_one_is_refused_with_its_name(kind: Kind) {
    let db = Database::create(&Server::shared(kind), "elsewhere_refused").await;
    let setup: Vec<String> = SETUP.iter().map(|sql| sql.replace("APP", &db.app_role())).collect();
    db.as_app(&setup.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut session = open(&db).await;
    for (alter, named) in [("ALTER team TYPE bigint", "policy reads on table"), ("DROP COLUMN team", "policy")] {
        let error = build(&db, &mut session, "members", alter).await.map(|_| ()).expect_err(alter);
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(named) && !error.to_string().contains("osc_"), "{error}");
        assert_eq!(db.leftovers().await, [""; 0]);
    }
    db.as_app(&[
        "CREATE TABLE blog.members (id int)",
        "CREATE POLICY p ON blog.members USING (id IN (SELECT id FROM public.members))",
    ])
    .await;
    let error = build(&db, &mut session, "members", "ADD x int").await.map(|_| ()).expect_err("two of a name");
    assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("policy p of blog.members"), "{error}");
}

on_both!(they_read_the_new_table, what_breaks_one_is_refused_with_its_name);
