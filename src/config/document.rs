//! The file's text as JSON, read as leniently as the vendor's own printed examples need.
//!
//! Comments, trailing commas and raw line breaks in strings pass; other dialects of JSON do not, since
//! none of the vendor's readers takes them.

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind};

use crate::error::ConfigFault;

/// A file that is one JSON object.
pub(super) struct Document<'a> {
    root: Object<'a>,
    lines: Lines,
}

/// Where the line breaks are.
pub(super) struct Lines(Vec<usize>);

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, ConfigFault> {
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options);
        match parsed.map_err(|error| malformed(&error))?.value {
            Some(Value::Object(root)) => Ok(Self { root, lines: Lines::of(text) }),
            Some(other) => {
                let problem = format!("expected a JSON object, found {}", kind(&other));
                Err(ConfigFault::new("", problem))
            }
            None => Err(ConfigFault::new("", "is empty; expected a JSON object")),
        }
    }

    pub(super) fn members(&self) -> &[ObjectProp<'a>] {
        &self.root.properties
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }
}

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(offset, _)| offset).collect())
    }

    /// The line, from 1, that the member's key stands on.
    pub(super) fn line_of(&self, member: &ObjectProp<'_>) -> usize {
        let start = member.name.range().start;
        self.0.partition_point(|line_break| *line_break < start) + 1
    }
}

/// What a value is, for a message that must not show it.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "true or false",
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::NullKeyword(_) => "null",
    }
}

/// Says where and why, without a character of the text, which may hold a secret.
fn malformed(error: &ParseError) -> ConfigFault {
    let reason = match error.kind() {
        // The parser's own message shows the escape.
        ParseErrorKind::String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => {
            "invalid unicode escape".to_owned()
        }
        kind => kind.to_string().to_ascii_lowercase(),
    };
    ConfigFault::new("", format!("is not valid JSON at column {}: {reason}", error.column_display()))
        .at_line(error.line_display())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        Document::parse(text).err().unwrap().to_string()
    }

    #[test]
    fn comments_trailing_commas_and_raw_line_breaks_pass() {
        let text = "/* one */ {\n\"a\": \"x\ny\", // two\n\"b\": {\"c\": 1,},\n} // end";
        let document = Document::parse(text).ok().unwrap();
        let lines: Vec<_> =
            document.members().iter().map(|member| document.lines().line_of(member)).collect();
        assert_eq!(lines, [2, 4]);
        let value = document.members()[0].value.as_string_lit().unwrap();
        assert_eq!(value.value, "x\ny");
    }

    #[test]
    fn other_dialects_are_refused_with_line_and_column() {
        for (text, column, line) in [
            ("{\n  'a': 1}", 3, 2),
            ("{\"a\": 'x'}", 7, 1),
            ("{a: 1}", 2, 1),
            ("{\"a\": 0x10}", 7, 1),
            ("{\"a\": +1}", 7, 1),
            ("{\"a\": NaN}", 7, 1),
            ("{\"a\": \"\\x41\"}", 8, 1),
            ("{\"a\": 1 \"b\": 2}", 8, 1),
            ("{\"a\": \"open", 7, 1),
            ("{\"a\": \"\\ud800\"}", 8, 1),
            ("{} {}", 4, 1),
            ("{\n\"a\":\n", 0, 3),
        ] {
            let fault = fault(text);
            assert!(fault.starts_with("is not valid JSON at column "), "{text}: {fault}");
            assert!(fault.ends_with(&format!(" (line {line})")), "{text}: {fault}");
            assert!(column == 0 || fault.contains(&format!(" column {column}: ")), "{text}: {fault}");
        }
    }

    #[test]
    fn malformed_text_is_never_echoed() {
        for text in [
            "{\"a\": hunter2}",
            "{\"a\": 'hunter2'}",
            "{hunter2: 1}",
            "{\"a\": \"\\udead hunter2\"}",
            "hunter2",
        ] {
            let fault = fault(text);
            assert!(!fault.contains("hunter2") && !fault.contains("dead"), "{fault}");
        }
    }

    #[test]
    fn the_top_level_is_an_object() {
        for (text, found) in
            [("[]", "an array"), ("null", "null"), ("\"x\"", "a string"), ("5", "a number"), ("true", "true")]
        {
            assert!(fault(text).starts_with(&format!("expected a JSON object, found {found}")), "{text}");
        }
        assert!(fault("// nothing").starts_with("is empty"));
    }

    #[test]
    fn deep_nesting_is_a_fault_and_no_overflow() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let bomb = format!("{{\"x\": {}{}}}", open.repeat(100_000), close.repeat(100_000));
            assert!(fault(&bomb).contains("nesting depth"), "{open}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Document::parse(&text);
        }

        #[test]
        fn no_text_of_json_parts_makes_the_parser_panic(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ":", ",", "\"", "\"a\"", "\\", "\\u", "d800", "'", "/*", "*/", "//",
                    "\n", "\r", "é", "🦀", "1", "-", ".", "e", "null", "true", "NaN", "0x", "\u{feff}", "\u{2028}",
                ]),
                0..24,
            ),
        ) {
            let _ = Document::parse(&parts.concat());
        }
    }
}
