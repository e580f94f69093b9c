//! Which server, as whom, and with what password.
//!
//! The URL says it first (`--url`, else DATABASE_URL); for MySQL `~/.my.cnf` fills what the URL leaves open, if
//! it speaks of the same server. A password goes only where it belongs: the file's only to the file's
//! own user, and only to the file's host if it names one. The order of passwords is from the most
//! deliberate to the least: asked for, --password-file, in --url, OSC_PASSWORD, in DATABASE_URL, and then the
//! engine's own: MYSQL_PWD and `~/.my.cnf`, or PGPASSWORD and `~/.pgpass`; never the other engine's.

use std::path::PathBuf;

use super::args::Global;
use super::engine::Engine;
use super::environment::{DATABASE_URL, Environment, MYSQL_PWD, OSC_PASSWORD, PGPASSWORD};
use super::option_file::{Group, OptionFile, SHOWN};
use super::origin::{Origin, Row};
use super::pgpass::{self, Wanted};
use super::secret::Secret;
use super::server_url::ServerUrl;
use super::value;
use crate::error::{Error, Result};

/// What an engine needs to get in. The URL has no password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub engine: Engine,
    pub url: String,
    /// The other servers of a list, one of which is the primary at any time.
    pub others: Vec<String>,
    pub password: Option<Secret>,
}

/// A server before its password was fetched.
#[derive(Debug)]
pub struct Target {
    pub server: ServerUrl,
    password: Password,
    origins: Vec<(&'static str, Origin)>,
}

#[derive(Debug)]
enum Password {
    None,
    Known(Secret, Origin),
    InFile(PathBuf),
    Ask,
}

impl Target {
    pub fn resolve(global: &Global, env: &Environment) -> Result<Target> {
        let (server, origin) = match (&global.url, env.var(DATABASE_URL)) {
            (Some(url), _) => (ServerUrl::parse(url, "--url")?, Origin::Flag("url")),
            (None, Some(url)) => (ServerUrl::parse(url, DATABASE_URL)?, Origin::Env(DATABASE_URL)),
            (None, None) => (ServerUrl::default(), Origin::Default),
        };
        let mut target = Target { server, password: Password::None, origins: Vec::new() };
        target.note_url(origin);
        let in_url = target.server.password.take();
        let user_in_url = target.server.user.clone();
        let engine = target.server.engine;
        let file = env.file(engine);
        let same_server = target.fill_from(file)?;
        target.password = find_password(global, env, in_url, origin, engine)?;
        if let (Password::None, Engine::Postgres, Some(path)) = (&target.password, engine, &env.passfile)
            && let Some(secret) = target.wanted().and_then(|wanted| pgpass::read(path, wanted))
        {
            target.password = Password::Known(secret, Origin::PassFile);
        }
        if let (Password::None, true, Some((password, group))) = (&target.password, same_server, file.get("password")) {
            let own_user = file.get("user").map(|(user, _)| user);
            // The other servers of a list are not the file's host.
            let everywhere = target.server.others.is_empty() || file.get("host").is_none();
            if everywhere && (user_in_url.is_none() || user_in_url.as_deref() == own_user) {
                target.password = Password::Known(Secret::new(password), Origin::File(group));
            }
        }
        Ok(target)
    }

    /// Whose password the file of passwords is asked for.
    fn wanted(&self) -> Option<Wanted<'_>> {
        let server = &self.server;
        let param = server.params.get("host").map(String::as_str);
        let socket = param.filter(|host| host.starts_with('/'));
        Some(Wanted {
            host: param.or(server.host.as_deref()).unwrap_or("localhost"),
            socket,
            port: server.port.unwrap_or(server.engine.port()),
            database: server.database.as_deref()?,
            user: server.user.as_deref()?,
        })
    }

    fn note_url(&mut self, origin: Origin) {
        let server = &self.server;
        let set = [
            ("host", server.host.is_some()),
            ("port", server.port.is_some()),
            ("user", server.user.is_some()),
            ("database", server.database.is_some()),
        ];
        self.origins.extend(set.iter().filter(|(_, set)| *set).map(|(name, _)| (*name, origin)));
        self.origins.extend(server.params.keys().map(|name| (*name, origin)));
    }

    /// Takes from the file what is still open; returns whether the file speaks of this server.
    fn fill_from(&mut self, file: &OptionFile) -> Result<bool> {
        let server = &mut self.server;
        let origins = &mut self.origins;
        let mut take = |name: &'static str, open: bool| {
            let (value, group) = file.get(name).filter(|(value, _)| open && !value.is_empty())?;
            origins.push((name, Origin::File(group)));
            Some((value.to_owned(), group))
        };
        let open_host = server.host.is_none();
        let host = file.get("host").map(|(host, _)| host);
        if !open_host && host.is_some_and(|host| server.host.as_deref() != Some(host)) {
            return Ok(false);
        }
        if let Some((host, _)) = take("host", open_host) {
            server.host = Some(host);
        }
        if let Some((port, group)) = take("port", open_host && server.port.is_none()) {
            let port = value::whole(&port, 1, 65535).map_err(|must| in_file("port", group, &must))?;
            server.port = u16::try_from(port).ok();
        }
        if let Some((user, _)) = take("user", server.user.is_none()) {
            server.user = Some(user);
        }
        if let Some((database, _)) = take("database", server.database.is_none()) {
            server.database = Some(database);
        }
        for name in server.engine.params() {
            let name = *name;
            let open = !server.params.contains_key(name) && (open_host || name != "socket");
            if let Some((value, group)) = take(name, open) {
                let value = server.engine.param(name, &value).map_err(|must| in_file(name, group, &must))?;
                server.params.insert(name, value);
            }
        }
        // MariaDB's words for the same thing; passing them over would be a weaker connection than asked for.
        for (name, mode) in [("ssl-verify-server-cert", "verify_identity"), ("ssl", "required")] {
            if let Some((value, group)) = file.get(name)
                && !matches!(value.to_ascii_lowercase().as_str(), "0" | "off" | "false")
                && !server.params.contains_key("ssl-mode")
            {
                server.params.insert("ssl-mode", mode.to_owned());
                self.origins.push(("ssl-mode", Origin::File(group)));
            }
        }
        Ok(true)
    }

    /// What has to be known before anything connects.
    pub fn check(&self) -> Result<()> {
        if self.server.engine == Engine::Postgres && (self.server.user.is_none() || self.server.database.is_none()) {
            let what = if self.server.user.is_none() { "user" } else { "database" };
            return Err(Error::usage(format!("No {what} is named for the server."))
                .todo("Name both in DATABASE_URL or --url, as in postgres://osc@db.example/shop."));
        }
        if self.server.user.is_none() {
            let what = if self.origins.is_empty() { "No server is named." } else { "No user is named for the server." };
            return Err(Error::usage(what).todo(format!(
                "Name both in DATABASE_URL or --url, as in mysql://app@db.example/shop, or in [client] of {SHOWN}."
            )));
        }
        Ok(())
    }

    /// Fetches the password: from its file, or from the person at the terminal.
    pub fn fetch(self) -> Result<(Connection, ServerUrl)> {
        let password = match self.password {
            Password::None => None,
            Password::Known(secret, _) => Some(secret),
            Password::InFile(path) => Some(from_file(&path)?),
            Password::Ask => Some(ask(&self.server)?),
        };
        let (url, others) = (self.server.without_password(), self.server.others_without_password());
        Ok((Connection { engine: self.server.engine, url, others, password }, self.server))
    }

    /// For `osc config show`.
    pub fn rows(&self) -> Vec<Row> {
        let server = &self.server;
        let others: Vec<String> = server.others.iter().map(|other| other.shown()).collect();
        let from = |name| self.origins.iter().find(|(n, _)| *n == name).map_or(Origin::Default, |(_, origin)| *origin);
        let host = server.params.get("host").or(server.host.as_ref()).cloned();
        let mut rows = vec![
            Row::new("host", Some(host.unwrap_or_else(|| "localhost".into())), from("host")),
            Row::new("port", Some(server.port.unwrap_or(server.engine.port()).to_string()), from("port")),
            Row::new("other servers", Some(others.join(", ")).filter(|o| !o.is_empty()), from("host")),
            Row::new("user", server.user.clone(), from("user")),
            Row::new("database", server.database.clone(), from("database")),
        ];
        rows.extend(
            server
                .engine
                .params()
                .iter()
                .filter(|name| **name != "host")
                .map(|name| Row::new(name, server.params.get(name).cloned(), from(name))),
        );
        let (state, origin) = match &self.password {
            Password::None => (None, Origin::Default),
            Password::Known(_, origin) => (Some("set, not shown"), *origin),
            Password::InFile(_) => (Some("in a file, not shown"), Origin::Flag("password-file")),
            Password::Ask => (Some("asked for when a run starts"), Origin::Flag("ask-pass")),
        };
        rows.push(Row::new("password", state.map(String::from), origin));
        rows
    }
}

/// A replica to watch. What its URL leaves open is as for the main server: the user with its
/// password, and the TLS settings when it has none of its own.
pub fn replica(url: &ServerUrl, main: &ServerUrl, password: &Option<Secret>) -> Connection {
    let mut server = url.clone();
    let own_password = server.password.take();
    let user = server.user.get_or_insert_with(|| main.user.clone().unwrap_or_default());
    let same_user = main.user.as_ref() == Some(user);
    if !server.params.keys().any(|name| name.starts_with("ssl")) {
        let ssl = main.params.iter().filter(|(name, _)| name.starts_with("ssl"));
        server.params.extend(ssl.map(|(name, value)| (*name, value.clone())));
    }
    let password = own_password.or_else(|| password.clone().filter(|_| same_user));
    Connection { engine: server.engine, url: server.without_password(), others: Vec::new(), password }
}

/// Said once for each URL on the command line that has a password in it.
pub fn warn_of_password(flag: &str) {
    tracing::warn!(
        "the password in {flag} can be seen by everybody on this machine, in the list of processes; osc can't \
         hide it there: use --password-file, --ask-pass or OSC_PASSWORD"
    );
}

fn find_password(
    global: &Global,
    env: &Environment,
    in_url: Option<Secret>,
    url: Origin,
    engine: Engine,
) -> Result<Password> {
    let in_flag = matches!(url, Origin::Flag(_)) && in_url.is_some();
    if in_flag {
        if global.ask_pass || global.password_file.is_some() {
            return Err(Error::usage("--url has a password in it, and another one is named besides.")
                .todo("Take the password out of --url."));
        }
        warn_of_password("--url");
    }
    if global.ask_pass {
        return Ok(Password::Ask);
    }
    if let Some(path) = &global.password_file {
        return Ok(Password::InFile(path.clone()));
    }
    let var = |name| env.var(name).map(|v| (Secret::new(v), Origin::Env(name)));
    let own = match engine {
        Engine::MySql => MYSQL_PWD,
        Engine::Postgres => PGPASSWORD,
    };
    let from_url = in_url.map(|secret| (secret, url));
    let found = match in_flag {
        true => from_url,
        false => var(OSC_PASSWORD).or(from_url).or_else(|| var(own)),
    };
    Ok(found.map_or(Password::None, |(secret, origin)| Password::Known(secret, origin)))
}

fn in_file(name: &str, group: Group, must: &str) -> Error {
    Error::usage(format!("{name} in [{}] of {SHOWN} {must}.", group.name()))
}

/// The file's text without the line end that an editor leaves behind.
fn from_file(path: &std::path::Path) -> Result<Secret> {
    let wrong = |how: &str| Error::usage(format!("--password-file {} {how}.", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| wrong("can't be read").caused_by(e))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(wrong("is empty"));
    }
    if password.contains('\n') {
        return Err(wrong("has more than one line"));
    }
    Ok(Secret::new(password))
}

fn ask(server: &ServerUrl) -> Result<Secret> {
    let user = server.user.as_deref().unwrap_or_default();
    let host = server.host.as_deref().unwrap_or("localhost");
    let typed = rpassword::prompt_password(format!("Password of {user} at {host}: "));
    typed.map(Secret::new).map_err(|e| {
        Error::usage("--ask-pass needs a terminal to ask on.")
            .todo("Use --password-file or OSC_PASSWORD where there is none.")
            .caused_by(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: Option<&str>, vars: &[(&'static str, &str)], file: &str) -> (String, Option<String>) {
        let global = Global { url: url.map(String::from), ..Global::default() };
        let target = Target::resolve(&global, &Environment::of(vars, file)).unwrap();
        target.check().unwrap();
        let (connection, _) = target.fetch().unwrap();
        (connection.url, connection.password.map(|p| p.expose().to_owned()))
    }

    const FILE: &str = "[client]\nhost=db\nport=3307\nuser=app\npassword=filed\ndatabase=shop\n";

    #[test]
    fn the_file_is_enough() {
        let (url, password) = resolve(None, &[], FILE);
        assert_eq!((url.as_str(), password.as_deref()), ("mysql://app@db:3307/shop", Some("filed")));
    }

    #[test]
    fn the_flag_comes_before_the_variable_before_the_file() {
        let env = [(DATABASE_URL, "mysql://e:env@envhost/x")];
        assert_eq!(resolve(None, &env, FILE), ("mysql://e@envhost/x".into(), Some("env".into())));
        let flagged = resolve(Some("mysql://f:flag@flaghost/y"), &env, FILE);
        assert_eq!(flagged, ("mysql://f@flaghost/y".into(), Some("flag".into())));
    }

    #[test]
    fn the_files_password_goes_only_where_it_belongs() {
        let with = |url| resolve(Some(url), &[], FILE).1.is_some();
        assert!(with("mysql://db/x"));
        assert!(with("mysql://app@db/x"));
        assert!(!with("mysql://other@db/x"));
        assert!(!with("mysql://app@elsewhere/x"));
        assert!(!with("mysql://app@db,elsewhere/x"));
        let hostless = "[client]\nuser=app\npassword=filed\n";
        assert!(resolve(Some("mysql://app@anywhere/x"), &[], hostless).1.is_some());
    }

    #[test]
    fn passwords_have_an_order() {
        let both = [(OSC_PASSWORD, "osc"), (MYSQL_PWD, "pwd")];
        let password = |url, vars: &[(&'static str, &str)]| resolve(url, vars, FILE).1.unwrap();
        assert_eq!(password(Some("mysql://app:flag@db/"), &both), "flag");
        assert_eq!(password(Some("mysql://app@db/"), &both), "osc");
        assert_eq!(password(None, &[(DATABASE_URL, "mysql://app:url@db/"), both[0]]), "osc");
        assert_eq!(password(None, &[(DATABASE_URL, "mysql://app:url@db/"), both[1]]), "url");
        assert_eq!(password(None, &both[1..]), "pwd");
    }

    #[test]
    fn tls_of_the_file_is_not_lost() {
        let file = |more: &str| format!("{FILE}{more}\n");
        assert!(resolve(None, &[], &file("ssl-mode=VERIFY_IDENTITY")).0.ends_with("?ssl-mode=verify_identity"));
        assert!(resolve(None, &[], &file("ssl-verify-server-cert")).0.ends_with("?ssl-mode=verify_identity"));
        assert!(resolve(None, &[], &file("ssl-verify-server-cert=off")).0.ends_with("/shop"));
    }

    #[test]
    fn a_replica_takes_the_main_servers_user_with_its_password() {
        let main = ServerUrl::parse("mysql://app@db/shop?ssl-mode=required", "--url").unwrap();
        let secret = Some(Secret::new("pw"));
        let of = |url| replica(&ServerUrl::parse(url, "--replica").unwrap(), &main, &secret);
        let same = of("mysql://r1");
        assert_eq!((same.url.as_str(), &same.password), ("mysql://app@r1/?ssl-mode=required", &secret));
        assert_eq!(of("mysql://other@r1").password, None);
        assert_eq!(of("mysql://other:x@r1").password, Some(Secret::new("x")));
        assert_eq!(of("mysql://r1?ssl-mode=disabled").url, "mysql://app@r1/?ssl-mode=disabled");
    }

    #[test]
    fn nothing_is_shown_of_a_password() {
        let global = Global { url: Some("mysql://app:geheim@db/x".into()), ..Global::default() };
        let target = Target::resolve(&global, &Environment::of(&[(MYSQL_PWD, "geheim")], "")).unwrap();
        let shown = format!("{target:?} {:?}", target.rows());
        assert!(!shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn a_server_without_a_user_is_said() {
        for url in [None, Some("mysql://db/shop"), Some("postgres://db/shop"), Some("postgres://app@db")] {
            let url = url.map(String::from);
            let target = Target::resolve(&Global { url, ..Global::default() }, &Environment::default()).unwrap();
            assert!(target.check().is_err());
        }
    }

    #[test]
    fn each_engine_has_its_own_passwords() {
        let vars = [(MYSQL_PWD, "my"), (PGPASSWORD, "pg")];
        let url = |scheme| format!("{scheme}://app@db/shop");
        let of = |scheme| resolve(Some(&url(scheme)), &vars, FILE).1.unwrap();
        assert_eq!((of("mysql").as_str(), of("postgres").as_str()), ("my", "pg"));
        assert_eq!(resolve(Some(&url("postgres")), &vars[..1], FILE), ("postgres://app@db/shop".into(), None));
        let osc = [(OSC_PASSWORD, "osc"), vars[1], (DATABASE_URL, "postgres://app:url@db/shop")];
        assert_eq!(resolve(None, &osc, "").1.as_deref(), Some("osc"));
        assert_eq!(resolve(None, &osc[1..], "").1.as_deref(), Some("url"));
    }
}
