//! PostgreSQL's own file of passwords, `~/.pgpass` or where PGPASSFILE says: a line per server, database and user.
//!
//! Read as its clients read it: `host:port:database:user:password`, a star for anything, a backslash before a colon
//! or a backslash, the first line that fits. A file that others may read is passed over.

use std::path::Path;

use super::secret::Secret;

/// What the file is called in messages.
pub const SHOWN: &str = "~/.pgpass";

/// Whose password is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub host: &'a str,
    /// The directory of a socket, which the file may call localhost.
    pub socket: Option<&'a str>,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The password, if the file is there and has it.
pub fn read(path: &Path, wanted: Wanted<'_>) -> Option<Secret> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path).ok()?;
    if !meta.is_file() || meta.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            "{} is no plain file that only its owner can read, and is passed over, as by PostgreSQL's own clients",
            path.display()
        );
        return None;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => find(&text, wanted),
        Err(error) => {
            tracing::warn!("{} can't be read and is passed over: {error}", path.display());
            None
        }
    }
}

fn find(text: &str, wanted: Wanted<'_>) -> Option<Secret> {
    let port = wanted.port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (host, rest) = field(line)?;
        let (of_port, rest) = field(rest?)?;
        let (database, rest) = field(rest?)?;
        let (user, rest) = field(rest?)?;
        let fits = |field: &Field, value: &str| field.any || field.text == value;
        let here = match wanted.socket {
            Some(directory) => fits(&host, directory) || host.text == "localhost",
            None => fits(&host, wanted.host),
        };
        let all = here && fits(&of_port, &port) && fits(&database, wanted.database) && fits(&user, wanted.user);
        // The password is the rest of the line up to a colon, with its own backslashes.
        let (password, _) = field(rest?)?;
        (all && !password.text.is_empty()).then(|| Secret::new(password.text))
    })
}

struct Field {
    text: String,
    any: bool,
}

/// The text up to the next colon, and what stands behind it.
fn field(line: &str) -> Option<(Field, Option<&str>)> {
    let mut text = String::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.push(chars.next().map_or('\\', |(_, next)| next)),
            ':' => return Some((Field { any: &line[..at] == "*", text }, line.get(at + 1..))),
            _ => text.push(c),
        }
    }
    Some((Field { any: line == "*", text }, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> = Wanted { host: "db", socket: None, port: 5432, database: "shop", user: "osc" };

    fn found(text: &str, wanted: Wanted<'_>) -> Option<String> {
        find(text, wanted).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# c\nnonsense\nother:5432:shop:osc:a\ndb:5433:shop:osc:b\ndb:*:shop:osc:c\\:d\\\\e\n*:*:*:*:f\n";
        assert_eq!(found(text, WANTED).as_deref(), Some("c:d\\e"));
        assert_eq!(found(text, Wanted { user: "app", ..WANTED }).as_deref(), Some("f"));
        assert_eq!(found("db:5432:shop:osc\n", WANTED), None);
        assert_eq!(found("db:5432:shop:osc:\n", WANTED), None);
        assert_eq!(found("\\*:5432:shop:osc:x\n", WANTED), None);
        assert_eq!(found("", WANTED), None);
    }

    #[test]
    fn a_socket_is_localhost() {
        let wanted = Wanted { socket: Some("/run/pg"), host: "localhost", ..WANTED };
        assert_eq!(found("localhost:*:*:*:x\n", wanted).as_deref(), Some("x"));
        assert_eq!(found("/run/pg:*:*:*:y\n", wanted).as_deref(), Some("y"));
        assert_eq!(found("elsewhere:*:*:*:y\n", wanted), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_passed_over() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("osc-pgpass-{}", std::process::id()));
        std::fs::write(&path, "*:*:*:*:x\n").unwrap();
        for (mode, is_read) in [(0o600, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(read(&path, WANTED).is_some(), is_read, "{mode:o}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path, WANTED).is_none());
    }
}
