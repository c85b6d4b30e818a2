//! Whatever happens, in whatever order: what holds at every call.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, ErrorKind, Idaas, Scope, TokenResponse, TokenSource};

use crate::handles::{seconds, settle, unavailable};

#[derive(Clone, Debug)]
enum Event {
    Call,
    Advance(u64),
    WallAhead(u64),
    WallBack(u64),
    /// The next fetch takes so long.
    Slow(u64),
    /// The machine is suspended for so long during the next fetch.
    Suspend(u64),
    /// The last token that was served is rejected.
    Reject,
    FailPassing,
    FailForGood,
    Mend,
    Hang,
    CacheEntry(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let duration = || prop_oneof![0u64..3, 0u64..60, 0u64..1_500];
    prop_oneof![
        8 => Just(Event::Call),
        4 => duration().prop_map(Event::Advance),
        1 => duration().prop_map(Event::WallAhead),
        1 => duration().prop_map(Event::WallBack),
        1 => duration().prop_map(Event::Slow),
        1 => duration().prop_map(Event::Suspend),
        1 => Just(Event::Reject),
        1 => Just(Event::FailPassing),
        1 => Just(Event::FailForGood),
        2 => Just(Event::Mend),
        1 => Just(Event::Hang),
        1 => duration().prop_map(Event::CacheEntry),
    ]
}

/// Seconds on both clocks.
type Time = (i64, i64);

#[derive(Debug)]
struct Issued {
    at: Time,
    life: i64,
}

impl Issued {
    fn lives(&self, now: Time, life: i64) -> bool {
        now.0 - self.at.0 < life && now.1 - self.at.1 < life
    }
}

/// The issuer and what it remembers, and the clock; a token's text is its number.
#[derive(Clone, Debug)]
struct World(Arc<Mutex<State>>, ManualClock);

#[derive(Debug, Default)]
struct State {
    now: Time,
    /// How far the clocks move during the next fetch.
    next_takes: Time,
    issued: Vec<Issued>,
    /// The last one that got out with a life of its own: it replaces those before, however long they live.
    newest: Option<usize>,
    life: i64,
    failure: Option<Error>,
    hangs: bool,
}

impl World {
    fn advance(&self, by: i64) {
        self.1.advance(seconds(by.unsigned_abs()));
        let now = &mut self.0.lock().unwrap().now;
        *now = (now.0 + by, now.1 + by);
    }

    fn set_wall_ahead(&self, by: i64) {
        self.1.set_wall_ahead(seconds(by.unsigned_abs()));
        self.0.lock().unwrap().now.1 += by;
    }
}

impl TokenSource for World {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            let (hangs, failure, number, life) = {
                let mut state = self.0.lock().unwrap();
                let issued = Issued { at: state.now, life: state.life };
                state.issued.push(issued);
                (state.hangs, state.failure.clone(), state.issued.len() - 1, state.life)
            };
            let takes = std::mem::take(&mut self.0.lock().unwrap().next_takes);
            self.advance(takes.0);
            self.set_wall_ahead(takes.1);
            if hangs {
                std::future::pending::<()>().await;
            }
            failure.map_or(Ok(()), Err)?;
            if life > 0 {
                self.0.lock().unwrap().newest = Some(number);
            }
            let life = seconds(u64::try_from(life).unwrap());
            Ok(TokenResponse::bearer(&number.to_string())?.with_expires_in(life))
        })
    }
}

/// Plays the events and checks each call.
async fn play(events: &[Event]) -> Result<(), TestCaseError> {
    let clock = ManualClock::new();
    let world = World(Arc::default(), clock.clone());
    world.0.lock().unwrap().life = 1_200;
    let idaas = Idaas::builder().scope("a|x").token_source(world.clone()).clock(clock.clone());
    let idaas = idaas.build().unwrap();
    let (mut rejected, mut last, mut current) = (HashSet::new(), None, None);
    for event in events {
        match event {
            Event::Call => {
                let before = world.0.lock().unwrap().issued.len();
                let outcome = idaas.token().await;
                let now = world.0.lock().unwrap().now;
                settle().await;
                let state = world.0.lock().unwrap();
                prop_assert!(
                    state.issued.len() <= before + 4,
                    "one fetch, three attempts, and one more when a token expired on its way"
                );
                // What a second of margin, or a tenth of a short life, leaves.
                let usable = |issued: &Issued| issued.life - 1;
                let must = current
                    .filter(|number| !rejected.contains(number) && state.newest == Some(*number))
                    .filter(|number: &usize| {
                        state.issued[*number].lives(now, usable(&state.issued[*number]))
                    });
                // One that was found dead stays dead, also when a clock is set back.
                current = must;
                match outcome {
                    Ok(token) => {
                        let number: usize = token.expose_token().parse().unwrap();
                        let issued = &state.issued[number];
                        prop_assert!(!rejected.contains(&number), "a rejected token left");
                        let just_came = issued.life == 0 && number >= before;
                        prop_assert!(just_came || issued.lives(now, issued.life), "an expired token left");
                        prop_assert!(must.is_none_or(|must| must <= number), "an older token came back");
                        if issued.life > 0 {
                            current = Some(number);
                        }
                        last = Some((number, token));
                    }
                    Err(error) => {
                        prop_assert_eq!(must, None, "an error displaced a live token: {}", error);
                        current = None;
                    }
                }
            }
            Event::Advance(by) => world.advance(*by as i64),
            Event::WallAhead(by) => world.set_wall_ahead(*by as i64),
            Event::WallBack(by) => {
                clock.set_wall_back(seconds(*by));
                world.0.lock().unwrap().now.1 -= *by as i64;
            }
            Event::Slow(by) => world.0.lock().unwrap().next_takes.0 = *by as i64,
            Event::Suspend(by) => world.0.lock().unwrap().next_takes.1 = *by as i64,
            Event::Reject => {
                if let Some((number, token)) = &last {
                    idaas.invalidate(token);
                    rejected.insert(*number);
                }
            }
            Event::FailPassing => world.0.lock().unwrap().failure = Some(unavailable()),
            Event::FailForGood => {
                world.0.lock().unwrap().failure = Some(Error::new(ErrorKind::Refused, "no"));
            }
            Event::Mend => {
                let mut state = world.0.lock().unwrap();
                (state.failure, state.hangs) = (None, false);
            }
            Event::Hang => world.0.lock().unwrap().hangs = true,
            Event::CacheEntry(life) => world.0.lock().unwrap().life = *life as i64,
        }
    }
    // However it went: once the issuer is well and time has passed, there is a token.
    {
        let mut state = world.0.lock().unwrap();
        (state.failure, state.hangs, state.life, state.next_takes) = (None, false, 1_200, (0, 0));
    }
    tokio::time::sleep(Duration::from_secs(60)).await; // what still hangs is given up
    clock.advance(seconds(300));
    prop_assert!(idaas.token().await.is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_expired_or_rejected_token_leaves_and_no_error_displaces_a_live_one(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(play(&events))?;
    }
}
