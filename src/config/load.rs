//! Finds the configuration file and reads its text.

use std::io;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::{ConfigError, ConfigFault};
use crate::secret::path::redacted_path;
use crate::secret::{regular_file, text_file};

pub(crate) const PATH_VARIABLE: &str = "CLOUD_IDAAS_CONFIG_PATH";
pub(crate) const DEFAULT_PATH: &str = "~/.cloud_idaas/client-config.json";

/// The path that the program gave, else the variable's, else the vendor's default.
pub(crate) fn locate(explicit: Option<&Path>, environment: &Environment) -> Result<PathBuf, ConfigError> {
    let path = match explicit {
        Some(path) if is_blank(path) => {
            let problem = "the path of the configuration file is blank; give the path of a file";
            return Err(ConfigError::one(ConfigFault::new("", problem)));
        }
        Some(path) => path.to_owned(),
        None => environment.path(PATH_VARIABLE).unwrap_or_else(|| DEFAULT_PATH.into()),
    };
    environment.expand(&path).map_err(|problem| {
        let problem = format!("{} {problem}, also in {PATH_VARIABLE}", origin(&path));
        ConfigError::one(ConfigFault::new("", problem))
    })
}

fn is_blank(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.trim().is_empty())
}

/// The file's text, without a byte-order mark.
pub(crate) fn read(path: &Path, environment: &Environment) -> Result<String, ConfigError> {
    read_text(path, environment).map_err(|fault| ConfigError::all(Some(&origin(path)), vec![fault]))
}

/// The file's name in messages.
pub(super) fn origin(path: &Path) -> String {
    redacted_path(path)
}

fn read_text(path: &Path, environment: &Environment) -> Result<String, ConfigFault> {
    decode(&text_file::read_bytes(path).map_err(|cause| unreadable(path, cause, environment))?)
}

/// The bytes of the file as text, without a byte-order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<String, ConfigFault> {
    if bytes.len() > regular_file::SIZE_LIMIT {
        return Err(ConfigFault::new("", "is larger than 1 MiB; expected a client-config.json"));
    }
    if text_file::is_utf16(bytes) {
        return Err(ConfigFault::new("", text_file::IS_UTF16));
    }
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let before = bytes.iter().take(cause.valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        ConfigFault::new("", "is not UTF-8 text; save it as UTF-8").at_line(line).with_source(cause)
    })?;
    let text = text_file::without_mark(text);
    if text.trim().is_empty() {
        return Err(ConfigFault::new("", "is empty; expected a JSON object"));
    }
    Ok(text.to_owned())
}

fn unreadable(path: &Path, cause: io::Error, environment: &Environment) -> ConfigFault {
    let other = (cause.kind() == io::ErrorKind::NotFound).then(|| other_spelling(path)).flatten();
    if let Some(other) = other {
        let other = origin(&other);
        let problem =
            format!("does not exist, and {other} lies beside it; rename that file, or give its path");
        return ConfigFault::new("", problem).with_source(cause);
    }
    let problem = match cause.kind() {
        io::ErrorKind::NotFound if is_default(path, environment) => format!(
            "does not exist; put the file there, or set environment variable {PATH_VARIABLE} to its path"
        ),
        io::ErrorKind::NotFound => "does not exist; check the path".to_owned(),
        _ => text_file::problem(&cause).0.to_owned(),
    };
    ConfigFault::new("", problem).with_source(cause)
}

fn is_default(path: &Path, environment: &Environment) -> bool {
    environment.expand(Path::new(DEFAULT_PATH)).is_ok_and(|default| path == default)
}

/// The file under the other name that the vendor's documents have for it, if there is one.
fn other_spelling(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let other = match name.contains('-') {
        true => name.replace('-', "_"),
        false => name.replace('_', "-"),
    };
    let other = path.with_file_name(other);
    (other != path && regular_file::read(&other, None).is_ok()).then_some(other)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::environment::ManualEnvironment;

    fn environment<const N: usize>(variables: [(&str, &str); N]) -> Environment {
        Environment::Manual(ManualEnvironment::from_iter(variables))
    }

    #[test]
    fn the_path_in_code_wins_over_the_variable_which_wins_over_the_default() {
        let located = |explicit: Option<&str>, variable: &str| {
            let environment = environment([("HOME", "/home/u"), (PATH_VARIABLE, variable)]);
            locate(explicit.map(Path::new), &environment).unwrap()
        };
        let default = Path::new("/home/u/.cloud_idaas/client-config.json");
        assert_eq!(located(Some("/a.json"), "/b.json"), Path::new("/a.json"));
        assert_eq!(located(Some("~/a.json"), "/b.json"), Path::new("/home/u/a.json"));
        assert_eq!(located(Some("a.json"), ""), Path::new("a.json"));
        assert_eq!(located(None, "/b.json"), Path::new("/b.json"));
        assert_eq!(located(None, "~/b.json\n"), Path::new("/home/u/b.json"));
        assert_eq!(located(None, ""), default);
        assert_eq!(located(None, "  "), default);
        assert_eq!(locate(None, &environment([("HOME", "/home/u")])).unwrap(), default);
    }

    #[test]
    fn a_blank_path_in_code_is_refused() {
        let error = locate(Some(Path::new(" ")), &environment([])).unwrap_err();
        assert!(error.to_string().contains("is blank"), "{error}");
    }

    #[test]
    fn a_home_directory_that_is_not_known_is_reported_with_the_way_out() {
        for variables in [&[][..], &[("HOME", "")]] {
            let environment = Environment::Manual(ManualEnvironment::from_iter(variables.iter().copied()));
            for explicit in [None, Some(Path::new("~/c.json"))] {
                let error = locate(explicit, &environment).unwrap_err().to_string();
                for part in ["~/", "HOME is not set", PATH_VARIABLE] {
                    assert!(error.contains(part), "{error}");
                }
            }
            assert_eq!(locate(Some(Path::new("/c.json")), &environment).unwrap(), Path::new("/c.json"));
        }
    }

    #[test]
    fn the_vendors_other_name_of_the_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) =
            (folder.path().join("client-config.json"), folder.path().join("client_config.json"));
        let error = |path: &Path| read(path, &environment([])).unwrap_err().to_string();
        assert!(error(&ours).contains("does not exist; check the path"));
        std::fs::write(&other, "{}").unwrap();
        assert!(
            error(&ours).contains(&format!("{} lies beside it; rename", other.display())),
            "{}",
            error(&ours)
        );
        std::fs::rename(&other, &ours).unwrap();
        assert!(error(&other).contains(&format!("{} lies beside it", ours.display())), "{}", error(&other));
    }

    #[test]
    fn text_is_read_without_its_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        std::fs::write(&path, "\u{feff}{}\n").unwrap();
        assert_eq!(read(&path, &environment([])).unwrap(), "{}\n");
    }

    #[test]
    fn a_file_that_is_no_text_is_refused_with_its_path_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let huge = vec![b' '; (1 << 20) + 1];
        for (bytes, reason) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"\xef\xbb\xbf", "is empty"),
            (b"\xff\xfe{\0}\0", "UTF-16"),
            (&utf16, "UTF-16"),
            (b"{\n\"clientId\": \"\xff\"}", "is not UTF-8 text; save it as UTF-8 (line 2)"),
            (&huge, "is larger than 1 MiB"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, &environment([])).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.contains(&*path.to_string_lossy()), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_cause_chained() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path| {
            let error = read(path, &environment([])).unwrap_err();
            assert!(error.source().unwrap().is::<io::Error>());
            let text = error.to_string();
            assert!(text.contains(&*path.to_string_lossy()), "{text}");
            text
        };
        assert!(error(folder.path()).contains("is a directory"));
        assert!(error(&folder.path().join("none.json")).contains("does not exist; check the path"));
    }

    #[test]
    fn the_error_of_a_missing_default_file_names_the_two_ways_to_set_one() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment([("HOME", folder.path().to_str().unwrap())]);
        let error = read(&locate(None, &environment).unwrap(), &environment).unwrap_err().to_string();
        for way in [".cloud_idaas", PATH_VARIABLE] {
            assert!(error.contains(way), "{error}");
        }
    }
}
