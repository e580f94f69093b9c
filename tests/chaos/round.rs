//! One round: a fresh table under traffic, a run that is struck down life after life, and the reckoning.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use osc_traffic::{Config, Failure as Failed, Findings, Handle, Traffic, Verdict};
use tokio::task::block_in_place;

use crate::harness::osc::{Osc, Report, Running};
use crate::harness::server::db as scripts_db;
use crate::harness::{Server, wait_for};
use crate::network::{Mode, Proxy};
use crate::plan::{Blow, Failure, From, LOCKED, Plan};
use crate::site::{NO_SUCH_TABLE, Site};
use crate::tally::Done;

/// How long a life may take.
const HUNG: Duration = Duration::from_secs(150);
/// The failpoint that a run comes by only if it isn't ready to swap before it needs a batch.
const NEEDS_BATCH: &str = "keys-synced";
/// Lives after those of the plan: the server may be away when one begins.
const MORE: usize = 6;
/// Around a kill of the server its sessions' statements fail by that.
const AFTERMATH_MS: f64 = 3000.0;

struct Round<'a> {
    plan: &'a Plan,
    server: &'a Server,
    site: Site,
    traffic: Handle,
    done: Done,
    /// When the server was killed, and was back, on the traffic's clock.
    outages: Vec<(f64, f64)>,
}

pub async fn run(server: &Server, plan: &Plan) -> Done {
    let site = Site::new(server, plan.rows).await;
    let url = site.db.app_url();
    let config = Config {
        writers: 8,
        rate_per_s: 200.0,
        xa: true,
        seed: plan.seed ^ plan.number,
        // What an application does not wait for a dying server may lose.
        async_commits: !plan.kills_server(),
        ..Config::new(url)
    };
    let traffic = Traffic::start(config).await.expect("the traffic starts");
    let mut round = Round { plan, server, site, traffic, done: Done::default(), outages: Vec::new() };
    round.work(20).await;
    let report = round.lives().await;
    round.reckon(report).await
}

impl Round<'_> {
    fn command(&self) -> Osc {
        let threads = self.plan.threads.to_string();
        let osc = Osc::alter(&self.site.db, "orders", self.plan.alter);
        // Many small chunks, so that much can happen between two of them. The pace rests for up to half a second
        // after each where commits are slow: that would make minutes of a round, so only some keep to it, with fewer.
        let sizes: &[&str] = match self.plan.paced {
            true => &["--chunk-size", "200"],
            false => &["--chunk-size", "40", "--max-commit-millis", "60000"],
        };
        let osc = osc.args(sizes.iter().copied()).args(["--threads", &threads]);
        if self.plan.drop_old { osc.args(["--drop-old"]) } else { osc }
    }

    /// Waits until the application has done so many more operations.
    async fn work(&self, operations: u64) {
        let wanted = self.traffic.progress().operations + operations;
        wait_for("operations of the traffic", async || self.traffic.progress().operations >= wanted).await;
    }

    /// All lives, the last of which ends well.
    async fn lives(&mut self) -> Report {
        for life in &self.plan.lives {
            self.begin().await;
            let ended = self.struck(&life.blow).await;
            if let Some(report) = ended {
                return report;
            }
            if life.then_clean {
                self.clean_up().await;
            }
        }
        for _ in 0..MORE {
            self.begin().await;
            let report = block_in_place(|| self.command().start().patient(HUNG).wait());
            if let Some(report) = ended_well(report, self.plan.drop_old) {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("no life ended well");
    }

    async fn begin(&mut self) {
        self.done.lives += 1;
        self.done.resumes += u64::from(self.site.is_stored().await);
    }

    /// One life with its blow; its report if it ended well all the same.
    async fn struck(&mut self, blow: &Blow) -> Option<Report> {
        match blow {
            Blow::AtPlace(place) => match self.reach(self.command(), place).await {
                Ok(running) => {
                    self.done.at_place.push(place);
                    self.kill(running).await
                }
                Err(report) => self.missed(report),
            },
            Blow::After(time) => {
                let mut running = self.command().start().patient(HUNG);
                tokio::time::sleep(*time).await;
                if running.has_ended() {
                    return self.missed(block_in_place(|| running.wait()));
                }
                self.done.at_random += 1;
                self.kill(running).await
            }
            Blow::ServerAfter(time) => {
                let running = self.command().start().patient(HUNG);
                tokio::time::sleep(*time).await;
                self.kill_server().await;
                ended_well(block_in_place(|| running.wait()), self.plan.drop_old)
            }
            Blow::ServerAt(place) => match self.reach(self.command(), place).await {
                Ok(running) => {
                    self.kill_server().await;
                    running.go_on(place);
                    if *place == NEEDS_BATCH {
                        running.go();
                    }
                    ended_well(block_in_place(|| running.wait()), self.plan.drop_old)
                }
                Err(report) => self.missed(report),
            },
            Blow::Network(from, failures) => self.network(*from, failures).await,
        }
    }

    /// Starts osc and waits until it stands at a place; its report when it ended without coming by.
    async fn reach(&self, osc: Osc, place: &'static str) -> Result<Running, Report> {
        let mut osc = osc.pause_at(place);
        if place == NEEDS_BATCH {
            osc = osc.postponed();
        } else if LOCKED.contains(&place) {
            // What is committed while osc stands before the lock is in no batch: the final sync has something to do.
            osc = osc.pause_at("before-lock");
        }
        let mut running = osc.start().patient(HUNG);
        if LOCKED.contains(&place) {
            if !block_in_place(|| running.comes_by("before-lock")) {
                return Err(block_in_place(|| running.wait()));
            }
            self.work(20).await;
            running.go_on("before-lock");
        }
        match block_in_place(|| running.comes_by(place)) {
            true => Ok(running),
            false => Err(block_in_place(|| running.wait())),
        }
    }

    fn missed(&mut self, report: Report) -> Option<Report> {
        self.done.missed += 1;
        ended_well(report, self.plan.drop_old)
    }

    /// kill -9, and until the server has noticed.
    async fn kill(&mut self, running: Running) -> Option<Report> {
        running.signal("-KILL");
        let report = block_in_place(|| running.wait());
        if report.exit == -1 { None } else { self.missed(report) }
    }

    async fn kill_server(&mut self) {
        let from = self.traffic.elapsed().as_secs_f64() * 1e3;
        let name = self.server.name.clone();
        block_in_place(|| {
            scripts_db(&["stop", &name, "--kill"]);
            scripts_db(&["restart", &name]);
        });
        self.done.server_kills += 1;
        self.outages.push((from, self.traffic.elapsed().as_secs_f64() * 1e3 + AFTERMATH_MS));
        self.site.reconnect().await;
    }

    async fn network(&mut self, from: From, failures: &[(Duration, Failure)]) -> Option<Report> {
        let to: SocketAddr = ([127, 0, 0, 1], self.server.port()).into();
        let proxy = Proxy::to(to).await;
        let url = self.site.url_by(proxy.port);
        let osc = self.command().env("DATABASE_URL", &url);
        let mut running = match from {
            From::Place(place) => match self.reach(osc, place).await {
                Ok(running) => running,
                Err(report) => return self.missed(report),
            },
            _ => osc.start().patient(HUNG),
        };
        if matches!(from, From::Copy) {
            while !running.has_ended() && !self.site.copies().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        for (at, (after, failure)) in failures.iter().enumerate() {
            // With the lock in its hands a run waits for nobody.
            if at > 0 || !matches!(from, From::Place(_)) {
                tokio::time::sleep(*after).await;
            }
            if running.has_ended() {
                self.done.missed += 1;
                break;
            }
            let upto = proxy.connections();
            proxy.set(match failure {
                Failure::Cut => Mode::Cut(upto),
                Failure::Half => Mode::Half(upto),
                Failure::Stall(_) => Mode::Frozen(upto),
            });
            if let (0, From::Place(place)) = (at, from) {
                running.go_on(place);
            }
            match failure {
                Failure::Stall(time) => {
                    self.done.stalls += 1;
                    tokio::time::sleep(*time).await;
                    proxy.set(Mode::Pass);
                }
                _ => self.done.cuts += 1,
            }
        }
        ended_well(block_in_place(|| running.wait()), self.plan.drop_old)
    }

    /// `osc cleanup`, so that the next life begins anew. Not if the tables are swapped, which a RENAME of the dead
    /// process may do until its connections have ended: the next life has to find that out.
    async fn clean_up(&mut self) {
        let site = &mut self.site;
        wait_for("the end of osc's connections", async || site.sessions().await == 0).await;
        if site.is_swapped().await {
            return;
        }
        block_in_place(|| Osc::new(&site.db, "cleanup").args(["--yes"]).run()).exited(0);
        site.assert_left(false).await;
        self.done.cleanups += 1;
    }

    /// What there is at the end, against what there must be.
    async fn reckon(self, report: Report) -> Done {
        let refused = report.exit == 3;
        if !refused {
            let outcome = &report.event("summary")["outcome"];
            assert!(outcome == "swapped" || outcome == "already-there", "{outcome}");
        }
        self.traffic.stamp("swapped");
        self.work(80).await;
        let Round { plan, mut site, traffic, mut done, outages, .. } = self;
        done.unreported += u64::from(refused);
        let ledger = traffic.stop().await;
        let url = site.reader_url();
        let mut verdict = ledger.verify(&url, "orders").await.expect("the table is read");
        if !plan.drop_old {
            let old = ledger.verify_old(&url, &site.old().await, "swapped").await.expect("the old table is read");
            verdict = verdict.with_old(old);
        }
        done.rows = verdict.rows_read;
        done.acknowledged_rows = verdict.committed_rows;
        if !outages.is_empty() {
            done.keys_given_twice = excuse(&mut verdict);
        }
        done.lost_rows = verdict.lost.count + verdict.stale.count;
        assert!(verdict.is_lossless(), "{verdict}");
        let of_server = |failure: &Failed| {
            let away = outages.iter().any(|(from, to)| (*from..*to).contains(&failure.at_ms));
            away && failure.code.as_deref() != Some(NO_SUCH_TABLE)
        };
        let told = verdict.failures.iter().chain(&verdict.breaks);
        let by_osc: Vec<_> = told.filter(|failure| !of_server(failure)).collect();
        assert!(by_osc.is_empty() && (!outages.is_empty() || verdict.is_clean()), "{by_osc:?} {verdict}");
        done.failed_by_server = verdict.failed + verdict.connections_lost;

        site.assert_left(!plan.drop_old).await;
        let ended = Instant::now();
        wait_for("the end of osc's connections", async || site.sessions().await == 0).await;
        assert!(ended.elapsed() < Duration::from_secs(10), "sessions are left behind");
        site.assert_unlocked().await;
        site.assert_twin(plan.alter).await;
        done
    }
}

/// A server that was killed may give a key once more that a transaction had which never committed: whoever got it
/// last has the row. The ledger has both; what it finds of such keys, and of no others, is taken out.
fn excuse(verdict: &mut Verdict) -> u64 {
    let keys = |found: &Findings| found.examples.iter().map(|example| example.key).collect::<BTreeSet<_>>();
    let reused = keys(&verdict.reused);
    let all_told = [&verdict.reused, &verdict.stale].iter().all(|f| f.count == f.examples.len() as u64);
    if !all_told || !keys(&verdict.stale).is_subset(&reused) {
        return 0;
    }
    (verdict.reused, verdict.stale) = (Findings::default(), Findings::default());
    reused.len() as u64
}

/// The report of a life that ended well; none of one that the next command goes on with. Any other end is a failure.
fn ended_well(report: Report, drop_old: bool) -> Option<Report> {
    if std::env::var_os("OSC_CHAOS_SHOW").is_some() {
        println!("{}", report.stderr);
    }
    match report.exit {
        0 => Some(report),
        5 | 7 => {
            assert!(report.says("the same command"), "what to do is not said: {}", report.stderr);
            None
        }
        // With --drop-old nothing tells of a run that was killed between its last DROP and its report: a known gap,
        // and the server's refusal. That the change is there the reckoning sees.
        3 if drop_old && report.says("The server refuses the ALTER") => Some(report),
        _ => panic!("osc ended with {}: {}", report.exit, report.stderr),
    }
}
