//! Collects the faults and warnings of a configuration while its keys become values.

use http::Uri;

use crate::authn::CheckContext;
use crate::config::endpoint::{self, Query};
use crate::config::names::described;
use crate::config::section::Field;
use crate::error::ConfigFault;
use crate::secret::odd_character;

/// Long enough for a chain of certificates, the longest text. Ids and paths, which messages repeat, are bounded where
/// they are shown.
const LONGEST_TEXT: usize = 64 * 1024;

/// Turns fields into values; `None` stands for a value whose fault is collected.
pub(super) struct Checker<'c> {
    pub(super) context: &'c CheckContext<'c>,
    faults: Vec<ConfigFault>,
    warnings: Vec<ConfigFault>,
}

impl<'c> Checker<'c> {
    pub(super) fn new(context: &'c CheckContext<'c>, faults: Vec<ConfigFault>) -> Self {
        Self { context, faults, warnings: Vec::new() }
    }

    pub(super) fn into_faults_and_warnings(self) -> (Vec<ConfigFault>, Vec<ConfigFault>) {
        (self.faults, self.warnings)
    }

    pub(super) fn fault(&mut self, fault: ConfigFault) {
        self.faults.push(fault);
    }

    /// Whether a fault of this key is collected already.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key() == key)
    }

    pub(super) fn warn(&mut self, warning: ConfigFault) {
        self.warnings.push(warning);
    }

    /// The text without surrounding white space; a missing, blank or too long text is a fault.
    pub(super) fn required(&mut self, field: &Field<String>, expected: &str) -> Option<String> {
        if field.is_absent() {
            self.fault(field.fault(format!("is missing; expected {expected}")));
        }
        let text = field.get()?.trim();
        if text.is_empty() {
            self.fault(field.fault(format!("is blank; expected {expected}")));
            return None;
        }
        if text.len() > LONGEST_TEXT {
            self.fault(field.fault(format!("is longer than {LONGEST_TEXT} bytes; expected {expected}")));
            return None;
        }
        Some(text.to_owned())
    }

    /// The same for an id or a name that messages and logs show: control, invisible and direction-changing characters
    /// are a fault as well.
    ///
    /// RFC 6749 appendix A.1 allows printable ASCII in a client id. Letters beyond it are accepted, as in a client
    /// secret.
    pub(super) fn required_id(&mut self, field: &Field<String>, expected: &str) -> Option<String> {
        let id = self.required(field, expected)?;
        if let Some(odd) = odd_character(&id) {
            self.fault(
                field.fault(format!("has {odd}, which no id or name has; expected {expected}, copied anew")),
            );
            return None;
        }
        Some(id)
    }

    /// The path of a file; a missing, blank or too long path is a fault.
    pub(super) fn required_path(&mut self, field: &Field<String>, expected: &str) -> Option<String> {
        const LONGEST_PATH: usize = 4096;
        let path = self.required(field, expected)?;
        if path.len() > LONGEST_PATH {
            self.fault(field.fault(format!("is longer than any path; expected {expected}")));
            return None;
        }
        Some(path)
    }

    /// The text, if it is one of these values; a missing or blank text is a fault. A fault shows another text if it is
    /// among the known words.
    pub(super) fn required_one_of(
        &mut self,
        field: &Field<String>,
        values: &[&str],
        known: &[&str],
    ) -> Option<String> {
        let word = self.required(field, &values.join(" or "))?;
        self.check_word(field, values, known);
        Some(word).filter(|word| values.contains(&word.as_str()))
    }

    /// Any text except one of these values is a fault; a blank one counts as absent.
    pub(super) fn one_of(&mut self, field: &Field<String>, values: &[&str]) {
        if !field.is_unset() {
            self.check_word(field, values, values);
        }
    }

    fn check_word(&mut self, field: &Field<String>, values: &[&str], known: &[&str]) {
        if let Some(text) = field.get()
            && !values.contains(&text.trim())
        {
            let found = described(text.trim(), known.iter().copied());
            self.fault(field.fault(format!("{found}; expected {}", values.join(" or "))));
        }
    }

    /// The endpoint, if one is set. A blank one counts as absent: templates leave unused ones blank.
    pub(super) fn endpoint(&mut self, field: &Field<String>, query: Query) -> Option<Uri> {
        let text = field.used()?;
        match endpoint::parse(text, query) {
            Ok(endpoint) => {
                if endpoint.upgraded {
                    self.warn(field.fault("has scheme http; https is used instead"));
                }
                Some(endpoint.uri)
            }
            Err(problem) => {
                self.fault(field.fault(problem));
                None
            }
        }
    }
}
