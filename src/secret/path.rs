//! Paths in messages. A secret or a token may be misplaced where the path of its file belongs; such a text must not
//! appear in a message.

use std::path::Path;

/// The placeholder in messages for a path that is likely a secret.
const REDACTED: &str = "(not shown: its path looks like a secret)";

/// The path for messages.
pub(crate) fn redacted_path(path: &Path) -> String {
    let text = path.display().to_string();
    match looks_like_a_token(path) || looks_like_a_secret(&text) {
        true => REDACTED.to_owned(),
        false => text,
    }
}

/// Whether the path is a misplaced JSON Web Token.
pub(crate) fn looks_like_a_token(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut words = text.split(|c: char| c.is_whitespace() || "/\\\"'".contains(c));
    words.any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

/// Whether the text is longer than any path, has several lines, or is likely no absolute path and has a longer run of
/// letters and digits than names have, or characters that names do not have. A character that begins an absolute path
/// begins one secret in 64 as well, so it needs a folder after it, and no padding of Base64 at the end.
fn looks_like_a_secret(text: &str) -> bool {
    const LONGEST_PATH: usize = 4096;
    const LONGEST_WORD: usize = 24;
    const SEPARATORS: [char; 2] = ['/', '\\'];
    let begins_as_path = text.starts_with(['/', '~', '.', '\\']) || text.get(1..3) == Some(":\\");
    let has_folder = text.trim_start_matches(SEPARATORS).contains(SEPARATORS);
    let from_root = begins_as_path && has_folder && !text.ends_with('=');
    let is_name = text.chars().all(|letter| letter.is_alphanumeric() || "/\\._- ".contains(letter));
    let mut words = text.split(|letter: char| !letter.is_alphanumeric());
    text.len() > LONGEST_PATH
        || text.contains(char::is_control)
        || !from_root && (!is_name || words.any(|word| word.len() > LONGEST_WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_unless_it_is_likely_none() {
        for path in [
            "/run/secrets/token",
            "secrets/client",
            "~/k8s/0123456789abcdef0123456789abcdef",
            "./0123456789abcdef0123456789abcdef",
            "/data/a+b/c",
            "/token",
            ".token",
            "../token",
            "C:\\s\\k",
        ] {
            assert_eq!(redacted_path(Path::new(path)), path);
        }
        let long = "/".to_owned() + &"hunter2/".repeat(1000);
        for pasted in [
            "eyJhunter2.eyJh.s",
            "/run/eyJhunter2.eyJh.s",
            "Bearer eyJhunter2.eyJh.s",
            "hunter2hunter2hunter2hunter2",
            "hunter2+/==",
            "/Kj3n9Zq0+LmP8sVx7Rt2Yb5Nc4Hd6Gf1==",
            "/Kj3n9Zq0+LmP8/Vx7Rt2Yb5Nc4Hd6Gf1==",
            "/hunter2hunter2hunter2hunter2",
            "//hunter2+",
            "~hunter2hunter2hunter2hunter2",
            ".hunter2hunter2hunter2hunter2",
            "\\hunter2hunter2hunter2hunter2",
            "-----BEGIN PRIVATE KEY-----\nhunter2",
            &long,
        ] {
            assert_eq!(redacted_path(Path::new(pasted)), REDACTED, "{pasted}");
        }
    }
}
