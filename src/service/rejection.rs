//! Which responses reject the token.

use std::fmt;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};

use crate::service::protocol::is_unauthenticated;
use crate::service::response::HttpResponse;
use crate::telemetry;
use crate::token::{HeaderShard, shard_count, thread_number};

/// Whether a response with this status and these headers rejects the token that the request left with, as RFC 6750
/// section 3.1 has it: a 401, unless its `Bearer` challenges have error codes and none of them is `invalid_token`.
///
/// So `insufficient_scope` and `invalid_request`, which another token would not change, do not count, and neither does
/// a 403. An error code is found in headers that are not well-formed, too: behind blanks or semicolons, without a
/// scheme, with a quote left open. The layer uses this rule; an API that rejects tokens in another way needs a
/// [classifier](super::IdaasLayer::rejection_classifier), which may call this function.
pub fn rejects_token(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED && challenges_mean_the_token(headers)
}

/// A rule of the program's, instead of [`rejects_token`].
///
/// Each request keeps it until its response, and two cores that count references in one cache line wait for each other:
/// so it is sharded as a token's header is.
#[derive(Clone)]
pub(super) struct Classifier(Arc<[Arc<ClassifierShard>]>);

/// One shard. Aligned so that its reference count shares no pair of cache lines with another shard.
#[repr(align(128))]
pub(super) struct ClassifierShard(Arc<Rule>);

type Rule = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;

impl Classifier {
    pub(super) fn new(rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        let rule: Arc<Rule> = Arc::new(rule);
        Self((0..shard_count()).map(|_| Arc::new(ClassifierShard(Arc::clone(&rule)))).collect())
    }

    /// This thread's shard.
    #[inline]
    pub(super) fn mine(&self) -> Option<Arc<ClassifierShard>> {
        self.0.get(thread_number() % self.0.len().max(1)).cloned()
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classifier")
    }
}

/// What a request left with: the token's header, and what its response is judged by.
pub(super) struct LeftWith {
    pub(super) header: Arc<HeaderShard>,
    /// Where the request went: another API may accept a token that this one rejects.
    pub(super) origin: u64,
    pub(super) classifier: Option<Arc<ClassifierShard>>,
}

impl LeftWith {
    /// Whether the response may be a rejection. For most it is not, and an accepted token is reported here.
    #[inline]
    pub(super) fn may_reject<A: HttpResponse>(&self, grpc: bool, response: &A) -> bool {
        let status = response.status();
        if grpc || self.classifier.is_some() || status == StatusCode::UNAUTHORIZED {
            return true;
        }
        if status.is_success() && response.is_from(self.origin) {
            self.header.accept(self.origin);
        }
        false
    }

    #[cold]
    #[inline(never)]
    pub(super) fn judge<A: HttpResponse>(&self, grpc: bool, response: &mut A) {
        // What another origin, to which a redirect led, says of the token does not count: it is no judge of it.
        if response.is_from(self.origin) && self.report(grpc, response.status(), response.headers()) {
            response.mark_rejection();
        }
    }

    /// True when the token is rejected and the next request gets another one.
    pub(super) fn report(&self, grpc: bool, status: StatusCode, headers: &HeaderMap) -> bool {
        let rejects = match &self.classifier {
            Some(shard) => (shard.0)(status, headers),
            None if grpc && is_unauthenticated(headers) => challenges_mean_the_token(headers),
            None => rejects_token(status, headers),
        };
        if rejects {
            return self.reject();
        }
        // Over gRPC the status is among the headers only when the call failed.
        if status.is_success() && !(grpc && headers.contains_key("grpc-status")) {
            self.header.accept(self.origin);
        }
        false
    }

    pub(super) fn reject(&self) -> bool {
        telemetry::unauthorized();
        self.header.reject(self.origin)
    }
}

/// Whether the `Bearer` challenges of all header lines reject the token: `invalid_token` does, no error code at all
/// does, and other error codes alone do not. An error code without a scheme is taken for one of `Bearer`.
fn challenges_mean_the_token(headers: &HeaderMap) -> bool {
    let mut other_code = false;
    for line in headers.get_all(WWW_AUTHENTICATE) {
        for (scheme, name, value) in parameters(line.as_bytes()) {
            let of_bearer = scheme.is_empty() || scheme.eq_ignore_ascii_case(b"Bearer");
            if of_bearer && name.eq_ignore_ascii_case(b"error") {
                if value.trim_ascii().eq_ignore_ascii_case(b"invalid_token") {
                    return true;
                }
                other_code = true;
            }
        }
    }
    !other_code
}

/// A parameter of a challenge: its scheme, its name, and its value without quotes and escapes.
type Parameter<'a> = (&'a [u8], &'a [u8], Vec<u8>);

/// Schemes that are recognised behind a blank as well: there, any other word is taken for text without quotes.
const SCHEMES: [&[u8]; 7] = [b"Basic", b"Bearer", b"Digest", b"DPoP", b"Negotiate", b"NTLM", b"OAuth"];

/// The parameters of one `WWW-Authenticate` line (RFC 9110 section 11.6.1): challenges and their parameters are
/// separated by commas alike, and only the `=` behind a name separates a parameter from the next scheme.
///
/// Gateways write lines that the RFC does not allow, and a misread error code costs a token: blanks and semicolons
/// separate as commas do, a colon may follow a scheme, and either quote may be used and be left open. What cannot be
/// parsed is skipped, up to the next separator.
fn parameters(line: &[u8]) -> Vec<Parameter<'_>> {
    let mut parameters = Vec::new();
    let mut reader = Reader { rest: line, left_open: 0 };
    let mut scheme: &[u8] = b"";
    let mut may_be_scheme = true;
    loop {
        let separators = reader.take(|byte| is_separator(byte) || byte == b':');
        may_be_scheme |= separators.iter().any(|byte| matches!(byte, b',' | b';'));
        let name = reader.take(is_token);
        if name.is_empty() && reader.rest.is_empty() {
            return parameters;
        }
        let ends = reader.rest.first().is_none_or(|byte| is_separator(*byte) || *byte == b':');
        reader.skip_blanks();
        match reader.rest.strip_prefix(b"=") {
            Some(rest) if !name.is_empty() => {
                reader.rest = rest;
                reader.skip_blanks();
                parameters.push((scheme, name, reader.value()));
                // A quoted value may be followed by a name at once.
                if !reader.rest.first().is_some_and(|byte| is_token(*byte)) {
                    reader.skip_to_separator();
                }
            }
            _ if !ends => reader.skip_to_separator(),
            _ if may_be_scheme || SCHEMES.iter().any(|known| name.eq_ignore_ascii_case(known)) => {
                scheme = name;
            }
            _ => {}
        }
        may_be_scheme = false;
    }
}

/// The unread rest of a line.
struct Reader<'a> {
    rest: &'a [u8],
    left_open: u8,
}

impl<'a> Reader<'a> {
    /// How many quotes of a line are looked at as left open. Each one means that a part of the line is read twice.
    const MAX_LEFT_OPEN: u8 = 16;

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        self.take(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rest.split_first() {
            Some((quote @ (b'"' | b'\''), inside)) => self.quoted(*quote, inside),
            _ => self.take(is_token).to_vec(),
        }
    }

    /// A quoted string, without its quotes and escapes. If its quote was left open, it ends at the next separator.
    fn quoted(&mut self, quote: u8, inside: &'a [u8]) -> Vec<u8> {
        if self.left_open < Self::MAX_LEFT_OPEN {
            if let Some((value, rest)) = closed(quote, inside) {
                self.rest = rest;
                return value;
            }
            self.left_open += 1;
        }
        self.rest = inside;
        self.take(|byte| !is_separator(byte) && byte != quote).to_vec()
    }

    /// Separators within double quotes do not count.
    fn skip_to_separator(&mut self) {
        loop {
            self.take(|byte| !is_separator(byte) && byte != b'"');
            match self.rest.split_first() {
                Some((b'"', inside)) => _ = self.quoted(b'"', inside),
                _ => return,
            }
        }
    }
}

/// The quoted string and what follows it. `None` if the quote was left open: no other one follows, or the next one
/// opens the value of another parameter, as in `realm="x, error="invalid_token"`.
fn closed(quote: u8, inside: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut bytes = inside.iter();
    let mut value = Vec::new();
    loop {
        match bytes.next()? {
            byte if *byte == quote => break,
            b'\\' => value.push(*bytes.next()?),
            byte => value.push(*byte),
        }
    }
    let rest = bytes.as_slice();
    let opens_another = value.ends_with(b"=") && rest.first().is_some_and(|byte| !is_separator(*byte));
    (!opens_another).then_some((value, rest))
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',' | b';')
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn rejects(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        rejects_token(StatusCode::UNAUTHORIZED, &headers)
    }

    #[test]
    fn only_what_says_that_the_token_is_bad_counts() {
        for (lines, expected) in [
            (&[][..], true),
            (&["Bearer"], true),
            (&["Bearer realm=\"api\""], true),
            (&["Bearer error=\"invalid_token\""], true),
            (&["Bearer error=invalid_token"], true),
            (&["bearer ERROR = \"invalid_token\""], true),
            (&["Bearer realm=\"a\", error=\"invalid_token\", error_description=\"expired\""], true),
            (&["Bearer error=\"insufficient_scope\""], false),
            (&["BEARER realm=\"a, b\" , Error=insufficient_scope,scope=\"x\""], false),
            (&["Bearer error=\"invalid_request\""], false),
            (&["Bearer error=\"in\\sufficient_scope\""], false),
            (&["Bearer error_description=\"error=insufficient_scope\""], true),
            (&["Bearer realm=\"x\\\", error=\\\"insufficient_scope\""], true),
            // Several challenges, on one line and on several.
            (&["Basic realm=\"x\""], true),
            (&["Basic realm=\"x\", Bearer error=\"insufficient_scope\""], false),
            (&["Basic realm=\"Bearer error=insufficient_scope\""], true),
            (&["Basic realm=\"x\"", "Bearer error=\"insufficient_scope\""], false),
            (&["Bearer error=\"insufficient_scope\"", "Bearer error=\"invalid_token\""], true),
            (&["Bearer realm=\"a\", Bearer realm=\"b\", error=\"invalid_request\""], false),
            (&["Negotiate a87421000492aa874209af8bc028==, Bearer error=\"insufficient_scope\""], false),
            (&["DPoP error=\"use_dpop_nonce\""], true),
            (&["Bearer, DPoP error=\"insufficient_scope\""], true),
            (
                &[
                    "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Bearer error=invalid_request",
                ],
                false,
            ),
            // Lines without a challenge.
            (&["", ",,", " , "], true),
            (&["Bearer error=\"insufficient_scope"], false),
            (&["Bearer error="], false),
            (&["@@@ , Bearer error=\"insufficient_scope\""], false),
            (&["error=\"insufficient_scope\""], false),
            (&["error=\"invalid_token\""], true),
        ] {
            assert_eq!(rejects(lines), expected, "{lines:?}");
        }
        for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED] {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
            assert!(!rejects_token(status, &headers), "{status}");
        }
    }

    /// Lines that RFC 9110 does not allow: how gateways and frameworks separate and quote the error code.
    #[test]
    fn an_error_code_is_found_however_the_line_is_written() {
        for line in [
            "Bearer realm=\"x\" error=\"CODE\"",
            "Bearer realm=x error=CODE",
            "Bearer realm=\"x\"\terror=\"CODE\" error_description=\"a, b; c\"",
            "Bearer realm=x; error=\"CODE\"",
            "Bearer realm=\"x\";error=CODE;scope=\"a b\"",
            "Bearer; error=\"CODE\"",
            "Bearer: error=\"CODE\"",
            "Bearer : realm=\"x\", error=\"CODE\"",
            "Bearer:error=CODE",
            "error=\"CODE\"",
            "realm=\"x\", error=\"CODE\"",
            "Bearer error='CODE'",
            "Bearer realm='it is x, or y', error='CODE', scope='a'",
            "Bearer realm=it's, error=CODE",
            "Bearer error=\" CODE \"",
            "Bearer error=' CODE\t', scope=a",
            "Bearer realm=\"x, error=\"CODE\"",
            "Bearer realm=\"x, error=CODE",
            "Bearer realm=\"x error=\"CODE\"",
            "Bearer realm=\"x y z, error=\"CODE\", scope=\"a b\"",
            "Bearer realm='x, error=\"CODE\"",
            "Bearer error=\"CODE, error_description=\"no more\"",
            "Bearer error=\"CODE",
            "Bearer realm=my own api, error=CODE",
            "Bearer error_description=The request was bad error=CODE",
            "Bearer realm=https://api.example.com/a?b=c, error=CODE",
            "Bearer realm=\"x\"error=\"CODE\"",
            "Basic realm=\"x\" Bearer error=\"CODE\"",
            "Basic realm=x; Bearer error=CODE",
            "Digest nonce=\"YQ==\", Bearer realm=\"x\" error=CODE",
        ] {
            for (code, expected) in [
                ("invalid_token", true),
                ("INVALID_TOKEN", true),
                ("insufficient_scope", false),
                ("Invalid_Request", false),
            ] {
                let line = line.replace("CODE", code);
                assert_eq!(rejects(&[&line]), expected, "{line}");
                assert_eq!(rejects(&["Basic realm=\"x\"", &line]), expected, "{line}");
            }
        }
        // Text within quotes, and codes of another scheme.
        for line in [
            "Bearer realm=\"x error=insufficient_scope\"",
            "Bearer realm=\"x; error=insufficient_scope\"",
            "Bearer realm='x, error=insufficient_scope'",
            "Bearer realm=\"it's, error=insufficient_scope\"",
            "Basic realm=\"x\" DPoP error=\"insufficient_scope\"",
            "Basic realm=\"x\" error=\"insufficient_scope\"",
            "Basic: error=\"insufficient_scope\"",
        ] {
            assert!(rejects(&[line]), "{line}");
        }
    }

    /// A response may be hostile: the time grows with the length of the line, not with its square.
    #[test]
    fn a_line_of_open_quotes_is_read_at_once() {
        for unit in ["\"\\", "'\\", "a=\"\\", "a=\"\\\" =\"", "\"=x", "a='"] {
            let line = unit.repeat(200_000);
            assert!(parameters(line.as_bytes()).len() <= line.len(), "{unit}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic_or_run_for_ever(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parameters(&line).len() <= line.len());
        }

        #[test]
        fn a_parameter_is_found_among_any_others(
            before in "([A-Za-z]{1,8}( [a-z]{1,5}=(\"[^\"\\\\\r\n]{0,9}\"|[a-z]{1,4}))?[ ]?,[ ]?){0,3}",
            value in "[ -~]{0,12}",
            after in "(, ?[a-z]{1,5}_=(\"[^\"\\\\\r\n]{0,9}\"|[a-z]{1,4})){0,3}",
        ) {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("{before}Bearer error=\"{quoted}\"{after}");
            let found = parameters(line.as_bytes());
            prop_assert!(found.contains(&(b"Bearer", b"error", value.into_bytes())), "{}", line);
        }
    }
}
