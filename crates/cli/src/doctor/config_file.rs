//! The configuration file's values, for looking at. Whether they are right is for the crate to say.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::{CollectOptions, ParseOptions};

/// Texts and numbers by the last part of their key, in camelCase.
#[derive(Debug)]
pub(crate) struct ConfigFile(BTreeMap<String, String>);

impl ConfigFile {
    /// `None` when it is no JSON object.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
        let Some(Value::Object(root)) = parsed.ok()?.value else { return None };
        let mut values = BTreeMap::new();
        collect(&root.properties, &mut values);
        Some(Self(values))
    }

    /// The value without surrounding white space, unless it is blank.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn method(&self) -> &str {
        self.get("authnMethod").unwrap_or_default()
    }

    /// How long a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        let milliseconds = self.get("connectTimeout").and_then(|value| value.parse().ok()).unwrap_or(5_000);
        Duration::from_millis(milliseconds.clamp(2_000, 60_000))
    }

    /// Where tokens are asked for.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let key = if self.method() == "PLUGIN" { "openApiEndpoint" } else { "tokenEndpoint" };
        Endpoint::parse(key, self.get(key)?)
    }
}

fn collect(members: &[ObjectProp<'_>], values: &mut BTreeMap<String, String>) {
    for member in members {
        let value = match &member.value {
            Value::Object(section) => {
                collect(&section.properties, values);
                continue;
            }
            Value::StringLit(text) => text.value.to_string(),
            Value::NumberLit(number) => number.value.to_owned(),
            _ => continue,
        };
        values.insert(camel(member.name.as_str()), value);
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

/// A host to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The key that names it.
    pub(crate) key: &'static str,
    pub(crate) uri: Uri,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl Endpoint {
    /// As the crate takes endpoints: https, but for http on this machine.
    fn parse(key: &'static str, text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let uri: Uri = format!("https://{rest}").parse().ok()?;
        if uri.authority()?.as_str().contains('@') {
            return None; // the crate refuses it, and it holds a password
        }
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let is_tls = !scheme.eq_ignore_ascii_case("http") || !is_loopback(&host);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Some(Self { key, uri, host, port, is_tls })
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

fn is_loopback(host: &str) -> bool {
    let is_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    is_name || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
