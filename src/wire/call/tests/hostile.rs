//! Random responses: none may cause a panic, never expire, or show a secret.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cache::window::LONGEST_LIFE;
use crate::token::issued;
use crate::wire::call::tests::*;

const NAMES: [&str; 13] = [
    "access_token",
    "token_type",
    "expires_in",
    "expires_at",
    "error",
    "error_description",
    "request_id",
    "RequestId",
    "Code",
    "Message",
    "scope",
    "issued_token_type",
    "else",
];

const HEADERS: [&str; 10] = [
    "content-type",
    "content-encoding",
    "date",
    "age",
    "retry-after",
    "x-request-id",
    "x-acs-request-id",
    "x-acs-retry-after",
    "x-ratelimit-user",
    "location",
];

/// A text that, more often than not, echoes the secret in one form or another.
fn text() -> impl Strategy<Value = String> {
    let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    prop_oneof![
        ".{0,20}",
        "[0-9eE.+-]{0,24}",
        Just("Bearer".to_owned()),
        (".{0,10}", Just(SECRET), ".{0,10}").prop_map(|(before, secret, after)| before + secret + &after),
        (".{0,10}", Just(encoded), ".{0,10}").prop_map(|(before, secret, after)| before + &secret + &after),
        ".{280,310}".prop_map(|before| before + SECRET),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([1])),
        Just(json!({ "error": SECRET })),
        Just(json!({ "code": SECRET, "message": SECRET })),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = (prop::sample::select(&NAMES[..]).prop_map(str::to_owned), value());
    let object = vec(field, 0..8)
        .prop_map(|fields| serde_json::to_vec(&Value::Object(fields.into_iter().collect())).unwrap());
    prop_oneof![4 => object, 1 => vec(any::<u8>(), 0..200), 1 => text().prop_map(String::into_bytes)]
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 0..40)];
    vec((prop::sample::select(&HEADERS[..]), value), 0..5).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            // HTTP clients reject other values before they get here.
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name, value);
            }
        }
        headers
    })
}

fn shows_secret(text: &str) -> bool {
    let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    text.contains(SECRET) || text.contains(&encoded)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_response_makes_the_reader_panic_or_anything_show_a_secret(
        status in 100u16..=999, headers in any_headers(), body in body(), now in any::<u32>(),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let now = Timestamp { monotonic: 0, wall: u64::from(now) * 1_000_000_000 };
        let profile = OAuth { exchange: false };
        let read = |response: &ApiResponse<'_>| issued(response, &response.object, true);
        match read_as(&profile, &[SECRET], (status, headers, &body), (now, now), read) {
            Ok(response) => {
                let shown = format!("{response:?}");
                prop_assert!(!shows_secret(&shown), "{shown}");
                prop_assert!(status.is_success());
                prop_assert!(response.expires_in.is_none_or(|life| life <= LONGEST_LIFE));
                let token = response.authorization().unwrap().to_str().unwrap();
                prop_assert!(token.len() > 7 && token.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shows_secret(&shown), "{shown}");
                prop_assert!(!error.to_string().contains(char::is_control));
                prop_assert_eq!(error.status(), Some(status));
            }
        }
    }
}

/// A body of the maximum length in which each position looks like the beginning of a secret.
#[test]
fn a_response_that_is_hard_to_look_through_costs_little() {
    let long = "a".repeat(500 * 1024);
    let nearly = format!("{}b", "a".repeat(4 * 1024));
    for (token, other) in [(&*long, &*long), (&*nearly, &*long), (&*nearly, &"a".repeat(8 * 1024))] {
        let body = json!({ "access_token": token, "scope": other, "issued_token_type": other });
        assert!(
            read_from(200, &[], &body.to_string(), |response| issued(response, &response.object, true))
                .is_ok()
        );
        let body = json!({ "access_token": token, "token_type": other });
        assert!(
            read_from(200, &[], &body.to_string(), |response| issued(response, &response.object, true))
                .is_err()
        );
    }
}
