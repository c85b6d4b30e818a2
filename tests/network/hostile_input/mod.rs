//! Input by chance, at the same places where `fuzz/` feeds it in: by chance throughout, and real input with
//! something changed.

mod entry;

use proptest::prelude::*;

/// A change to an input: bytes at a place are overwritten, taken out, put in or doubled.
#[derive(Clone, Debug)]
struct Change {
    place: prop::sample::Index,
    length: usize,
    bytes: Vec<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec!["$S", "\"", "\\", "{", "]", "\0", "-----", "\r\n", "null", "-1", "1e400"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (any::<prop::sample::Index>(), 0..8_usize, bytes).prop_map(|(place, length, bytes)| Change {
        place,
        length,
        bytes,
    })
}

/// One of these as it is but for a few changes, or no matter what.
fn input(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changed = (prop::sample::select(seeds), prop::collection::vec(change(), 0..4)).prop_map(
        |(mut bytes, changes)| {
            for Change { place, length, bytes: new } in changes {
                let start = place.index(bytes.len() + 1);
                let end = bytes.len().min(start + length);
                bytes.splice(start..end, new);
            }
            bytes
        },
    );
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn configurations() -> Vec<Vec<u8>> {
    let values = [
        "api://a|read api://a|write",
        "https://tenant.example.com:8443/token?a=b",
        "/run/secrets/token",
        "eyJhbGciOiJub25lIn0.e30.c2ln",
        "CLIENT_SECRET_POST",
        entry::CERTIFICATE,
    ];
    let others = ["{}", "\u{feff}// nothing\n", &"{\"a\": [".repeat(200)].map(str::to_owned);
    let all = [whole().to_owned()].into_iter().chain(others).chain(values.map(str::to_owned));
    all.map(String::into_bytes).collect()
}

fn whole() -> &'static str {
    r#"{"idaasInstanceId": "idaas_1", "clientId": "app_1", /* a comment */ "scope": "api://a|read",
        "issuer": "https://tenant.example.com", "tokenEndpoint": "https://tenant.example.com/token",
        "authnConfiguration": {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "KEY"},
        "httpConfiguration": {"connectTimeout": 5000, "readTimeout": 10000,},}"#
}

fn variables() -> Vec<Vec<u8>> {
    let values = [
        "http://user:p%40ss@proxy.example:3128/",
        "http://user:pass@proxy:abc",
        "proxy:3128",
        "localhost,.example.com,10.0.0.0/8 [::1]:443;*",
        "/nonexistent/file.json",
        "~/c.json",
        "eyJhbGciOiJub25lIn0.e30.c2ln",
    ];
    values.map(|value| value.as_bytes().to_vec()).into()
}

/// Files of the folder beside the tests.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pem = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
    pem.map(|path| std::fs::read(path).unwrap()).collect()
}

fn keys() -> Vec<Vec<u8>> {
    let keys = [files("golden/keys"), files("odd_keys")].concat();
    assert!(keys.len() > 20, "the keys are elsewhere");
    let pairs = keys.iter().map(|key| [entry::CERTIFICATE.as_bytes(), b"\0", key].concat());
    let of_all =
        keys.iter().map(|certificates| [certificates, b"\0".as_slice(), entry::KEY.as_bytes()].concat());
    keys.iter().cloned().chain(pairs).chain(of_all).collect()
}

fn answers() -> Vec<Vec<u8>> {
    let success = r#"{"access_token": "token$S", "token_type": "Bearer", "expires_in": 1200, "expires_at": 1700000000,
        "scope": "api://a|read"}"#;
    let refusal = r#"{"error": "invalid_client", "error_description": "not $S", "request_id": "$S"}"#;
    let openapi = r#"{"Code": "Throttling.User", "Message": "$S", "RequestId": "req"}"#;
    let bodies = [success, refusal, openapi, "<h1>$S</h1>", ""];
    let with_status = |status: u8| bodies.map(|body| [&[status], body.as_bytes()].concat());
    (0..11).flat_map(with_status).collect()
}

fn headers() -> Vec<Vec<u8>> {
    let values = [
        "7\0Tue, 24 Nov 2026 03:00:00 GMT\0req_$S\0application/json",
        "Tue, 24 Nov 2026 03:00:10 GMT\0Tue, 24 Nov 2026 03:00:00 GMT\0\0text/html; $S\0https://$S/",
        "18446744073709551616\0-1\0\0\0\x001",
        "99999999999",
    ];
    let with_status = |status: u8| values.map(|values| [&[status], values.as_bytes()].concat());
    (0..6).flat_map(with_status).collect()
}

/// Else nothing of this would get beyond the first check.
#[test]
fn what_the_changed_input_is_made_from_is_accepted() {
    entry::client_of(whole()).unwrap();
    entry::client_with(entry::CERTIFICATE, entry::KEY).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_answer_makes_it_panic_shows_a_secret_or_silences_it(bytes in input(answers())) {
        entry::token_answer(&bytes);
    }

    #[test]
    fn no_header_makes_it_panic_shows_a_secret_or_silences_it(bytes in input(headers())) {
        entry::answer_headers(&bytes);
    }
}

proptest! {
    // A key that is one after all signs, and RSA keys take their time.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_key_and_no_certificate_makes_it_panic_or_is_shown(bytes in input(keys())) {
        entry::key_and_certificate(&bytes);
    }
}

proptest! {
    // Each input is tried in many places.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn no_configuration_makes_it_panic_or_shows_a_secret(bytes in input(configurations())) {
        entry::configuration(&bytes);
    }

    #[test]
    fn no_variable_makes_it_panic_or_shows_a_secret(bytes in input(variables())) {
        entry::variable(&bytes);
    }
}
