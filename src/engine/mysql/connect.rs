//! Where the server is and how to get in.
//!
//! An [`Address`] is what a URL, a password and the options of MySQL's own clients say. The default
//! TLS mode is theirs too, PREFERRED: encrypted when the server can, in the clear when it can't, the
//! certificate unverified. The driver knows no such mode, so it is tried: first with TLS, then
//! without when the server offers none, and what was learnt is kept for the next connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::{ClientIdentity, Conn, DriverError, OptsBuilder, PoolOpts, SslOpts};
use url::Url;

use super::session::sort;
use crate::error::{Error, Kind, Result};

const OPTIONS: &str = "ssl-mode, ssl-ca, ssl-cert, ssl-key, socket and connect-timeout";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SslMode {
    Disabled,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

/// A server's address with credentials and TLS settings. Its `Debug` never shows the password.
#[derive(Clone)]
pub struct Address {
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    socket: Option<String>,
    ssl_mode: SslMode,
    ssl_ca: Option<PathBuf>,
    ssl_cert: Option<PathBuf>,
    ssl_key: Option<PathBuf>,
    connect_timeout: Duration,
    /// The only server that may answer, by its identity.
    pinned: Option<Arc<str>>,
    /// The server was seen to have no TLS. Only asked under PREFERRED.
    no_tls: Arc<AtomicBool>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("at", &self.describe())
            .field("user", &self.user)
            .field("database", &self.database)
            .field("ssl_mode", &self.ssl_mode)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads `mysql://user:password@host:port/database?options`. `password` wins over the URL's.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Address> {
        let bad = |why: String| Error::usage(format!("The server's URL can't be used: {why}."));
        let parsed = Url::parse(url).map_err(|e| bad(e.to_string()))?;
        if !matches!(parsed.scheme(), "mysql" | "mariadb") {
            return Err(bad(format!("it must begin with mysql:// or mariadb://, not {}://", parsed.scheme())));
        }
        let decoded = |what: &str, text: &str| {
            percent_decoded(text).ok_or_else(|| bad(format!("its {what} is not valid percent-encoded UTF-8")))
        };
        let some = |text: String| Some(text).filter(|t| !t.is_empty());
        let host = decoded("host", parsed.host_str().unwrap_or("localhost"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
        let path = parsed.path().trim_start_matches('/');
        if path.contains('/') {
            return Err(bad(format!("'{path}' is not the name of a database (a slash in a name is written %2F)")));
        }
        let own_password = parsed.password().map(|p| decoded("password", p)).transpose()?;
        let mut address = Address {
            host: if host.is_empty() { "localhost".into() } else { host },
            port: parsed.port().unwrap_or(3306),
            user: some(decoded("user", parsed.username())?),
            password: password.map(str::to_string).or(own_password),
            database: some(decoded("database", path)?),
            socket: None,
            ssl_mode: SslMode::Preferred,
            ssl_ca: None,
            ssl_cert: None,
            ssl_key: None,
            connect_timeout: Duration::from_secs(10),
            pinned: None,
            no_tls: Arc::new(AtomicBool::new(false)),
        };
        for pair in parsed.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.option(&decoded("option", name)?, decoded("option", value)?)?;
        }
        if address.ssl_cert.is_some() != address.ssl_key.is_some() {
            return Err(Error::usage("The server's URL names only one of ssl-cert and ssl-key; they go together."));
        }
        if address.ssl_mode == SslMode::VerifyCa && address.ssl_ca.is_none() {
            return Err(Error::usage("ssl-mode=VERIFY_CA needs ssl-ca, the file with the authority's certificate."));
        }
        Ok(address)
    }

    fn option(&mut self, name: &str, value: String) -> Result<()> {
        let lower = name.to_ascii_lowercase().replace('_', "-");
        if value.is_empty() {
            return Err(Error::usage(format!("The option '{name}' of the server's URL has no value.")));
        }
        match lower.as_str() {
            "ssl-mode" => {
                self.ssl_mode = match value.to_ascii_uppercase().replace('-', "_").as_str() {
                    "DISABLED" => SslMode::Disabled,
                    "PREFERRED" => SslMode::Preferred,
                    "REQUIRED" => SslMode::Required,
                    "VERIFY_CA" => SslMode::VerifyCa,
                    "VERIFY_IDENTITY" => SslMode::VerifyIdentity,
                    _ => {
                        return Err(Error::usage(format!(
                            "ssl-mode is DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY, not '{value}'."
                        )));
                    }
                }
            }
            "ssl-ca" => self.ssl_ca = Some(value.into()),
            "ssl-cert" => self.ssl_cert = Some(value.into()),
            "ssl-key" => self.ssl_key = Some(value.into()),
            "socket" => self.socket = Some(value),
            "connect-timeout" => {
                let seconds = value.parse::<u32>().ok().filter(|s| *s > 0).ok_or_else(|| {
                    Error::usage(format!("connect-timeout is a whole number of seconds, not '{value}'."))
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

    /// The same credentials and settings for another host, a replica.
    pub fn with_host(&self, host: &str, port: u16) -> Address {
        Address {
            host: host.to_string(),
            port,
            socket: None,
            pinned: None,
            no_tls: Arc::new(AtomicBool::new(false)),
            ..self.clone()
        }
    }

    /// The same for a run that has begun: every later connection must be to this server (see
    /// [`super::failover`]), whatever a proxy or a name that moved may lead to.
    pub fn pinned(&self, server: &str) -> Address {
        Address { pinned: Some(server.into()), ..self.clone() }
    }

    pub fn pin(&self) -> Option<&str> {
        self.pinned.as_deref()
    }

    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    pub fn server_host(&self) -> &str {
        &self.host
    }

    pub fn server_port(&self) -> u16 {
        self.port
    }

    /// `host:port`, or the socket, for messages.
    pub fn describe(&self) -> String {
        match &self.socket {
            Some(path) => path.clone(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Conn> {
        let secure = match self.ssl_mode {
            SslMode::Disabled => false,
            // A socket does not leave the machine; MySQL's clients use no TLS on it either.
            SslMode::Preferred => self.socket.is_none() && !self.no_tls.load(Ordering::Relaxed),
            _ => true,
        };
        match self.attempt(secure).await {
            Err(Attempt::NoTls) if self.ssl_mode == SslMode::Preferred => {
                self.no_tls.store(true, Ordering::Relaxed);
                self.attempt(false).await.map_err(|e| self.explain(e))
            }
            // An old server's TLS can be one that the library no longer speaks.
            Err(Attempt::Failed(error)) if self.ssl_mode == SslMode::Preferred && is_tls(&error) => {
                tracing::warn!(server = %self.describe(), %error, "TLS does not work with this server: going on without");
                self.attempt(false).await.map_err(|e| self.explain(e))
            }
            other => other.map_err(|e| self.explain(e)),
        }
    }

    async fn attempt(&self, secure: bool) -> std::result::Result<Conn, Attempt> {
        let opening = Conn::new(self.opts(secure));
        match tokio::time::timeout(self.connect_timeout, opening).await {
            Err(_) => Err(Attempt::Slow),
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))) => Err(Attempt::NoTls),
            Ok(Err(error)) => Err(Attempt::Failed(error)),
        }
    }

    fn opts(&self, secure: bool) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(self.user.clone())
            .pass(self.password.clone())
            .db_name(self.database.clone())
            .socket(self.socket.clone())
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(20)))
            // Row events and key lists can exceed what the server announces for itself.
            .max_allowed_packet(Some(1 << 30))
            .stmt_cache_size(0)
            .pool_opts(PoolOpts::default().with_reset_connection(false))
            .ssl_opts(secure.then(|| self.ssl_opts()))
    }

    fn ssl_opts(&self) -> SslOpts {
        let verify = matches!(self.ssl_mode, SslMode::VerifyCa | SslMode::VerifyIdentity);
        let identity = match (&self.ssl_cert, &self.ssl_key) {
            (Some(cert), Some(key)) => Some(ClientIdentity::new(cert.clone().into(), key.clone().into())),
            _ => None,
        };
        SslOpts::default()
            .with_root_certs(if verify { self.ssl_ca.iter().map(|ca| ca.clone().into()).collect() } else { Vec::new() })
            // A given authority is the only one, as in MySQL's clients.
            .with_disable_built_in_roots(verify && self.ssl_ca.is_some())
            .with_danger_accept_invalid_certs(!verify)
            .with_danger_skip_domain_validation(self.ssl_mode != SslMode::VerifyIdentity)
            .with_client_identity(identity)
    }

    fn explain(&self, attempt: Attempt) -> Error {
        let at = self.describe();
        let error = match attempt {
            Attempt::NoTls => {
                return Error::refused(format!("The server at {at} offers no TLS, and ssl-mode asks for it."))
                    .todo("Switch TLS on in the server, or use ssl-mode=PREFERRED or ssl-mode=DISABLED.");
            }
            Attempt::Slow => {
                return Error::transient(format!(
                    "The server at {at} did not let osc in within {} s.",
                    self.connect_timeout.as_secs()
                ));
            }
            Attempt::Failed(error) => error,
        };
        let user = self.user.as_deref().unwrap_or("");
        let denied = matches!(&error, mysql_async::Error::Server(s) if matches!(s.code, 1044 | 1045 | 1698));
        let wants_tls = matches!(&error, mysql_async::Error::Server(s) if s.code == 3159);
        let no_plugin = match &error {
            mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => Some(name.clone()),
            _ => None,
        };
        let no_such_file = matches!(&error, mysql_async::Error::Io(mysql_async::IoError::Io(e))
            if e.kind() == std::io::ErrorKind::NotFound);
        let tls = is_tls(&error);
        let error = sort(error).context(&format!("Can't connect to {at}"));
        if denied {
            error
                .with_kind(Kind::Refused)
                .todo(format!("Check the password of '{user}' and from which hosts it may come in."))
        } else if wants_tls {
            error.with_kind(Kind::Refused).todo("Use ssl-mode=PREFERRED, which is the default, or a stricter one.")
        } else if let Some(name) = no_plugin {
            error.with_kind(Kind::Refused).todo(format!(
                "The account '{user}' signs in with '{name}', which osc can't; make one with caching_sha2_password \
                 or mysql_native_password."
            ))
        } else if no_such_file {
            error.with_kind(Kind::Usage).todo("Check the paths of the socket and of the TLS files.")
        } else if tls {
            error
                .with_kind(Kind::Refused)
                .todo("Check ssl-mode, ssl-ca, ssl-cert and ssl-key against the server's certificate.")
        } else {
            error
        }
    }
}

enum Attempt {
    NoTls,
    Slow,
    Failed(mysql_async::Error),
}

fn is_tls(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Io(mysql_async::IoError::Tls(_)) => true,
        // The handshake reports through the stream: rustls's error inside of an io::Error.
        mysql_async::Error::Io(mysql_async::IoError::Io(e)) => e.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
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
            "mysql://us%40er:p%2Fa+ss%25@db.example:3307/my%20db?ssl-mode=required&connect-timeout=3",
            None,
        )
        .unwrap();
        assert_eq!((a.server_host(), a.server_port(), a.database()), ("db.example", 3307, Some("my db")));
        assert_eq!((a.user.as_deref(), a.password.as_deref()), (Some("us@er"), Some("p/a+ss%")));
        assert_eq!((a.ssl_mode, a.connect_timeout), (SslMode::Required, Duration::from_secs(3)));
        assert!(!format!("{a:?}").contains("ss%"));
        let b = a.with_host("::1", 9);
        assert_eq!(b.describe(), "[::1]:9");
    }

    #[test]
    fn defaults_are_those_of_the_clients() {
        let a = Address::parse("mariadb://root@[::1]", Some("x")).unwrap();
        assert_eq!((a.server_host(), a.server_port(), a.database()), ("::1", 3306, None));
        assert_eq!((a.password.as_deref(), a.ssl_mode), (Some("x"), SslMode::Preferred));
        let s = Address::parse("mysql://root@localhost/d?socket=/run/my.sock", None).unwrap();
        assert_eq!(s.describe(), "/run/my.sock");
    }

    #[test]
    fn what_it_does_not_know_it_names() {
        for (url, word) in [
            ("mysql://h/d?pool_max=3", "pool_max"),
            ("mysql://h/d?ssl-mode=maybe", "maybe"),
            ("mysql://h/d?ssl-cert=x", "ssl-key"),
            ("mysql://h/d?ssl-mode=VERIFY_CA", "ssl-ca"),
            ("mysql://h/d?connect-timeout=soon", "soon"),
            ("mysql://h/a/b", "a/b"),
            ("postgres://h/a", "postgres"),
            ("nonsense", "URL"),
        ] {
            let error = Address::parse(url, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{url}");
            assert!(error.what().contains(word), "{url}: {}", error.what());
        }
    }
}
