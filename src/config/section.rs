//! One object of the file, read key by key.

use std::fmt;
use std::time::Duration;

use jsonc_parser::ast::{ObjectProp, Value};

use crate::config::document::{Lines, kind};
use crate::config::names::{has_form_of_key, is_name_of, last_part, nearest};
use crate::error::ConfigFault;

/// A key and its value, from the file or from code.
#[derive(Clone)]
pub(crate) struct Field<T> {
    path: &'static str,
    state: State<T>,
    line: Option<usize>,
}

#[derive(Clone)]
enum State<T> {
    Absent,
    /// The key is set twice or is not of this type; its fault is collected already.
    Faulty,
    Set(T),
}

impl<T> Field<T> {
    pub(super) const fn absent(path: &'static str) -> Self {
        Self { path, state: State::Absent, line: None }
    }

    /// Sets the value from code, which wins over the file's.
    pub(crate) fn set(&mut self, value: impl Into<T>) {
        self.state = State::Set(value.into());
        self.line = None;
    }

    pub(super) fn get(&self) -> Option<&T> {
        match &self.state {
            State::Set(value) => Some(value),
            State::Absent | State::Faulty => None,
        }
    }

    /// The key with the name of its section before it.
    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    /// The key without the name of its section.
    pub(super) fn key(&self) -> &'static str {
        last_part(self.path)
    }

    /// Whether there is a text that is not blank: templates leave unused keys blank.
    pub(super) fn is_used(&self) -> bool
    where
        T: AsRef<str>,
    {
        self.get().is_some_and(|text| !text.as_ref().trim().is_empty())
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// This fault of a method's option, reported at this key.
    pub(super) fn take_over(&self, fault: ConfigFault) -> ConfigFault {
        fault.moved_to(self.path, self.line)
    }

    /// A fault, or a warning, about this key.
    pub(super) fn fault(&self, problem: impl Into<String>) -> ConfigFault {
        let fault = ConfigFault::new(self.path, problem);
        match self.line {
            Some(line) => fault.at_line(line),
            None => fault,
        }
    }

    fn fill(&mut self, value: Result<T, String>, line: usize, faults: &mut Vec<ConfigFault>) {
        if self.is_absent() {
            self.line = Some(line);
        }
        match value {
            Ok(value) if self.is_absent() => self.state = State::Set(value),
            Ok(_) => {}
            Err(problem) => {
                faults.push(ConfigFault::new(self.path, problem).at_line(line));
                if self.is_absent() {
                    self.state = State::Faulty;
                }
            }
        }
    }
}

impl Field<String> {
    /// Whether the key says nothing: it is absent, or blank, as templates leave keys that are not used.
    pub(super) fn is_unset(&self) -> bool {
        self.is_absent() || self.get().is_some_and(|text| text.trim().is_empty())
    }

    /// The text without surrounding white space, if the key says something.
    pub(super) fn used(&self) -> Option<&str> {
        self.get().map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The value for `Debug`, if it looks like an id or a scope: it may be a misplaced secret.
    pub(crate) fn redacted(&self) -> Option<&str> {
        let text = self.get()?;
        let is_plain = |text: &str| {
            text.len() <= 256 && text.split(|c: char| !c.is_alphanumeric()).all(|word| word.len() <= 32)
        };
        Some(if is_plain(text) { text } else { "(not shown: it looks like a secret)" })
    }
}

impl<T> fmt::Debug for Field<T> {
    /// Without the value: it has not been checked yet, and may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Absent => "absent",
            State::Faulty => "faulty",
            State::Set(_) => "set",
        };
        f.write_str(state)
    }
}

/// A type that a key's value may have. The error goes after the key and does not show the value.
pub(super) trait FromJson: Sized {
    fn from_json(value: &Value<'_>) -> Result<Self, String>;
}

impl FromJson for String {
    fn from_json(value: &Value<'_>) -> Result<Self, String> {
        let text = value.as_string_lit().map(|text| text.value.as_ref().to_owned());
        text.ok_or_else(|| format!("expected a string, found {}", kind(value)))
    }
}

impl FromJson for bool {
    fn from_json(value: &Value<'_>) -> Result<Self, String> {
        let flag = value.as_boolean_lit().map(|flag| flag.value);
        flag.ok_or_else(|| format!("expected true or false, found {}", kind(value)))
    }
}

impl FromJson for Duration {
    /// Milliseconds, in the range that the vendor's readers accept.
    fn from_json(value: &Value<'_>) -> Result<Self, String> {
        let milliseconds = value.as_number_lit().and_then(|number| number.value.parse().ok());
        milliseconds
            .filter(|milliseconds| (2_000..=60_000).contains(milliseconds))
            .map(Self::from_millis)
            .ok_or_else(|| "expected an integer number of milliseconds from 2000 to 60000".to_owned())
    }
}

/// An object of the file.
#[derive(Clone, Copy)]
pub(super) struct Section<'d> {
    /// What goes before its keys in messages, such as `httpConfiguration.`.
    prefix: &'static str,
    members: &'d [ObjectProp<'d>],
    lines: &'d Lines,
}

impl<'d> Section<'d> {
    pub(super) fn root(members: &'d [ObjectProp<'d>], lines: &'d Lines) -> Self {
        Self { prefix: "", members, lines }
    }

    /// Reads the key into its field, unless code has set a value already.
    pub(super) fn fill<T: FromJson>(self, field: &mut Field<T>, faults: &mut Vec<ConfigFault>) {
        if let Some((value, line)) = self.value(field.path) {
            field.fill(value.and_then(T::from_json), line, faults);
        }
    }

    /// The object under a key.
    pub(super) fn section(
        self,
        field: &mut Field<()>,
        prefix: &'static str,
        faults: &mut Vec<ConfigFault>,
    ) -> Option<Self> {
        let (value, line) = self.value(field.path)?;
        let object = value.and_then(|value| {
            value.as_object().ok_or_else(|| format!("expected an object, found {}", kind(value)))
        });
        let section = object.as_ref().ok().map(|object| Self { prefix, members: &object.properties, ..self });
        field.fill(object.map(|_| ()), line, faults);
        section
    }

    /// The key's value, or why it has none, and the line; `null` counts as absent.
    fn value(self, path: &str) -> Option<(Result<&'d Value<'d>, String>, usize)> {
        let key = last_part(path);
        let mut found = self.members.iter().filter(|member| is_name_of(member.name.as_str(), key));
        let member = found.next()?;
        let line = self.lines.line_of(member);
        match (found.next(), &member.value) {
            (Some(again), _) => {
                let problem = format!("is set more than once, first on line {line}; keep one");
                Some((Err(problem), self.lines.line_of(again)))
            }
            (None, Value::NullKeyword(_)) => None,
            (None, value) => Some((Ok(value), line)),
        }
    }

    /// The keys that are not among `known`, each with the known one that was likely meant, up to a bound.
    pub(super) fn unknown_keys(self, known: &[&'static str]) -> Vec<ConfigFault> {
        let is_ours = |path: &str| path.strip_suffix(last_part(path)) == Some(self.prefix);
        let ours: Vec<&str> = known.iter().copied().filter(|path| is_ours(path)).map(last_part).collect();
        let strangers = self.members.iter().filter(|member| {
            let name = member.name.as_str();
            !is_ignored(name) && !ours.iter().any(|key| is_name_of(name, key))
        });
        let fault = |member: &ObjectProp<'_>| {
            let name = member.name.as_str();
            let line = self.lines.line_of(member);
            if !has_form_of_key(name) {
                let problem =
                    "has an unknown key, which is not shown as it does not look like one; remove it";
                return ConfigFault::new(self.prefix.trim_end_matches('.'), problem).at_line(line);
            }
            let problem = match nearest(name, known.iter().copied()) {
                Some(path) => format!("is an unknown key; did you mean `{path}`?"),
                None => "is an unknown key".to_owned(),
            };
            ConfigFault::new(format!("{}{name}", self.prefix), problem).at_line(line)
        };
        let mut faults: Vec<_> = strangers.clone().take(MOST_UNKNOWN_KEYS).map(fault).collect();
        let further = strangers.count().saturating_sub(MOST_UNKNOWN_KEYS);
        if further > 0 {
            let section = self.prefix.trim_end_matches('.');
            faults.push(ConfigFault::new(section, format!("has {further} further unknown keys")));
        }
        faults
    }
}

/// A file that is no configuration may have any number of keys; a message has room for a few.
const MOST_UNKNOWN_KEYS: usize = 16;

/// Keys of the vendor's own files that this client does not need, and keys for comments and editors.
fn is_ignored(name: &str) -> bool {
    const IGNORED: [&str; 4] =
        ["$schema", "authenticationSubject", "humanAuthenticateClientId", "jwkEndpoint"];
    name.starts_with('_') || IGNORED.iter().any(|key| is_name_of(name, key))
}
