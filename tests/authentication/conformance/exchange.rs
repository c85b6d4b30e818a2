//! Token exchange with each method: its requests are compared as the method's own are.
//!
//! On purpose: an exchange that is still good is not made again, whereas the vendor's client makes one request
//! per call; and an attested document serves a client's own token and its exchanges alike, whereas the
//! vendor's fetches another one for the exchange.

use super::capture::{Capture, Difference};
use super::plugin::REFUSED;
use super::sent::Sent;

/// Takes the requests out that the vendor's client need not have sent.
pub(crate) fn without_needless_requests(mut capture: Capture) -> Capture {
    match capture.name.as_str() {
        "token_exchange_requested_jwt" => {
            let actions: Vec<_> = capture.actions().collect();
            assert_eq!(actions[1], actions[2]);
            let again = capture.requests_mut().remove(2);
            assert_eq!(Sent::captured(&again), Sent::captured(&capture.requests()[1]));
        }
        "token_exchange_pkcs7" => {
            let again: Vec<_> = capture.requests_mut().drain(3..5).collect();
            let paths = ["/latest/api/token", "/latest/dynamic/instance-identity/pkcs7"];
            assert_eq!([&again[0]["url_path"], &again[1]["url_path"]], paths);
        }
        _ => return capture,
    }
    capture.differs(Difference::FetchedOnce);
    capture
}

#[tokio::test]
async fn exchanges_are_as_captured_with_each_method() {
    let captures: Vec<Capture> = Capture::all().into_iter().filter(Capture::is_exchange).collect();
    assert_eq!(captures.len(), crate::conformance::COUNTS.iter().map(|count| count.2).sum::<usize>());
    // Of the one that is refused, there is no exchange to compare.
    let captures = captures.into_iter().filter(|capture| capture.name != REFUSED);
    for capture in captures.map(without_needless_requests) {
        let fields = &Sent::captured(capture.requests().last().unwrap()).form;
        assert_eq!(fields["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
        crate::conformance::check(capture).await;
    }
}
