//! What an entry of the cache is for.

use aws_lc_rs::digest::{SHA256, digest};
use tower_idaas::Secret;
use tower_idaas::explanation::Explanation;

/// The parts that tell an entry from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry(Vec<u8>);

impl Entry {
    /// `kind` is what is fetched.
    pub(crate) fn new(kind: &str) -> Self {
        Self::default().with(kind)
    }

    /// The client that fetches: entries of two clients never meet.
    pub(super) fn of_client(explanation: &Explanation) -> Self {
        const KEYS: [&str; 9] = [
            "idaasInstanceId",
            "clientId",
            "issuer",
            "scope",
            "openApiEndpoint",
            "developerApiEndpoint",
            "authnMethod",
            "pluginName",
            "applicationFederatedCredentialName",
        ];
        let endpoint = explanation.endpoint().map(|(_, endpoint)| endpoint.to_string());
        let entry = Self::default().with_optional(endpoint.as_deref());
        KEYS.iter().fold(entry, |entry, key| entry.with_optional(explanation.value(key)))
    }

    #[must_use]
    pub(crate) fn with(self, part: &str) -> Self {
        self.with_optional(Some(part))
    }

    /// Also a part that is not there is one.
    #[must_use]
    pub(crate) fn with_optional(mut self, part: Option<&str>) -> Self {
        let Self(bytes) = &mut self;
        bytes.push(u8::from(part.is_some()));
        let part = part.unwrap_or_default();
        // With its length: otherwise a part that ends elsewhere would give the same entry.
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
        self
    }

    /// The digest of a part that is secret: an entry is kept, and may be shown.
    #[must_use]
    pub(crate) fn with_secret(mut self, part: &Secret) -> Self {
        let Self(bytes) = &mut self;
        bytes.push(2);
        bytes.extend_from_slice(digest(&SHA256, part.expose_secret().as_bytes()).as_ref());
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use tower_idaas::Idaas;

    use super::*;

    #[test]
    fn no_two_lists_of_parts_are_the_same_entry() {
        let entries = [
            Entry::new("a"),
            Entry::new("a").with(""),
            Entry::new("a").with_optional(None),
            Entry::new("a").with("b"),
            Entry::new("ab"),
            Entry::new("a").with("b").with("c"),
            Entry::new("a").with("bc"),
            Entry::new("a").with_secret(&Secret::new("b")),
            Entry::new("a").with_secret(&Secret::new("c")),
        ];
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(entries.iter().position(|other| other == entry), Some(index));
        }
    }

    #[test]
    fn a_secret_part_is_not_in_the_entry() {
        let secret = "a-secret-part";
        let entry = Entry::new("a").with_secret(&Secret::new(secret));
        assert!(!entry.bytes().windows(secret.len()).any(|window| window == secret.as_bytes()));
    }

    #[test]
    fn clients_differ_by_what_their_configurations_say_of_them() {
        let client = |text: &str| Entry::of_client(&Idaas::builder().config_text(text).explain());
        let clients = [
            client(r#"{"clientId": "a"}"#),
            client(r#"{"clientId": "b"}"#),
            client(r#"{"issuer": "a"}"#),
            client(r#"{"clientId": "a", "scope": "api://a|b"}"#),
            client(r#"{"clientId": "a", "tokenEndpoint": "https://a.example/token"}"#),
            client(r#"{"clientId": "a", "developerApiEndpoint": "a.example"}"#),
        ];
        for (index, entry) in clients.iter().enumerate() {
            assert_eq!(clients.iter().position(|other| other == entry), Some(index));
        }
        assert_eq!(clients.first(), Some(&client(r#"{"client_id": "a"}"#)));
    }
}
