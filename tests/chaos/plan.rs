//! What is going to happen in a round, from its seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::harness::Kind;
use crate::places::places;
use crate::site::ALTERS;

/// What happens to one life of the run.
#[derive(Debug, Clone)]
pub enum Blow {
    /// kill -9 of osc at a failpoint.
    AtPlace(&'static str),
    /// kill -9 of osc after this time.
    After(Duration),
    /// kill -9 of the server after this time, and its restart; osc may live through it.
    ServerAfter(Duration),
    /// The same while osc stands at a failpoint.
    ServerAt(&'static str),
    /// The network between osc and the server fails, again and again.
    Network(From, Vec<(Duration, Failure)>),
}

/// When the network begins to fail.
#[derive(Debug, Clone, Copy)]
pub enum From {
    /// With the process.
    Start,
    /// When rows are being copied.
    Copy,
    /// While the run stands at this failpoint, of those with the lock in its hands.
    Place(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub enum Failure {
    /// All connections are cut.
    Cut,
    /// All connections are cut in the middle of what they send next.
    Half,
    /// Nothing passes for this long.
    Stall(Duration),
}

/// A life that ends badly, and whether what it left is removed before the next one.
#[derive(Debug, Clone)]
pub struct Life {
    pub blow: Blow,
    pub then_clean: bool,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub number: u64,
    pub alter: &'static str,
    pub rows: u64,
    pub threads: u64,
    pub drop_old: bool,
    /// The copy keeps to the pace that commits set it, as it does if nothing else is said.
    pub paced: bool,
    pub lives: Vec<Life>,
}

/// The failpoints at which the table is locked, or asked for.
pub const LOCKED: [&str; 7] =
    ["lock-granted", "drained", "final-sync", "synced", "rename-queued", "sentry-dropped", "renamed"];

/// Each kind of blow in its turn; of five rounds three begin with a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Place(usize),
    Server(usize),
    Network,
}

fn opening(number: u64) -> Opening {
    let (lap, at) = ((number / 5) as usize, number % 5);
    match at {
        0 => Opening::Place(lap * 3),
        1 => Opening::Network,
        2 => Opening::Place(lap * 3 + 1),
        3 => Opening::Server(lap),
        _ => Opening::Place(lap * 3 + 2),
    }
}

impl Plan {
    pub fn new(kind: Kind, seed: u64, number: u64) -> Plan {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
        // The same order for all rounds of a seed, so that all places come up.
        let mut deck = places(kind);
        deck.shuffle(&mut SmallRng::seed_from_u64(seed));
        let place = |at: usize| deck[at % deck.len()];
        let first = match opening(number) {
            Opening::Place(at) => Blow::AtPlace(place(at)),
            Opening::Network => network(kind, &mut rng),
            Opening::Server(lap) if lap % 2 == 0 => Blow::ServerAfter(moment(&mut rng)),
            Opening::Server(lap) => Blow::ServerAt(place(lap / 2)),
        };
        let mut blows = vec![first];
        for _ in 0..rng.random_range(0..=2) {
            blows.push(match rng.random_range(0..10) {
                0..4 => Blow::After(moment(&mut rng)),
                4..6 => network(kind, &mut rng),
                6 => Blow::ServerAfter(moment(&mut rng)),
                _ => Blow::AtPlace(deck.choose(&mut rng).copied().unwrap_or("run-stored")),
            });
        }
        let needs_old_dropped =
            |blow: &Blow| matches!(blow, Blow::AtPlace("old-dropped") | Blow::ServerAt("old-dropped"));
        let drop_old = blows.iter().any(needs_old_dropped) || rng.random_bool(0.1);
        let lives = blows.into_iter().map(|blow| Life { blow, then_clean: rng.random_bool(0.2) }).collect();
        Plan {
            seed,
            number,
            alter: ALTERS.choose(&mut rng).copied().unwrap_or(ALTERS[0]),
            rows: rng.random_range(2000..5000),
            threads: rng.random_range(1..=4),
            drop_old,
            // Every kind of opening in its turn.
            paced: number % 7 == 3,
            lives,
        }
    }

    pub fn kills_server(&self) -> bool {
        self.lives.iter().any(|life| matches!(life.blow, Blow::ServerAfter(_) | Blow::ServerAt(_)))
    }
}

fn moment(rng: &mut SmallRng) -> Duration {
    Duration::from_millis(rng.random_range(0..1500))
}

fn network(kind: Kind, rng: &mut SmallRng) -> Blow {
    let locked: Vec<&str> = places(kind).into_iter().filter(|place| LOCKED.contains(place)).collect();
    let from = match rng.random_range(0..4) {
        0 => From::Start,
        1 => From::Place(locked.choose(rng).copied().unwrap_or(LOCKED[0])),
        _ => From::Copy,
    };
    let mut failures = Vec::new();
    for _ in 0..rng.random_range(1..=4) {
        let failure = match rng.random_range(0..3) {
            0 => Failure::Cut,
            1 => Failure::Half,
            _ => Failure::Stall(Duration::from_millis(rng.random_range(100..4000))),
        };
        failures.push((Duration::from_millis(rng.random_range(0..700)), failure));
    }
    Blow::Network(from, failures)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {} threads, {}", self.rows, self.threads, self.alter)?;
        if self.drop_old {
            write!(f, ", --drop-old")?;
        }
        if self.paced {
            write!(f, ", paced")?;
        }
        for life in &self.lives {
            write!(f, "; {:?}{}", life.blow, if life.then_clean { ", cleanup" } else { "" })?;
        }
        Ok(())
    }
}
