use std::time::Duration;

use tokio_test::task;
use tokio_test::{assert_pending, assert_ready};

use crate::cache::circuit_breaker::*;
use crate::clock::ManualClock;
use crate::token::SubjectToken;

/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(20);
/// After this long one that was let in is taken for lost.
const LOST: Duration = Duration::from_secs(25);

struct Scene {
    gate: Arc<Gate>,
    hand: ManualClock,
    clock: Clock,
}

impl Scene {
    fn new() -> Self {
        let hand = ManualClock::new();
        Self { gate: Arc::default(), clock: Clock::Manual(hand.clone()), hand }
    }

    /// `None` when it has to wait.
    fn try_enter(&self) -> Option<Result<Pass, Refused>> {
        match task::spawn(self.gate.enter(&self.clock, ATTEMPT)).poll() {
            std::task::Poll::Ready(admitted) => Some(admitted),
            std::task::Poll::Pending => None,
        }
    }

    fn pass(&self) -> Pass {
        self.try_enter().unwrap().unwrap()
    }

    fn fail(&self, mut pass: Pass, scope: &str, error: &Error) -> Verdict {
        pass.failed(Subject::Own(scope), error, false, self.clock.now(), 0.0)
    }

    fn advance(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }
}

fn unreachable_issuer() -> Error {
    Error::new(ErrorKind::Connect, "no route")
}

fn internal_error() -> Error {
    Error::new(ErrorKind::Unavailable, "oops").with_status(StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test(start_paused = true)]
async fn requests_go_out_on_trust_up_to_the_allowance_and_each_answer_lets_as_many_more_go() {
    let scene = Scene::new();
    let mut passes: Vec<Pass> = (0..ALLOWANCE).map(|_| scene.pass()).collect();
    let mut waiting: Vec<_> = (0..20).map(|_| task::spawn(scene.gate.enter(&scene.clock, ATTEMPT))).collect();
    waiting.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    passes.pop().unwrap().answered();
    let let_in: Vec<_> = waiting.iter_mut().filter(|waiter| waiter.is_woken()).collect();
    assert_eq!(let_in.len(), ALLOWANCE as usize);
    for waiter in let_in {
        passes.push(assert_ready!(waiter.poll()).unwrap());
    }
    assert!(scene.try_enter().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failure_refuses_everybody_and_what_was_sent_before_does_not_count_again() {
    let scene = Scene::new();
    let passes: Vec<Pass> = (0..ALLOWANCE).map(|_| scene.pass()).collect();
    let opens = scene.clock.now().after(Duration::from_secs(1));
    let mut waiter = task::spawn(scene.gate.enter(&scene.clock, ATTEMPT));
    assert_pending!(waiter.poll());
    for pass in passes {
        assert_eq!(scene.fail(pass, "a", &unreachable_issuer()), Verdict::Closed(opens));
    }
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err().opens, opens);
    assert!(scene.try_enter().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn one_flight_probes_and_the_others_hear_of_it() {
    let scene = Scene::new();
    scene.fail(scene.pass(), "a", &unreachable_issuer());
    scene.advance(1);
    let probe = scene.pass();
    let mut waiter = task::spawn(scene.gate.enter(&scene.clock, ATTEMPT));
    assert_pending!(waiter.poll());
    let opens = scene.clock.now().after(Duration::from_secs(2));
    assert_eq!(scene.fail(probe, "b", &unreachable_issuer()), Verdict::Closed(opens));
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err().opens, opens);

    scene.advance(2);
    let probe = scene.pass();
    let mut waiter = task::spawn(scene.gate.enter(&scene.clock, ATTEMPT));
    assert_pending!(waiter.poll());
    probe.answered();
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_lost_makes_room_for_another() {
    let scene = Scene::new();
    scene.fail(scene.pass(), "a", &unreachable_issuer());
    scene.advance(1);
    let probe = scene.pass();
    let mut waiter = task::spawn(scene.gate.enter(&scene.clock, ATTEMPT));
    assert_pending!(waiter.poll());
    drop(probe);
    assert!(waiter.is_woken());
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_hear_that_a_flight_which_would_try_again_is_lost() {
    let scene = Scene::new();
    let mut probe = scene.pass();
    let now = scene.clock.now();
    assert_eq!(probe.failed(Subject::Own("a"), &unreachable_issuer(), true, now, 0.0), Verdict::Probe);
    let mut waiting: Vec<_> = (0..3).map(|_| task::spawn(scene.gate.enter(&scene.clock, ATTEMPT))).collect();
    waiting.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    drop(probe);
    for waiter in &mut waiting {
        assert!(waiter.is_woken());
        assert!(assert_ready!(waiter.poll()).is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_stands_still_is_taken_over_and_does_not_count_any_more() {
    let scene = Scene::new();
    scene.fail(scene.pass(), "a", &unreachable_issuer());
    scene.advance(1);
    let still = scene.pass();
    let mut waiter = task::spawn(scene.gate.enter(&scene.clock, ATTEMPT));
    assert_pending!(waiter.poll());
    scene.hand.advance(LOST - Duration::from_millis(1));
    assert!(scene.try_enter().is_none(), "it may just be slow");
    scene.hand.advance(Duration::from_millis(1));
    tokio::time::advance(LOST).await;
    assert!(waiter.is_woken());
    let probe = assert_ready!(waiter.poll()).unwrap();
    assert!(scene.try_enter().is_none(), "one probe at a time");
    drop(still);
    assert!(scene.try_enter().is_none(), "one probe at a time");
    probe.answered();
    assert!(scene.gate.is_open());
}

#[tokio::test(start_paused = true)]
async fn flights_on_trust_that_stand_still_give_up_their_places() {
    let scene = Scene::new();
    let still: Vec<Pass> = (0..ALLOWANCE).map(|_| scene.pass()).collect();
    assert!(scene.try_enter().is_none());
    scene.hand.advance(LOST);
    let passes: Vec<Pass> = (0..ALLOWANCE).map(|_| scene.pass()).collect();
    drop(still);
    assert!(scene.try_enter().is_none());
    drop(passes);
    assert!(scene.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn lost_flights_do_not_use_up_the_allowance() {
    let scene = Scene::new();
    for _ in 0..3 * ALLOWANCE {
        drop(scene.pass());
    }
    assert!(scene.try_enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_tries_again_at_once_probes_while_the_others_wait() {
    let scene = Scene::new();
    let (mut first, mut second) = (scene.pass(), scene.pass());
    let now = scene.clock.now();
    let again = |pass: &mut Pass| pass.failed(Subject::Own("a"), &unreachable_issuer(), true, now, 0.0);
    assert_eq!(again(&mut first), Verdict::Probe);
    assert!(matches!(again(&mut second), Verdict::Closed(_)));
    drop(second);
    assert!(scene.try_enter().is_none());
    // Its second failure belongs to the same flight: the pause is that of one.
    let opens = now.after(Duration::from_secs(1));
    assert_eq!(scene.fail(first, "a", &unreachable_issuer()), Verdict::Closed(opens));
}

#[tokio::test(start_paused = true)]
async fn an_internal_error_concerns_all_when_two_fetches_get_one_and_nobody_an_answer() {
    let scene = Scene::new();
    assert_eq!(scene.fail(scene.pass(), "a", &internal_error()), Verdict::Own);
    assert_eq!(scene.fail(scene.pass(), "a", &internal_error()), Verdict::Own);
    scene.pass().answered();
    assert_eq!(scene.fail(scene.pass(), "b", &internal_error()), Verdict::Own);
    assert!(matches!(scene.fail(scene.pass(), "a", &internal_error()), Verdict::Closed(_)));
}

fn subject(number: usize) -> Subject<'static> {
    Subject::Exchange(SubjectToken::access_token(number.to_string()).identity())
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_three_subject_tokens_is_no_trouble_of_the_issuer_and_with_four_it_is() {
    let scene = Scene::new();
    let fail =
        |number| scene.pass().failed(subject(number), &internal_error(), false, scene.clock.now(), 0.0);
    for turn in 0..60 {
        assert_eq!(fail(turn % 3), Verdict::Own);
    }
    scene.pass().answered();
    for number in 1..4 {
        assert_eq!(fail(number), Verdict::Own);
    }
    assert!(matches!(fail(4), Verdict::Closed(_)));
    assert!(scene.try_enter().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_issuer_is_an_answer_and_ends_the_trouble() {
    let scene = Scene::new();
    scene.fail(scene.pass(), "a", &unreachable_issuer());
    scene.advance(1);
    let refusal = Error::new(ErrorKind::Refused, "not granted").with_code("invalid_scope").of_issuer();
    assert_eq!(scene.fail(scene.pass(), "b", &refusal), Verdict::Own);
    assert!(scene.gate.is_open());
}

#[tokio::test(start_paused = true)]
async fn what_others_than_the_issuer_refuse_says_nothing_of_it() {
    let refused = |message: &str| Error::new(ErrorKind::Refused, message);
    for error in [
        refused("the subject token is blank"),
        refused("the metadata service says no").with_status(StatusCode::NOT_FOUND),
        refused("an access key is not known").with_status(StatusCode::FORBIDDEN).with_code("NotKnown"),
    ] {
        let scene = Scene::new();
        scene.fail(scene.pass(), "a", &unreachable_issuer());
        scene.advance(1);
        assert_eq!(scene.fail(scene.pass(), "b", &error), Verdict::Own);
        assert!(!scene.gate.is_open(), "{error}");
        // The pause after the next failure is that of the second one.
        let opens = scene.clock.now().after(Duration::from_secs(2));
        assert_eq!(scene.fail(scene.pass(), "b", &unreachable_issuer()), Verdict::Closed(opens));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_no_answer_of_the_issuer() {
    let scene = Scene::new();
    let redirect = Error::new(ErrorKind::InvalidResponse, "to a page of regrets").with_transient(false);
    let redirect = redirect.with_status(StatusCode::FOUND).of_issuer();
    scene.fail(scene.pass(), "a", &unreachable_issuer());
    scene.advance(1);
    assert!(matches!(scene.fail(scene.pass(), "b", &redirect), Verdict::Closed(_)));
    assert!(!scene.gate.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_says_nothing_of_the_issuer() {
    let scene = Scene::new();
    scene.fail(scene.pass(), "a", &unreachable_issuer());
    scene.advance(1);
    let missing = Error::new(ErrorKind::Credential, "no such file");
    assert_eq!(scene.fail(scene.pass(), "b", &missing), Verdict::Own);
    let probe = scene.pass();
    assert!(scene.try_enter().is_none(), "still one probe at a time");
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn the_longest_retry_after_counts_for_all() {
    let scene = Scene::new();
    let (first, second) = (scene.pass(), scene.pass());
    scene.fail(first, "a", &unreachable_issuer());
    let throttled = Error::new(ErrorKind::Unavailable, "slow down").with_retry_after(Duration::from_secs(60));
    scene.fail(second, "b", &throttled);
    scene.advance(59);
    assert!(scene.try_enter().unwrap().is_err());
    scene.advance(1);
    assert!(scene.try_enter().unwrap().is_ok());
}
