use std::time::Duration;

use tokio_test::task;
use tokio_test::{assert_pending, assert_ready};

use crate::cache::admission::*;
use crate::cache::limiter::START;
use crate::clock::ManualClock;

/// How long a heartbeat stands still before its refresh counts as stalled.
const STALLED: Duration = Duration::from_millis(1_500);

struct Scene {
    admission: Arc<Admission>,
    manual: ManualClock,
    clock: Clock,
    telemetry: Telemetry,
    heartbeat: Heartbeat,
}

impl Scene {
    fn new() -> Self {
        Self::with(Admission::default())
    }

    fn with(admission: Admission) -> Self {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let (telemetry, heartbeat) = (Telemetry::new("app", "test"), Heartbeat::default());
        Self { admission: Arc::new(admission), manual, clock, telemetry, heartbeat }
    }

    fn acquire(&self, party: Party) -> impl Future<Output = Result<Permit, Refused>> {
        let (priority, heartbeat) = (party == Party::Own, &self.heartbeat);
        let request = AdmissionRequest { party, priority, heartbeat };
        self.admission.acquire(request, &self.clock, &self.telemetry)
    }

    /// `None` when the request has to wait.
    fn try_acquire(&self) -> Option<Result<Permit, Refused>> {
        match task::spawn(self.acquire(Party::Own)).poll() {
            std::task::Poll::Ready(admitted) => Some(admitted),
            std::task::Poll::Pending => None,
        }
    }

    fn permit(&self) -> Permit {
        self.try_acquire().unwrap().unwrap()
    }

    fn permit_of_another(&self) -> Permit {
        assert_ready!(task::spawn(self.acquire(Party::Other)).poll()).unwrap()
    }

    fn fail(&self, mut permit: Permit, label: &str, error: &Error) -> Effect {
        permit.failed(label, error, false, self.clock.now(), 0.0)
    }

    fn advance(&self, seconds: u64) {
        self.manual.advance(Duration::from_secs(seconds));
    }

    fn is_closed(&self) -> bool {
        self.admission.is_closed(Party::Own)
    }
}

fn unreachable_server() -> Error {
    Error::new(ErrorKind::Connect, "no route")
}

fn busy() -> Error {
    Error::new(ErrorKind::Unavailable, "busy").with_status(http::StatusCode::SERVICE_UNAVAILABLE)
}

fn internal_error() -> Error {
    Error::new(ErrorKind::Unavailable, "oops").with_status(http::StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test(start_paused = true)]
async fn a_burst_begins_with_a_few_requests_and_each_response_lets_several_more_go() {
    let scene = Scene::new();
    let mut permits: Vec<Permit> = (0..START).map(|_| scene.permit()).collect();
    let mut waiting: Vec<_> = (0..40).map(|_| task::spawn(scene.acquire(Party::Own))).collect();
    waiting.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    for responses in 1..=2 {
        permits.pop().unwrap().responded();
        let woken: Vec<_> = waiting.extract_if(.., |waiter| waiter.is_woken()).collect();
        // The place of the request, and those by which its response widens the window.
        assert_eq!(woken.len(), START + 1, "after {responses}");
        permits.extend(woken.into_iter().map(|mut waiter| assert_ready!(waiter.poll()).unwrap()));
    }
    assert!(scene.try_acquire().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failure_refuses_all_and_what_was_sent_before_does_not_count_again() {
    let scene = Scene::new();
    let permits: Vec<Permit> = (0..START).map(|_| scene.permit()).collect();
    let until = scene.clock.now().after(Duration::from_secs(1));
    let mut waiter = task::spawn(scene.acquire(Party::Own));
    assert_pending!(waiter.poll());
    for permit in permits {
        assert_eq!(scene.fail(permit, "a", &unreachable_server()), Effect::Open(until));
    }
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err().until, until);
    assert!(scene.try_acquire().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn one_refresh_probes_and_the_others_hear_of_it() {
    let scene = Scene::new();
    scene.fail(scene.permit(), "a", &unreachable_server());
    scene.advance(1);
    let probe = scene.permit();
    let mut waiter = task::spawn(scene.acquire(Party::Own));
    assert_pending!(waiter.poll());
    let until = scene.clock.now().after(Duration::from_secs(2));
    assert_eq!(scene.fail(probe, "b", &unreachable_server()), Effect::Open(until));
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err().until, until);

    scene.advance(2);
    let probe = scene.permit();
    let mut waiter = task::spawn(scene.acquire(Party::Own));
    assert_pending!(waiter.poll());
    probe.responded();
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_lost_makes_room_for_another() {
    let scene = Scene::new();
    scene.fail(scene.permit(), "a", &unreachable_server());
    scene.advance(1);
    let probe = scene.permit();
    let mut waiter = task::spawn(scene.acquire(Party::Own));
    assert_pending!(waiter.poll());
    drop(probe);
    assert!(waiter.is_woken());
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_hear_that_a_refresh_which_would_try_again_is_lost() {
    let scene = Scene::new();
    let mut probe = scene.permit();
    let now = scene.clock.now();
    assert_eq!(probe.failed("a", &unreachable_server(), true, now, 0.0), Effect::Probe);
    let mut waiting: Vec<_> = (0..3).map(|_| task::spawn(scene.acquire(Party::Own))).collect();
    waiting.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    drop(probe);
    for waiter in &mut waiting {
        assert!(waiter.is_woken());
        assert!(assert_ready!(waiter.poll()).is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_on_a_runtime_that_is_not_driven_is_taken_over_and_does_not_count_any_more() {
    let scene = Scene::new();
    scene.fail(scene.permit(), "a", &unreachable_server());
    scene.advance(1);
    let still = scene.permit();
    let mut waiter = task::spawn(scene.acquire(Party::Own));
    assert_pending!(waiter.poll());
    for _ in 0..10 {
        // A request whose heartbeat advances may just be slow.
        scene.heartbeat.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        scene.manual.advance(STALLED);
        tokio::time::advance(CHECK_INTERVAL).await;
        assert_pending!(waiter.poll());
    }
    scene.manual.advance(STALLED);
    tokio::time::advance(CHECK_INTERVAL).await;
    let probe = assert_ready!(waiter.poll()).unwrap();
    assert!(scene.try_acquire().is_none(), "one probe at a time");
    drop(still);
    assert!(scene.try_acquire().is_none(), "one probe at a time");
    probe.responded();
    assert!(scene.is_closed());
}

#[tokio::test(start_paused = true)]
async fn lost_requests_use_up_no_places() {
    let scene = Scene::new();
    for _ in 0..3 * START {
        drop(scene.permit());
    }
    assert!(scene.try_acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_tries_again_at_once_probes_while_the_others_wait() {
    let scene = Scene::new();
    let (mut first, mut second) = (scene.permit(), scene.permit());
    let now = scene.clock.now();
    let again = |permit: &mut Permit| permit.failed("a", &unreachable_server(), true, now, 0.0);
    assert_eq!(again(&mut first), Effect::Probe);
    assert!(matches!(again(&mut second), Effect::Open(_)));
    drop(second);
    assert!(scene.try_acquire().is_none());
    // The second failure belongs to the same refresh: the pause is that of one.
    let until = now.after(Duration::from_secs(1));
    assert_eq!(scene.fail(first, "a", &unreachable_server()), Effect::Open(until));
}

#[tokio::test(start_paused = true)]
async fn an_internal_error_concerns_all_when_two_labels_get_one_and_none_a_response() {
    let scene = Scene::new();
    assert_eq!(scene.fail(scene.permit(), "a", &internal_error()), Effect::Isolated);
    assert_eq!(scene.fail(scene.permit(), "a", &internal_error()), Effect::Isolated);
    scene.permit().responded();
    assert_eq!(scene.fail(scene.permit(), "b", &internal_error()), Effect::Isolated);
    assert!(matches!(scene.fail(scene.permit(), "a", &internal_error()), Effect::Open(_)));
}

#[tokio::test(start_paused = true)]
async fn whatever_the_server_says_about_other_parties_concerns_each_of_them_alone() {
    let scene = Scene::new();
    let silence = Error::new(ErrorKind::Timeout, "no response");
    let page = Error::new(ErrorKind::InvalidResponse, "a page of regrets");
    let throttled = busy().with_retry_after(Duration::from_secs(300));
    for error in [busy(), internal_error(), silence, page, throttled] {
        for _ in 0..60 {
            assert_eq!(scene.fail(scene.permit_of_another(), "a", &error), Effect::Isolated);
        }
    }
    drop(scene.permit());
    drop(scene.permit_of_another());
}

#[tokio::test(start_paused = true)]
async fn own_requests_that_fail_do_not_hold_up_those_for_other_parties() {
    let scene = Scene::new();
    assert!(matches!(scene.fail(scene.permit(), "a", &busy()), Effect::Open(_)));
    assert!(scene.try_acquire().unwrap().is_err());
    drop(scene.permit_of_another());
}

#[tokio::test(start_paused = true)]
async fn a_way_that_is_closed_to_one_party_is_closed_to_all_and_any_response_opens_it() {
    let scene = Scene::new();
    assert!(matches!(scene.fail(scene.permit_of_another(), "a", &unreachable_server()), Effect::Open(_)));
    assert!(scene.try_acquire().unwrap().is_err());
    scene.advance(1);
    // The failure concerns the party alone, but it shows that the server can be reached.
    assert_eq!(scene.fail(scene.permit_of_another(), "a", &busy()), Effect::Isolated);
    drop(scene.permit());
}

#[tokio::test(start_paused = true)]
async fn other_parties_leave_places_for_own_requests_and_their_queue_is_bounded() {
    let scene = Scene::with(Admission::new(2));
    let _in_flight = scene.permit_of_another();
    let mut queue: Vec<_> = (0..32).map(|_| task::spawn(scene.acquire(Party::Other))).collect();
    queue.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    let refused = assert_ready!(task::spawn(scene.acquire(Party::Other)).poll()).unwrap_err();
    assert_eq!((refused.error.kind(), refused.until), (ErrorKind::Overloaded, scene.clock.now()));
    drop(scene.permit());
    queue.pop();
    assert_pending!(task::spawn(scene.acquire(Party::Other)).poll());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_server_is_a_response_and_closes_the_circuit() {
    let scene = Scene::new();
    scene.fail(scene.permit(), "a", &unreachable_server());
    scene.advance(1);
    let refusal = Error::new(ErrorKind::Refused, "not granted").with_code("invalid_scope").of_issuer();
    assert_eq!(scene.fail(scene.permit(), "b", &refusal), Effect::Isolated);
    assert!(scene.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_other_servers_refuse_says_nothing_about_this_one() {
    let refused = |message: &str| Error::new(ErrorKind::Refused, message);
    for error in [
        refused("the subject token is blank"),
        refused("the metadata service says no").with_status(http::StatusCode::NOT_FOUND),
        refused("an access key is not known").with_status(http::StatusCode::FORBIDDEN).with_code("NotKnown"),
    ] {
        let scene = Scene::new();
        scene.fail(scene.permit(), "a", &unreachable_server());
        scene.advance(1);
        assert_eq!(scene.fail(scene.permit(), "b", &error), Effect::Isolated);
        assert!(!scene.is_closed(), "{error}");
        // The pause after the next failure is that of the second one.
        let until = scene.clock.now().after(Duration::from_secs(2));
        assert_eq!(scene.fail(scene.permit(), "b", &unreachable_server()), Effect::Open(until));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_no_response_of_the_server() {
    let scene = Scene::new();
    let redirect = Error::new(ErrorKind::InvalidResponse, "to a page of regrets").with_transient(false);
    let redirect = redirect.with_status(http::StatusCode::FOUND).of_issuer();
    scene.fail(scene.permit(), "a", &busy());
    scene.advance(1);
    assert!(matches!(scene.fail(scene.permit(), "b", &redirect), Effect::Open(_)));
    assert!(!scene.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_says_nothing_about_the_server() {
    let scene = Scene::new();
    scene.fail(scene.permit(), "a", &unreachable_server());
    scene.advance(1);
    let missing = Error::new(ErrorKind::Credential, "no such file");
    assert_eq!(scene.fail(scene.permit(), "b", &missing), Effect::Isolated);
    let probe = scene.permit();
    assert!(scene.try_acquire().is_none(), "still one probe at a time");
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn the_longest_retry_after_counts_for_all() {
    let scene = Scene::new();
    let (first, second) = (scene.permit(), scene.permit());
    scene.fail(first, "a", &busy());
    scene.fail(second, "b", &busy().with_retry_after(Duration::from_secs(60)));
    scene.advance(59);
    assert!(scene.try_acquire().unwrap().is_err());
    scene.advance(1);
    assert!(scene.try_acquire().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_503_to_the_probe_of_the_connection_lets_requests_for_other_parties_go_before_its_next_attempt() {
    let scene = Scene::new();
    scene.fail(scene.permit(), "a", &unreachable_server());
    scene.advance(1);
    let mut probe = scene.permit();
    let mut other = task::spawn(scene.acquire(Party::Other));
    assert_pending!(other.poll());
    assert_eq!(probe.failed("a", &busy(), true, scene.clock.now(), 0.0), Effect::Probe);
    assert!(other.is_woken());
    assert!(assert_ready!(other.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_given_to_a_request_on_a_runtime_that_is_not_driven_goes_to_the_next_one() {
    let scene = Scene::new();
    let mut permits: Vec<Permit> = (0..START).map(|_| scene.permit()).collect();
    let [mut undriven, mut driven] = [(), ()].map(|()| task::spawn(scene.acquire(Party::Own)));
    assert_pending!(undriven.poll());
    assert_pending!(driven.poll());
    permits.pop();
    assert!(undriven.is_woken() && !driven.is_woken());
    tokio::time::advance(CHECK_INTERVAL).await;
    let _permit = assert_ready!(driven.poll()).unwrap();
    assert_pending!(undriven.poll());
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn a_recorder_of_metrics_that_panics_leaves_no_request_in_the_queue() {
    #[derive(Debug)]
    struct Panics;
    impl metrics::Recorder for Panics {
        fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
        fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
        fn describe_histogram(
            &self,
            _: metrics::KeyName,
            _: Option<metrics::Unit>,
            _: metrics::SharedString,
        ) {
        }
        fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
            metrics::Counter::noop()
        }
        fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
            std::panic::panic_any("a panic that the test asked for")
        }
        fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
            metrics::Histogram::noop()
        }
    }
    let scene = Scene::new();
    let permits: Vec<Permit> = (0..START).map(|_| scene.permit()).collect();
    let mut enter = task::spawn(scene.acquire(Party::Own));
    let poll =
        std::panic::AssertUnwindSafe(|| metrics::with_local_recorder(&Panics, || enter.poll().is_ready()));
    assert!(std::panic::catch_unwind(poll).is_err());
    drop(enter);
    assert!(!scene.admission.is_busy());
    drop(permits);
    assert!(scene.try_acquire().is_some());
}
