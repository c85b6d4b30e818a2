//! Names as people write them: in either case style, with slips, at any length.

/// Whether `name` is `key`, or `key` as the vendor's snake_case spells it.
pub(super) fn is_spelling_of(name: &str, key: &str) -> bool {
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

/// The candidate that the writer of `name` most likely meant, whatever section it is in.
pub(super) fn nearest<'k>(name: &str, candidates: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Below this likeness a suggestion puzzles more than it helps; a longer name than this is no slip.
    const LIKENESS: f64 = 0.9;
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let name = folded(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, &folded(last_part(candidate))), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// A name out of the file, made fit for one line of a message.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 48;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
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
            assert_eq!(is_spelling_of(name, "clientX509Certificate"), is, "{name}");
        }
        assert!(is_spelling_of("x509_cert_chains", "x509CertChains"));
        assert!(is_spelling_of("open_api_endpoint", "openApiEndpoint"));
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
    fn a_name_is_shown_on_one_line_of_bounded_length() {
        assert_eq!(shown("a\nb"), "a\\nb");
        assert!(shown(&"\n".repeat(1000)).chars().count() < 100);
    }
}
