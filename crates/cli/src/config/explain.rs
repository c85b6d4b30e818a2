//! `idaas config explain`: what a key means.

use std::fmt::Write;

use super::keys::{KEYS, Key, Kind, MILLISECONDS};
use super::methods::{METHODS, Method};

/// One key in full.
pub(crate) fn key(key: &Key) -> String {
    let mut text = format!("{}\n  {}\n\n", key.path, key.meaning);
    let mut fact = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<14}{value}");
    };
    fact("value", &kind(key.kind));
    if !key.example.is_empty() {
        fact("example", &key.example.replace('\n', "\\n"));
    }
    if let Some(default) = key.default {
        fact("default", default);
    }
    if key.is_required {
        fact("required", "always");
    }
    if key.path == "openApiEndpoint" {
        fact("required by", "PLUGIN");
    }
    if key.section() == "authnConfiguration" && !key.is_required && key.name() != "identityType" {
        let names = |is: &dyn Fn(&Method) -> bool| {
            let methods = METHODS.iter().filter(|method| is(method));
            methods.map(|method| method.name).collect::<Vec<_>>().join(", ")
        };
        let (needed, read) = (
            names(&|method| method.needs(key.name())),
            names(&|method| method.reads(key.name()) && !method.needs(key.name())),
        );
        if !needed.is_empty() {
            let other = alternative(key).map(|other| format!(" (or {other})")).unwrap_or_default();
            fact("required by", &format!("{needed}{other}"));
        }
        if !read.is_empty() {
            fact("read by", &read);
        }
    }
    if key.snake_name() != key.name() {
        fact("also spelt", &key.snake_name());
    }
    if !key.is_of_vendor {
        fact("known to", "tower-idaas alone, not to the vendor's clients");
    }
    if key.name() == "authnMethod" {
        text.push('\n');
        for method in &METHODS {
            let _ = writeln!(text, "  {:<20}  {}", method.name, method.meaning);
        }
    }
    text
}

/// All keys, a line each.
pub(crate) fn all() -> String {
    let mut text = String::new();
    for key in KEYS {
        let sentence = key.meaning.split_inclusive(". ").next().unwrap_or_default().trim_end();
        let _ = writeln!(text, "{:<52}  {sentence}", key.path);
    }
    text
}

/// The key that can be given in the place of this one.
fn alternative(key: &Key) -> Option<&'static str> {
    let mut groups = METHODS.iter().flat_map(|method| method.needs);
    let group = groups.find(|group| group.contains(&key.name()))?;
    group.iter().copied().find(|name| *name != key.name())
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Object => "an object".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Endpoint => "a URL with https, or a host; plain http is for loopback hosts alone".to_owned(),
        Kind::Word(words) => words.join(", "),
        Kind::Milliseconds => {
            format!("an integer from {} to {}", MILLISECONDS.start(), MILLISECONDS.end())
        }
        Kind::Flag => "true or false".to_owned(),
    }
}
