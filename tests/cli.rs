//! The command line from outside: every wrong word has its exit code and its sentence, nothing is
//! connected to before all words are right, and no password comes out anywhere.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "geheim-7341";

/// An `osc` that sees nothing of the environment of the tests.
struct Osc {
    command: Command,
    home: PathBuf,
}

impl Osc {
    fn new() -> Osc {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("home-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_osc"));
        command.env_clear().env("HOME", &home).current_dir(&home).stdin(Stdio::null());
        Osc { command, home }
    }

    fn env(mut self, name: &str, value: &str) -> Osc {
        self.command.env(name, value);
        self
    }

    /// Writes a file into the home directory.
    fn file(self, name: &str, text: &str) -> Osc {
        std::fs::write(self.home.join(name), text).unwrap();
        self
    }

    fn run(mut self, words: &[&str]) -> Ran {
        let output = self.command.args(words).output().unwrap();
        std::fs::remove_dir_all(&self.home).unwrap();
        Ran::new(words, output)
    }
}

struct Ran {
    words: String,
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn new(words: &[&str], output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("ended by a signal");
        Ran { words: words.join(" "), code, out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "osc {}\n{}{}", self.words, self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Ran {
        assert!(self.err.contains(text), "osc {}: '{text}' is not in\n{}", self.words, self.err);
        self
    }

    #[track_caller]
    fn hides(self, secret: &str) -> Ran {
        let all = format!("{}{}", self.out, self.err);
        assert!(!all.contains(secret), "osc {}: the password is in\n{all}", self.words);
        self
    }
}

/// A server that nobody may call.
struct Uncalled(TcpListener);

impl Uncalled {
    fn new() -> Uncalled {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Uncalled(listener)
    }

    fn url(&self) -> String {
        format!("mysql://app@127.0.0.1:{}/shop", self.0.local_addr().unwrap().port())
    }

    #[track_caller]
    fn was_not_called(&self) {
        assert!(self.0.accept().is_err(), "somebody connected");
    }
}

#[test]
fn wrong_words_of_alter_are_usage_and_nothing_is_connected() {
    let server = Uncalled::new();
    let url = server.url();
    let cases: &[(&[&str], &str)] = &[
        (&["--threads", "0"], "--threads must be a whole number from 1 to 64, not '0'"),
        (&["--threads", "65"], "--threads must be"),
        (&["--threads", "many"], "--threads must be"),
        (&["--chunk-size", "0"], "--chunk-size must be a whole number from 1 to 1000000"),
        (&["--chunk-time-ms", "5"], "--chunk-time-ms must be a whole number from 10 to 60000"),
        (&["--chunk-size", "100", "--chunk-time-ms", "100"], "exclude each other"),
        (&["--max-lag-millis", "1000"], "--max-lag-millis needs a replica"),
        (&["--max-lag-millis", "1", "--replica", "mysql://r"], "--max-lag-millis must be"),
        (&["--replica", "r1:3306"], "--replica does not begin with mysql://, mariadb:// or postgres://"),
        (&["--replica", "mysql:///x"], "--replica names no host"),
        (&["--max-load", "Threads_running"], "--max-load must be a list of NAME=LIMIT"),
        (&["--max-load", "Threads_running=x"], "--max-load must be a list of NAME=LIMIT"),
        (&["--max-load", "a=1,a=2"], "--max-load must name a only once"),
        (&["--critical-load", "=5"], "--critical-load must be a list"),
        (&["--max-load", "a=5", "--critical-load", "a=5"], "--critical-load a=5 must be above --max-load a=5"),
        (
            &["--throttle-flag-file", "/nowhere/at/all/f"],
            "--throttle-flag-file must name a file in a directory that exists",
        ),
        (&["--postpone-cut-over-flag-file", "/"], "--postpone-cut-over-flag-file must name a file"),
        (&["--panic-flag-file", ""], "--panic-flag-file must name a file"),
        (&["--panic-flag-file", "f", "--throttle-flag-file", "f"], "must name different files"),
        (&["--cut-over-lock-timeout-ms", "0"], "--cut-over-lock-timeout-ms must be"),
        (&["--default-retries", "0"], "--default-retries must be"),
        (&["--strategy", "quick"], "--strategy must be shadow, not 'quick'"),
        (&["--no-cut-over", "--drop-old"], "--drop-old"),
        (&["--no-cut-over", "--postpone-cut-over-flag-file", "f"], "exclude each other"),
        (&["--dry-run", "--yes"], "--yes"),
        (&["--dry-run", "--execute"], "--yes"),
        (&["--quiet", "-v"], "--quiet"),
        (&["--ask-pass", "--password-file", "p"], "--ask-pass"),
        (&["--password-file", "no-such-file"], "--password-file no-such-file can't be read"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["stray"], "stray"),
    ];
    for (words, sentence) in cases {
        let all = [&["alter", "--url", &url, "--table", "orders", "--alter", "ADD c INT"], *words].concat();
        let ran = Osc::new().run(&all).ends(2).says(sentence).says("Nothing was changed.");
        assert!(ran.out.is_empty() && ran.err.starts_with("osc: "), "{}", ran.err);
    }
    server.was_not_called();
}

#[test]
fn names_and_alterations_are_checked() {
    let server = Uncalled::new();
    let url = server.url();
    let with = |table: &str, alter: &str| Osc::new().run(&["alter", "--url", &url, "--table", table, "--alter", alter]);
    let long = "x".repeat(65);
    for table in ["", "a.b.c", "`a", "a.", ".a", "`a`b", &long] {
        with(table, "ADD c INT").ends(2).says("--table must");
    }
    for alter in ["", "  ", ";"] {
        with("orders", alter).ends(2).says("--alter must be what stands after ALTER TABLE");
    }
    for verb in ["alter", "check"] {
        Osc::new().run(&[verb, "--url", &url, "--alter", "x"]).ends(2).says("--table");
        Osc::new().run(&[verb, "--url", &url, "--table", "x"]).ends(2).says("--alter");
        Osc::new().run(&[verb, "--url", &url, "--table", "`", "--alter", "x"]).ends(2).says("--table must");
    }
    Osc::new().run(&["cleanup", "--url", &url, "--table", "`"]).ends(2).says("--table must");
    Osc::new().run(&["cleanup", "--url", &url, "--dry-run", "--yes"]).ends(2).says("--yes");
    server.was_not_called();
}

#[test]
fn wrong_servers_are_said() {
    let with = |url: &str| Osc::new().run(&["alter", "--url", url, "--table", "t", "--alter", "x"]);
    with("http://app@db/shop").ends(2).says("--url does not begin with mysql://, mariadb:// or postgres://");
    with("mysql://app@db:99999/shop").ends(2).says("--url can't be read");
    with("mysql://app@db/shop?ssl-mode=maybe").ends(2).says("ssl-mode in --url must be one of");
    with("mysql://app@db/shop?ssl-ca=/no/such").ends(2).says("ssl-ca in --url must name a file");
    with("mysql://app@db/shop?ssl-mod=required").ends(2).says("'ssl-mod'");
    with("mysql://app@db").ends(2).says("No database is named");
    with("mysql://db/shop").ends(2).says("No user is named");
    with("postgres://app@db").ends(2).says("No database is named");
    with("postgres://db/shop").ends(2).says("No user is named");
    with("postgres://app@db1,db2/shop").ends(3).says("several PostgreSQL servers");
    with("postgres://app@db/shop?host=a,b").ends(2).says("host in --url must be one host");
    with("postgres://app@db/shop?sslmode=allow").ends(2).says("sslmode in --url must be one of");
    with("postgres://app@db/shop?sslrootcert=/no/such").ends(2).says("sslrootcert in --url must name a file");
    with("postgres://app@db/shop?channel_binding=require").ends(2).says("'channel_binding'");
    with("postgresql://app@127.0.0.1:1/shop").ends(5).says("Can't connect to 127.0.0.1:1");
    Osc::new().run(&["alter", "--table", "t", "--alter", "x"]).ends(2).says("No server is named").says("DATABASE_URL");
    Osc::new()
        .env("DATABASE_URL", "nonsense")
        .run(&["check", "--table", "t", "--alter", "x"])
        .ends(2)
        .says("DATABASE_URL");
}

#[test]
fn each_engine_has_its_own_words() {
    let server = Uncalled::new();
    let postgres = server.url().replace("mysql://", "postgres://");
    let run = |url: &str, more: &[&str]| {
        Osc::new().run(&[&["alter", "--url", url, "--table", "t", "--alter", "x"][..], more].concat())
    };
    run(&postgres, &["--replica", "postgres://r1"]).ends(3).says("--replica is not for PostgreSQL");
    run(&postgres, &["--wait-snapshots", "x"]).ends(2).says("--wait-snapshots must be a whole number");
    run(&server.url(), &["--wait-snapshots", "60"]).ends(2).says("--wait-snapshots is for PostgreSQL");
    let verify = ["verify", "--url", postgres.as_str(), "--table", "t", "--with", "u", "--alter", "ADD x int"];
    Osc::new().run(&verify).ends(3).says("--alter is not built yet");
    for (table, wrong) in [("\"t", "double quote"), ("a.b.c", "SCHEMA.TABLE")] {
        let words = ["alter", "--url", postgres.as_str(), "--table", table, "--alter", "x"];
        Osc::new().run(&words).ends(2).says("--table must").says(wrong);
    }
    server.was_not_called();
}

#[test]
fn a_passwords_file_is_its_engines_alone() {
    let shown = |osc: Osc, url: &str| {
        let ran = osc.run(&["config", "show", "--url", url]).ends(0).hides(SECRET);
        let line = ran.out.lines().find(|line| line.starts_with("password ")).unwrap().to_owned();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    let both = |pgpass: &str| {
        let osc = Osc::new()
            .file(".my.cnf", &format!("[client]\nuser=app\npassword={SECRET}\n[osc]\nthreads=3\n"))
            .file(".pgpass", &format!("{pgpass}:{SECRET}\n"));
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(osc.home.join(".pgpass"), PermissionsExt::from_mode(0o600)).unwrap();
        osc
    };
    assert_eq!(shown(both("db:5432:shop:app"), "postgres://app@db/shop"), "set, not shown ~/.pgpass");
    assert_eq!(shown(both("db:5432:shop:other"), "postgres://app@db/shop"), "- default");
    assert_eq!(shown(both("*:*:*:*"), "mysql://app@db/shop"), "set, not shown ~/.my.cnf [client]");
    let env = |name: &str| Osc::new().env(name, SECRET);
    assert_eq!(shown(env("PGPASSWORD"), "postgres://app@db/shop"), "set, not shown PGPASSWORD");
    assert_eq!(shown(env("PGPASSWORD"), "mysql://app@db/shop"), "- default");
    assert_eq!(shown(env("MYSQL_PWD"), "postgres://app@db/shop"), "- default");
    let ran = both("*:*:*:*").run(&["config", "show", "--url", "postgres://app@db/shop"]).ends(0);
    assert!(!ran.out.contains(".my.cnf") && ran.out.contains("wait-snapshots"), "{}", ran.out);
}

#[test]
fn option_files_are_checked() {
    let run = |file: &str| Osc::new().file(".my.cnf", file).run(&["config", "show"]);
    run("[osc]\nthreds = 3\n").ends(2).says("Line 2 of ~/.my.cnf sets 'threds'");
    run("[osc]\nthreads = lots\n").ends(2).says("threads in ~/.my.cnf [osc] must be");
    run("[client]\nport = x\n").ends(2).says("port in [client] of ~/.my.cnf must be");
    run("[client]\nnonsense = x\n[mysqldump]\nthreds\n").ends(0);
}

#[test]
fn a_panic_flag_that_is_raised_already_refuses() {
    let words =
        ["alter", "--url", "mysql://app@127.0.0.1:1/shop", "--table", "t", "--alter", "x", "--panic-flag-file", "f"];
    Osc::new().file("f", "").run(&words).ends(3).says("exists already").says("Remove it first");
}

#[test]
fn reserved_verbs_are_refused_whatever_they_are_given() {
    let verbs = "status pause resume set cutover abort move revert migrate backfill purge diff lint rehearse";
    for verb in verbs.split(' ') {
        let sentence = format!("`osc {verb}` is not built yet.");
        Osc::new().run(&[verb]).ends(3).says(&sentence);
        Osc::new().run(&[verb, "shop.orders", "k=v", "--flag", "-x"]).ends(3).says(&sentence);
        let json = Osc::new().run(&["--json", verb]).ends(3);
        let line: serde_json::Value = serde_json::from_str(json.err.trim()).unwrap();
        assert_eq!((&line["event"], &line["exit"]), (&"error".into(), &3.into()));
    }
    Osc::new().run(&["alter", "--strategy", "instant", "--table", "t", "--alter", "x"]).ends(3).says("not built yet");
    Osc::new().run(&["pause", "x"]).says("--throttle-flag-file");
}

#[test]
fn wrong_words_of_verify_are_usage_and_nothing_is_connected() {
    let server = Uncalled::new();
    let url = server.url();
    let cases: &[(&[&str], &str)] = &[
        (&[], "--with"),
        (&["--with", ""], "--with must be TABLE"),
        (&["--with", "b", "--rename", "x"], "--rename must be OLD=NEW"),
        (&["--with", "b", "--rename", "x=y", "--alter", "ADD c INT"], "cannot be used with"),
        (&["--with", "b", "--chunk-size", "0"], "--chunk-size must be"),
    ];
    for (more, sentence) in cases {
        let words: Vec<&str> = ["verify", "--url", &url, "--table", "a"].iter().chain(*more).copied().collect();
        Osc::new().run(&words).ends(2).says(sentence);
    }
    Osc::new().run(&["alter", "--url", &url, "--table", "a", "--alter", "x", "--no-verify", "--no-repair"]).ends(2);
    server.was_not_called();
}

#[test]
fn errors_are_one_line_of_json_when_asked_for() {
    for words in [
        &["--json", "alter", "--table", "t"][..],
        &["alter", "--table", "`", "--alter", "x", "--json"],
        &["x", "--json"],
    ] {
        let ran = Osc::new().run(words).ends(2);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        let line: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!((&line["event"], &line["kind"], &line["exit"]), (&"error".into(), &"usage".into(), &2.into()));
        assert!(line["what"].is_string() && line["table"].is_string());
    }
}

#[test]
fn causes_are_told_on_request() {
    let words = ["config", "show", "--url", "mysql://a@b/c"];
    let missing = ["check", "--table", "t", "--alter", "x", "--url", "mysql://a@b/c", "--password-file", "none"];
    Osc::new().run(&words).ends(0);
    let quiet = Osc::new().run(&missing).ends(2);
    assert!(!quiet.err.contains("because:"), "{}", quiet.err);
    Osc::new().run(&[&missing[..], &["-v"]].concat()).ends(2).says("because: No such file");
}

#[test]
fn help_and_version_are_answers() {
    for words in [&["--help"][..], &["--version"], &["alter", "--help"], &["help", "alter"], &["cleanup", "-h"]] {
        let ran = Osc::new().run(words).ends(0);
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{}", ran.err);
    }
    Osc::new().run(&[]).ends(2).says("The verb is missing");
    Osc::new().run(&["config"]).ends(2);
    Osc::new().run(&["alter", "--help"]).hides(SECRET);
}

#[test]
fn completions_are_written_for_the_common_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Osc::new().run(&["completions", shell]).ends(0);
        assert!(ran.out.contains("cut-over-lock-timeout-ms") && ran.err.is_empty(), "{shell}");
    }
    Osc::new().run(&["completions", "cmd"]).ends(2);
}

#[test]
fn config_show_says_where_each_setting_came_from_and_no_secret() {
    let file =
        format!("[client]\nuser=filed\npassword={SECRET}\nssl-mode=REQUIRED\n[osc]\nmax-load=Threads_running=25\n");
    let osc = Osc::new().file(".my.cnf", &file).env("DATABASE_URL", "mysql://db.example:3307/shop");
    let ran = osc.run(&["config", "show", "--threads", "3", "--replica", &format!("mysql://r:{SECRET}@r1"), "-vv"]);
    let ran = ran.ends(0).hides(SECRET);
    let row = |name: &str| {
        let line = ran.out.lines().find(|l| l.split_whitespace().next() == Some(name)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("host"), "db.example DATABASE_URL");
    assert_eq!(row("user"), "filed ~/.my.cnf [client]");
    assert_eq!(row("ssl-mode"), "required ~/.my.cnf [client]");
    assert_eq!(row("password"), "set, not shown ~/.my.cnf [client]");
    assert_eq!(row("threads"), "3 --threads");
    assert_eq!(row("max-load"), "Threads_running=25 ~/.my.cnf [osc]");
    assert_eq!(row("chunk-time-ms"), "500 default");
    let json = Osc::new().env("OSC_PASSWORD", SECRET).run(&["config", "show", "--json"]).ends(0).hides(SECRET);
    let shown: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let settings = shown["settings"].as_array().unwrap();
    let password = settings.iter().find(|s| s["name"] == "password").unwrap();
    assert_eq!((&password["value"], &password["from"]), (&"set, not shown".into(), &"OSC_PASSWORD".into()));
}

#[test]
fn a_password_never_comes_out() {
    let url = format!("mysql://app:{SECRET}@127.0.0.1:1/shop");
    let change = ["--table", "t", "--alter", "ADD c INT", "-vv"];
    let run = |osc: Osc, words: &[&str]| osc.run(&[words, &change[..]].concat()).hides(SECRET);
    run(Osc::new(), &["alter", "--url", &url]).says("the password in --url can be seen by everybody");
    run(Osc::new(), &["check", "--json", "--url", &url]);
    run(Osc::new().env("DATABASE_URL", &url).env("OSC_LOG", "trace"), &["alter"]);
    run(Osc::new().env("DATABASE_URL", &url), &["alter", "--threads", "0"]).ends(2);
    run(Osc::new().env("OSC_PASSWORD", SECRET), &["alter", "--url", "mysql://app@127.0.0.1:1/shop"]);
    run(Osc::new().env("MYSQL_PWD", SECRET), &["alter", "--url", "mysql://app@127.0.0.1:1/shop"]);
    run(Osc::new().file("pw", SECRET), &["alter", "--password-file", "pw", "--url", "mysql://app@127.0.0.1:1/shop"]);
    let postgres = format!("postgres://app:{SECRET}@127.0.0.1:1/shop");
    run(Osc::new(), &["alter", "--url", &postgres]).says("the password in --url can be seen by everybody");
    run(Osc::new().env("DATABASE_URL", &postgres).env("OSC_LOG", "trace"), &["check"]).ends(5);
    run(Osc::new().env("PGPASSWORD", SECRET), &["alter", "--url", "postgres://app@127.0.0.1:1/shop"]).ends(5);
    run(Osc::new(), &["alter", "--url", &format!("postgres://app:{SECRET}@h1,h2/y")]).ends(3);
    run(Osc::new(), &["alter", "--url", &format!("postgres://app:{SECRET}@h/y?port=x")]).ends(2);
    run(
        Osc::new(),
        &["alter", "--url", "mysql://app@127.0.0.1:1/shop", "--replica", &format!("mysql://r:{SECRET}@127.0.0.1:1")],
    );
    // Words that never get as far as being a URL.
    run(Osc::new(), &["alter", &url]).ends(2);
    run(Osc::new(), &["alter", "--replica", &url, "--nonsense", &url]).ends(2);
    run(Osc::new(), &["alter", "--url", &format!("mysql://app:{SECRET}/x@h/y")]).ends(2);
    run(Osc::new(), &["alter", "--url", &url, "--password-file", "pw"]).ends(2).says("Take the password out of --url");
    run(Osc::new(), &["alter", "--threads", &url, "--url", &url]).ends(2);
    run(Osc::new(), &["status", &url]).ends(3);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let mut osc = Osc::new();
    let mut child = osc.command.args(["completions", "zsh"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    std::fs::remove_dir_all(&osc.home).unwrap();
}

#[test]
fn a_log_filter_that_cannot_be_read_is_said() {
    Osc::new().env("OSC_LOG", "osc=loud=er").run(&["config", "show"]).ends(2).says("OSC_LOG can't be read");
}
