//! Secrets that a server echoes, in any encoding and at any place of its response.

use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::{BoxError, Idaas, SecretSource};

use super::{Watch, assert_readable, client, filled, runtime, shown, split};

/// Secrets of different kinds: as IDaaS issues them, short, long, of words, of other letters.
const SECRETS: [&str; 7] = [
    "CSEHDddddddxxxxuxJSbVtaN9gQmTz4rWkPcLfYx",
    "s3cr+t-hunter2==",
    "hunter2!",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "correct horse battery staple",
    "Zm9v/YmFy+Zm9vYmFyLWJheg==",
    "geheim-\u{fc}n\u{ef}-\u{5bc6}\u{94a5}-42",
];

/// The first byte chooses the secret, the second how it is encoded, the third where in the response it stands; `$S` in
/// the rest stands for it. What is shown holds no part of it.
pub fn redaction(input: &[u8]) {
    let _watch = Watch::start();
    let (kind, rest) = split(input);
    let (encoding, rest) = split(rest);
    let (place, rest) = split(rest);
    let secret = SECRETS[kind % SECRETS.len()];
    let text = filled(rest, &encoded(secret, encoding));
    let text = String::from_utf8_lossy(&text).into_owned();
    let Some(idaas) = client_whose_server_says(secret, place, &text) else { return };
    runtime().block_on(async {
        match idaas.token().await {
            Ok(token) => assert_absent(&format!("{token:?}"), secret, &text),
            Err(error) => {
                assert_readable(&error.to_string());
                let mut reported = shown(&error);
                // A code of words is shown as long as it holds less than half of the secret.
                if let Some(code) = error.code() {
                    assert!(longest_common(&normal(code), &normal(secret)) < half(&normal(secret)), "{code}");
                    reported = reported.replace(code, " ");
                }
                assert_absent(&reported, secret, &text);
            }
        }
    });
}

fn client_whose_server_says(secret: &str, place: usize, text: &str) -> Option<Idaas> {
    let builder = client().authenticator(ClientSecretPost::new(SecretSource::value(secret.to_owned())));
    let mut headers = HeaderMap::new();
    let refusal = |name: &str| {
        let mut body = json!({ "error": "invalid_client" });
        body[name] = text.into();
        body
    };
    let success = |name: &str| {
        let mut body = json!({ "access_token": "token", "expires_in": 60 });
        body[name] = text.into();
        body
    };
    let (status, body) = match place % 14 {
        0 => (400, refusal("error_description")),
        1 => (400, refusal("error")),
        2 => (400, refusal("request_id")),
        3 => (403, json!({ "Code": "Forbidden", "Message": text })),
        4 => (500, json!({ "Code": text, "RequestId": "r-1" })),
        5 => (429, json!({ "error": { "code": "x", "message": text } })),
        6 => (200, success("scope")),
        7 => (200, success("token_type")),
        8 => (200, success("issued_token_type")),
        9 => (200, success("request_id")),
        10 => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(text).ok()?);
            (502, Value::Null)
        }
        11 => {
            headers.insert("x-request-id", HeaderValue::from_str(text).ok()?);
            (400, refusal("error_description"))
        }
        12 => {
            let name = Value::from(text);
            let body = format!("{{{name}: 1, {name}: 2}}");
            return responded(builder, 400, headers, body);
        }
        _ => {
            let message = text.to_owned();
            let broken = tower::service_fn(move |_| {
                std::future::ready(Err::<Response<Full<Bytes>>, BoxError>(message.clone().into()))
            });
            return builder.transport(broken).build().ok();
        }
    };
    responded(builder, status, headers, body.to_string())
}

fn responded(
    builder: tower_idaas::IdaasBuilder,
    status: u16,
    headers: HeaderMap,
    body: String,
) -> Option<Idaas> {
    let service = tower::service_fn(move |_| {
        let mut response = Response::new(Full::new(Bytes::from(body.clone())));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers.clone();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    builder.transport(service).build().ok()
}

/// The secret as a server may echo it.
fn encoded(secret: &str, encoding: usize) -> Vec<u8> {
    let bytes = secret.as_bytes();
    let each = |write: fn(u8) -> String| bytes.iter().map(|byte| write(*byte)).collect::<String>();
    let each_char = |write: fn(char) -> String| secret.chars().map(write).collect::<String>();
    let shifted = |by: usize| STANDARD.encode([&b"a:"[..by], bytes].concat());
    let text = match encoding % 26 {
        0 => secret.to_owned(),
        1 => secret.to_ascii_uppercase(),
        2 => secret.to_ascii_lowercase(),
        3 => each(|byte| format!("%{byte:02X}")),
        4 => each(|byte| format!("%{byte:02x}")),
        5 => each_char(|letter| format!("\\u{:04x}", u32::from(letter))),
        6 => each_char(|letter| format!("&#{};", u32::from(letter))),
        7 => each_char(|letter| format!("&#x{:X};", u32::from(letter))),
        8 => each(|byte| format!("{byte:02x}")),
        9 => each(|byte| format!("{byte:02X} ")),
        10 => STANDARD.encode(bytes),
        11 => shifted(1),
        12 => shifted(2),
        13 => URL_SAFE_NO_PAD.encode(bytes),
        14 => each_char(|letter| format!("{letter}\r\n")),
        15 => secret.chars().take(secret.chars().count() / 2 + 1).collect(),
        16 => secret.chars().skip(secret.chars().count() / 2 - 1).collect(),
        17 => form_urlencoded(secret),
        18 => each(|byte| format!("{byte} ")),
        19 => each(|byte| format!("{byte:#x}, ")),
        20 => each(|byte| format!("\\{byte:03o}")),
        21 => each_char(|letter| format!("\\u{{{:x}}}", u32::from(letter))),
        22 => each_char(|letter| format!("&#{}", u32::from(letter))),
        23 => each_char(full_width),
        24 => each(|byte| format!("={byte:02X}")),
        _ => each(|byte| format!("\\{byte:02x}")),
    };
    text.into_bytes()
}

fn full_width(letter: char) -> String {
    let offset = if ('!'..='~').contains(&letter) { 0xfee0 } else { 0 };
    char::from_u32(u32::from(letter) + offset).unwrap().to_string()
}

fn form_urlencoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Letters and digits in lower case: what remains of an echo however it is broken up.
fn normal(text: &str) -> Vec<u8> {
    let letters = text.bytes().filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    letters.map(|byte| byte.to_ascii_lowercase()).collect()
}

fn half(secret: &[u8]) -> usize {
    secret.len().div_ceil(2).max(8).min(secret.len().max(1))
}

/// The length of the longest run that both have.
fn longest_common(one: &[u8], other: &[u8]) -> usize {
    let mut longest = 0;
    let mut row = vec![0; other.len() + 1];
    for letter in one {
        for at in (0..other.len()).rev() {
            row[at + 1] = if other[at] == *letter { row[at] + 1 } else { 0 };
            longest = longest.max(row[at + 1]);
        }
    }
    longest
}

/// Neither the text nor what its escapes stand for holds eight characters of the secret, or half of a shorter one, as
/// they are, in hex or in Base64.
fn assert_absent(reported: &str, secret: &str, sent: &str) {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = (0..3).map(|by| {
        let encoded = STANDARD_NO_PAD.encode([&[0, 0][..by], secret.as_bytes()].concat());
        // Up to three characters depend on what is before, and one on what is behind.
        encoded[[0, 2, 3][by]..encoded.len() - 1].to_owned()
    });
    let forms: Vec<Vec<u8>> =
        [secret.to_owned(), hex].into_iter().chain(base64).map(|form| normal(&form)).collect();
    // The mark that takes a secret's place is no part of it, and what is on its two sides is not joined.
    let mut text = reported.replace("[redacted", "\u{fffd}").into_bytes();
    for _ in 0..3 {
        let lossy = String::from_utf8_lossy(&text).into_owned();
        for form in &forms {
            let window = if form.len() < 8 { form.len() } else { form.len().div_ceil(2).clamp(5, 8) };
            let longest = longest_common(&normal(&lossy), form);
            assert!(longest < window, "{longest} characters of {secret} in: {lossy}\nfrom: {sent:?}");
        }
        // The numbers of a text in three bases, as bytes.
        for base in [8, 10, 16] {
            let pieces = lossy.split(|letter: char| !letter.is_ascii_alphanumeric());
            let digits = pieces.map(|piece| piece.trim_start_matches("0x"));
            let codes = digits.filter_map(|digits| u8::from_str_radix(digits, base).ok());
            let decoded = String::from_utf8_lossy(&codes.collect::<Vec<_>>()).into_owned();
            let longest = longest_common(&normal(&decoded), &forms[0]);
            assert!(longest < half(&forms[0]), "{longest} numbers of {secret} in: {lossy}\nfrom: {sent:?}");
        }
        text = unescaped(&text);
    }
}

/// Without percent-encoding, backslashes, and numeric references of HTML.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let number = |digits: &[u8], radix| u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    let utf8 = |code: u32| Some(char::from_u32(code)?.to_string().into_bytes());
    let escape = |rest: &[u8]| -> Option<(Vec<u8>, usize)> {
        match rest {
            [b'%', high, low, ..] => Some((vec![u8::try_from(number(&[*high, *low], 16)?).ok()?], 3)),
            [b'\\', b'u', ..] => Some((utf8(number(rest.get(2..6)?, 16)?)?, 6)),
            [b'\\', next, ..] => Some((vec![*next], 2)),
            [b'&', b'#', ..] => {
                let end = rest.iter().take(12).position(|byte| *byte == b';')?;
                let code = match rest.get(2)? {
                    b'x' | b'X' => number(rest.get(3..end)?, 16)?,
                    _ => number(rest.get(2..end)?, 10)?,
                };
                Some((utf8(code)?, end + 1))
            }
            _ => None,
        }
    };
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let (bytes, length) = escape(rest).unwrap_or((vec![*first], 1));
        plain.extend(bytes);
        rest = &rest[length..];
    }
    plain
}
