//! Where the server is and how to get in.
//!
//! An [`Address`] is what a URL, a password and the options of PostgreSQL's own clients say. The
//! default TLS mode is theirs too, `prefer`: encrypted when the server can, in the clear when it
//! can't, the certificate unverified. Both kinds of connection, ordinary sessions and the change
//! stream, are dialled here, so that whatever gets one in gets the other in too.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::{Client, Config, Connection, NoTls};
use url::Url;

use super::heard::Heard;
use super::session::{PINNED, sort};
use super::tls::{self, SslMode};
use crate::error::{Error, Kind, Result};

const OPTIONS: &str = "sslmode, sslrootcert, sslcert, sslkey, host and connect_timeout";

/// What a connection speaks over, encrypted or not.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}
pub type Boxed = Box<dyn Stream>;

/// A server's address with credentials and TLS settings. Its `Debug` never shows the password.
#[derive(Clone)]
pub struct Address {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    /// The directory of a unix socket.
    socket: Option<PathBuf>,
    ssl: SslMode,
    ssl_root: Option<PathBuf>,
    ssl_cert: Option<PathBuf>,
    ssl_key: Option<PathBuf>,
    connect_timeout: Duration,
    /// The only server that may answer, by its identity.
    pinned: Option<Arc<str>>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("at", &self.describe())
            .field("user", &self.user)
            .field("database", &self.database)
            .field("ssl", &self.ssl)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?options`. `password` wins over the URL's.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Address> {
        let bad = |why: String| Error::usage(format!("The server's URL can't be used: {why}."));
        let parsed = Url::parse(url).map_err(|e| bad(e.to_string()))?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(bad(format!("it must begin with postgres:// or postgresql://, not {}://", parsed.scheme())));
        }
        let decoded = |what: &str, text: &str| {
            percent_decoded(text).ok_or_else(|| bad(format!("its {what} is not valid percent-encoded UTF-8")))
        };
        let some = |text: String| Some(text).filter(|t| !t.is_empty());
        let host = decoded("host", parsed.host_str().unwrap_or_default())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
        let path = parsed.path().trim_start_matches('/');
        if path.contains('/') {
            return Err(bad(format!("'{path}' is not the name of a database (a slash in a name is written %2F)")));
        }
        let own_password = parsed.password().map(|p| decoded("password", p)).transpose()?;
        let user = some(decoded("user", parsed.username())?).unwrap_or_else(|| "postgres".into());
        let database = some(decoded("database", path)?).unwrap_or_else(|| user.clone());
        let mut address = Address {
            host: if host.is_empty() { "localhost".into() } else { host },
            port: parsed.port().unwrap_or(5432),
            user,
            password: password.map(str::to_string).or(own_password),
            database,
            socket: None,
            ssl: SslMode::Prefer,
            ssl_root: None,
            ssl_cert: None,
            ssl_key: None,
            connect_timeout: Duration::from_secs(10),
            pinned: None,
        };
        for pair in parsed.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.option(&decoded("option", name)?, decoded("option", value)?)?;
        }
        if address.ssl_cert.is_some() != address.ssl_key.is_some() {
            return Err(Error::usage("The server's URL names only one of sslcert and sslkey; they go together."));
        }
        if address.ssl.verifies() && address.ssl_root.is_none() {
            return Err(Error::usage(
                "sslmode=verify-ca and verify-full need sslrootcert, the file with the authority's certificate.",
            ));
        }
        Ok(address)
    }

    fn option(&mut self, name: &str, value: String) -> Result<()> {
        if value.is_empty() {
            return Err(Error::usage(format!("The option '{name}' of the server's URL has no value.")));
        }
        match name.to_ascii_lowercase().replace('-', "_").as_str() {
            "sslmode" => self.ssl = SslMode::parse(&value)?,
            "sslrootcert" => self.ssl_root = Some(value.into()),
            "sslcert" => self.ssl_cert = Some(value.into()),
            "sslkey" => self.ssl_key = Some(value.into()),
            "host" if value.starts_with('/') => self.socket = Some(value.into()),
            "host" => self.host = value,
            "connect_timeout" => {
                let seconds = value.parse::<u32>().ok().filter(|s| *s > 0).ok_or_else(|| {
                    Error::usage(format!("connect_timeout is a whole number of seconds, not '{value}'."))
                })?;
                self.connect_timeout = Duration::from_secs(seconds.into());
            }
            _ => {
                return Err(Error::usage(format!(
                    "The server's URL has an option that osc does not know: '{name}'. It knows {OPTIONS}."
                )));
            }
        }
        Ok(())
    }

    /// The same credentials and settings for another host.
    pub fn with_host(&self, host: &str, port: u16) -> Address {
        Address { host: host.to_string(), port, socket: None, pinned: None, ..self.clone() }
    }

    /// The same for another account.
    pub fn with_user(&self, user: &str, password: Option<&str>) -> Address {
        Address { user: user.to_string(), password: password.map(str::to_string), ..self.clone() }
    }

    /// The same for another database.
    pub fn with_database(&self, database: &str) -> Address {
        Address { database: database.to_string(), ..self.clone() }
    }

    /// The same for a run that has begun: every later connection must be to this server, whatever a
    /// proxy or a name that moved may lead to.
    pub fn pinned(&self, server: &str) -> Address {
        Address { pinned: Some(server.into()), ..self.clone() }
    }

    pub fn pin(&self) -> Option<&str> {
        self.pinned.as_deref()
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn server_port(&self) -> u16 {
        self.port
    }

    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// `host:port`, or the socket, for messages.
    pub fn describe(&self) -> String {
        match &self.socket {
            Some(path) => path.join(format!(".s.PGSQL.{}", self.port)).display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Opens what a connection speaks over, with TLS as asked for. Has a deadline.
    pub async fn dial(&self) -> Result<Boxed> {
        match tokio::time::timeout(self.connect_timeout, self.dial_patiently()).await {
            Ok(result) => result,
            Err(_) => Err(self.slow()),
        }
    }

    async fn dial_patiently(&self) -> Result<Boxed> {
        let failed =
            |e: std::io::Error| Error::transient(format!("Can't connect to {}: {e}", self.describe())).caused_by(e);
        if let Some(directory) = &self.socket {
            let path = directory.join(format!(".s.PGSQL.{}", self.port));
            // A socket does not leave the machine; PostgreSQL's clients use no TLS on it either.
            return Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?));
        }
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let files =
            tls::Files { root: self.ssl_root.as_deref(), cert: self.ssl_cert.as_deref(), key: self.ssl_key.as_deref() };
        tls::negotiate(tcp, self.ssl, &files, &self.host, &self.describe()).await
    }

    /// Opens an ordinary session, its settings pinned from the first moment. The number is the server's process, as the
    /// connection was told of it.
    pub async fn connect(&self) -> Result<(Client, Connection<Boxed, tokio_postgres::tls::NoTlsStream>, i32)> {
        self.connect_under(PINNED).await
    }

    /// Opens one under these settings, and otherwise those that a client has who asks for none.
    pub async fn connect_under(
        &self,
        settings: &[(&str, &str)],
    ) -> Result<(Client, Connection<Boxed, tokio_postgres::tls::NoTlsStream>, i32)> {
        let (stream, pid) = Heard::new(self.dial().await?);
        let stream: Boxed = Box::new(stream);
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name("osc").options(options(settings));
        if let Some(password) = &self.password {
            config.password(password);
        }
        match tokio::time::timeout(self.connect_timeout, config.connect_raw(stream, NoTls)).await {
            Err(_) => Err(self.slow()),
            Ok(Ok((client, connection))) => Ok((client, connection, pid.load(Ordering::Relaxed))),
            Ok(Err(error)) => Err(self.explain(sort(error))),
        }
    }

    fn slow(&self) -> Error {
        Error::transient(format!(
            "The server at {} did not let osc in within {} s.",
            self.describe(),
            self.connect_timeout.as_secs()
        ))
    }

    /// What to do when the server did not let us in.
    pub fn explain(&self, error: Error) -> Error {
        let at = self.describe();
        let kind = error.kind();
        let error = error.context(&format!("Can't connect to {at}"));
        if error.what().contains("unsupported startup parameter") {
            return pooler(at).caused_by(error);
        }
        match kind {
            Kind::Refused => error.todo(format!(
                "Check the password of '{}', the database '{}', and what pg_hba.conf lets in.",
                self.user, self.database
            )),
            _ => error,
        }
    }
}

/// Nothing of osc's would be true behind one: settings, locks and transactions belong to sessions.
pub fn pooler(at: impl fmt::Display) -> Error {
    Error::refused(format!(
        "What answers at {at} is a connection pooler (or another proxy that lends sessions), not the server."
    ))
    .table("Nothing was changed.")
    .todo("Name the server itself in the URL, with its own port.")
}

/// Settings as the server's command line writes them, for the startup message. Only there do they win
/// over ALTER ROLE and ALTER DATABASE in a replication connection, too.
pub fn options(settings: &[(&str, &str)]) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(' ', "\\ ");
    settings.iter().map(|(name, value)| format!("-c {name}={}", escape(value))).collect::<Vec<_>>().join(" ")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_all() {
        let a = Address::parse(
            "postgres://us%40er:p%2Fa+ss%25@db.example:6000/my%20db?sslmode=require&connect_timeout=3",
            None,
        )
        .unwrap();
        assert_eq!((a.describe().as_str(), a.database(), a.user()), ("db.example:6000", "my db", "us@er"));
        assert_eq!((a.password(), a.connect_timeout), (Some("p/a+ss%"), Duration::from_secs(3)));
        assert!(!format!("{a:?}").contains("ss%"));
        assert_eq!(a.with_host("::1", 9).describe(), "[::1]:9");
    }

    #[test]
    fn defaults_are_those_of_the_clients() {
        let a = Address::parse("postgresql://osc@[::1]", Some("x")).unwrap();
        assert_eq!((a.describe().as_str(), a.database()), ("[::1]:5432", "osc"));
        let s = Address::parse("postgres://osc@localhost/d?host=/run/pg", None).unwrap();
        assert_eq!(s.describe(), "/run/pg/.s.PGSQL.5432");
    }

    #[test]
    fn what_it_does_not_know_it_names() {
        for (url, word) in [
            ("postgres://h/d?pool_max=3", "pool_max"),
            ("postgres://h/d?sslmode=maybe", "maybe"),
            ("postgres://h/d?sslcert=x", "sslkey"),
            ("postgres://h/d?sslmode=verify-full", "sslrootcert"),
            ("postgres://h/d?connect_timeout=soon", "soon"),
            ("postgres://h/a/b", "a/b"),
            ("mysql://h/a", "mysql"),
            ("nonsense", "URL"),
        ] {
            let error = Address::parse(url, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{url}");
            assert!(error.what().contains(word), "{url}: {}", error.what());
        }
    }

    #[test]
    fn settings_are_escaped() {
        assert_eq!(options(&[("a", "b c"), ("d", "\\")]), "-c a=b\\ c -c d=\\\\");
    }
}
