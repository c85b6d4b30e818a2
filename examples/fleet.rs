//! A fleet starts at once: 10,000 instances, each with a handle of its own on the real code, under a clock
//! that is simulated. Each sends a request a second for three lives of a 20-minute token; what counts is how
//! many of them ask the issuer in the same second.
//!
//! ```console
//! $ cargo run --example fleet
//! $ cargo run --example fleet -- 1000
//! ```
//!
//! A token is refreshed at two thirds of its life, less up to a fifth of that by jitter. Beside it stands the
//! same fleet without jitter, each instance at two thirds exactly: that column is arithmetic. Token requests
//! in the busiest second of each wave, of 10,000 instances:
//!
//! | wave | with jitter | without |
//! |---|---|---|
//! | start | 10,000 | 10,000 |
//! | refresh 1 | 81 | 10,000 |
//! | refresh 2 | 78 | 10,000 |
//! | refresh 3 | 65 | 10,000 |
//! | refresh 4 | 60 | 10,000 |
//!
//! Nothing spreads the start: the first request of each instance needs a token then and there.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxError, BoxFuture, Error, Idaas, Scope, TokenResponse, TokenSource};

const INSTANCES: u64 = 10_000;
/// Seconds, as everything here.
const LIFE: u64 = 20 * 60;
const END: u64 = 3 * LIFE;
/// Until this age, two thirds less a fifth, a token is fresh by any jitter: a request then is a hit, and
/// changes nothing.
const SURELY_FRESH: u64 = LIFE * 8 / 15;
/// A line of the plot.
const LINE: u64 = 80;

/// How many token requests there were in each second.
type Load = BTreeMap<u64, u64>;

/// The issuer as the fleet sees it: responds at once, and counts.
#[derive(Debug, Default)]
struct Issuer {
    second: AtomicU64,
    /// By wave: the start, then each instance's first refresh, its second one, and so on.
    waves: Mutex<Vec<Load>>,
}

impl Issuer {
    fn count(&self, wave: usize) {
        let mut waves = self.waves.lock().unwrap_or_else(PoisonError::into_inner);
        if waves.len() <= wave {
            waves.resize(wave + 1, Load::new());
        }
        if let Some(load) = waves.get_mut(wave) {
            *load.entry(self.second.load(Ordering::Relaxed)).or_default() += 1;
        }
    }
}

/// Where one instance has its tokens from.
#[derive(Clone, Debug)]
struct Source {
    issuer: Arc<Issuer>,
    fetches: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl TokenSource for Source {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            self.last.store(self.issuer.second.load(Ordering::Relaxed), Ordering::Relaxed);
            self.issuer.count(self.fetches.fetch_add(1, Ordering::Relaxed) as usize);
            Ok(TokenResponse::bearer("token")?.with_expires_in(Duration::from_secs(LIFE)))
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let instances = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => INSTANCES,
    };
    let with_jitter = simulate(instances).await?;
    // Each instance asks at the start and then, to the second, after two thirds of each life.
    let without: Vec<Load> =
        (0..=END).step_by(LIFE as usize * 2 / 3).map(|second| Load::from([(second, instances)])).collect();

    println!("{instances} instances start at once; tokens live {LIFE} s; {END} s pass\n");
    print_waves(&with_jitter, &without);
    println!();
    print_plot(&with_jitter, &without);
    Ok(())
}

/// The real code, second by second: a request of each instance, and what the issuer sees of it, by wave.
async fn simulate(instances: u64) -> Result<Vec<Load>, BoxError> {
    let (issuer, clock) = (Arc::new(Issuer::default()), ManualClock::new());
    let start = || {
        let source = Source { issuer: Arc::clone(&issuer), fetches: Arc::default(), last: Arc::default() };
        let last = Arc::clone(&source.last);
        let idaas = Idaas::builder().scope("api://orders|read").token_source(source).clock(clock.clone());
        Ok((idaas.build()?, last))
    };
    let fleet = (0..instances).map(|_| start()).collect::<Result<Vec<_>, BoxError>>()?;
    let tasks = Handle::current();
    let mut next = 0;
    for second in 0..END {
        issuer.second.store(second, Ordering::Relaxed);
        if second >= next {
            next = u64::MAX;
            for (idaas, last) in &fleet {
                let fresh_until = last.load(Ordering::Relaxed) + SURELY_FRESH;
                if second == 0 || second >= fresh_until {
                    idaas.token().await?;
                }
                next = next.min(fresh_until);
            }
        }
        // Refreshes run in the background: the second ends when all have ended.
        while tasks.metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
    }
    let waves = issuer.waves.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(waves.clone())
}

fn peak(load: Option<&Load>) -> u64 {
    load.and_then(|load| load.values().max()).copied().unwrap_or_default()
}

/// The busiest second of each wave that had its whole time.
fn print_waves(with_jitter: &[Load], without: &[Load]) {
    println!("busiest second of            with jitter   all at two thirds");
    // The last waves are cut off by the end.
    for wave in 0..(END / (LIFE * 2 / 3)) as usize + 1 {
        let name = if wave == 0 { "the start".to_owned() } else { format!("refresh {wave}") };
        let spread = with_jitter.get(wave).and_then(|load| load.keys().next().zip(load.keys().last()));
        let spread = spread.map(|(first, last)| format!("seconds {first} to {last}")).unwrap_or_default();
        let (one, other) = (peak(with_jitter.get(wave)), peak(without.get(wave)));
        println!("{name:<24}{one:>16}{other:>20}   {spread}");
    }
}

/// The busiest second of each stretch, over time.
fn print_plot(with_jitter: &[Load], without: &[Load]) {
    println!("busiest second of each {LINE}: one # for 1, and one more each time that it doubles");
    println!("{:>6}  {:<32}all at two thirds", "second", "with jitter");
    for line in (0..END).step_by(LINE as usize) {
        let bar = |waves: &[Load]| {
            let busiest = (line..line + LINE).map(|second| {
                waves.iter().map(|load| load.get(&second).copied().unwrap_or_default()).sum::<u64>()
            });
            let busiest = busiest.max().unwrap_or_default();
            let length = busiest.checked_ilog2().map_or(0, |doublings| doublings as usize + 1);
            format!("{:<16}{busiest:>6}", "#".repeat(length))
        };
        println!("{line:>6}  {:<32}{}", bar(with_jitter), bar(without));
    }
}
