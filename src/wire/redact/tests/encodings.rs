//! Every kind of secret in every encoding, whole and in parts.

use super::*;

/// As IDaaS issues them, in hex, of words, in Base64, of other letters, with much to escape, of digits, short.
const SECRETS: [&str; 9] = [
    "CSEHDddddddxxxxuxJSbVtaN9gQmTz4rWkPcLfYx",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "correct horse battery staple",
    "Zm9v/YmFy+Zm9vYmFyLWJheg==",
    "geheim-\u{fc}n\u{ef}-\u{5bc6}\u{94a5}-42-und-mehr",
    "S3CRETmarker/of+some=thing%22&<x>\"\\y",
    "31415926535897932384",
    "hunter2!",
    "pa55w0rd",
];

/// The secret's characters as a server may print them, each as one unit, and what stands between two of them.
type Encoding = (&'static str, fn(&str) -> Vec<String>, &'static str);

fn of_bytes(secret: &str, write: fn(u8) -> String) -> Vec<String> {
    secret.bytes().map(write).collect()
}

fn of_chars(secret: &str, write: fn(char) -> String) -> Vec<String> {
    secret.chars().map(write).collect()
}

fn wide(letter: char) -> String {
    match letter {
        '!'..='~' => char::from_u32(u32::from(letter) + 0xFEE0).unwrap().to_string(),
        letter => letter.to_string(),
    }
}

/// Only what is no letter and no digit is escaped.
fn escaped_if_odd(byte: u8, escaped: String) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { escaped }
}

const ENCODINGS: [Encoding; 42] = [
    ("as it is", |s| of_chars(s, String::from), ""),
    ("spelled", |s| of_chars(s, String::from), " "),
    ("with NULs", |s| of_chars(s, String::from), "\0"),
    ("full-width", |s| of_chars(s, wide), ""),
    ("percent", |s| of_bytes(s, |b| format!("%{b:02X}")), ""),
    ("percent twice", |s| of_bytes(s, |b| format!("%25{b:02X}")), ""),
    ("percent where odd", |s| of_bytes(s, |b| escaped_if_odd(b, format!("%{b:02x}"))), ""),
    ("JavaScript's escape", |s| of_chars(s, |c| format!("%u{:04X}", u32::from(c))), ""),
    ("JSON", |s| of_chars(s, |c| format!("\\u{:04x}", u32::from(c))), ""),
    ("JSON in JSON", |s| of_chars(s, |c| format!("\\\\u{:04x}", u32::from(c))), ""),
    ("ES6", |s| of_chars(s, |c| format!("\\u{{{:x}}}", u32::from(c))), ""),
    ("Perl", |s| of_chars(s, |c| format!("\\x{{{:x}}}", u32::from(c))), ""),
    ("Python", |s| of_chars(s, |c| format!("\\U{:08x}", u32::from(c))), ""),
    ("C, hex", |s| of_bytes(s, |b| format!("\\x{b:02x}")), ""),
    ("C, octal", |s| of_bytes(s, |b| format!("\\{b:03o}")), ""),
    ("C, octal where odd", |s| of_bytes(s, |b| escaped_if_odd(b, format!("\\{b:03o}"))), ""),
    ("C, octal, in JSON", |s| of_bytes(s, |b| format!("\\\\{b:03o}")), ""),
    ("DNS", |s| of_bytes(s, |b| escaped_if_odd(b, format!("\\{b:03}"))), ""),
    ("LDAP", |s| of_bytes(s, |b| format!("\\{b:02x}")), ""),
    ("LDAP where odd", |s| of_bytes(s, |b| escaped_if_odd(b, format!("\\{b:02x}"))), ""),
    ("CSS", |s| of_chars(s, |c| format!("\\{:x}", u32::from(c))), " "),
    ("quoted-printable", |s| of_bytes(s, |b| format!("={b:02X}")), ""),
    ("quoted-printable where odd", |s| of_bytes(s, |b| escaped_if_odd(b, format!("={b:02X}"))), ""),
    ("HTML", |s| of_chars(s, |c| format!("&#{};", u32::from(c))), ""),
    ("HTML without semicolon", |s| of_chars(s, |c| format!("&#{}", u32::from(c))), ""),
    ("HTML, hex", |s| of_chars(s, |c| format!("&#x{:X};", u32::from(c))), ""),
    ("HTML, hex, without semicolon", |s| of_chars(s, |c| format!("&#x{:x}", u32::from(c))), ""),
    ("HTML, padded", |s| of_chars(s, |c| format!("&#{:07};", u32::from(c))), ""),
    ("XML name", |s| of_chars(s, |c| format!("_x{:04X}_", u32::from(c))), ""),
    ("code points", |s| of_chars(s, |c| format!("U+{:04X}", u32::from(c))), " "),
    ("Go", |s| of_bytes(s, |b| b.to_string()), " "),
    ("Python or Rust", |s| of_bytes(s, |b| b.to_string()), ", "),
    ("JSON list over lines", |s| of_bytes(s, |b| b.to_string()), ",\n  "),
    ("Erlang", |s| of_bytes(s, |b| b.to_string()), ","),
    ("escaped list", |s| of_bytes(s, |b| b.to_string()), "%2C"),
    ("Java's constants", |s| of_bytes(s, |b| format!("(byte)0x{b:02x}")), ", "),
    ("VB", |s| of_bytes(s, |b| format!("Chr({b})")), " & "),
    ("hex", |s| of_bytes(s, |b| format!("{b:02x}")), ""),
    ("hex by colons", |s| of_bytes(s, |b| format!("{b:02X}")), ":"),
    ("octal dump", |s| of_bytes(s, |b| format!("{b:03o}")), " "),
    ("binary", |s| of_bytes(s, |b| format!("{b:08b}")), " "),
    ("UTF-16 in hex", |s| of_bytes(s, |b| format!("{b:02x} 00")), " "),
];

/// Which units are echoed: all, or half of them.
type Part = fn(&[String]) -> &[String];

const PARTS: [Part; 3] =
    [|units| units, |units| &units[..units.len() / 2], |units| &units[units.len() / 2..]];

/// A change to an echo, such as a log or a proxy makes.
type Change = (&'static str, fn(&str) -> String);

fn broken(text: &str, width: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(width).map(String::from_iter).collect::<Vec<_>>().join("\n")
}

/// Halves are tried with the first two.
const CHANGES: [Change; 6] = [
    ("unchanged", str::to_owned),
    ("in JSON", |text| serde_json::to_string(text).unwrap()),
    ("upper case", str::to_ascii_uppercase),
    ("lower case", str::to_ascii_lowercase),
    ("over long lines", |text| broken(text, 76)),
    ("over short lines", |text| broken(text, 24)),
];

/// What counts: letters and digits, whatever their case, without line breaks.
fn comparable(text: &str) -> String {
    text.split(['\n', '\0', ' ']).collect::<String>().to_ascii_lowercase()
}

/// Panics if so many characters of the secret are shown in a row that they are an echo.
fn assert_absent(shown: &str, secret: &str, encoding: Encoding, change: &str) {
    assert_no_run(shown, secret, encoding, change, SHORTEST_WINDOW);
}

/// The same, where fewer than `least` characters are no echo.
fn assert_no_run(shown: &str, secret: &str, (name, units, between): Encoding, change: &str, least: usize) {
    let units = units(secret);
    let counts: Vec<bool> = match units.len() == secret.len() {
        true => secret.bytes().map(|byte| normal(byte).is_some()).collect(),
        false => secret.chars().map(|letter| letter.is_alphanumeric()).collect(),
    };
    let all = counts.iter().filter(|counts| **counts).count();
    let needed = if all < WINDOW { all } else { all.div_ceil(2).clamp(5, WINDOW) }.max(least.min(all));
    let shown = comparable(shown);
    for start in 0..units.len() {
        let places = counts.iter().enumerate().skip(start).filter(|(_, counts)| **counts).map(|(at, _)| at);
        let Some(last) = places.take(needed).nth(needed - 1) else { break };
        let piece = comparable(&units[start..=last].join(between));
        assert!(!shown.contains(&piece), "{name}, {change}: {secret} shows {piece} in {shown}");
    }
}

fn check(secret: &str) {
    let redactor = Redactor::new([secret]);
    for encoding @ (_, units, between) in ENCODINGS {
        let units = units(secret);
        let parts = |index: usize| if index < 2 { &PARTS[..] } else { &PARTS[..1] };
        let changes = CHANGES
            .iter()
            .enumerate()
            .flat_map(|(index, change)| parts(index).iter().map(move |part| (change, part)));
        for ((change, changed), part) in changes {
            let echo = part(&units).join(between);
            let text = format!("the value [{}] is wrong", changed(&echo));
            assert_absent(&redactor.text(&text), secret, encoding, change);
            assert_absent(&redactor.value(&text).unwrap_or_default(), secret, encoding, change);
            if *change == "unchanged" {
                assert_absent(&redactor.id(&echo), secret, encoding, change);
                // A code may share words with a passphrase.
                assert_no_run(&redactor.code(&echo), secret, encoding, change, WINDOW);
            }
        }
    }
}

#[test]
fn no_encoding_shows_a_part_of_a_secret() {
    SECRETS.iter().for_each(|secret| check(secret));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3) })]

    #[test]
    fn no_encoding_shows_a_part_of_any_secret(secret in "[ -~]{8,40}|[A-Za-z0-9]{12,40}|[a-z]{4,8}( [a-z]{4,8}){2,4}") {
        // A secret with fewer letters and digits is an echo only as a whole.
        prop_assume!(secret.bytes().filter_map(normal).count() >= SHORTEST_WINDOW);
        check(&secret);
    }
}

#[test]
fn a_secret_with_few_letters_and_digits_is_redacted_as_a_whole() {
    for secret in ["./+<o&@L", "!?!?!?!?", "#1", "-----x-"] {
        let shown = Redactor::new([secret]).text(&format!("the value [{secret}] is wrong"));
        assert_eq!(shown, "the value [[redacted]] is wrong", "{secret}");
    }
}

/// A list of characters that the request did not hold.
#[test]
fn a_text_that_lists_characters_is_withheld_and_says_why() {
    let secret = "another-Secret";
    for (name, units, between) in ENCODINGS {
        let listed = units(secret).join(between);
        let is_list = [
            "percent",
            "C, ",
            "Go",
            "Python",
            "JSON",
            "HTML",
            "hex",
            "dump",
            "binary",
            "spelled",
            "full-width",
        ]
        .iter()
        .any(|start| name.contains(start));
        if !is_list || name.contains("odd") {
            continue;
        }
        let text = format!("the secret {listed} is wrong");
        let shown = Redactor::new([]).text(&text);
        let why = format!("[redacted: {} bytes that are no prose]", text.len());
        assert!(shown == why || shown == "the secret [redacted] is wrong", "{name}: {shown}");
    }
}
