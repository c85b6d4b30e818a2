//! Scopes of IDaaS: `audience|permission` items of one audience.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde_core::de::Error as _;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ConfigError, ConfigFault};

/// The scope of a token: one audience and the requested permissions.
///
/// Written as in IDaaS: items `audience|permission`, separated by white space, all of one audience. `audience|.all`
/// requests everything that is granted. The audience may be a URL or URN.
///
/// Two scopes are equal when they request the same: order, repetition and spacing of the items make no second cache
/// entry. The token endpoint receives the text as written, with a space for each white space. A scope can be
/// deserialized from a string with `serde`. A text longer than 8 KiB is refused.
///
/// ```
/// use tower_idaas::Scope;
///
/// let scope = Scope::try_from("api://orders|read api://orders|write")?;
/// assert_eq!(scope, "api://orders|write  api://orders|read".parse::<Scope>()?);
/// assert_eq!(scope.audience(), "api://orders");
/// assert_eq!(scope.permissions().collect::<Vec<_>>(), ["read", "write"]);
/// # Ok::<(), tower_idaas::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Scope(Arc<Parsed>);

struct Parsed {
    /// As written, trimmed, on one line: the text that is sent.
    text: String,
    /// Sorted, each item once: the key for equality.
    key: String,
    /// Computed once, so that a cache lookup per request does not hash the text.
    hash: u64,
    /// The end of the audience in `text`.
    audience_end: usize,
}

/// Room for hundreds of permissions. Logs and messages show scopes, and servers refuse longer headers and fields.
const LONGEST: usize = 8 * 1024;

impl Scope {
    /// The scope as it was written, without surrounding white space: the `scope` form field.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The audience that all items share.
    pub fn audience(&self) -> &str {
        self.0.text.get(..self.0.audience_end).unwrap_or_default()
    }

    /// The permissions, in the order written.
    pub fn permissions(&self) -> impl Iterator<Item = &str> {
        items(&self.0.text).filter_map(|item| item.split_once('|').map(|(_, permission)| permission))
    }

    /// Parses the text, or returns its problem.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(format!(
                "is longer than {LONGEST} bytes; expected items `audience|permission` separated by spaces"
            ));
        }
        let is_on_one_line = text.chars().all(|letter| letter == ' ' || !letter.is_whitespace());
        let text: Cow<'_, str> = match is_on_one_line {
            true => text.into(),
            false => items(text).collect::<Vec<_>>().join(" ").into(),
        };
        let text = &*text;
        let mut audience = None;
        for item in items(text) {
            let parts = parse_item(item)?;
            match audience {
                None => audience = Some(parts),
                Some(first) if first != parts => {
                    let found = match (found(first), found(parts)) {
                        (Some(first), Some(other)) => format!(", found {first} and {other}"),
                        _ => String::new(),
                    };
                    return Err(format!("expected one audience{found}; request one token per audience"));
                }
                Some(_) => {}
            }
        }
        let Some(audience) = audience else {
            return Err("is blank; expected items `audience|permission` separated by spaces".into());
        };
        let audience_end = audience.len();
        let mut sorted: Vec<&str> = items(text).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let key = sorted.join(" ");
        let mut hasher = std::hash::DefaultHasher::new();
        key.hash(&mut hasher);
        Ok(Self(Arc::new(Parsed { text: text.to_owned(), hash: hasher.finish(), key, audience_end })))
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// The audience of one item.
fn parse_item(item: &str) -> Result<&str, String> {
    let found = found(item);
    // RFC 6749 appendix A.4: printable ASCII except the quotation mark and the backslash.
    if !item.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        return Err(format!(
            "has a character that no scope may hold{}; expected printable ASCII without quotation marks and backslashes",
            found.map(|item| format!(" in {item}")).unwrap_or_default()
        ));
    }
    let found = found.map(|item| format!(", found {item}")).unwrap_or_default();
    match item.split_once('|') {
        Some((audience, permission)) if !audience.is_empty() && !permission.is_empty() => {
            match (permission.contains('|'), permission.contains(',')) {
                (false, false) => Ok(audience),
                (_, true) => Err(format!(
                    "expected items `audience|permission` separated by spaces, not commas{found}"
                )),
                (true, false) => Err(format!("expected one `|` per item{found}")),
            }
        }
        _ => Err(format!("expected `audience|permission`{found}")),
    }
}

/// The item for a message, if it has the form of one: a misplaced line may hold a secret.
fn found(item: &str) -> Option<String> {
    const LONGEST: usize = 96;
    const LONGEST_WORD: usize = 24;
    let is_word = item.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_made_like_one = item.contains(['|', ':', '.'])
        && item.chars().all(|letter| letter.is_alphanumeric() || "|:/._-,*".contains(letter));
    let mut words = item.split(|letter: char| !letter.is_alphanumeric());
    let is_short = item.len() <= LONGEST && words.all(|word| word.len() <= LONGEST_WORD);
    (is_short && (is_word || is_made_like_one)).then(|| format!("`{item}`"))
}

impl FromStr for Scope {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse(text).map_err(|expected| ConfigError::one(ConfigFault::new("scope", expected)))
    }
}

impl TryFrom<&str> for Scope {
    type Error = ConfigError;

    fn try_from(text: &str) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl TryFrom<String> for Scope {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.as_str().to_owned()
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|problem| D::Error::custom(format!("the scope {problem}")))
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.key == other.0.key)
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wire_gets_the_text_as_written_but_for_surrounding_space() {
        let scope = Scope::parse("  a|y a|x ").unwrap();
        assert_eq!(scope.as_str(), "a|y a|x");
        assert_eq!(scope.permissions().collect::<Vec<_>>(), ["y", "x"]);
    }

    #[test]
    fn items_are_parted_by_any_white_space_and_the_wire_gets_spaces() {
        for text in ["a|y\ta|x", "a|y\na|x", "\r\na|y \r\n\t a|x\n", "a|y\u{a0}a|x", "a|y\u{2003}\u{b}a|x"] {
            assert_eq!(Scope::parse(text).unwrap().as_str(), "a|y a|x", "{text:?}");
        }
        assert_eq!(
            Scope::parse("a|y  a|x").unwrap().as_str(),
            "a|y  a|x",
            "spaces stay as they were written"
        );
        assert!(Scope::parse(" \n\t").unwrap_err().contains("is blank"));
    }

    #[test]
    fn a_scope_converts_from_and_to_text_in_every_usual_way() {
        let scope = Scope::try_from("a|x").unwrap();
        assert_eq!(scope, Scope::try_from("a|x".to_owned()).unwrap());
        assert_eq!(scope, "a|x".parse().unwrap());
        assert_eq!(scope, serde_json::from_str(r#""a|x""#).unwrap());
        assert_eq!(serde_json::to_string(&scope).unwrap(), r#""a|x""#);
        assert_eq!(String::from(scope), "a|x");
        let error = serde_json::from_str::<Scope>(r#""hunter2""#).unwrap_err().to_string();
        assert!(
            error.contains("the scope expected `audience|permission`") && !error.contains("hunter2"),
            "{error}"
        );
        serde_json::from_str::<Scope>("5").unwrap_err();
    }

    #[test]
    fn audiences_may_be_urls_and_urns() {
        for (text, audience) in [
            ("urn:cloud:idaas:pam|.all", "urn:cloud:idaas:pam"),
            ("https://api.example.com/v1|read:file", "https://api.example.com/v1"),
            ("api://orders|read", "api://orders"),
        ] {
            assert_eq!(Scope::parse(text).unwrap().audience(), audience);
        }
    }

    #[test]
    fn every_malformed_scope_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "is blank"),
            ("  ", "is blank"),
            ("read", "expected `audience|permission`, found `read`"),
            ("s3cret", "expected `audience|permission`"),
            ("a|", "expected `audience|permission`"),
            ("|x", "expected `audience|permission`"),
            ("a|b|c", "expected one `|` per item"),
            ("a|x,a|y", "not commas"),
            ("a|x,y", "not commas"),
            ("a|x b|x", "expected one audience"),
            ("a|x\u{0}a|y", "no scope may hold"),
            ("a|\u{e9}", "no scope may hold in `a|\u{e9}`"),
        ] {
            let error = Scope::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_scope_of_the_longest_length_is_accepted_and_a_longer_one_refused_in_a_short_message() {
        let of_length = |length: usize| format!("a|{}", "b".repeat(length - 2));
        assert_eq!(Scope::parse(&format!(" {} ", of_length(LONGEST))).unwrap().as_str().len(), LONGEST);
        for length in [LONGEST + 1, 1_000_000] {
            let error = of_length(length).parse::<Scope>().unwrap_err().to_string();
            assert!(error.contains("is longer than 8192 bytes") && error.len() < 200, "{error}");
        }
    }

    #[test]
    fn an_item_is_shown_if_it_is_short_and_made_like_one() {
        for item in ["read", "api://orders", "a|b|c", "urn:cloud:idaas:pam|x|y"] {
            assert!(Scope::parse(item).unwrap_err().contains(item), "{item}");
        }
        for item in ["hunter2", "hunter2+x==", &"hunter2".repeat(10), &"hunter2|".repeat(100)] {
            let error = Scope::parse(item).unwrap_err();
            assert!(!error.contains("hunter2") && error.len() < 300, "{error}");
        }
    }

    proptest! {
        #[test]
        fn order_repetition_and_spacing_make_no_second_scope(
            permissions in prop::collection::vec("[a-z:._-]{1,8}", 1..6),
            seed in any::<u64>(),
        ) {
            let mut items: Vec<String> = permissions.iter().map(|p| format!("api://x|{p}")).collect();
            let first = Scope::parse(&items.join(" ")).unwrap();
            let count = items.len();
            items.rotate_left(usize::try_from(seed % count as u64).unwrap());
            items.push(items[0].clone());
            let second = Scope::parse(&items.join("   ")).unwrap();
            prop_assert_eq!(&first, &second);
            prop_assert_eq!(first.0.hash, second.0.hash);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            if let Ok(scope) = Scope::parse(&text) {
                prop_assert!(text.starts_with(scope.audience()) || text.trim().starts_with(scope.audience()));
            }
        }
    }
}
