//! Puts a token on a request.

use http::header::AUTHORIZATION;

use super::outgoing::Outgoing;
use crate::token::HeaderCopy;

/// Puts the header on the request, unless the caller set one. False when the request leaves without ours.
#[inline]
pub(super) fn authorize<R: Outgoing>(request: &mut R, header: &HeaderCopy) -> bool {
    let headers = request.headers_mut();
    // Two look-ups of a standard name cost less than one through an entry.
    !headers.contains_key(AUTHORIZATION) && headers.try_insert(AUTHORIZATION, header.authorization()).is_ok()
}
