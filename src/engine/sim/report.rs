//! What a run, or a batch of runs, went through; and the least that a batch has to go through.

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// How often what happened.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),+ }

        impl Counts {
            pub fn add(&mut self, other: &Counts) {
                $(self.$name += other.$name;)+
            }

            pub fn each(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

counts! {
    runs,
    lives,
    /// Runs that ended with the tables swapped.
    swapped,
    /// Runs that had to end otherwise, and did: a disturbance, a true duplicate, a row that does not fit.
    refused,
    rows_copied,
    transactions,
    /// Keys that the stream delivered.
    changes,
    /// Chunks that were committed and copied again by the next life.
    copied_twice,
    /// Changes of a key while a range that may hold it was being copied.
    overlaps,
    /// Keys that came out of the stream before they were visible.
    settled_late,
    crashes,
    /// Crashes after which the process went on some time later.
    frozen,
    stops,
    /// Runs that were removed and begun anew.
    cleanups,
    /// Connections that broke during a call.
    cuts,
    lost_acks,
    /// Calls that ran on although their client was gone, and those of them that committed.
    zombies,
    zombie_commits,
    epochs_refused,
    reconnects,
    deadlocks,
    lock_timeouts,
    /// Transactions that moved unique values between rows.
    exchanges,
    conflicts,
    displaced,
    left_out,
    built,
    key_moves,
    rollbacks,
    xa,
    xa_at_fence,
    collated,
    fences,
    fence_retries,
    fences_lost,
    swaps_unanswered,
    waited_at_fence,
    pending_at_limit,
    throttled,
    /// Of these, the times that the engine itself held the copy.
    endangered,
    simulated_ms,
}

/// What a batch has to reach at least, per thousand runs: about half of what it reached when this was written.
pub const MINIMA: &[(&str, u64)] = &[
    ("swapped", 850),
    ("refused", 15),
    ("rows_copied", 25_000),
    ("transactions", 80_000),
    ("changes", 400_000),
    ("copied_twice", 30),
    ("overlaps", 80_000),
    ("settled_late", 120_000),
    ("crashes", 500),
    ("frozen", 100),
    ("stops", 120),
    ("cleanups", 40),
    ("cuts", 900),
    ("lost_acks", 900),
    ("zombies", 1000),
    ("zombie_commits", 250),
    ("epochs_refused", 1500),
    ("reconnects", 1200),
    ("deadlocks", 500),
    ("lock_timeouts", 150),
    ("exchanges", 12_000),
    ("conflicts", 1200),
    ("displaced", 1200),
    ("left_out", 200),
    ("built", 800),
    ("key_moves", 3500),
    ("rollbacks", 6000),
    ("xa", 4000),
    ("xa_at_fence", 35),
    ("collated", 200),
    ("fence_retries", 700),
    ("fences_lost", 90),
    ("swaps_unanswered", 20),
    ("waited_at_fence", 2000),
    ("pending_at_limit", 10_000),
    ("throttled", 1200),
    ("endangered", 450),
];

/// The minima that a batch did not reach, in words. A small batch proves nothing and is not asked.
pub fn below_minimum(counts: &Counts) -> Vec<String> {
    if counts.runs < 1000 {
        return Vec::new();
    }
    let each = counts.each();
    let of = |name: &str| each.iter().find(|(n, _)| *n == name).map_or(0, |(_, value)| *value);
    let missed = |(name, least): &(&str, u64)| {
        let (value, least) = (of(name), least * counts.runs / 1000);
        (value < least).then(|| format!("{name}: {value}, at least {least} asked for"))
    };
    MINIMA.iter().filter_map(missed).collect()
}
