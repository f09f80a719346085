//! What trust.md section 3 owes for the auction: one file per check. Seeds and moments are random and printed; with
//! `TEST_FAULTS=long` each check runs as often as that page asks, without it as often as every run can bear.

mod bent;
mod cable;
mod cancels;
mod clock_steps;
mod cuts;
mod disk;
mod failover;
mod frozen;
mod full_disk;
mod hang_ups;
mod histories;
mod hold;
mod kills;
mod late;
mod line;
mod linear;
mod lost_replies;
mod outage;
mod partitions;
mod postgres;
mod saga;
mod saga_steps;
mod saga_stored;
mod server;
mod told;
mod torn;
mod upgrade;
mod works;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// How often a check runs: the second number in the long lane.
fn times(short: usize, long: usize) -> usize {
    if std::env::var("TEST_FAULTS").is_ok_and(|lane| lane == "long") { long } else { short }
}

/// A library to load before others, built by the compiler that also links Rust; nothing without one.
fn preloaded(folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let (file, library) = (folder.join(name).with_extension("c"), folder.join(name).with_extension("so"));
    std::fs::write(&file, source).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &file]).arg("-ldl").status();
    built.is_ok_and(|built| built.success()).then_some(library)
}

/// xorshift: the choices of a failed run can be had again from its seed.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Of a check's own choice, or as `TEST_SEED` says; printed.
    pub fn of(check: &str) -> Dice {
        let seed = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
        eprintln!("{check}: TEST_SEED={seed}");
        Dice::seeded(seed)
    }

    fn seeded(seed: u64) -> Dice {
        Dice(seed.max(1))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }

    fn amount(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(limit).unwrap())).unwrap()
    }
}
