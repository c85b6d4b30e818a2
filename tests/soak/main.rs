//! A soak in real time: an issuer over TLS on the loopback interface goes through all kinds of trouble while
//! callers keep asking: no request leaves with an expired token, and none fails while there is a live one.
//!
//! It takes about a minute. `SOAK_SECONDS` stretches it: each trouble lasts longer, and with it the back-off.
//!
//! ```console
//! $ SOAK_SECONDS=600 cargo test --all-features --test soak -- --nocapture
//! ```
//!
//! The table that it prints has a line for each trouble. `served`, `failed` and `gave up` count requests, the
//! last those of callers that had set themselves 30 ms; `waited` is how many of all had to wait for a token;
//! `requested` is how often the library called the issuer, and `reached` how often that got through; `back` is how
//! long after the trouble's end every scope had a new token.
#![cfg(feature = "transport")]
#![allow(missing_docs, unreachable_pub)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod callers;
mod register;
mod request_count;
mod resources;
mod table;
mod troubles;

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tower_idaas_testing::TestIdaas;

use self::callers::{Crowd, scopes};
use self::register::Register;
use self::request_count::RequestCount;
use self::table::{Counts, Row, Table};
use self::troubles::{Trouble, troubles};

const LIFE: Duration = Duration::from_secs(3);
/// Of an attempt, to connect and to get its response.
const TIMEOUT: Duration = Duration::from_secs(2);
/// What a busy machine may add to anything.
const SLACK: Duration = Duration::from_secs(4);
/// How long the soak takes without `SOAK_SECONDS`.
const USUAL_SECONDS: f64 = 50.0;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn no_trouble_lets_an_expired_token_out_or_takes_a_live_one_away() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let stretch = f64::max(seconds.unwrap_or(USUAL_SECONDS) / USUAL_SECONDS, 1.0);
    // Two, so that the tasks of one are those of the library and its callers alone.
    let (issuers, clients) = (runtime(), runtime());
    issuers.block_on(soak(&clients, stretch));
    let left = || clients.metrics().num_alive_tasks();
    issuers.block_on(async {
        let patience = Instant::now() + 10 * SLACK;
        while left() > 0 && Instant::now() < patience {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(left(), 0, "tasks are left though handle and services are gone");
}

/// What the conductor has at hand.
struct Scene<'a> {
    issuer: &'a TestIdaas,
    register: &'a Register,
    crowd: &'a Crowd,
    requested: &'a RequestCount,
    /// Of the token requests that were counted so far.
    reached: usize,
}

impl Scene<'_> {
    /// What happened since the last call.
    fn take(&mut self) -> Counts {
        let reached = self.issuer.token_requests();
        let since = reached - std::mem::replace(&mut self.reached, reached);
        Counts { requested: self.requested.take(), reached: since, ..self.crowd.take() }
    }

    /// How long until every scope has a token that was issued after `end`.
    async fn all_back(&self, end: Instant, limit: Duration) -> Duration {
        while !self.register.all_have_one_of_after(end) {
            let waited = end.elapsed();
            assert!(waited < limit, "not all scopes are back after {waited:?}; {limit:?} is a back-off step");
            sleep(Duration::from_millis(10)).await;
        }
        end.elapsed()
    }
}

async fn soak(clients: &Runtime, stretch: f64) {
    let requested = RequestCount::start();
    let issuer = TestIdaas::builder().token_life(LIFE).start().await.unwrap();
    let register = Register::default();
    issuer.set_behaviour(register.issuing(LIFE));
    let idaas = issuer
        .handle()
        .scope(scopes()[0].as_str())
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .build()
        .unwrap();
    let crowd = Crowd::gather(clients, &idaas, &register);
    let mut scene =
        Scene { issuer: &issuer, register: &register, crowd: &crowd, requested: &requested, reached: 0 };

    let calm = Duration::from_secs(1).mul_f64(stretch);
    let mut table = Table::default();
    let began = Instant::now();
    sleep(2 * LIFE).await;
    let normal = Row::new("is healthy", began.elapsed(), scene.take());
    check_normal(&normal, 1.0);
    table.push(normal, None);
    let memory = resources::resident();
    let mut between = Row::new("is healthy again", Duration::ZERO, Counts::default());
    let mut coming_back = Row::new("comes back", Duration::ZERO, Counts::default());

    let lasts = Duration::from_secs(3).mul_f64(stretch);
    for trouble in troubles() {
        let began = Instant::now();
        trouble.begin(&issuer, &register).await;
        sleep(lasts).await;
        let row = Row::new(trouble.name, began.elapsed(), scene.take());
        trouble.end(&issuer, &register).await;
        let end = Instant::now();
        check(&trouble, &row);

        let limit = trouble.step_after(row.lasted) + SLACK;
        let back = scene.all_back(end, limit).await;
        coming_back.add(back, scene.take());
        table.push(row, Some(back));

        let began = Instant::now();
        sleep(calm).await;
        between.add(began.elapsed(), scene.take());
        assert_eq!(between.counts.failed, 0, "requests failed after {} had ended", trouble.name);
        let tasks = clients.metrics().num_alive_tasks();
        assert!(tasks <= crowd.callers() + 40, "{tasks} tasks after {}", trouble.name);
    }
    check_normal(&between, troubles().len() as f64);
    table.push(coming_back, None);
    table.push(between, None);

    crowd.disperse().await;
    println!("{table}");
    let (requested, reached) = table.requested_and_reached();
    // What is under way is counted by the issuer already and by the library when it has ended.
    assert!(
        requested + scopes().len() >= reached,
        "{reached} token requests arrived, and {requested} were logged"
    );
    let verdict = register.verdict();
    println!("{verdict}");
    if let (Some(before), Some(after)) = (memory, resources::resident()) {
        println!("resident memory: {} MiB after the start, {} MiB at the end", before >> 20, after >> 20);
        assert!(after < before + (64 << 20), "memory grows");
    }
    assert!(verdict.is_clean(), "{verdict}");
    drop(idaas);
}

/// About one request per scope and life, and one for each stretch that this consists of.
fn check_normal(row: &Row, stretches: f64) {
    let (load, scopes, seconds) = (row.counts.load(), scopes().len() as f64, row.lasted.as_secs_f64());
    let most = scopes * (seconds / troubles::SOONEST_RENEWAL + stretches);
    assert!(load as f64 <= most, "{load} token requests in {seconds} s of quiet; {most} are allowed");
    assert_eq!(row.counts.failed, 0, "requests failed while the issuer was healthy");
}

/// What a trouble may cost.
fn check(trouble: &Trouble, row: &Row) {
    let (name, load, most) = (trouble.name, row.counts.load(), trouble.most_requests(row.lasted));
    assert!(load <= most, "{name}: {load} token requests in {:?}; {most} are allowed", row.lasted);
    assert!(row.counts.served > 0, "{name}: no request was served in {:?}", row.lasted);
    assert!(
        !trouble.fails || row.counts.requested > 0,
        "{name}: no token request of the library was counted"
    );
    if !trouble.fails {
        assert_eq!(row.counts.failed, 0, "{name}: requests failed though the issuer responded");
    }
    let worst = row.counts.worst;
    assert!(worst < 2 * TIMEOUT + Duration::from_secs(5) + SLACK, "{name}: a request waited for {worst:?}");
}
