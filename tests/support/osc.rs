//! The `osc` binary as a user runs it, whatever server it is for.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where a test's table is: how osc's account gets there.
pub trait Place {
    /// osc's URL, without the password.
    fn url(&self) -> String;

    /// Names the place among all the tests', for files.
    fn label(&self) -> String;
}

/// How long a run may take in a test before it's taken for hung.
const HUNG: Duration = Duration::from_secs(300);

/// A command to build up.
pub struct Osc {
    command: Command,
    dir: PathBuf,
    failpoints: Vec<String>,
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Report {
    pub exit: i32,
    /// The lines of JSON on stdout.
    pub events: Vec<Value>,
    pub stderr: String,
}

/// A run under way.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<Value>,
    events: Vec<Value>,
    stderr: Option<std::thread::JoinHandle<String>>,
    hung: Duration,
    /// While this file exists the run doesn't cut over.
    pub postpone: PathBuf,
    /// While this file exists the run holds.
    pub throttle: PathBuf,
    dir: PathBuf,
}

/// A run that stands at a failpoint.
#[derive(Debug)]
pub struct Paused {
    file: PathBuf,
    /// The server's numbers of the connections that take part there.
    pub ids: Vec<u32>,
}

impl Paused {
    /// Lets the run go on.
    pub fn go(self) {
        std::fs::remove_file(&self.file).expect("the run is paused");
    }
}

impl Osc {
    pub fn new(place: &impl Place, verb: &str) -> Osc {
        // Of its own for each run: tests run several in one database.
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("osc-test-{}-{run}", place.label()));
        std::fs::create_dir_all(&dir).expect("a directory for flag files");
        let mut command = Command::new(env!("CARGO_BIN_EXE_osc"));
        command
            .arg(verb)
            .args(["--json", "--no-progress"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &dir)
            .env("DATABASE_URL", place.url())
            .env("OSC_PASSWORD", "osc-secret")
            .stdin(Stdio::null());
        if let Some(filter) = std::env::var_os("OSC_LOG") {
            command.env("OSC_LOG", filter);
        }
        Osc { command, dir, failpoints: Vec::new() }
    }

    pub fn alter(place: &impl Place, table: &str, alter: &str) -> Osc {
        Osc::new(place, "alter").args(["--table", table, "--alter", alter])
    }

    pub fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Osc {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Osc {
        self.command.env(name, value);
        self
    }

    /// The cutover waits for [`Running::go`].
    pub fn postponed(mut self) -> Osc {
        let flag = self.dir.join("postpone");
        std::fs::write(&flag, "").expect("the flag file is written");
        self.command.arg("--postpone-cut-over-flag-file").arg(&flag);
        self
    }

    /// The cutover waits after [`Running::postpone`], and until [`Running::go`].
    pub fn postponable(mut self) -> Osc {
        let flag = self.dir.join("postpone");
        let _ = std::fs::remove_file(&flag);
        self.command.arg("--postpone-cut-over-flag-file").arg(&flag);
        self
    }

    /// The copy waits for [`Running::unthrottle`].
    pub fn throttled(mut self) -> Osc {
        let flag = self.dir.join("throttle");
        std::fs::write(&flag, "").expect("the flag file is written");
        self.command.arg("--throttle-flag-file").arg(&flag);
        self
    }

    /// The run stops at this place of `docs/failpoints.md` until [`Paused::go`].
    pub fn pause_at(mut self, place: &str) -> Osc {
        let file = self.dir.join(format!("at-{place}"));
        let _ = std::fs::remove_file(&file);
        self.failpoints.push(format!("{place}=pause:{}", file.display()));
        self.command.env("OSC_FAILPOINT", self.failpoints.join(";"));
        self
    }

    pub fn start(mut self) -> Running {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("osc starts");
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("a line that is no JSON: {line}"));
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
            text
        });
        Running {
            child,
            lines,
            events: Vec::new(),
            stderr: Some(stderr),
            hung: HUNG,
            postpone: self.dir.join("postpone"),
            throttle: self.dir.join("throttle"),
            dir: self.dir,
        }
    }

    pub fn run(self) -> Report {
        self.start().wait()
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// For a run that is long by its size: how long it may take before it's taken for hung.
    pub fn patient(mut self, hung: Duration) -> Running {
        self.hung = hung;
        self
    }

    /// Waits for an event on stdout that satisfies the condition.
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&Value) -> bool) -> Value {
        let end = Instant::now() + self.hung;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    self.events.push(event.clone());
                    if condition(&event) {
                        return event;
                    }
                }
                Err(_) => {
                    let _ = self.child.kill();
                    let stderr = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
                    panic!(
                        "waiting for {what}: osc ended or said nothing.\n{stderr}\nlast events: {:?}",
                        self.events.iter().rev().take(3).collect::<Vec<_>>()
                    );
                }
            }
        }
    }

    /// Forgets what was said until now: what comes next is of now.
    pub fn pass_over(&mut self) {
        self.events.extend(self.lines.try_iter());
    }

    /// Waits until a progress event shows this phase.
    pub fn until_phase(&mut self, phase: &str) -> Value {
        self.until(phase, |e| e["event"] == "progress" && e["phase"] == phase)
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("osc can be asked").is_some()
    }

    /// Waits until the run stands at a failpoint; false when it ended without coming by.
    pub fn comes_by(&mut self, place: &str) -> bool {
        let file = self.dir.join(format!("at-{place}"));
        let end = Instant::now() + self.hung;
        while !file.exists() {
            if self.has_ended() || Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Lets it go on from there.
    pub fn go_on(&self, place: &str) {
        std::fs::remove_file(self.dir.join(format!("at-{place}"))).expect("the run is paused");
    }

    /// Waits until the run stands at a failpoint.
    pub fn until_paused(&mut self, place: &str) -> Paused {
        let file = self.dir.join(format!("at-{place}"));
        let end = Instant::now() + HUNG;
        while !file.exists() {
            let ended = self.child.try_wait().expect("osc can be asked");
            if ended.is_some() || Instant::now() > end {
                let _ = self.child.kill();
                let stderr = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
                panic!("osc did not come by {place} ({ended:?}).\n{stderr}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let text = std::fs::read_to_string(&file).expect("the file is whole when it is there");
        Paused { file, ids: text.split_whitespace().map(|id| id.parse().expect("a number")).collect() }
    }

    /// Keeps a postponable run from another attempt to cut over.
    pub fn postpone(&self) {
        std::fs::write(&self.postpone, "").expect("the flag file is written");
    }

    /// Lets a postponed cutover go.
    pub fn go(&self) {
        std::fs::remove_file(&self.postpone).expect("the run was postponed");
    }

    /// Lets a postponed cutover go when a key came by the stream and was synced. A short run may otherwise
    /// end before one had to be: the copy has read what changed before it.
    pub fn go_once_synced(&mut self) {
        self.until("a synced key", |e| e["keys_synced"].as_u64() > Some(0));
        self.go();
    }

    pub fn unthrottle(&self) {
        std::fs::remove_file(&self.throttle).expect("the run was throttled");
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    pub fn wait(mut self) -> Report {
        let end = Instant::now() + self.hung;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("osc can be waited for") {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("osc hung.\n{}", self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        while let Ok(event) = self.lines.recv() {
            self.events.push(event);
        }
        let stderr = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
        self.keep(&stderr);
        Report { exit: status.code().unwrap_or(-1), events: std::mem::take(&mut self.events), stderr }
    }

    /// What the run said goes into a file of the directory that OSC_TEST_LOGS names, if it names one.
    fn keep(&self, stderr: &str) {
        let (Some(logs), Some(run)) = (std::env::var_os("OSC_TEST_LOGS"), self.dir.file_name()) else { return };
        let said: String = self.events.iter().map(|event| format!("{event}\n")).collect();
        let file = std::path::Path::new(&logs).join(run).with_extension("log");
        std::fs::write(&file, said + stderr).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
}

impl Report {
    /// The run must have ended with this exit code.
    pub fn exited(self, code: i32) -> Report {
        assert_eq!(self.exit, code, "{}\n{:#?}", self.stderr, self.events.iter().rev().take(4).collect::<Vec<_>>());
        self
    }

    pub fn event(&self, name: &str) -> &Value {
        let found = self.events.iter().rev().find(|e| e["event"] == name);
        found.unwrap_or_else(|| panic!("no '{name}' event: {:#?}\n{}", self.events, self.stderr))
    }

    /// What the user reads: the error's sentences.
    pub fn says(&self, part: &str) -> bool {
        self.stderr.contains(part) || self.events.iter().any(|e| e.to_string().contains(part))
    }
}

/// A test that fails leaves no osc behind, and shows what it said.
impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(stderr) = self.stderr.take().and_then(|t| t.join().ok())
            && std::thread::panicking()
        {
            eprintln!("osc said:\n{stderr}");
        }
    }
}
