//! The JSON object in a response's body, or the fault of the body.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde_core::Deserializer;
use serde_core::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

/// Why a body holds no usable JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// The body is empty.
    Empty,
    /// The body is compressed, although the request accepts no content coding.
    Coded(String),
    /// The body is not JSON from this position on.
    NotJson { line: usize, column: usize },
    /// The body ends in the middle of its JSON.
    CutOff,
    /// The body is another JSON value.
    NotAnObject,
    /// A name occurs twice in one object, with two values.
    Duplicate(String),
    /// The JSON is nested too deeply, or has a number out of range: no ordinary serializer writes that.
    Absurd(&'static str),
}

impl BodyFault {
    /// Whether another attempt would return the same.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Coded(_) | Self::Duplicate(_) | Self::Absurd(_))
    }
}

/// The text follows "that hold neither a token nor an OAuth error: ".
impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there are none"),
            Self::Coded(coding) => {
                write!(f, "they are compressed ({coding}), although the request accepts no content coding")
            }
            Self::NotJson { line, column } => write!(f, "they are not JSON (line {line}, column {column})"),
            Self::CutOff => f.write_str("their JSON is cut off"),
            Self::NotAnObject => f.write_str("their JSON is not an object"),
            Self::Duplicate(name) => write!(f, "their JSON has `{name}` twice, with two values"),
            Self::Absurd(what) => write!(f, "their JSON {what}"),
        }
    }
}

/// The object in the body.
///
/// Byte-order marks are skipped, UTF-16 is decoded, and bytes that are not UTF-8 become replacement characters: gateways
/// write messages in local encodings.
pub(super) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, BodyFault> {
    let text = text(body);
    match parsed(without_marks(&text)) {
        Ok(Value::Object(object)) => Ok(object),
        other => Err(match (coding(headers, body), other) {
            (Some(coding), _) => BodyFault::Coded(coding),
            (None, Ok(_)) => BodyFault::NotAnObject,
            (None, Err(fault)) => fault,
        }),
    }
}

/// The text of JSON in UTF-8 or UTF-16.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    let units = |pair: fn([u8; 2]) -> u16, body: &[u8]| {
        let units: Vec<u16> =
            body.chunks_exact(2).filter_map(|unit| Some(pair(unit.try_into().ok()?))).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match body {
        [0xFF, 0xFE, rest @ ..] => units(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => units(u16::from_be_bytes, rest),
        // Without a mark, the first character of JSON decides (RFC 4627 section 3).
        [b'{', 0, ..] => units(u16::from_le_bytes, body),
        [0, b'{', ..] => units(u16::from_be_bytes, body),
        body => String::from_utf8_lossy(body),
    }
}

/// The text from its first character on. A server that includes files may send a mark of each, and blank lines.
pub(crate) fn without_marks(text: &str) -> &str {
    text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
}

/// The value that is the whole text.
pub(crate) fn parsed(text: &str) -> Result<Value, BodyFault> {
    if text.trim().is_empty() {
        return Err(BodyFault::Empty);
    }
    let mut duplicate = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Unique(&mut duplicate).deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        // The parser's message is only compared, never shown.
        let words = error.to_string();
        match duplicate {
            Some(name) => BodyFault::Duplicate(name),
            None if words.contains("recursion limit") => BodyFault::Absurd("is nested too deeply"),
            None if words.contains("number out of range") => BodyFault::Absurd("has a number out of range"),
            None if error.classify() == Category::Eof => BodyFault::CutOff,
            None => BodyFault::NotJson { line: error.line(), column: error.column() },
        }
    })
}

/// The content coding of the body, by its header or its first bytes.
fn coding(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let begins = match body {
        [0x1F, 0x8B, ..] => Some("gzip"),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some("zstd"),
        [0x78, 0x01 | 0x5E | 0x9C | 0xDA, ..] => Some("deflate"),
        _ => None,
    };
    let named = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut named = named.flat_map(|value| value.split(',')).map(|coding| coding.trim().to_ascii_lowercase());
    let known = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"];
    named.find(|coding| known.contains(&coding.as_str())).or_else(|| begins.map(str::to_owned))
}

/// A JSON value in which no name has two values.
struct Unique<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(Unique(&mut *self.0))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            // With the feature `arbitrary_precision` of serde_json, which another crate may turn on, a number comes as
            // a map with this one name.
            if name == "$serde_json::private::Number" && object.is_empty() {
                let number: String = members.next_value()?;
                return number.parse().map(Value::Number).map_err(A::Error::custom);
            }
            let value = members.next_value_seed(Unique(&mut *self.0))?;
            if object.get(&name).is_some_and(|first| *first != value) {
                *self.0 = Some(name);
                return Err(A::Error::custom("a name stands twice"));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// Overwrites every text in the value.
#[cfg(feature = "aliyun")]
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => zeroize::Zeroize::zeroize(text),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<Map<String, Value>, BodyFault> {
        object(&HeaderMap::new(), body)
    }

    #[test]
    fn a_number_is_one_also_when_serde_json_keeps_its_digits() {
        let text = r#"{"expires_in":{"$serde_json::private::Number":"3600"}}"#;
        assert_eq!(read(text.as_bytes()).unwrap()["expires_in"].as_u64(), Some(3600));
        assert!(read(br#"{"expires_in":{"$serde_json::private::Number":"soon"}}"#).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_object() {
        let utf16: Vec<u8> = "{\"a\":\"ü\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16_be: Vec<u8> = "{\"a\":\"ü\"}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for body in [
            "\u{FEFF}{\"a\":\"ü\"}".as_bytes(),
            " \r\n{\"a\":\"ü\"}\n ".as_bytes(),
            &[&[0xFF, 0xFE][..], &utf16].concat(),
            &[&[0xFE, 0xFF][..], &utf16_be].concat(),
            &utf16,
            &utf16_be,
            "\u{FEFF}\u{FEFF}{\"a\":\"ü\"}".as_bytes(),
            "\r\n\u{FEFF}\n{\"a\":\"ü\"}".as_bytes(),
        ] {
            assert_eq!(read(body).unwrap()["a"], "ü", "{body:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_do_not_hide_the_rest() {
        assert_eq!(
            read(b"{\"error\":\"invalid_client\",\"m\":\"\xc4\xe3\"}").unwrap()["error"],
            "invalid_client"
        );
    }

    #[test]
    fn a_coding_is_named_by_header_or_beginning() {
        let mut headers = HeaderMap::new();
        assert_eq!(object(&headers, b"\x1f\x8b\x08\0\0"), Err(BodyFault::Coded("gzip".into())));
        headers.insert(CONTENT_ENCODING, "identity, BR".parse().unwrap());
        assert_eq!(object(&headers, b"\x0b\x02\x80"), Err(BodyFault::Coded("br".into())));
        // A wrong header does no harm.
        assert!(object(&headers, b"{}").is_ok());
        headers.insert(CONTENT_ENCODING, "utf-8".parse().unwrap());
        assert!(matches!(object(&headers, b"<html>"), Err(BodyFault::NotJson { .. })));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, fault) in [
            ("", BodyFault::Empty),
            (" \n", BodyFault::Empty),
            ("{\"a\":", BodyFault::CutOff),
            ("\"{}\"", BodyFault::NotAnObject),
            ("<html>", BodyFault::NotJson { line: 1, column: 1 }),
            ("{} {}", BodyFault::NotJson { line: 1, column: 4 }),
            ("{\"a\":1,\"a\":2}", BodyFault::Duplicate("a".into())),
            ("{\"b\":[{\"a\":1,\"a\":2}]}", BodyFault::Duplicate("a".into())),
            ("{\"a\":1e999}", BodyFault::Absurd("has a number out of range")),
        ] {
            assert_eq!(read(body.as_bytes()), Err(fault), "{body}");
        }
        assert_eq!(read(&b"[".repeat(100_000)), Err(BodyFault::Absurd("is nested too deeply")));
        assert!(read(b"{\"a\":1,\"a\":1}").is_ok());
    }
}
