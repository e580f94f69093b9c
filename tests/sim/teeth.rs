//! Planted bugs: each is found within so many seeds, or the simulation is blind there.
//!
//! `docs/simulation.md` says which rule each of them leaves out.

use std::sync::Mutex;

use osc::engine::sim::{Bug, Focus};
use osc::pipeline::Planted;

use crate::harness::{Left, jobs, number, run, spread, world};

struct Tooth {
    left: Left,
    /// The kind of world in which it is looked for; none: all kinds.
    focus: Option<Focus>,
    /// The most seeds that it may take: ten times what it takes on the average, or more.
    within: u64,
}

const fn engine(bug: Bug, within: u64) -> Tooth {
    Tooth { left: Left::Engine(bug), focus: None, within }
}

const fn core(rule: Planted, within: u64) -> Tooth {
    Tooth { left: Left::Core(rule), focus: None, within }
}

impl Tooth {
    const fn near(self, focus: Focus) -> Tooth {
        Tooth { focus: Some(focus), ..self }
    }
}

const TEETH: &[Tooth] = &[
    engine(Bug::NoSettling, 300),
    engine(Bug::DropUnsettled, 300),
    engine(Bug::SettledWhenSeen, 300),
    engine(Bug::SettledWhenReturned, 300),
    engine(Bug::BinlogOrderOff, 300),
    engine(Bug::XaAtPrepare, 300),
    engine(Bug::PlacePastPrepare, 300),
    engine(Bug::XaOlderIgnored, 300).near(Focus::TwoPhase),
    engine(Bug::XaEndInOrder, 300).near(Focus::TwoPhase),
    engine(Bug::FenceOfThePast, 1500).near(Focus::Removed),
    engine(Bug::RenameUnguarded, 1500).near(Focus::Removed),
    engine(Bug::FencePastPrepared, 300).near(Focus::TwoPhase),
    engine(Bug::PlaceOfReader, 300),
    engine(Bug::PlaceInTransaction, 500),
    engine(Bug::ReconnectSkips, 300),
    engine(Bug::ReconnectPastMark, 500).near(Focus::Reconnects),
    engine(Bug::TokensReused, 300),
    engine(Bug::TruncateUnseen, 400).near(Focus::Disturbed),
    engine(Bug::ZombiesWithoutEpoch, 300).near(Focus::Zombies),
    engine(Bug::EpochReadUnlocked, 500).near(Focus::Zombies),
    engine(Bug::EpochFromNothing, 300).near(Focus::Frozen),
    engine(Bug::EpochOnlyNewLife, 400).near(Focus::Zombies),
    engine(Bug::AnyoneRaises, 300).near(Focus::Frozen),
    engine(Bug::ShadowRebuiltLate, 650).near(Focus::Frozen),
    engine(Bug::NoteBeforeData, 300),
    engine(Bug::NotesKept, 300).near(Focus::Resumes),
    engine(Bug::LastRangeClosed, 300),
    engine(Bug::CopyOnlyInserts, 300).near(Focus::Resumes),
    engine(Bug::IgnoreConflicts, 300),
    engine(Bug::DisplaceByKey, 300),
    engine(Bug::LookBeforeLock, 1500),
    engine(Bug::SkipUnfit, 300).near(Focus::Disturbed),
    engine(Bug::FinalSyncOutside, 300),
    engine(Bug::SpellingsApart, 300),
    engine(Bug::SwapWithoutLock, 300).near(Focus::Swaps),
    engine(Bug::LookTooEarly, 750).near(Focus::Swaps),
    engine(Bug::NamesSortBefore, 300),
    engine(Bug::OthersGoFirst, 800).near(Focus::Swaps),
    engine(Bug::NoSentry, 300).near(Focus::Swaps),
    engine(Bug::ResumeForgets, 300),
    core(Planted::NoGate, 700),
    core(Planted::DropHeld, 300),
    core(Planted::ForgetHeld, 300),
    core(Planted::CompareUncomparable, 300),
    core(Planted::NoBarrier, 3000).near(Focus::Spellings),
    core(Planted::ParallelUncomparable, 1500).near(Focus::Spellings),
    core(Planted::OverlapKeys, 300).near(Focus::Queue),
    core(Planted::OverlapRange, 300).near(Focus::Queue),
    core(Planted::FlyingCovers, 300),
    core(Planted::ForgetNewer, 300),
    core(Planted::PlaceAsDelivered, 300),
    core(Planted::PlaceWithoutFlying, 300),
    core(Planted::PlaceWithoutHeld, 300),
    core(Planted::FrontierOverGap, 300),
    core(Planted::NoteOnlyNewest, 300),
    core(Planted::NotesForgetEarly, 1500).near(Focus::Resumes),
    core(Planted::ForgetAfterFailedSwap, 300),
    core(Planted::BuildOnce, 100),
    core(Planted::NotQuiet, 300),
    core(Planted::SkipDrain, 300),
    core(Planted::DrainByOldMark, 300),
    core(Planted::SkipFinalSync, 300),
    core(Planted::NoLimit, 300),
    core(Planted::LookUnsettled, 50),
    core(Planted::JudgeUnmarked, 100),
    core(Planted::JudgeMoved, 50),
];

/// Looks for one; says what it took.
fn hunt(tooth: &Tooth, most: u64, want: u64) -> Option<String> {
    let first = number("OSC_SIM_FROM").unwrap_or(1);
    let mut found = 0;
    for seed in first..first + most {
        let Some(failure) = run(world(seed, tooth.focus), tooth.left, "", false).failure else { continue };
        found += 1;
        if found == want {
            let failure: String = failure.lines().next().unwrap_or_default().chars().take(100).collect();
            return Some(format!("{:>5} seeds, {failure}", seed - first + 1));
        }
    }
    None
}

#[test]
fn teeth() {
    let only = std::env::var("OSC_SIM_BUG").ok();
    // To see what a bug takes on the average: find it so many times.
    let want = number("OSC_SIM_FIND").unwrap_or(1);
    let wanted = |tooth: &&Tooth| only.as_ref().is_none_or(|name| tooth.left.name() == *name);
    let teeth: Vec<&Tooth> = TEETH.iter().filter(wanted).collect();
    assert!(!teeth.is_empty(), "no planted bug is called {only:?}");
    let missed = Mutex::new(Vec::new());
    spread(jobs(), teeth.len() as u64, |at| {
        let tooth = teeth[at as usize];
        let most = number("OSC_SIM_SEEDS").unwrap_or(tooth.within * want);
        let name = tooth.left.name();
        match hunt(tooth, most, want) {
            Some(found) => println!("{name:>22}: {found}"),
            None => missed.lock().unwrap().push(format!("{name}: not found in {most} seeds")),
        }
        true
    });
    println!("{} of {} planted bugs looked for", teeth.len(), TEETH.len());
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "the simulation is blind:\n  {}", missed.join("\n  "));
}

/// Every bug is looked for, once, and the docs say what it stands for.
#[test]
fn every_tooth_is_in_the_table_and_in_the_docs() {
    let docs = include_str!("../../docs/simulation.md");
    let engine = Bug::ALL.iter().map(|bug| Left::Engine(*bug));
    let core = Planted::ALL.iter().map(|rule| Left::Core(*rule));
    for left in engine.chain(core) {
        assert_eq!(TEETH.iter().filter(|tooth| tooth.left == left).count(), 1, "{}", left.name());
        assert!(docs.contains(&format!("`{}`", left.name())), "docs/simulation.md does not name {}", left.name());
    }
}
