//! Text that a POSIX shell reads as it is.

/// In single quotes, where a shell leaves everything alone.
pub(crate) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// The same, without quotes around a value that needs none: other readers of files of variables do not remove them.
pub(crate) fn quoted_if_needed(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    match value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => quoted(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_value_as_it_is() {
        for value in ["plain", "/a/path.pem", "~/a", "with 'quotes'", "$HOME `id` \\ \"x\"", "two\nlines", ""]
        {
            let assigned = format!("value={}; printf %s \"$value\"", quoted_if_needed(value));
            for script in [format!("printf %s {}", quoted(value)), assigned] {
                let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
                assert_eq!(output.stdout, value.as_bytes());
            }
        }
    }
}
