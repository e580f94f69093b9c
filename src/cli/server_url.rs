//! The URL of a server, taken apart, with its password in safety.

use std::collections::BTreeMap;

use url::Url;

use super::engine::Engine;
use super::secret::Secret;
use crate::error::{Error, Result};

/// Every part may be open; what is there is decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerUrl {
    pub engine: Engine,
    pub host: Option<String>,
    pub port: Option<u16>,
    /// More servers of a list: `mysql://app@db1:3306,db2:3307/shop`. All else is as for the first.
    pub others: Vec<Place>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub params: BTreeMap<&'static str, String>,
}

/// Where one more server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    port: Option<u16>,
}

impl Place {
    /// `host:port`, for the eye.
    pub fn shown(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }
}

/// Takes the further hosts out of a URL's text, which the rest of the world reads with one.
fn without_others(text: &str) -> (String, Vec<&str>) {
    let Some(start) = text.find("://").map(|at| at + 3) else { return (text.to_owned(), Vec::new()) };
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    let hosts = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
    let mut list = text[hosts..end].split(',');
    let first = list.next().unwrap_or_default();
    (format!("{}{first}{}", &text[..hosts], &text[end..]), list.collect())
}

impl ServerUrl {
    /// `given_as` is the flag or the variable, for messages; they never repeat the text, which may
    /// have a password in it even where it can't be read as a URL.
    pub fn parse(text: &str, given_as: &str) -> Result<ServerUrl> {
        const SCHEMES: &str = "does not begin with mysql://, mariadb:// or postgres://";
        let engine = Engine::of(text).ok_or_else(|| wrong(Engine::MySql, given_as, SCHEMES))?;
        let wrong = |given_as: &str, how: &str| wrong(engine, given_as, how);
        let (text, others) = without_others(text);
        if engine == Engine::Postgres && !others.is_empty() {
            return Err(Error::refused(format!("{given_as} names several PostgreSQL servers; osc takes one so far."))
                .todo("Name the primary alone."));
        }
        let place = |other: &str| {
            let url = Url::parse(&format!("mysql://{other}")).ok().filter(|url| url.username().is_empty());
            let host = url.as_ref().and_then(|url| url.host_str()).filter(|host| !host.is_empty()).map(decode);
            match (host, url.and_then(|url| url.port())) {
                (Some(Some(host)), port) => Ok(Place { host, port }),
                _ => Err(wrong(given_as, "has a server in its list that is no HOST or HOST:PORT")),
            }
        };
        let others = others.into_iter().map(place).collect::<Result<Vec<_>>>()?;
        let url = Url::parse(&text).map_err(|e| wrong(given_as, &format!("can't be read ({e})")))?;
        if url.cannot_be_a_base() {
            return Err(wrong(given_as, SCHEMES));
        }
        if url.fragment().is_some() {
            return Err(wrong(given_as, "has a # in it"));
        }
        let text =
            |part: &str| decode(part).ok_or_else(|| wrong(given_as, "has a % that is not followed by UTF-8 in hex"));
        let path = url.path().trim_start_matches('/');
        if path.contains('/') {
            return Err(wrong(given_as, "has more than the database's name after the host"));
        }
        let mut server = ServerUrl {
            engine,
            host: url.host_str().filter(|h| !h.is_empty()).map(text).transpose()?,
            port: url.port(),
            others,
            user: Some(url.username()).filter(|u| !u.is_empty()).map(text).transpose()?,
            password: url.password().map(text).transpose()?.map(Secret::new),
            database: Some(path).filter(|p| !p.is_empty()).map(text).transpose()?,
            params: BTreeMap::new(),
        };
        // As PostgreSQL's clients have it: the directory of a socket, percent-encoded, in the host's place.
        if engine == Engine::Postgres
            && let Some(directory) = server.host.take_if(|host| host.starts_with('/'))
        {
            server.params.insert("host", directory);
        }
        for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            server.set_param(&text(name)?, &text(value)?, given_as)?;
        }
        Ok(server)
    }

    fn set_param(&mut self, name: &str, value: &str, given_as: &str) -> Result<()> {
        let engine = self.engine;
        let plain = engine.plain(name);
        match engine.params().iter().find(|p| **p == plain) {
            Some(known) => {
                let value =
                    engine.param(known, value).map_err(|must| Error::usage(format!("{name} in {given_as} {must}.")))?;
                self.params.insert(known, value);
                Ok(())
            }
            None if !engine.may_pass_over(&plain) => {
                Err(Error::usage(format!("{given_as} has a parameter '{name}' that osc doesn't know."))
                    .todo(format!("The parameters are {}.", engine.params().join(", "))))
            }
            None => {
                tracing::warn!("{given_as} has a parameter '{name}' that osc doesn't know; it is passed over");
                Ok(())
            }
        }
    }

    /// The URLs of the other servers of a list.
    pub fn others_without_password(&self) -> Vec<String> {
        let one = |place: &Place| {
            let host = Some(place.host.clone());
            ServerUrl { host, port: place.port, others: Vec::new(), ..self.clone() }.without_password()
        };
        self.others.iter().map(one).collect()
    }

    /// The URL without the password, every part encoded, for the engine and for the eye.
    pub fn without_password(&self) -> String {
        let mut out = format!("{}://", self.engine.scheme());
        if let Some(user) = &self.user {
            out.push_str(&encode(user));
            out.push('@');
        }
        let host = self.host.as_deref().unwrap_or("localhost");
        if host.contains(':') && !host.starts_with('[') {
            out.push_str(&format!("[{host}]"));
        } else if host.starts_with('[') {
            out.push_str(host);
        } else {
            out.push_str(&encode(host));
        }
        if let Some(port) = self.port {
            out.push_str(&format!(":{port}"));
        }
        out.push('/');
        if let Some(database) = &self.database {
            out.push_str(&encode(database));
        }
        for (at, (name, value)) in self.params.iter().enumerate() {
            out.push_str(&format!("{}{name}={}", if at == 0 { '?' } else { '&' }, encode(value)));
        }
        out
    }
}

fn wrong(engine: Engine, given_as: &str, how: &str) -> Error {
    Error::usage(format!("{given_as} {how}.")).todo(engine.todo())
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn read(text: &str) -> ServerUrl {
        ServerUrl::parse(text, "--url").unwrap()
    }

    #[test]
    fn parts_are_decoded_and_encoded_again() {
        let url = read("mysql://a%40b:p%2Fw%25@db.example:3307/my%20shop?ssl-mode=REQUIRED&socket=/run/m%20y.sock");
        assert_eq!(url.user.as_deref(), Some("a@b"));
        assert_eq!(url.password, Some(Secret::new("p/w%")));
        assert_eq!((url.host.as_deref(), url.port), (Some("db.example"), Some(3307)));
        assert_eq!(url.database.as_deref(), Some("my shop"));
        assert_eq!(url.params["ssl-mode"], "required");
        let shown = url.without_password();
        assert_eq!(shown, "mysql://a%40b@db.example:3307/my%20shop?socket=%2Frun%2Fm%20y.sock&ssl-mode=required");
        assert_eq!(read(&shown), ServerUrl { password: None, ..url });
    }

    #[test]
    fn every_part_may_be_open() {
        assert_eq!(read("mysql:///"), ServerUrl::default());
        assert_eq!(read("mariadb://db").host.as_deref(), Some("db"));
        assert_eq!(read("mysql:///shop?socket=/s").database.as_deref(), Some("shop"));
        assert_eq!(read("mysql://app@[::1]:3306/shop").without_password(), "mysql://app@[::1]:3306/shop");
        assert_eq!(ServerUrl { host: Some("::1".into()), ..Default::default() }.without_password(), "mysql://[::1]/");
        assert_eq!(read("mysql://db?sslmode=verify-ca").params["ssl-mode"], "verify_ca");
        assert!(read("mysql://db?pool=5&encoding=utf8").params.is_empty());
    }

    #[test]
    fn a_list_of_servers_shares_everything_else() {
        let url = read("mysql://a%2Cb:p%40,w@db1:3306,db2,[::1]:3308/shop?ssl-mode=required");
        assert_eq!(url.without_password(), "mysql://a%2Cb@db1:3306/shop?ssl-mode=required");
        assert_eq!(
            url.others_without_password(),
            ["mysql://a%2Cb@db2/shop?ssl-mode=required", "mysql://a%2Cb@[::1]:3308/shop?ssl-mode=required"]
        );
        assert!(read("mysql://app@db1/shop?x=1,2").others.is_empty());
        for bad in ["mysql://app@db1,/shop", "mysql://app@db1,db2:99999/shop", "mysql://app@,/shop"] {
            assert!(ServerUrl::parse(bad, "--url").is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_never_repeat_the_text() {
        for bad in [
            "mysql:app:geheim",
            "http://app:geheim@h",
            "mysql://app:geheim@h:99999/x",
            "mysql://app:ge/heim@h/x",
            "mysql://app:geheim#@h/x",
            "mysql://app:geheim@h/a/b",
            "mysql://app:geheim%zz@h/",
            "app:geheim@h",
            "mysql://app:geheim@h/x?ssl-mode=maybe",
            "mysql://app:geheim@h/x?tls=1",
            "mysql://h/x?ssl-ca=/no/such/file",
            "mysql://h/x?socket=s",
            "mysql://app:geheim@h ost/x",
            "",
            "mysql://%ff@h/",
        ] {
            let error = ServerUrl::parse(bad, "--url").unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{bad}");
            assert!(!format!("{error:?}").contains("heim"), "{error:?}");
        }
    }

    #[test]
    fn postgres_has_its_own_parameters() {
        let url = read("POSTGRESQL://a%40b:p%2Fw@db:5433/shop?sslmode=Verify_Full&connect-timeout=5&pool=3&schema=x");
        assert_eq!(url.without_password(), "postgres://a%40b@db:5433/shop?connect_timeout=5&sslmode=verify-full");
        let socket = read("postgres://app@%2Frun%2Fpg/shop");
        assert_eq!((socket.host.clone(), socket.params["host"].as_str()), (None, "/run/pg"));
        assert_eq!(read(&socket.without_password()), ServerUrl { host: Some("localhost".into()), ..socket });
        for (bad, word) in [
            ("postgres://app@h/x?sslmode=allow", "sslmode in --url must be one of"),
            ("postgres://app@h/x?ssl-mode=required", "ssl-mode in --url must be one of"),
            ("postgres://app@h/x?sslrootcert=/no/such", "must name a file"),
            ("postgres://app@h/x?sslcrl=/etc/hosts", "'sslcrl'"),
            ("postgres://app@h/x?port=1", "'port'"),
            ("postgres://app@h/x?channel_binding=require", "'channel_binding'"),
            ("postgres://app@h/x?host=a,b", "one host"),
            ("postgres://app@h/x?connect_timeout=0", "whole number"),
        ] {
            let error = ServerUrl::parse(bad, "--url").unwrap_err();
            assert!(error.kind() == Kind::Usage && error.what().contains(word), "{bad}: {error}");
        }
        let error = ServerUrl::parse("postgres://app:geheim@h1,h2/x", "--url").unwrap_err();
        assert!(error.kind() == Kind::Refused && !format!("{error:?}").contains("heim"), "{error}");
    }
}
