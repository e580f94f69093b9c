//! Whether osc's account may do what a run does, and the GRANT that it lacks (docs/grants).

use super::privileges::{Lookup, Privileges, Rules, Set, has};
use super::variables::Variables;
use crate::engine::mysql::flavor::Flavor;
use crate::engine::mysql::session::{Session, code};
use crate::engine::mysql::sql::Ident;
use crate::engine::problems::Problems;
use crate::error::Result;

const ON_DATABASE: [&str; 11] = [
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

const ON_SERVER: [&str; 3] = ["REPLICATION SLAVE", "REPLICATION CLIENT", "PROCESS"];

/// Without them the run can't say who blocks its cutover.
const HELPFUL: [&str; 2] = ["metadata_locks", "threads"];

/// SHOW GRANTS when the server runs with --skip-grant-tables.
const NO_GRANT_TABLES: u16 = 1290;

/// What the account holds of what is needed.
#[derive(Debug)]
pub struct Held {
    global: Set,
    database: Set,
    mariadb: bool,
}

impl Held {
    pub fn on_server(&self, privilege: &str) -> bool {
        has(&self.global, privilege)
    }

    pub fn on_database(&self, privilege: &str) -> bool {
        has(&self.database, privilege)
    }

    pub fn all_on_database(&self) -> bool {
        ON_DATABASE.iter().all(|p| self.on_database(p))
    }

    pub fn sees_xa(&self) -> bool {
        self.mariadb || self.on_server("XA_RECOVER_ADMIN")
    }
}

/// Reports what is missing; returns what is there.
pub async fn check(
    session: &mut Session,
    variables: &Variables,
    db: &Ident,
    problems: &mut Problems,
    hints: &mut Vec<String>,
) -> Result<Held> {
    let flavor = session.flavor;
    let mariadb = flavor.is_mariadb();
    let Some(privileges) = privileges(session, variables).await? else {
        let all = Set::from(["ALL PRIVILEGES".to_owned()]);
        return Ok(Held { global: all.clone(), database: all, mariadb });
    };
    let held = Held { global: privileges.global(), database: privileges.on_database(db.bare()), mariadb };
    let account: Option<(String, Option<String>)> = session.first("SELECT CURRENT_USER(), CURRENT_ROLE()").await?;
    let (account, active) = account.unwrap_or_default();
    let account = quoted(&account);
    let mut missing = Vec::new();
    let on_server = needed_on_server(flavor).filter(|p| !held.on_server(p)).collect::<Vec<_>>();
    if !on_server.is_empty() {
        let list = on_server.join(", ");
        missing.push((format!("{list} on the server"), format!("GRANT {list} ON *.* TO {account};")));
    }
    let on_database = ON_DATABASE.into_iter().filter(|p| !held.on_database(p)).collect::<Vec<_>>();
    if !on_database.is_empty() {
        let list = on_database.join(", ");
        let names = privileges.names_to_grant_on(db.bare());
        let grants = names.iter().map(|name| format!("GRANT {list} ON {}.* TO {account};", Ident::new(name)));
        missing.push((format!("{list} on the database {}", db.bare()), grants.collect::<Vec<_>>().join("\n")));
    }
    let asleep = privileges.roles();
    let asleep = asleep.iter().filter(|_| active.as_deref().is_none_or(|a| a == "NONE")).copied().collect::<Vec<_>>();
    for (what, todo) in missing {
        problems.add(format!("The account {account} lacks {what}."), todo);
    }
    if (!on_server.is_empty() || !on_database.is_empty()) && !asleep.is_empty() {
        problems.add(
            format!("The account's roles ({}) are not active when it signs in.", asleep.join(", ")),
            match mariadb {
                true => format!("If a role has the privileges: SET DEFAULT ROLE {} FOR {account};", role(&asleep)),
                false => format!("If a role has the privileges: SET DEFAULT ROLE ALL TO {account};"),
            },
        );
    }
    let blind = HELPFUL.iter().any(|t| !has(&privileges.on_table("performance_schema", t), "SELECT"));
    if !mariadb && blind {
        hints.push(format!(
            "Who blocks the cutover can't be named without: {}",
            HELPFUL.map(|t| format!("GRANT SELECT ON performance_schema.{t} TO {account};")).join(" ")
        ));
    }
    Ok(held)
}

/// By the names that the server itself uses.
fn needed_on_server(flavor: Flavor) -> impl Iterator<Item = &'static str> {
    let named =
        move |p: &'static str| if flavor.is_mariadb() && p == "REPLICATION CLIENT" { "BINLOG MONITOR" } else { p };
    ON_SERVER.into_iter().map(named).chain((!flavor.is_mariadb()).then_some("XA_RECOVER_ADMIN"))
}

/// None if the server asks for no privileges.
async fn privileges(session: &mut Session, variables: &Variables) -> Result<Option<Privileges>> {
    // Without FOR it tells of the active roles too, on both servers.
    let lines: Vec<String> = match session.all("SHOW GRANTS").await {
        Err(error) if code(&error) == Some(NO_GRANT_TABLES) => return Ok(None),
        other => other?,
    };
    let roles: Option<Option<String>> = session.first("SELECT CURRENT_ROLE()").await?;
    let active = roles.flatten().is_some_and(|r| r != "NONE");
    let rules = Rules {
        lookup: match (session.flavor.is_mariadb(), active) {
            (true, _) => Lookup::FewestNames,
            (false, true) => Lookup::FirstInOrder,
            (false, false) => Lookup::LongestPrefix,
        },
        fold_case: variables.number::<u8>("lower_case_table_names").unwrap_or(0) != 0,
        no_wildcards: variables.on(&["partial_revokes"]),
    };
    Ok(Some(Privileges::read(lines.iter().map(String::as_str), rules)))
}

fn role(asleep: &[&str]) -> String {
    asleep.first().map(|r| Ident::new(*r).to_string()).unwrap_or_default()
}

/// `user@host`, where a user's name may have an @ too and a host's can't.
fn quoted(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let quote = |part: &str| format!("'{}'", part.replace('\'', "''"));
    format!("{}@{}", quote(user), quote(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_quoted() {
        assert_eq!(quoted("a@b@10.%"), "'a@b'@'10.%'");
        assert_eq!(quoted("o'neil@%"), "'o''neil'@'%'");
        assert_eq!(quoted("@%"), "''@'%'");
    }
}
