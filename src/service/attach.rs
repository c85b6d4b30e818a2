//! Puts a token on a request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::service::request::HttpRequest;
use crate::token::HeaderShard;

/// Puts the header on the request, unless the caller set one. False when the request leaves without ours.
#[inline]
pub(super) fn authorize<R: HttpRequest>(request: &mut R, header: &HeaderShard) -> bool {
    let headers = request.headers_mut();
    // One look-up: almost never is one there, and then it is put right afterwards.
    match headers.try_append(AUTHORIZATION, header.authorization()) {
        Ok(false) => true,
        Ok(true) => {
            take_last_back(headers);
            false
        }
        Err(_full) => false,
    }
}

/// The caller's own headers stay as they were.
#[cold]
#[inline(never)]
fn take_last_back(headers: &mut HeaderMap) {
    let mut values: Vec<HeaderValue> = headers.get_all(AUTHORIZATION).iter().cloned().collect();
    values.pop();
    headers.remove(AUTHORIZATION);
    for value in values {
        headers.append(AUTHORIZATION, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Request;

    use super::*;
    use crate::cache::entry::Recheck;
    use crate::token::ShardedHeader;

    #[test]
    fn what_the_caller_set_stays_be_it_one_value_or_two() {
        let ours = HeaderValue::from_static("Bearer ours");
        let copies = ShardedHeader::new(&ours, &Arc::new(Recheck::new()));
        for own in [&[][..], &["Basic a"], &["Basic a", "Basic b"]] {
            let mut request = Request::new(());
            for value in own {
                request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(authorize(&mut request, copies.mine()), own.is_empty());
            let expected = if own.is_empty() { &["Bearer ours"][..] } else { own };
            let sent: Vec<&HeaderValue> = request.headers().get_all(AUTHORIZATION).iter().collect();
            assert_eq!(sent, expected);
        }
    }
}
