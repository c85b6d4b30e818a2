//! Which redirects a client of reqwest may follow with a token.

use ::reqwest::redirect::{Action, Attempt, Policy};

/// The policy that [`Idaas::redirect_policy`](crate::Idaas::redirect_policy) documents.
pub(crate) fn within_the_origin() -> Policy {
    Policy::custom(follow)
}

/// Judges by the first request's origin: reqwest compares the last two only, and puts the headers of the first request
/// back on at each redirect.
fn follow(attempt: Attempt<'_>) -> Action {
    let first = attempt.previous().first().map(|url| url.origin());
    if first.is_some_and(|origin| origin == attempt.url().origin()) {
        Policy::default().redirect(attempt)
    } else {
        attempt.stop()
    }
}
