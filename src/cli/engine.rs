//! Which engine a URL speaks of, and in which words each of them is spoken to.

use crate::error::{Error, Result};

/// MySQL stands for MariaDB too: their words are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    #[default]
    MySql,
    Postgres,
}

/// Parameters of PostgreSQL's own clients that osc doesn't know. Each of them leads to another server, another
/// account or a weaker connection when it is passed over.
const LIBPQ: [&str; 20] = [
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "service",
    "options",
    "replication",
    "channel_binding",
    "require_auth",
    "requirepeer",
    "gssencmode",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "target_session_attrs",
    "load_balance_hosts",
    "min_protocol_version",
    "max_protocol_version",
];

impl Engine {
    /// By the URL's scheme.
    pub fn of(url: &str) -> Option<Engine> {
        match url.split(':').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "mysql" | "mariadb" => Some(Engine::MySql),
            "postgres" | "postgresql" => Some(Engine::Postgres),
            _ => None,
        }
    }

    /// How a URL of it begins when osc writes one.
    pub fn scheme(self) -> &'static str {
        match self {
            Engine::MySql => "mysql",
            Engine::Postgres => "postgres",
        }
    }

    pub fn port(self) -> u16 {
        match self {
            Engine::MySql => 3306,
            Engine::Postgres => 5432,
        }
    }

    /// What may stand behind the question mark: names as MySQL's option files have them, or as PostgreSQL's clients do.
    pub fn params(self) -> &'static [&'static str] {
        match self {
            Engine::MySql => &["socket", "ssl-mode", "ssl-ca", "ssl-cert", "ssl-key"],
            Engine::Postgres => &["host", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout"],
        }
    }

    /// The parameter's name as osc writes it.
    pub fn plain(self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        match self {
            Engine::MySql => name.replace('_', "-").replace("sslmode", "ssl-mode"),
            Engine::Postgres => name.replace('-', "_").replace("ssl_mode", "sslmode"),
        }
    }

    /// Whether a parameter that osc doesn't know may be passed over: a misspelt TLS setting must not quietly mean
    /// a weaker one.
    pub fn may_pass_over(self, plain: &str) -> bool {
        let secure = plain.contains("ssl") || plain.contains("tls");
        !(secure || self == Engine::Postgres && LIBPQ.contains(&plain))
    }

    /// The value of a parameter as osc keeps it, or what it must be.
    pub fn param(self, name: &str, value: &str) -> Result<String, String> {
        let path = std::path::Path::new(value);
        match name {
            "ssl-mode" => {
                let mode = value.to_ascii_lowercase().replace('-', "_");
                one_of(&["disabled", "preferred", "required", "verify_ca", "verify_identity"], mode)
            }
            "sslmode" => {
                let mode = value.to_ascii_lowercase().replace('_', "-");
                one_of(&["disable", "prefer", "require", "verify-ca", "verify-full"], mode)
            }
            "socket" if path.is_absolute() => Ok(value.into()),
            "socket" => Err("must be the full path of a socket".into()),
            "host" if value.is_empty() => Err("must be a host, or the directory of a socket".into()),
            "host" if value.contains(',') => {
                Err("must be one host: osc takes no list of PostgreSQL servers yet".into())
            }
            "host" => Ok(value.into()),
            "connect_timeout" => super::value::whole(value, 1, 3600).map(|seconds| seconds.to_string()),
            _ if path.is_file() => Ok(value.into()),
            _ => Err("must name a file that exists".into()),
        }
    }

    /// What a URL looks like.
    pub fn todo(self) -> String {
        format!(
            "A server's URL is {}://USER@HOST:PORT/DATABASE; characters that mean something in a URL are percent-encoded in it.",
            self.scheme()
        )
    }
}

fn one_of(known: &[&str], mode: String) -> Result<String, String> {
    if known.contains(&mode.as_str()) { Ok(mode) } else { Err(format!("must be one of {}", known.join(", "))) }
}

/// What the engine of a URL has no use for.
pub fn refuse_replica() -> Error {
    Error::refused("--replica is not for PostgreSQL: its primary itself tells how far each standby is behind.")
        .todo("Leave it out; --max-lag-millis goes by the slowest standby in pg_stat_replication.")
}
