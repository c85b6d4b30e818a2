mod encodings;
mod messages;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

fn shown(text: &str, secrets: &[&str]) -> String {
    Redactor::new(secrets.iter().copied()).text(text)
}

/// Every known way in which a server echoes a secret, and further ones.
pub(crate) fn echoes(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let form: String = form_urlencoded::byte_serialize(bytes).collect();
    let all_percent: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    let json = serde_json::to_string(secret).unwrap();
    let unicode: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let html: String = secret.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    let html_hex: String = secret.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect();
    let named =
        secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('+', "&plus;");
    let broken = |text: &str, width: usize, by: &str| {
        let characters: Vec<char> = text.chars().collect();
        let lines: Vec<String> = characters.chunks(width).map(|line| line.iter().collect()).collect();
        lines.join(by)
    };
    let base64 = STANDARD.encode(bytes);
    let inside = STANDARD.encode(format!("app_1:{secret}!"));
    let two: Vec<char> = secret.chars().collect();
    let (first, second) = two.split_at(two.len() / 2);
    vec![
        secret.to_owned(),
        secret.to_ascii_uppercase(),
        secret.to_ascii_lowercase(),
        form.clone(),
        form.to_ascii_lowercase(),
        all_percent.clone(),
        all_percent.to_ascii_uppercase(),
        form_urlencoded::byte_serialize(form.as_bytes()).collect(),
        json.trim_matches('"').to_owned(),
        secret.replace('/', "\\/"),
        unicode.clone(),
        unicode.replace("\\u", "\\\\u"),
        html,
        html_hex,
        named,
        base64.clone(),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        broken(&base64, 8, "\n"),
        broken(&base64, 10, "\\r\\n "),
        inside.clone(),
        format!("Basic {inside}"),
        hex.clone(),
        hex.to_ascii_uppercase(),
        broken(&hex, 2, ":"),
        broken(&hex, 2, " "),
        broken(&hex, 16, "\n"),
        bytes.iter().map(|byte| format!("0x{byte:02x}, ")).collect(),
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
        broken(secret, 6, "\n"),
        broken(secret, 1, " "),
        first.iter().collect(),
        second.iter().collect(),
        base64.get(..base64.len() / 2).unwrap().to_owned(),
        hex.get(hex.len() / 2..).unwrap().to_owned(),
    ]
}

#[test]
fn an_echo_in_whatever_encoding_is_not_shown() {
    for secret in
        ["S3CRETmarker/of+some=thing%22&<x>", "correct horse battery staple", "gr\u{fc}n&Passwort\"42-lang"]
    {
        for echo in echoes(secret) {
            for text in [echo.clone(), format!("s={echo}&x"), format!("the value '{echo}' is wrong")] {
                let shown = shown(&text, &[secret]);
                // No five characters of it remain in a row, whatever is between them.
                let letters = |text: &str| -> Vec<u8> {
                    let names = ["&amp;", "&lt;", "&quot;", "&plus;"];
                    let text = names.iter().fold(text.to_owned(), |text, name| text.replace(name, ""));
                    text.bytes().filter_map(normal).collect()
                };
                let (echoed, left) = (letters(&echo), letters(&shown.replace(REDACTED, " ")));
                for piece in echoed.windows(6) {
                    let is_left = left.windows(6).any(|other| other == piece);
                    assert!(!is_left, "{echo} leaves {} in {shown}", String::from_utf8_lossy(piece));
                }
            }
        }
    }
}

#[test]
fn the_labels_of_pem_are_no_secret_and_what_they_enclose_is() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n";
    assert_eq!(shown("no private key", &[pem]), "no private key");
    for echo in [pem.to_owned(), pem.replace('\n', ""), "MIGHAgEAMBMGB".to_owned()] {
        assert!(!shown(&echo, &[pem]).contains("AgEAMB"));
    }
}

#[test]
fn a_short_secret_is_not_shown_as_a_whole_in_any_encoding() {
    for secret in ["hunter2", "a+b c", "x<&>y"] {
        for echo in [
            secret.to_owned(),
            form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            secret.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        ] {
            assert_eq!(shown(&format!("<{echo}>"), &[secret]), "<[redacted]>", "{echo}");
        }
    }
    assert!(!shown("it is aHVudGVyMg==", &["hunter2"]).contains("aHVud"));
}

#[test]
fn what_has_the_form_of_a_secret_is_not_shown_even_if_the_request_did_not_hold_it() {
    for secret in [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        "LTAI5tFakeAccessKeyId0001",
        "d0a1b2c3d4e5f60718293a4b5c6d7e8f",
        "0b6c1f3e-9d0a-4b6b-8a55-1a2b3c4d5e6f",
        "CSEkq8v3bZ1mX7",
        "aGVsbG8gd29ybGQ",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "xkcdwqzrtplmnvbgh",
        "12345678901234567890",
    ] {
        let shown = shown(&format!("no such token: {secret}"), &[]);
        assert_eq!(shown, "no such token: [redacted]");
    }
    let dump = "6f a1 b2 c3 d4 e5 f6 a7 b8 c9";
    assert!(!shown(dump, &[]).contains("b2 c3"));
}

#[test]
fn prose_codes_and_public_parts_of_the_request_are_shown() {
    for text in [
        "The client is not granted the requested scope.",
        "InvalidAccessKeyId.NotFound",
        "AuthenticationFail.OIDCToken.Expired",
        "EntityNotExist.Role",
        "InvalidParameter.ContentSha256",
        "SignatureDoesNotMatch",
        "Forbidden.RAM",
        "invalid_client",
        "operation_denied_by_license",
        "The assertion's iat 1700000600 is in the future (RS256, 600 s)",
        "unsupported grant_type urn:ietf:params:oauth:grant-type:token-exchange",
        "User not authorized to operate on the specified resource, see https://help.aliyun.com/document_detail",
        "\u{5e94}\u{7528}\u{672a}\u{6388}\u{6743}",
        "text/html; charset=utf-8",
        "2026-11-24T13:00:00Z",
    ] {
        assert_eq!(shown(text, &["S3CRETmarker"]), text);
    }
    let redactor =
        Redactor::new(["S3CRETmarker"]).with_public(["app_f4k3cl13nt0001", "api://0rd3rs123456|read"]);
    let text = "app_f4k3cl13nt0001 lacks api://0rd3rs123456|read";
    assert_eq!(redactor.text(text), text);
    // A public value does not redact a secret.
    let redactor = Redactor::new(["app_f4k3cl13nt0001"]).with_public(["app_f4k3cl13nt0001"]);
    assert_eq!(redactor.text("app_f4k3cl13nt0001"), "[redacted]");
}

#[test]
fn secrets_that_overlap_leave_nothing_of_either() {
    for secrets in [["ab.cd", "cd.ef"], ["cd.ef", "ab.cd"]] {
        assert!(!shown("<ab.cd.ef cd.ef>", &secrets).contains("ef"));
    }
    assert_eq!(shown("head.middle.tail", &["middle", "head.middle.tail"]), "[redacted]");
    assert_eq!(shown("abab", &["ab"]), "[redacted]");
}

#[test]
fn a_text_cannot_forge_a_log_line_or_flood_it() {
    assert_eq!(shown("one\r\ntwo\u{7}", &[]), "one  two ");
    for unfit in [
        "\u{2028}",
        "\u{202e}",
        "\u{200b}",
        "\u{61c}",
        "\u{fff9}",
        "\u{fffb}",
        "\u{180e}",
        "\u{ad}",
        "\u{fe0f}",
        "\u{e0041}",
        "\u{3164}",
        "\u{2066}",
        "\u{1b}",
        "\u{9b}",
        "\u{1d173}",
        "\u{ffff}",
    ] {
        let text = format!("one{unfit}two");
        assert_eq!((shown(&text, &[]), bounded(&text)), ("one two".into(), "one two".into()), "{text:?}");
    }
    assert_eq!(shown(&"\u{e4}".repeat(1_000), &[]).chars().count(), LONGEST + 1);
    let long = format!("{}secret", "x".repeat(LONGEST_TEXT));
    assert_eq!(shown(&long, &["secret"]), format!("[redacted: {} bytes]", LONGEST_TEXT + 6));
    assert_eq!(Redactor::new(["secret"]).value(&long), None);
}

#[test]
fn a_value_stays_whole_but_for_echoes_and_tokens() {
    let long = "api://x|read ".repeat(50);
    let redactor = Redactor::new(["s3cr3t-of-mine"]);
    assert_eq!(redactor.value(&format!("{long}s3cr3t-of-mine")).unwrap(), format!("{long}[redacted]"));
    assert_eq!(
        redactor.value("urn:x eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln").unwrap(),
        "urn:x [redacted]"
    );
    let uuid = "urn:uuid:0b6c1f3e-9d0a-4b6b-8a55-1a2b3c4d5e6f";
    assert_eq!(redactor.value(uuid).unwrap(), uuid);
}

#[test]
fn a_code_of_words_is_shown_unless_it_holds_half_of_a_secret() {
    let redactor = Redactor::new(["not-a-real-access-key-secret", "hunter2"]);
    for code in ["InvalidAccessKeyId.NotFound", "invalid_client", "SignatureDoesNotMatch", "S3Error"] {
        assert_eq!(redactor.code(code), code);
    }
    for code in
        ["not-a-real-access", "Real.AccessKeySecret", "hunter2", "x_hunter2", "68756e74657232", "aHVudGVyMg"]
    {
        assert!(redactor.code(code).contains(REDACTED), "{code}");
    }
}

#[test]
fn an_id_is_shown_if_it_has_the_form_of_one() {
    let redactor = Redactor::new(["s3cr3t-of-mine"]);
    for id in ["0B6C1F3E-9D0A-5B6B-8A55-1A2B3C4D5E6F", "req_1", "1-67891233-abcdef012345678912345678"] {
        assert_eq!(redactor.id(id), id);
    }
    for id in [
        "s3cr3t-of-mine",
        "x-S3CR3T-OF-M",
        "two words",
        "line\nbreak",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        &"a".repeat(LONGEST_ID + 1),
    ] {
        assert_eq!(redactor.id(id), REDACTED, "{id}");
    }
}

#[test]
fn a_cause_that_shows_a_secret_in_whatever_form_is_left_out() {
    #[derive(Debug)]
    struct Quoted(#[allow(dead_code)] bytes::Bytes);
    impl std::fmt::Display for Quoted {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("refused")
        }
    }
    impl std::error::Error for Quoted {}

    const SECRET: &str = r#"hunter2+"\x"#;
    let error = |message: &str, cause: crate::BoxError| {
        Redactor::new([SECRET]).error(Error::new(ErrorKind::Transport, message).with_source(cause))
    };
    let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    for cause in [
        format!("not {SECRET}").into(),
        format!("client_secret={encoded}&scope=x").into(),
        STANDARD.encode(SECRET).into(),
        Box::new(std::io::Error::other(Quoted(SECRET.into()))) as crate::BoxError,
        format!("{} {SECRET}", "x".repeat(100_000)).into(),
    ] {
        let error = error("it broke", cause);
        assert!(!format!("{error:?}").contains("hunter2") && error.source().is_none(), "{error:?}");
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Transport, "it broke"));
    }
    assert_eq!(error(&format!("no {SECRET}!"), "it".into()).to_string(), "no [redacted]!");
    let kept = error("it broke", "the cable is cut".into());
    assert_eq!(kept.source().unwrap().to_string(), "the cable is cut");
}

proptest! {
    #[test]
    fn no_secret_survives_wherever_it_stands(
        before in "[a-z ]{0,20}", secret in "[A-Z0-9+/=%&]{6,40}", after in "[a-z ]{0,20}",
    ) {
        let shown = shown(&format!("{before}{secret}{after}"), &[secret.as_str()]);
        prop_assert!(!shown.contains(&secret), "{shown}");
    }

    #[test]
    fn no_text_makes_the_search_panic(text in any::<String>(), secret in any::<String>()) {
        let redactor = Redactor::new([secret.as_str()]);
        redactor.text(&text);
        redactor.id(&text);
        redactor.value(&text);
    }
}

#[test]
fn a_long_secret_that_repeats_itself_is_searched_for_in_bounded_time() {
    for (secret, text) in [(LONGEST_SECRET, LONGEST_TEXT), (LONGEST_TEXT / 2, LONGEST_TEXT)] {
        for unit in ["a", "ab1", "a-"] {
            let secret = unit.repeat(secret / unit.len());
            let text = unit.repeat(text / unit.len());
            let began = crate::clock::Clock::System.now();
            assert_eq!(shown(&text, &[&secret]), REDACTED);
            let took = crate::clock::Clock::System.now().since(began);
            assert!(took < std::time::Duration::from_secs(5), "{took:?} for {unit}");
        }
    }
}

#[test]
fn a_search_for_a_long_secret_costs_about_as_much_as_encoding_it() {
    // A subject token of 32 KiB.
    let mut seed = 1_u32;
    let secret: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(seed >> 26) as usize])
    })
    .take(32 * 1024)
    .collect();
    let id = "0B6C1F3E-9D0A-5B6B-8A55-1A2B3C4D5E6F";
    let (mut encoding, mut searching) = (std::time::Duration::MAX, std::time::Duration::MAX);
    for _ in 0..20 {
        let clock = crate::clock::Clock::System;
        let began = clock.now();
        let needles = Needles::of(&[&secret]);
        encoding = encoding.min(clock.now().since(began));
        let began = clock.now();
        assert!(!needles.echoes(&[&secret], id).contains(&true));
        searching = searching.min(clock.now().since(began));
    }
    assert!(searching < 3 * encoding, "{searching:?} for the search, {encoding:?} for the encodings");
}
