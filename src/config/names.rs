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

/// Whether a name from the file has the form of a key. Any other is not shown: it may be a misplaced secret, a key, or
/// a part of one.
pub(super) fn has_form_of_key(name: &str) -> bool {
    const LONGEST: usize = 48;
    // Shorter than any key or token. A key such as `x509CertChains` has few digits, and few capitals.
    const LONGEST_RANDOM: usize = 11;
    const MOST_DIGITS: usize = 4;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.$-".contains(&byte));
    let letters: Vec<u8> = name.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let class = |letter: &u8| (letter.is_ascii_digit(), letter.is_ascii_uppercase());
    let count = |is_one: fn(&u8) -> bool| letters.iter().filter(|letter| is_one(letter)).count();
    let (digits, lower) = (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase));
    let is_mostly_upper = lower > 0 && count(u8::is_ascii_uppercase) > lower + digits;
    let changes =
        letters.iter().zip(letters.iter().skip(1)).filter(|(one, next)| class(one) != class(next)).count();
    let is_random = letters.len() > LONGEST_RANDOM
        && (is_mostly_upper || digits > MOST_DIGITS || changes * 2 > letters.len());
    is_plain && !is_random && (1..=LONGEST).contains(&name.len())
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
    fn a_name_is_shown_only_if_it_has_the_form_of_a_key() {
        for path in crate::config::keys::ClientConfig::paths() {
            let key = last_part(path);
            assert!(has_form_of_key(key) && has_form_of_key(&snake(key)), "{key}");
            assert!(has_form_of_key(&key[1..]), "{key}");
        }
        for key in [
            "comment",
            "$id",
            "my-app.tokenUrl",
            "oauth2TokenEndpoint",
            "ClientX509CertificatPath",
            "key12345",
        ] {
            assert!(has_form_of_key(key), "{key}");
        }
        for other in [
            "",
            "a\nb",
            "a b",
            "🦀",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
            "CSBx7Kq2vWm9TzR4pLnD8fYh",
            "0f4c2a9be1d84c63",
            "550e8400-e29b-41d4-a716-446655440000",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
            &"clientId".repeat(10),
        ] {
            assert!(!has_form_of_key(other), "{other}");
        }
    }
}
