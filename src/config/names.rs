//! Names as files spell them: in either case style, with mistakes, at any length.

/// Whether `name` is `key`, or `key` as the vendor's snake_case spells it.
pub(super) fn is_name_of(name: &str, key: &str) -> bool {
    name == key || name == snake(key)
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 8);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The key without the name of its section.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}

/// The candidate that `name` most likely stands for, whatever section it is in.
pub(super) fn nearest<'k>(name: &str, candidates: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Below this similarity a suggestion confuses more than it helps; a longer name than this is no misspelling.
    const LIKENESS: f64 = 0.9;
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let name = folded(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, &folded(last_part(candidate))), candidate))
        .map(|(likeness, candidate)| (likeness - handicap(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// The vendor's keys are more likely than this crate's keys for files.
fn handicap(candidate: &str) -> f64 {
    let is_ours = candidate.ends_with("FilePath") && !candidate.ends_with("oidcTokenFilePath");
    if is_ours { 0.02 } else { 0.0 }
}

fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Describes a value that should be one of these words. It is shown only if it is a plain word or close to one of
/// these, because it may be a misplaced secret.
pub(super) fn described<'k>(value: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    const LONGEST: usize = 24;
    let is_plain = |also: fn(u8) -> bool| value.bytes().all(|byte| also(byte) || b"_-".contains(&byte));
    let is_word = value.len() <= LONGEST && is_plain(|byte| byte.is_ascii_alphabetic());
    match is_word || is_plain(|byte| byte.is_ascii_alphanumeric()) && nearest(value, known).is_some() {
        true => format!("is `{value}`"),
        false => "is none of the known words".to_owned(),
    }
}

/// A name from the file, escaped and shortened for one line of a message.
pub(super) fn displayed(name: &str) -> String {
    const LONGEST: usize = 48;
    let mut displayed: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        displayed.push('…');
    }
    displayed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_two_spellings_and_no_third() {
        for (name, is) in [
            ("clientX509Certificate", true),
            ("client_x509_certificate", true),
            ("ClientX509Certificate", false),
            ("clientx509certificate", false),
            ("client_X509_certificate", false),
        ] {
            assert_eq!(is_name_of(name, "clientX509Certificate"), is, "{name}");
        }
        assert!(is_name_of("x509_cert_chains", "x509CertChains"));
        assert!(is_name_of("open_api_endpoint", "openApiEndpoint"));
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["clientId", "scope", "authnConfiguration.clientSecretEnvVarName"];
        let nearest = |name| nearest(name, known);
        assert_eq!(nearest("ClientID"), Some("clientId"));
        assert_eq!(nearest("clientSecretEnvVarNam"), Some("authnConfiguration.clientSecretEnvVarName"));
        assert_eq!(nearest("clientSecret"), Some("authnConfiguration.clientSecretEnvVarName"));
        for stranger in ["", "comment", "🦀", &"clientId".repeat(40)] {
            assert_eq!(nearest(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn a_value_is_shown_when_it_is_a_word_or_near_to_one() {
        let described = |value| described(value, ["CLIENT_SECRET_POST", "PKCS7"]);
        for word in ["FOO", "google-vm", "client_secret_post", "CLIENT_SECRET_P0ST"] {
            assert_eq!(described(word), format!("is `{word}`"));
        }
        for other in ["hunter2", "CLIENT SECRET POST", "+/==", "CLIENT_SECRET_POST=", &"word".repeat(10)] {
            assert_eq!(described(other), "is none of the known words", "{other}");
        }
    }

    #[test]
    fn a_name_is_shown_on_one_line_of_bounded_length() {
        assert_eq!(displayed("a\nb"), "a\\nb");
        assert!(displayed(&"\n".repeat(1000)).chars().count() < 100);
    }
}
